"""What the results of a class say together, as data: class.json, and what the class page shows."""

from collections import Counter

import numpy as np

from autograder.bank import wrong_answers
from rlhf_core.course import exercise_names, lesson_of

from .results import STANDINGS, standing

SLOWEST = 10  # submissions that are named
BARS = 10  # of the histogram

# A mistake that has no name is filed under the kind of what was found.
KINDS = {
    "always_the_same": "gives the same for all inputs, or always raises, so that a check shows nothing",
    "another_optimizer": "moves the parameters without the optimizer that is given",
    "bad_stats": "stats that are not all finite numbers",
    "batch_size": "the batches have another size than asked for",
    "behaviour": "does something else than is asked for, and like no mistake that is known",
    "broke_the_sandbox": "broke the sandbox that it ran in",
    "broken_frame": "ended without a result that can be read",
    "cannot_be_judged": "returns something that cannot be judged",
    "changes_its_inputs": "changes its inputs in place",
    "changes_the_random_state": "moves the global random state, though a generator is given",
    "coverage": "an epoch does not see every row exactly once",
    "disk": "writes more files than are allowed",
    "distribution": "draws from another distribution than asked for",
    "empty_input": "does not cope with an empty input",
    "ended_the_process": "ends the Python process that runs it",
    "gradient": "a wrong gradient, or one that flows where none should, and like no mistake that is known",
    "ignores_the_generator": "does not draw from the generator that is given",
    "memory": "uses more memory than is allowed",
    "message_says_too_little": "the message of an error does not say what is wrong",
    "moves_the_random_state": "moves the global random state, though a generator is given",
    "no_error_raised": "accepts what it should refuse with an error",
    "no_training": "ends without a history of all updates, or without a change of the policy",
    "not_finite": "a result or gradient is infinite or NaN",
    "order": "takes the rows in another order than asked for",
    "padding": "leaves something on padding that should be 0",
    "prompt_returned": "returns the prompt together with the response",
    "raises": "raises an exception",
    "random_state": "moves the global random state, though a generator is given",
    "reference_changed": "changes the reference model, or lets a gradient flow into it",
    "returns_nothing": "returns None",
    "same_sample_twice": "gives the same sample twice",
    "sizes": "the minibatches have other sizes than asked for",
    "steps": "takes another number of optimizer steps than asked for",
    "stops_early": "stops before it has all that is asked for",
    "stub": "is still the stub of the lesson",
    "swapped_results": "returns its results in the wrong order",
    "syntax_error": "is not Python that can be read",
    "time_out": "does not come to an end in time",
    "value": "a wrong value, and like no mistake that is known",
    "wrong_dtype": "returns another dtype than asked for",
    "wrong_length": "returns another number of entries than asked for",
    "wrong_number_of_texts": "scores another number of texts than asked for",
    "wrong_order": "returns its results in the wrong order",
    "wrong_shape": "returns another shape than asked for",
    "wrong_signature": "takes other parameters than the exercise",
    "wrong_texts": "scores something else than prompt and response together",
    "wrong_type": "returns something of the wrong type",
    "write_first": "calls another exercise that is not there",
}


def brief(data: dict) -> dict:
    """A result without its checks: of each exercise state, points, and what the first check that failed is filed under."""
    kept = ("state", "points", "max_points")
    exercises = {
        name: {key: exercise[key] for key in kept} | {"diagnosis": diagnosis_of(exercise)}
        for name, exercise in data["exercises"].items()
    }
    return data | {"exercises": exercises}


def diagnosis_of(exercise: dict) -> str | None:
    return next((check["diagnosis"] for check in exercise["checks"] if check["status"] == "failed"), None)


def summary(results: list[dict], pairs=(), skipped=None) -> dict:
    """results: `brief` ones.  pairs: `similar.Pair`.  skipped: by folder, why its result was not read."""
    in_state = {state: [r for r in results if standing(r) == state] for state in STANDINGS}
    points = [result["points"] for result in in_state["graded"]]
    names = {name for result in results for name in result["exercises"]}
    most = max((result["max_points"] for result in results), default=0.0)
    return {
        "schema": 1,
        "submissions": len(results),
        **{state: len(found) for state, found in in_state.items()},
        "max_points": most,
        "points": spread(points),
        "histogram": histogram(points, most),
        "exercises": {name: of_exercise(name, results) for name in exercise_names() if name in names},
        "slowest": [
            {"submission": result["submission"], "wall_s": result["wall_s"]}
            for result in sorted(results, key=lambda result: -result["wall_s"])[:SLOWEST]
            if result["wall_s"]
        ],
        "alike": [
            {
                "submissions": list(pair.students),
                "tokens": round(pair.total),
                "exercises": {name: round(tokens) for name, tokens in pair.tokens.items()},
            }
            for pair in pairs
        ],
        "reasons": {state: reasons(in_state[state]) for state in STANDINGS if state != "graded"},
        "skipped": skipped or {},
    }


def reasons(results) -> list[dict]:
    """Of those that were not graded, or had nothing to grade, which and why; of one that was graded in part, which exercises
    were not."""
    found = []
    for result in results:
        left = [name for name, exercise in result["exercises"].items() if exercise["state"] == "not_graded"]
        found.append({"submission": result["submission"], "reason": result["reason"], "exercises": left})
    return found


def spread(points: list[float]) -> dict | None:
    """Mean, median and quartiles; None for no points."""
    if not points:
        return None
    low, first, median, third, high = np.percentile(points, [0, 25, 50, 75, 100]).round(6).tolist()
    mean = round(float(np.mean(points)), 6)
    return {"mean": mean, "median": median, "quartiles": [first, third], "least": low, "most": high}


def histogram(points: list[float], most: float) -> list[dict]:
    """BARS bars of one width from 0 to `most`; full points are in the last one."""
    if not most:
        return []
    counts, edges = np.histogram(points, bins=BARS, range=(0, most))
    return [
        {"from": low, "to": high, "count": count}
        for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]


def of_exercise(name: str, results: list[dict]) -> dict:
    """How an exercise went: the mean is over those who handed it in."""
    found = [result["exercises"][name] for result in results if result["state"] != "refused" and name in result["exercises"]]
    handed_in = [exercise for exercise in found if exercise["state"] == "graded"]
    states = Counter(exercise["state"] for exercise in found)
    diagnoses = Counter(exercise["diagnosis"] for exercise in handed_in if exercise["diagnosis"] is not None)
    return {
        "lesson": lesson_of(name)["number"],
        "max_points": float(lesson_of(name)["exercises"][name]),
        "handed_in": len(handed_in),
        "missing": states["missing"],
        "not_graded": states["not_graded"],
        "full_marks": sum(exercise["points"] >= exercise["max_points"] - 1e-6 for exercise in handed_in),
        "mean": round(float(np.mean([exercise["points"] for exercise in handed_in])), 6) if handed_in else None,
        "mistakes": [
            {"diagnosis": diagnosis, "count": count, "explanation": in_words(name, diagnosis)}
            for diagnosis, count in diagnoses.most_common()
        ],
    }


def in_words(exercise: str, diagnosis: str) -> str:
    """The sentence of the bank about a known mistake, else what the kind of a finding means."""
    known = {mistake.name: mistake.explanation for mistake in wrong_answers(exercise)}
    return known.get(diagnosis) or KINDS.get(diagnosis, diagnosis)
