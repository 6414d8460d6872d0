"""Every figure of the course, each from plain numbers, each returned as a matplotlib Figure."""

import numpy as np
from matplotlib.figure import Figure

BEFORE, AFTER, GOLD, ACCENT = "#8a8f98", "#1f77b4", "#b8860b", "#d1495b"


def _axes(rows=1, columns=1, width=4.0, height=3.0):
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    return figure, axes


def training_curves(history: list[dict]) -> Figure:
    """Reward, KL, policy loss, value loss, entropy and clip fraction over the updates; what was not recorded stays empty."""
    panels = (
        ("reward", "reward", "mean score of a batch"),
        ("kl", "sequence KL", "nats"),
        ("policy_loss", "policy loss", ""),
        ("value_loss", "value loss", "reward squared"),
        ("entropy", "entropy", "nats a token"),
        ("clip_fraction", "clip fraction", "share of tokens"),
    )
    figure, axes = _axes(2, 3)
    updates = [row["update"] for row in history]
    for ax, (key, title, unit) in zip(axes.flat, panels, strict=True):
        ax.plot(updates, [row.get(key, np.nan) for row in history], color=AFTER)
        ax.set(title=title, ylabel=unit, xlabel="update")
    kl_axis = axes[0, 1].twinx()
    kl_axis.plot(updates, [row.get("kl_coef", np.nan) for row in history], color=ACCENT, linestyle="--")
    kl_axis.set_ylabel("KL coefficient (dashed)", color=ACCENT)
    kl_axis.spines["top"].set_visible(False)
    return figure


def distributions(before, after, label: str, bins: int = 30) -> Figure:
    """Two overlaid histograms with their means. before, after: (N,)."""
    figure, axes = _axes(width=9)
    ax = axes[0, 0]
    edges = np.histogram_bin_edges(np.concatenate([before, after]), bins)
    for values, name, color in ((before, "before", BEFORE), (after, "after", AFTER)):
        ax.hist(values, edges, alpha=0.6, color=color, label=f"{name}, mean {np.mean(values):.2f}")
        ax.axvline(np.mean(values), color=color, linestyle="--")
    ax.set(xlabel=label, ylabel="responses", title=f"{len(before)} held-out prompts")
    ax.legend(frameon=False)
    return figure


def reward_against_kl(history, best_of_n: list[dict], before: dict, after: dict) -> Figure:
    """P(positive) against the KL spent: best-of-n, and the policy before and after with its interval.

    best_of_n: rows with `n`, `kl`, `p_positive` {mean, ci_low, ci_high}.  before, after: summaries of an evaluation.
    """
    figure, axes = _axes(1, 2, width=5.5, height=4)
    left, right = axes[0]
    kl = [row["kl"] for row in best_of_n]
    p = [row["p_positive"] for row in best_of_n]
    left.plot(kl, [q["mean"] for q in p], "o-", color=GOLD, label="best of n, no training")
    left.fill_between(kl, [q["ci_low"] for q in p], [q["ci_high"] for q in p], color=GOLD, alpha=0.2)
    for row in best_of_n:
        left.annotate(
            str(row["n"]), (row["kl"], row["p_positive"]["mean"]), xytext=(4, -12), textcoords="offset points", fontsize=8
        )
    for summary, name, color in ((before, "before", BEFORE), (after, "after", AFTER)):
        mean = summary["p_positive"]["mean"]
        error = [[mean - summary["p_positive"]["ci_low"]], [summary["p_positive"]["ci_high"] - mean]]
        left.errorbar(summary["sequence_kl"]["mean"], mean, yerr=error, fmt="s", color=color, capsize=4, label=name)
    left.set(xlabel="sequence KL from the reference, nats", ylabel="P(positive)", ylim=(0, 1.02), title="what a nat buys")
    left.legend(frameon=False, loc="lower right")
    points = right.scatter([r["kl"] for r in history], [r["reward"] for r in history], c=[r["update"] for r in history], s=14)
    right.set(xlabel="sequence KL of the batch, nats", ylabel="mean reward of the batch", title="the way there")
    figure.colorbar(points, ax=right, label="update")
    return figure


def token_advantages(rows: list[list[tuple[str, float]]], per_line: int = 14) -> Figure:
    """Responses with each token on a background of its advantage: blue better than expected, red worse.

    rows: for each response, (token text, advantage) pairs; the prompt's tokens may come first with advantage nan.
    """
    scale = max((abs(a) for row in rows for _, a in row if not np.isnan(a)), default=1.0) or 1.0
    lines = [row[i : i + per_line] for row in rows for i in range(0, len(row), per_line)]
    breaks = np.cumsum([-(-len(row) // per_line) for row in rows])[:-1]
    figure = Figure(figsize=(11, 0.36 * (len(lines) + 0.6 * len(breaks)) + 0.9), layout="constrained")
    ax = figure.subplots()
    ax.axis("off")
    y, width = 0.0, 60.0
    for index, line in enumerate(lines):
        y += 0.6 if index in breaks else 0.0
        x = 0.0
        for text, advantage in line:
            shown = text.replace("$", r"\$")
            color = (1, 1, 1) if np.isnan(advantage) else _diverging(advantage / scale)
            style = {"color": "0.45", "style": "italic"} if np.isnan(advantage) else {"color": "black"}
            ax.text(x, -y, shown, family="monospace", fontsize=9.5, va="center", **style,
                    bbox={"facecolor": color, "edgecolor": "none", "pad": 1.8})  # fmt: skip
            x += len(text) + 0.35
        width = max(width, x)
        y += 1
    ax.set(xlim=(0, width), ylim=(-y, 0.8))
    ax.set_title(f"advantage of each token, from {-scale:.1f} (red) to {scale:.1f} (blue); the prompt is grey", fontsize=10)
    return figure


def _diverging(x: float) -> tuple[float, float, float]:
    """Red at -1, white at 0, blue at 1, never so dark that black text is hard to read."""
    fade = 1 - 0.6 * min(abs(x), 1.0)
    return (fade, 0.35 * fade + 0.65 * fade if x > 0 else fade, 1.0) if x > 0 else (1.0, fade, fade)
