"""The result of a submission as one JSON object, from those of its exercises (`report.exercise_data`)."""

from rlhf_core.course import lesson_of, questions

SCHEMA = 1


def as_data(name: str, refused: str | None, exercises: dict[str, dict], **facts) -> dict:
    """`refused` says why nothing could be read; `facts` are the submission's hash, the seed, the isolation, the time, and its
    `question_data`, whose points are not among these: a person gives them. A `reason` beside "graded" is put there by whoever
    finds that nothing was handed in."""
    states = {exercise["state"] for exercise in exercises.values()}
    return {
        "schema": SCHEMA,
        "submission": name,
        **facts,
        "state": "refused" if refused is not None else "not_graded" if "not_graded" in states else "graded",
        "reason": refused,
        "points": round(sum(exercise["points"] for exercise in exercises.values()), 6),
        "max_points": sum(exercise["max_points"] for exercise in exercises.values()),
        "exercises": exercises,
    }


def question_data(exercises, written: dict[str, str]) -> dict[str, dict]:
    """The written questions of the lessons that these exercises belong to.  written: by question, what was written."""
    lessons = {lesson_of(name)["number"] for name in exercises}
    return {
        name: {
            "lesson": lesson["number"],
            "state": "needs_manual_grading" if name in written else "missing",
            "points": None,
            "max_points": float(lesson["questions"][name]),
        }
        for name, lesson in questions().items()
        if lesson["number"] in lessons
    }


def points(number: float) -> str:
    """Points as they are shown: at most two decimals."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
