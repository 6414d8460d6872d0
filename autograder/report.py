"""What a learner is told: the words of a result, and the result of an exercise as data."""

from dataclasses import dataclass

from rlhf_core.course import lesson_of

from .engine import CheckResult, ExerciseResult


@dataclass
class Advice:
    """The words for one exercise that did not pass: what it looks like, a hint, where to read."""

    explanation: str
    hint: str
    read: str


def advice(result: ExerciseResult) -> Advice | None:
    """What the diagnosis has to say; None where no known mistake matches."""
    found = result.diagnosis
    if found is None:
        return None
    return Advice(found.explanation, found.hint, section(result.exercise, found.read))


def section(exercise: str, key: str | None) -> str:
    """'lesson 5, "The end of an episode"'; the lesson alone where no section is known."""
    lesson = lesson_of(exercise)
    title = lesson["sections"].get(key, lesson["title"])
    return f'lesson {lesson["number"]}, "{title}"'


def what(result: CheckResult) -> str:
    """What a failed check saw: for a hidden check only that it failed, for a visible one what, where, and what was expected."""
    if result.fault:
        said = "This check broke down, for the right answer too, and is not graded: does your code change torch itself?"
        return f"{said} If not, the fault is ours ({result.fault})."
    if not result.findings:
        return ""
    if result.check.visibility == "hidden" and not result.findings[0].public:
        return "Your answer fails on inputs that are not shown."
    finding = result.findings[0]
    said = " ".join(part for part in (finding.what, finding.details, finding.pattern) if part)
    others = [f.what for f in result.findings[1:] if f.what != finding.what]
    if finding.kind == "value":  # a wrong value has a wrong gradient
        others = [f.what for f in result.findings[1:] if f.what != finding.what and f.kind != "gradient"]
    return " ".join([said, *(f"Also: {other}" for other in list(dict.fromkeys(others))[:2])])


def smallest_input(result: ExerciseResult) -> str:
    """The smallest input that was found on which an answer is wrong."""
    for check in result.checks:
        for finding in check.findings:
            if finding.shrink is not None and check.check.visibility == "visible":
                found = finding.shrink()
                finding.shrink = None
                return found
    return ""


def diagnosis_name(result: ExerciseResult, check: CheckResult) -> str | None:
    """What a failed check's result is filed under: the known mistake, else the kind of the finding."""
    if not check.findings:
        return None
    if result.diagnosis is not None and result.diagnosis.name is not None:
        return result.diagnosis.name
    return check.findings[0].kind


def message(result: ExerciseResult, check: CheckResult) -> str:
    """All of it as plain text."""
    if not check.findings:
        return what(check)
    parts, told = [what(check)], advice(result)
    if told is not None:
        parts += [told.explanation, f"Hint: {told.hint}", f"Read again: {told.read}."]
    if result.note:
        parts.append(result.note)
    return "\n".join(parts)


def exercise_data(result: ExerciseResult) -> dict:
    smallest = smallest_input(result)
    checks = []
    for check in result.checks:
        text = message(result, check)
        if smallest and check.findings and check.check.visibility == "visible":
            text, smallest = f"{text}\n{smallest}", ""
        checks.append(
            {
                "name": check.check.name,
                "title": check.check.title,
                "status": check.status,
                "points": round(check.points, 6),
                "max_points": round(check.max_points, 6),
                "visibility": check.check.visibility,
                "message": text,
                "diagnosis": diagnosis_name(result, check),
            }
        )
    return {
        "lesson": lesson_of(result.exercise)["number"],
        "state": result.state,
        "points": round(result.points, 6),
        "max_points": result.max_points,
        "checks": checks,
    }
