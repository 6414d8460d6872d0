"""Runs of rlhf_loop on toy models: what the reward function was given, and the weights at each moment it was asked."""

import torch

from rlhf_core import ppo
from rlhf_core.loop import LoopConfig, Rollout

from ..toys import ToyPolicy

LETTERS = "abcdefghij"
END = "<end>"
FIELDS = tuple(Rollout.__dataclass_fields__)


class Letters:
    """A tokenizer: token 1 is a, 2 is b...; 0 ends a text and pads it."""

    pad_token_id = eos_token_id = bos_token_id = 0
    pad_token = eos_token = bos_token = END
    padding_side = "left"

    def decode(self, token_ids, skip_special_tokens=False, **options):
        ids = token_ids.tolist() if isinstance(token_ids, torch.Tensor) else token_ids
        names = ["" if skip_special_tokens else END, *LETTERS]
        return "".join(names[int(token)] for token in (ids if isinstance(ids, list | tuple) else [ids]))

    def batch_decode(self, sequences, skip_special_tokens=False, **options):
        return [self.decode(row, skip_special_tokens) for row in sequences]


def as_ids(text) -> list[int]:
    """The letters of a text as token ids, -1 for any other character; end tokens and blanks in the text are dropped."""
    return [LETTERS.find(letter) + 1 or -1 for letter in "".join(str(text).replace(END, "").split())]


class Stop(Exception):
    """What a callback raises to end a run."""


def as_tensors(weights) -> dict:
    return {name: torch.tensor(values) for name, values in weights.items()}


def weights_of(model) -> dict:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def train(implementation, weights, reference_weights, prompts, config, worth=(), constants=(), dropout=0.3, stop_after=None,
          with_callback=False, global_seed=0):  # fmt: skip
    """One run of the loop.

    weights, reference_weights: of two ToyPolicys, as nested lists.
    worth: what each token adds to the score of a text.  constants: what is added to every score of each update, 0 after the
    last of them.  stop_after: the number of callbacks after which the callback raises.  global_seed: of torch's own generator,
    which a loop with a seed of its own does not depend on.

    Returns history; texts (as token ids) and scores, in the order they were scored; policies and references, the weights when
    the first text of each update was scored, and the last ones; the callbacks' stats and what their states show.
    """
    policy, reference = ToyPolicy(as_tensors(weights), dropout).train(), ToyPolicy(as_tensors(reference_weights))
    settings = LoopConfig(tokenizer=Letters(), **config)
    worth, constants = torch.tensor([0.0, *worth]), list(constants)
    texts, scores, policies, references, reported, states = [], [], [], [], [], []

    def keep_weights():
        policies.append(weights_of(policy))
        references.append(weights_of(reference))

    def reward_fn(batch):
        given = []
        for text in [batch] if isinstance(batch, str) else batch:
            update, place = divmod(len(texts), settings.batch_size)
            if place == 0:
                keep_weights()
            ids = as_ids(text)
            known = [token for token in ids if 0 < token < len(worth)]
            given.append(worth[known].sum() + (constants[update] if update < len(constants) else 0.0))
            texts.append(ids)
        scores.extend(given)
        return torch.stack(given) if given else torch.zeros(0)

    def callback(state, stats):
        reported.append(dict(stats) if isinstance(stats, dict) else None)
        states.append(seen_in(state))
        if len(reported) == stop_after:
            raise Stop

    stopped, history = False, None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(global_seed)
        try:
            listener = (callback,) if with_callback or stop_after else ()
            history = implementation(policy, reference, reward_fn, [list(p) for p in prompts], settings, *listener)
        except Stop:
            stopped = True
    keep_weights()
    gradients = [p.grad.abs().max().item() for p in reference.parameters() if p.grad is not None]
    return {
        "history": history, "texts": texts, "scores": torch.tensor([float(s) for s in scores]), "stopped": stopped,
        "policies": policies, "references": references, "reference_gradient": max(gradients, default=0.0),
        "reported": reported, "states": states,
    }  # fmt: skip


def rollouts(implementation, weights, reference_weights, prompts, config, worth=()):
    """The rollouts that a run hands to `ppo_step`, each with the policy's weights at that moment; none of a loop without it.

    The step is then taken as usual.  Beside them, what the callback's states show after each update, and what `train` returns.
    """
    step, kept = ppo.ppo_step, []
    take, mine = step.in_force(), step.mine

    def watched(policy, optimizer, rollout, config, generator=None):
        fields = {name: getattr(rollout, name).detach().clone() for name in FIELDS}
        kept.append({"policy": weights_of(policy), "rollout": fields})
        return take(policy, optimizer, rollout, config, generator)

    step.mine = watched
    try:
        seen = train(implementation, weights, reference_weights, prompts, config, worth, dropout=0.0, with_callback=True)
    finally:
        step.mine = mine
    return {"rollouts": kept, "states": seen["states"], "history": seen["history"], "policies": seen["policies"]}


def seen_in(state) -> dict:
    """The KL coefficient and the learning rate of a TrainingState whose optimizer is the one in use; nothing of others."""
    controller, optimizer = getattr(state, "controller", None), getattr(state, "optimizer", None)
    seen = {}
    if hasattr(controller, "value"):
        value = torch.as_tensor(controller.value)
        seen["kl_coef"] = float(value) if value.numel() == 1 else float("nan")
    if isinstance(optimizer, torch.optim.Optimizer) and optimizer.state:
        seen["learning_rate"] = float(optimizer.param_groups[0]["lr"])
    return seen
