"""ppo_step on a toy policy: the parameters it leaves, and the rows of the batch behind each of its optimizer steps."""

import torch
from torch import nn

from rlhf_core.loop import Rollout
from rlhf_core.ppo import PPOConfig

from ..toys import ToyPolicy

WEIGHTS = ("embedding", "position", "head", "value")


class SameUnits(nn.Dropout):
    """A dropout without chance: in training mode every third unit is dropped."""

    def forward(self, x):
        if not self.training or not self.p:
            return x
        return x * (torch.arange(x.shape[-1]) % 3 > 0) / (1 - self.p)


class MarkedPolicy(ToyPolicy):
    """A ToyPolicy that knows the rows of a batch by their marks: tokens from `first_mark` on, one in each row.

    `minibatches` has the rows whose loss reached the policy before each step of the optimizer, `rows_at_once` how many the
    largest forward pass had.  A forward pass whose gradient nobody asks for is not seen.
    """

    def __init__(self, weights, first_mark):
        super().__init__(weights)
        self.dropout = SameUnits(0.5)
        self.first_mark = first_mark
        self.rows, self.minibatches, self.rows_at_once = [], [], 0

    def forward(self, input_ids, attention_mask=None, position_ids=None, **cache):
        out = super().forward(input_ids, attention_mask, position_ids, **cache)
        marks = [token - self.first_mark for token in input_ids.flatten().tolist() if token >= self.first_mark]

        def used(gradient):
            self.rows += [row for row in marks if row not in self.rows]
            self.rows_at_once = max(self.rows_at_once, len(marks))

        for result in (out.logits, out.values):
            if result.requires_grad:
                result.register_hook(used)
        return out

    def stepped(self, *_):
        self.minibatches.append(self.rows)
        self.rows = []


def step(implementation, config, first_mark, optimizer, options, seed, global_seed=0, calls=1, held=None, frozen=(),
         **tensors):  # fmt: skip
    """Calls of ppo_step, one after the other, with the same policy, optimizer and generator.

    The policy is in training mode.  optimizer: a name in torch.optim, with its options.  held: names of the parameters that the
    optimizer holds, None for all.  frozen: names of those that take no gradient.  seed: of the generator, None for none.
    global_seed: of torch's own.  tensors: the weights of the policy and the rollout.

    Returns parameters; minibatches, a list for each call; rows_at_once; stats of the last call; the rollout; random, what
    torch's own generator gives next.
    """
    policy = MarkedPolicy({name: tensors.pop(name) for name in WEIGHTS}, first_mark).train()
    parameters = dict(policy.named_parameters())
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in frozen)
    trained = [parameter for name, parameter in parameters.items() if held is None or name in held]
    optimizer = getattr(torch.optim, optimizer)(trained, **options)
    optimizer.register_step_post_hook(policy.stepped)
    given = Rollout(**tensors)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    minibatches, stats = [], None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(global_seed)
        for _ in range(calls):
            policy.minibatches = []
            stats = implementation(policy, optimizer, given, PPOConfig(**config), generator)
            minibatches.append(policy.minibatches)
        random = torch.rand(4)
    return {
        "parameters": {name: parameter.detach() for name, parameter in parameters.items()}, "minibatches": minibatches,
        "rows_at_once": policy.rows_at_once,
        "stats": stats, "rollout": {name: getattr(given, name) for name in tensors}, "random": random,
    }  # fmt: skip
