"""Stage 3: figures, samples, report.json for programs, report.html and report.md for people."""

import base64
import io
import json
import re
from pathlib import Path

import jinja2
import numpy as np

from rlhf_core import plots

from . import notebook_2024
from .run import Run, figures_of, samples_of

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_SAMPLES = 12

MEASURES = (  # key, label, digits, note
    ("reward", "reward", 2, "what the policy was trained on"),
    ("p_positive", "P(positive), reward model", 3, "of the same classifier, as a probability"),
    ("gold_p_positive", "P(positive), gold scorer", 3, "another kind of model, never trained against"),
    (
        "sequence_kl",
        "sequence KL, nats",
        2,
        "distance from the reference, summed over a response; a nat is a factor of e in probability",
    ),
    ("ref_perplexity", "perplexity under the reference", 1, "how surprised the original model is"),
    ("distinct_2", "distinct-2", 3, "variety: different pairs of neighbouring words over all pairs"),
    ("mean_length", "length, tokens", 1, "end of text included"),
)


def draw(results: dict, history: list[dict], figures: dict) -> dict[str, object]:
    """Name -> matplotlib figure."""
    before, after = results["evaluate_before"]["scores"], results["evaluate_after"]["scores"]
    drawn = {
        "curves": plots.training_curves(history),
        "reward": plots.distributions(np.array(before["reward"]), np.array(after["reward"]), "reward of a response"),
    }
    if "best_of_n_curve" in figures:
        drawn["reward_against_kl"] = plots.reward_against_kl(
            history, figures["best_of_n_curve"], figures["before"], figures["after"]
        )
    if "advantages" in results:
        rows = [[(text, np.nan if a is None else a) for text, a in row] for row in results["advantages"]["rows"]]
        drawn["advantages"] = plots.token_advantages(rows)
    return drawn


def spread_of_samples(samples: list[dict], n: int) -> list[dict]:
    """`n` samples evenly spread over the ranking by gain in reward: the best, the worst, and what lies between."""
    ranked = sorted(samples, key=lambda row: row["after_scores"]["reward"] - row["before_scores"]["reward"], reverse=True)
    places = np.linspace(0, len(ranked) - 1, min(n, len(ranked))).round().astype(int)
    return [ranked[i] for i in places]


def write_report(run: Run, results: dict) -> dict:
    """Everything under the run's folder that people and programs read. Returns the content of report.json."""
    history = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    figures = figures_of(run, results)
    explanation = []
    if run.config.recipe == "notebook-2024":
        notebook, before, n = results["ppo"], figures["before"], figures["n_eval"]
        figures["arms"] = {name: {key: arm[key] for key in ("summary", "evidence")} for name, arm in notebook["arms"].items()}
        figures["headline"], figures["faults"] = (
            notebook["headline"],
            notebook_2024.verdict(notebook, before, n, run.config.notebook.repaired),
        )
        explanation = notebook_2024.explanation(notebook, before)
    samples = samples_of(results)
    run.folder.write_lines("samples.jsonl", samples)
    images = {}
    for name, figure in draw(results, history, figures).items():
        png = io.BytesIO()
        figure.savefig(png, dpi=110, metadata={"Software": None})
        run.folder.write_bytes(f"figures/{name}.png", png.getvalue())
        images[name] = base64.b64encode(png.getvalue()).decode()
    run.folder.write_json("report.json", figures)

    content = {
        "figures": figures, "measures": MEASURES, "images": images, "config": run.config,
        "samples": spread_of_samples(samples, SHOWN_SAMPLES), "sentence": sentence(figures), "explanation": explanation,
    }  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(["html.j2"]),  # what a model wrote is data, not markup
    )  # fmt: skip
    environment.filters |= {"cell": markdown_cell, "number": fixed}
    for name in ("report.html", "report.md"):
        run.folder.write_text(name, environment.get_template(f"{name}.j2").render(content))
    return figures


def fixed(value: float, digits: int) -> str:
    """A number with so many digits, and no minus before a zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def markdown_cell(text: str) -> str:
    """Text that a model wrote, made inert in a Markdown table."""
    return re.sub(r"([\\|*_`\[\]<>])", r"\\\1", re.sub(r"\s+", " ", text))


def sentence(figures: dict) -> str:
    """The result in one sentence, from the figures alone."""
    before, after, n = figures["before"], figures["after"], figures["n_eval"]
    numbers = (
        f"P(positive) went from {before['p_positive']['mean']:.2f} to {after['p_positive']['mean']:.2f} "
        f"(95 % interval {after['p_positive']['ci_low']:.2f} to {after['p_positive']['ci_high']:.2f}) on {n} held-out prompts, "
        f"at a sequence KL of {fixed(after['sequence_kl']['mean'], 1)} nats."
    )
    if figures["learned"]:
        return f"The policy learned to write more positive reviews: {numbers}"
    if after["reward"]["ci_high"] < before["reward"]["ci_low"]:
        return f"The policy got worse at what it was trained for: {numbers}"
    return f"No learning can be shown: the intervals of the reward before and after overlap. {numbers}"
