"""Presets: all that a run depends on, as one tree of values, read from `presets/*.yaml` and changed by `--set KEY=VALUE`."""

import difflib
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path

import yaml

from .errors import ConfigError
from .loop import LoopConfig

PRESETS = Path(__file__).parent / "presets"


@dataclass
class DataConfig:
    source: str = "embedded"  # "embedded", a local folder of the hub's layout, or a hub id
    train_reviews: int = 3000  # used to fine-tune the reward model and to cut prompts from
    test_reviews: int = 1500  # held-out: the reward model's accuracy and the evaluation's prompts
    prompt_min_tokens: int = 5  # a prompt is the first tokens of a review
    prompt_max_tokens: int = 5


@dataclass
class RewardConfig:
    model: str = "embedded:reward-imdb"
    epochs: int = 1  # of fine-tuning on the training reviews; 0 takes the model as it is
    learning_rate: float = 1e-4
    batch_size: int = 64
    max_length: int = 128  # tokens of the reward model's own tokenizer
    score: str = "logit"  # "logit" or "probability" of the positive class
    length_bonus: float = 0.0  # weight of the length bonus; 0 for none
    target_words: int = 50  # length at which the bonus stops growing


@dataclass
class EvaluationConfig:
    n_prompts: int = 512
    best_of_n_prompts: int = 64
    best_of_n_samples: int = 64  # for each of those prompts; the curve goes up to best of this many


@dataclass
class NotebookConfig:
    """The 2024 notebook's numbers, and which of its nine faults are in force; only `recipe: notebook-2024` reads it."""

    prompt: str = "Write a positive movie review:"
    n_batches: int = 50
    batch_size: int = 16
    max_new_tokens: int = 48
    kl_coef: float = 0.2
    length_bonus: float = 4.0
    learning_rate: float = 5e-8
    repaired: list[str] = field(default_factory=list)  # names of faults that are mended
    arms: bool = True  # also run what mends the learning rate alone, and what mends all but the learning rate


@dataclass
class RunConfig:
    preset: str = "tiny"
    recipe: str = "ppo"  # "ppo" or "notebook-2024"
    seed: int = 0
    device: str = "auto"  # "auto" takes a GPU where there is one
    threads: int = 0  # CPU threads; 0 takes every core
    policy: str = "embedded:policy"
    frozen_layers: int = -1  # blocks from below that PPO leaves as they are, embeddings with them; -1 trains everything
    data: DataConfig = field(default_factory=DataConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    ppo: LoopConfig = field(default_factory=LoopConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    notebook: NotebookConfig = field(default_factory=NotebookConfig)
    checkpoint_every: int = 5  # updates


# Set from the rest of the run, so not the user's to set here.
_NOT_IN_A_PRESET = {"tokenizer", "resume", "seed"}


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name: str, overrides: list[str] = ()) -> RunConfig:
    """The preset `name` with `overrides`, each "section.key=value". Raises ConfigError, naming what does not fit."""
    if name not in preset_names():
        raise ConfigError(f"there is no preset {name!r}; there are {', '.join(preset_names())}{_suggest(name, preset_names())}")
    tree = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ConfigError(f"--set takes KEY=VALUE, for example ppo.n_updates=20; got {override!r}")
        *path, leaf = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"{key!r}: {part!r} is a value, not a section")
        branch[leaf] = yaml.safe_load(value)
    return from_tree({"preset": name} | tree)


def from_tree(tree: dict) -> RunConfig:
    """Build the config from nested dicts. Raises ConfigError for unknown keys and for values of the wrong kind or range."""
    config = _build(RunConfig, tree, "")
    _check(config)
    return config


def to_tree(config: RunConfig) -> dict:
    """The config as nested dicts, fully resolved: what goes into config.yaml."""
    loop = {f.name: getattr(config.ppo, f.name) for f in fields(config.ppo) if f.name not in _NOT_IN_A_PRESET}
    return {
        f.name: loop if f.name == "ppo" else asdict(value) if is_dataclass(value := getattr(config, f.name)) else value
        for f in fields(config)
    }


def _build(cls, tree: dict, prefix: str):
    known = {f.name: f for f in fields(cls) if cls is not LoopConfig or f.name not in _NOT_IN_A_PRESET}
    values = {}
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(f"there is no setting {prefix + key!r}{_suggest(key, list(known))}; there are {', '.join(known)}")
        default = known[key].default if known[key].default is not MISSING else known[key].default_factory()
        if is_dataclass(default):
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix + key} is a section, for example {prefix + key}.{fields(default)[0].name}=...")
            values[key] = _build(type(default), value, f"{prefix}{key}.")
        else:
            values[key] = _convert(value, known[key].type, prefix + key)
    return cls(**values)


def _convert(value, kind, key):
    """`value` as the type of its field; YAML reads 1e-4 as a string, and 1 for a float is fine."""
    if kind == float | None and value is None:
        return None
    try:
        if kind in (float, float | None) and not isinstance(value, bool):
            return float(value)
        if kind is int and not isinstance(value, bool) and float(value) == int(float(value)):
            return int(float(value))
    except (TypeError, ValueError):
        pass
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind == list[str] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    name = getattr(kind, "__name__", str(kind)) if kind not in (float | None, list[str]) else str(kind)
    raise ConfigError(f"{key} takes a value of type {name}, got {value!r}")


def _check(config: RunConfig):
    positive = {
        "data.prompt_min_tokens": config.data.prompt_min_tokens, "data.train_reviews": config.data.train_reviews,
        "reward.batch_size": config.reward.batch_size, "ppo.batch_size": config.ppo.batch_size,
        "ppo.minibatch_size": config.ppo.minibatch_size, "ppo.ppo_epochs": config.ppo.ppo_epochs,
        "ppo.max_new_tokens": config.ppo.max_new_tokens, "ppo.temperature": config.ppo.temperature,
        "ppo.n_updates": config.ppo.n_updates, "evaluation.n_prompts": config.evaluation.n_prompts,
        "checkpoint_every": config.checkpoint_every, "notebook.n_batches": config.notebook.n_batches,
    }  # fmt: skip
    for key, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{key} has to be above 0, got {value!r}")
    if config.data.prompt_max_tokens < config.data.prompt_min_tokens:
        raise ConfigError("data.prompt_max_tokens has to be at least data.prompt_min_tokens")
    for key, value, allowed in (
        ("reward.score", config.reward.score, ("logit", "probability")),
        ("recipe", config.recipe, ("ppo", "notebook-2024")),
    ):
        if value not in allowed:
            raise ConfigError(f"{key} is one of {', '.join(allowed)}, got {value!r}")


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
