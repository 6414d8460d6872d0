"""Records what TRL's PPO computed, so that the course can be tested against it without installing it.

TRL removed PPO in 1.13. 1.12.0 is the last version with a PPO trainer, 0.11.4 the last with the classic `step` interface.
Each needs an environment of its own (tests/test_trl_vectors.py reads only the JSON):

    pip install torch==2.13.0 transformers==5.23.0 datasets==5.2.0 accelerate==1.15.0 trl==0.11.4     # or trl==1.12.0
    python tests/vectors/record_trl.py --which 0.11                                                   # or --which 1.12

Every output is computed by TRL's own code; nothing here repeats a formula of TRL, except that a gradient is divided by
`vf_coef` where TRL's loss carries it. Inputs chosen here have four decimals, so that the JSON holds exactly what TRL was fed.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch

HERE = Path(__file__).parent
VERSIONS = {"0.11": "0.11.4", "1.12": "1.12.0"}


def normal(generator, *shape, scale=1.0, mean=0.0):
    return (mean + scale * torch.randn(*shape, generator=generator)).round(decimals=4)


def ragged_mask(lengths, width):
    return torch.arange(width) < torch.tensor(lengths)[:, None]


def record_utilities(masked_mean, masked_whiten):
    """Both versions carry these two functions. The first row is full, so that no column is empty: there TRL gives NaN."""
    generator = torch.Generator().manual_seed(1)
    x, mask = normal(generator, 4, 7, scale=2.0, mean=0.7), ragged_mask([7, 4, 1, 6], 7)
    return {
        "masked_mean": {
            "x": x,
            "mask": mask,
            "mean": masked_mean(x, mask),
            "mean_dim_0": masked_mean(x, mask, axis=0),
            "mean_dim_1": masked_mean(x, mask, axis=1),
        },
        "masked_whiten": {
            "x": x,
            "mask": mask,
            "shifted": masked_whiten(x, mask),
            "not_shifted": masked_whiten(x, mask, shift_mean=False),
        },
    }


# --- 0.11.4: the methods of the classic trainer, called on a stand-in for `self` that has what they read -----------------


def record_0_11():
    from trl.core import masked_mean, masked_whiten
    from trl.trainer import ppo_trainer
    from trl.trainer.utils import AdaptiveKLController

    return {
        **record_utilities(masked_mean, masked_whiten),
        **record_controller(AdaptiveKLController),
        **record_rewards(ppo_trainer.PPOTrainer),
        **record_advantages(ppo_trainer),
        **record_losses(ppo_trainer.PPOTrainer),
    }


def record_controller(controller_class):
    settings = {"init_kl_coef": 0.2, "target": 6.0, "horizon": 10000}
    controller = controller_class(**settings)
    # Far above, far below and near the target, a negative estimate, the target itself.
    kl, n_steps, value = [30.0, 0.5, 6.6, 5.4, -1.0, 6.0, 7.5], [256, 128, 256, 64, 512, 256, 10000], []
    for one_kl, one_n_steps in zip(kl, n_steps, strict=True):
        controller.update(one_kl, one_n_steps)
        value.append(controller.value)
    return {"adaptive_kl": {**settings, "kl": kl, "n_steps": n_steps, "value": value}}


def record_rewards(trainer_class):
    """Off the mask TRL leaves the KL of whatever stands there; the course has 0."""
    generator = torch.Generator().manual_seed(2)
    n_rows, width, vocabulary, kl_coef = 4, 6, 5, 0.3
    mask = ragged_mask([6, 3, 1, 5], width)
    scores = normal(generator, n_rows, scale=2.0)
    logits, ref_logits = (normal(generator, n_rows, width, vocabulary) for _ in range(2))
    # The four-decimal rounding of these is the input; they need not be what the logits give.
    logprobs, ref_logprobs = (normal(generator, n_rows, width, scale=0.8, mean=-2.0) for _ in range(2))

    def compute_rewards(penalty, policy, reference):
        trainer = SimpleNamespace(config=SimpleNamespace(kl_penalty=penalty), kl_ctl=SimpleNamespace(value=kl_coef))
        trainer._kl_penalty = lambda *pair: trainer_class._kl_penalty(trainer, *pair)
        rewards, _, kl = trainer_class.compute_rewards(trainer, scores, policy, reference, mask)
        return {"rewards": rewards, "kl": kl}

    inputs = {"scores": scores, "mask": mask, "kl_coef": kl_coef}
    per_token = {"logprobs": logprobs, "ref_logprobs": ref_logprobs, **inputs}
    return {
        # "full" takes the log-probabilities of the whole vocabulary.
        "rewards_kl": {**per_token, **compute_rewards("kl", logprobs, ref_logprobs)},
        "rewards_abs": {**per_token, **compute_rewards("abs", logprobs, ref_logprobs)},
        "rewards_mse": {**per_token, **compute_rewards("mse", logprobs, ref_logprobs)},
        "rewards_full": {
            "logits": logits,
            "ref_logits": ref_logits,
            **inputs,
            **compute_rewards("full", logits.log_softmax(-1), ref_logits.log_softmax(-1)),
        },
    }


def record_advantages(module):
    """compute_advantages whitens always; with its masked_whiten made the identity, the plain advantages come out as well."""
    generator = torch.Generator().manual_seed(3)
    gamma, lam, mask = 0.9, 0.7, ragged_mask([7, 4, 1, 6], 7)
    rewards, values = normal(generator, 4, 7), normal(generator, 4, 7, mean=0.5)
    trainer = SimpleNamespace(config=SimpleNamespace(gamma=gamma, lam=lam, whiten_rewards=False))
    compute_advantages = module.PPOTrainer.compute_advantages
    _, whitened, returns = compute_advantages(trainer, values, rewards, mask)
    with mock.patch.object(module, "masked_whiten", lambda x, *_, **__: x):
        _, advantages, _ = compute_advantages(trainer, values, rewards, mask)
    return {
        "gae": {
            "rewards": rewards,
            "values": values,
            "mask": mask,
            "gamma": gamma,
            "lam": lam,
            "advantages": advantages,
            "returns": returns,
            "whitened": whitened,
        }
    }


def record_losses(trainer_class):
    generator = torch.Generator().manual_seed(4)
    n_rows, width, vocabulary = 4, 7, 5
    mask = ragged_mask([7, 5, 1, 6], width)
    old_logprobs = normal(generator, n_rows, width, scale=0.6, mean=-2.0)
    logprobs = (old_logprobs + normal(generator, n_rows, width, scale=0.4)).round(decimals=4)
    old_values, returns, advantages = (normal(generator, n_rows, width) for _ in range(3))
    values = (old_values + normal(generator, n_rows, width, scale=0.5)).round(decimals=4)
    logits = normal(generator, n_rows, width, vocabulary, scale=1.5)
    config = SimpleNamespace(cliprange=0.2, cliprange_value=0.3, vf_coef=0.5, ratio_threshold=10.0)
    logprobs.requires_grad_()
    values.requires_grad_()
    policy_loss, scaled_value_loss, stats = trainer_class.loss(
        SimpleNamespace(config=config), old_logprobs, old_values, logits, values, logprobs, mask, advantages, returns
    )
    (policy_gradient,) = torch.autograd.grad(policy_loss, logprobs)
    (value_gradient,) = torch.autograd.grad(scaled_value_loss, values)
    return {
        "policy_loss": {
            "logprobs": logprobs,
            "old_logprobs": old_logprobs,
            "advantages": advantages,
            "mask": mask,
            "clip_range": config.cliprange,
            "loss": policy_loss,
            "gradient": policy_gradient,
        },
        "value_loss": {
            "values": values,
            "old_values": old_values,
            "returns": returns,
            "mask": mask,
            "clip_range": config.cliprange_value,
            "loss": stats["loss/value"],  # what `loss` returns is multiplied by vf_coef
            "gradient": value_gradient / config.vf_coef,
        },
        "masked_entropy": {"logits": logits, "mask": mask, "entropy": stats["policy/entropy"]},
    }


# --- 1.12.0: everything stands inline in PPOTrainer.train, so a tiny training is run and its local variables are read -----


def record_1_12():
    from trl.experimental.ppo import ppo_trainer

    run_k1, run_k3 = train_1_12(ppo_trainer, "k1"), train_1_12(ppo_trainer, "k3")
    rollout, minibatch, settings = run_k1["rollout"], run_k1["minibatch"], run_k1["settings"]
    k3_names = ("logprobs", "ref_logprobs", "mask", "kl")
    return {
        **record_utilities(ppo_trainer.masked_mean, ppo_trainer.masked_whiten),
        "rollout": {**{k: settings[k] for k in ("kl_coef", "gamma", "lam")}, **rollout},
        "rollout_k3": {k: run_k3["rollout"][k] for k in k3_names},
        "minibatch": {**{k: settings[k] for k in ("cliprange", "cliprange_value")}, **minibatch},
    }


def train_1_12(module, kl_estimator):
    """One update of a real trainer: two minibatches of four in each of three epochs. Returns what `train` had computed.

    `train` calls the module's masked_mean and masked_whiten. The stand-ins put in their place hand the call on to the
    original and look at the caller's local variables.
    """
    masked_mean, masked_whiten = module.masked_mean, module.masked_whiten
    before_whitening, minibatches, rollout = [], [], {}

    def watch_whiten(x, mask, shift_mean=True):
        if sys._getframe(1).f_code.co_name == "train":
            before_whitening.append(x.clone())
        return masked_whiten(x, mask, shift_mean)

    def watch_mean(x, mask, axis=None):
        frame = sys._getframe(1)
        v = frame.f_locals
        if frame.f_code.co_name == "train" and "pg_loss_max" in v:
            if "pg_loss" not in v:  # before the backward pass
                v["new_logprobs"].retain_grad()
                v["vpred"].retain_grad()
            else:  # after it: the call that counts clipped ratios is the last of a minibatch
                rollout.update(rollout_variables(v, before_whitening[-1]))
                minibatches.append(minibatch_variables(v))
        return masked_mean(x, mask, axis)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(module, "masked_mean", watch_mean),
        mock.patch.object(module, "masked_whiten", watch_whiten),
    ):
        trainer = tiny_trainer(module, folder, kl_estimator)
        trainer.train()
    settings = {k: getattr(trainer.args, k) for k in ("kl_coef", "gamma", "lam", "cliprange", "cliprange_value")}
    # In the first minibatch the ratio is still 1; the one taken is the first with a short row in which both clips bind.
    chosen = next(m for m in minibatches if m["mask"].sum(1).min() <= 3 and both_clips_bind(m, settings))
    return {"rollout": rollout, "minibatch": chosen, "settings": settings}


def both_clips_bind(m, settings):
    ratio = (m["logprobs"] - m["old_logprobs"]).exp()
    up = m["mask"] & (ratio > 1 + settings["cliprange"])
    down = m["mask"] & (ratio < 1 - settings["cliprange"])
    moved = m["values"] - m["old_values"]
    above = m["mask_p1"] & (moved > settings["cliprange_value"])
    below = m["mask_p1"] & (moved < -settings["cliprange_value"])
    good = m["advantages"] > 0
    cases = (up & good, up & ~good, down & good, down & ~good, above, below)
    return all(case.any() for case in cases)


def rollout_variables(v, advantages):
    """The course's mask is `mask`; TRL's masks are of padding, so they are negated.

    `mask_p1` is one token longer where the response is shorter than the batch: there TRL has the value of the state after
    the end-of-sequence token, and puts the score on that place. Log-probabilities of padding are 1.0 on both sides, so the
    KL of that place is 0. The course has the score on the last token and the value 0 after it.
    """
    return {
        "tokens": v["responses"],
        "eos_token_id": v["processing_class"].eos_token_id,
        "mask": ~v["padding_mask"],
        "mask_p1": ~v["padding_mask_p1"],
        "scores": v["scores"],
        "logprobs": v["logprobs"],
        "ref_logprobs": v["ref_logprobs"],
        "values": v["values"],
        "kl": v["kl"],
        "non_score_reward": v["non_score_reward"],
        "rewards": v["rewards"],
        "advantages": advantages.clone(),
        "returns": v["returns"],
        "whitened": v["advantages"],
    }


def minibatch_variables(v):
    rows = v["micro_batch_inds"]
    return {
        "mask": ~v["padding_mask"][rows],
        "mask_p1": ~v["padding_mask_p1"][rows],
        "logprobs": v["new_logprobs"].detach().clone(),
        "old_logprobs": v["mb_logprobs"].clone(),
        "advantages": v["mb_advantage"].clone(),
        "values": v["vpred"].detach().clone(),
        "old_values": v["mb_values"].clone(),
        "returns": v["mb_return"].clone(),
        "policy_loss": v["pg_loss"].detach().clone(),
        "value_loss": v["vf_loss"].detach().clone(),
        "policy_gradient": v["new_logprobs"].grad.clone(),
        "value_gradient": v["vpred"].grad / v["args"].vf_coef,
    }


def tiny_trainer(module, folder, kl_estimator):
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed

    words = ["<pad>", "<eos>", *"abcdef"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="a")),
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
    )
    # A wide initialisation, so that policy and reference differ and the end-of-sequence token comes early in some rows.
    config = GPT2Config(
        vocab_size=len(words),
        n_positions=16,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        num_labels=1,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    set_seed(17)
    policy, reference = GPT2LMHeadModel(config), GPT2LMHeadModel(config)
    for model in (policy, reference):
        # TRL takes any padding token for the end of the response: a policy that can sample one would end rows without EOS.
        model.lm_head.register_forward_hook(lambda module, inputs, logits: logits.index_fill(-1, torch.tensor(0), -1e4))
    reward_model, value_model = GPT2ForSequenceClassification(config), GPT2ForSequenceClassification(config)
    prompts = [[2, 3], [4, 5, 6], [7], [3, 3], [6, 2], [5, 7, 4], [2], [4, 4]]
    args = module.PPOConfig(
        output_dir=folder,
        seed=17,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        num_sample_generations=0,
        disable_tqdm=True,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=1,  # with more, minibatches of an accumulation share one optimizer step
        num_mini_batches=2,
        num_ppo_epochs=3,
        total_episodes=len(prompts),
        response_length=6,
        stop_token="eos",
        temperature=0.8,
        learning_rate=0.003,
        kl_estimator=kl_estimator,
        kl_coef=0.15,
        gamma=0.95,
        lam=0.8,
        cliprange=0.2,
        vf_coef=0.5,
        cliprange_value=0.25,
    )
    return module.PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=Dataset.from_dict({"input_ids": prompts}),
    )


# --- writing ---------------------------------------------------------------------------------------------------------------


def plain(x):
    """Tensors as lists, floats with 8 significant digits."""
    if isinstance(x, torch.Tensor):
        x = x.detach().tolist()
    if isinstance(x, list):
        return [plain(y) for y in x]
    return float(f"{x:.8g}") if isinstance(x, float) else x


def write(path, version, cases):
    """One line a field: a diff shows which one moved."""
    blocks = [f' "trl": {json.dumps(version)}']
    for name, fields in cases.items():
        lines = [f"  {json.dumps(k)}: {json.dumps(plain(x), allow_nan=False)}" for k, x in fields.items()]
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(cases)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--which", choices=VERSIONS, required=True)
    which = parser.parse_args().which
    import trl

    if trl.__version__ != VERSIONS[which]:
        parser.error(f"--which {which} needs trl {VERSIONS[which]}; this environment has {trl.__version__}")
    torch.set_num_threads(1)
    cases = {"0.11": record_0_11, "1.12": record_1_12}[which]()
    write(HERE / f"trl_{which.replace('.', '_')}.json", trl.__version__, cases)


if __name__ == "__main__":
    main()
