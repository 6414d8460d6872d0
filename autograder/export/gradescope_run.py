"""What the zip of `gradescope` does on Gradescope, for each submission: grade it, and write results.json.

Gradescope counts whatever has no points as 0. So where nothing could be graded there is no results.json at all and the exit
code is 1: "the autograder failed" then, and no score, until an instructor presses Rerun.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from autograder.grading.journal import as_json, atomic_write
from autograder.grading.results import NotOurs, read_result
from autograder.show import safe
from rlhf_core.cli import main as command_line
from rlhf_core.course import course, exercise_names

from .leaderboard import leaderboard

NOT_GRADED = (
    "Nothing was graded, and no score is given; what stands above says why. Press Rerun Autograder when that is mended. "
    "Where the container gives no isolation, only rlhf-course export gradescope --accept-c grades."
)
BY_HAND = "Points of this assignment are given by hand."


def main(place: Path = Path("/autograder")) -> int:
    """place: the folder with source/, submission/ and results/."""
    settings = json.loads((place / "source" / "settings.json").read_text(encoding="utf-8"))
    target, submission = place / "results" / "results.json", place / "submission"
    target.unlink(missing_ok=True)
    if exercise_names(settings["lesson"]):
        result = graded(submission, name_of(place / "submission_metadata.json"), settings)
        if result is None or result["state"] == "not_graded":
            print(NOT_GRADED, flush=True)
            return 1
        found = as_results(result, settings["hidden"])
    else:
        found = {"score": 0.0, "output": BY_HAND, "output_format": "text", "stdout_visibility": "hidden"}
    if settings["leaderboard"]:
        standing, said = leaderboard(submission)
        found |= {"output": f"{found['output']}\n{said}"} | ({"leaderboard": standing} if standing else {})
    target.parent.mkdir(exist_ok=True)
    atomic_write(target, as_json(found))
    return 0


def name_of(metadata: Path) -> str:
    """'submission_123', as Gradescope's export calls it, so that its results compare with those of grading the export."""
    try:
        return f"submission_{int(json.loads(metadata.read_bytes())['id'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return "submission"


def graded(submission: Path, name: str, settings: dict) -> dict | None:
    """The result of all that was handed in, as one submission; None where there is none, and why has been printed."""
    with tempfile.TemporaryDirectory(prefix="rlhf-gradescope-") as folder:
        everyone, out = Path(folder) / "class", Path(folder) / "results"
        # A copy, in the folder of a class of one: whatever the files are called, they are this one submission.
        shutil.copytree(submission, everyone / name, symlinks=True, ignore=shutil.ignore_patterns(".*"))
        command = ["grade", str(everyone), "--out", str(out), "--official", "--jobs", "1", "--seed", settings["seed"]]
        command += ["--accept-c"] if settings["accept_c"] else []
        command += [] if settings["lesson"] is None else ["--lesson", str(settings["lesson"])]
        command_line(command)
        try:
            return read_result(out / name)
        except NotOurs as why:
            print(f"There is no result: {why}.")
            return None


# results.json, in the fields that Gradescope documents; every text is shown as text, whoever wrote it


def as_results(result: dict, hidden: str) -> dict:
    """result: as in result.json, graded or refused.  hidden: when the hidden checks are shown."""
    return {
        "score": result["points"],
        "execution_time": result["wall_s"],
        "output": about(result, hidden),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "extra_data": {name: result[name] for name in ("submission_hash", "course_version", "seed_id", "isolation")},
        "tests": [unreadable(result)] if result["state"] == "refused" else tests_of(result["exercises"], hidden),
    }


def about(result: dict, hidden: str) -> str:
    """What is said above the tests: nothing that tells how the hidden ones went."""
    lines = [f"Graded by rlhf-course {result['course_version']}, in isolation of tier {result['isolation']}."]
    if result["state"] != "refused" and hidden != "visible":
        lines.append("Hidden checks count, too. As long as they are not shown, Gradescope shows no sum.")
    words = {"needs_manual_grading": "handed in", "missing": "not handed in"}
    questions = [f"{name} ({words[each['state']]})" for name, each in result["questions"].items()]
    if questions:
        lines.append(f"Written questions, whose points are given by hand: {', '.join(questions)}.")
    return "\n".join(lines)


def unreadable(result: dict) -> dict:
    return {
        "name": "Reading what was handed in",
        "score": 0.0,
        "max_score": result["max_points"],
        "status": "failed",
        "output": safe(f"Nothing of it was graded: {result['reason']}."),
        "output_format": "text",
        "visibility": "visible",
    }


def tests_of(exercises: dict[str, dict], hidden: str) -> list[dict]:
    """A test for each check, numbered as lesson.exercise.check; one alone for an exercise that was not handed in."""
    places = {
        name: f"{lesson['number']}.{i}" for lesson in course()["lessons"] for i, name in enumerate(lesson["exercises"], 1)
    }
    tests = []
    for name, exercise in exercises.items():
        if exercise["state"] == "missing":
            said = exercise["checks"][0]["message"] if exercise["checks"] else "It was not handed in."
            whole = {"title": "not handed in", "status": "failed", "visibility": "visible", "message": said}
            tests.append(as_test(name, places[name], exercise | whole, "visible"))
            continue
        for number, check in enumerate(exercise["checks"], 1):
            when = hidden if check["visibility"] == "hidden" else "visible"
            tests.append(as_test(name, f"{places[name]}.{number}", check, when))
    return tests


def as_test(exercise: str, number: str, check: dict, visibility: str) -> dict:
    title = f"{exercise}: {check['title']}"
    return {
        "name": f"{title} (hidden)" if check["visibility"] == "hidden" else title,
        "number": number,
        "score": check["points"],
        "max_score": check["max_points"],
        "status": check["status"],
        "output": safe(check["message"]),
        "output_format": "text",
        "visibility": visibility,
    }


if __name__ == "__main__":
    sys.exit(main())
