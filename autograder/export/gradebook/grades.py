"""The grade of a submission, from its result and the marks that a person gave."""

from dataclasses import dataclass, field
from pathlib import Path

from autograder.grading.results import NotOurs, folders_of, read_result, standing
from autograder.result import points
from rlhf_core.course import course, lesson_of

GRADED, TO_MARK, REFUSED, NOT_GRADED, ABSENT = "graded", "needs manual grading", "refused", "not graded", "no submission"
BEHIND = "not in the gradebook"
STATES = {"graded": GRADED, "refused": REFUSED, "not_graded": NOT_GRADED, "no_submission": ABSENT}


@dataclass(frozen=True)
class Mark:
    """What a person gave for the answer to a written question."""

    points: float
    comment: str = ""


@dataclass(frozen=True)
class Given:
    """What a person gave for a submission.

    marks: by written question.  by_hand: what scores by hand and extra credit add to the points of the exercises.
    late_penalty: points that are taken off.  again: the exercises whose score by hand waits for another look.
    """

    marks: dict[str, Mark] = field(default_factory=dict)
    by_hand: float = 0.0
    late_penalty: float = 0.0
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grade:
    """A submission.

    asked: by written question its points.  marks: what is known of these, 0 where nothing was handed in; none of a submission
    that has no grade.  automatic_only: whether the platforms get the points of the exercises alone.
    """

    submission: str
    state: str
    reason: str
    automatic: float
    automatic_max: float
    asked: dict[str, float]
    marks: dict[str, Mark]
    given: Given
    folder: Path
    automatic_only: bool

    @property
    def to_mark(self) -> list[str]:
        return [*(name for name in self.asked if name not in self.marks), *self.given.again]

    @property
    def automatic_points(self) -> str:
        return points(self.automatic) if self.state in (GRADED, TO_MARK, BEHIND) else ""

    @property
    def total(self) -> str:
        if self.state != GRADED:
            return ""
        earned = self.automatic + self.given.by_hand + sum(mark.points for mark in self.marks.values())
        return points(max(0.0, earned - self.given.late_penalty))

    @property
    def entered(self) -> str:
        """What stands in the column of the grades; '' where there is no grade."""
        return self.automatic_points if self.automatic_only else self.total

    @property
    def most(self) -> float:
        """The points that could be entered."""
        return self.automatic_max + (0 if self.automatic_only else sum(self.asked.values()))


def highest(grades: list[Grade]) -> float:
    """The points of the assignment: refused submissions know of exercises alone, so that it takes all of them to tell."""
    return max((grade.most for grade in grades), default=0.0)


def read_results(folder: Path) -> tuple[list[dict], dict[str, str]]:
    """The results, each with its `folder`; by folder, why one could not be read."""
    results, unread = [], {}
    for each in folders_of(folder):
        try:
            results.append(read_result(each) | {"folder": each})
        except NotOurs as why:
            unread[each.name] = str(why)
    return results, unread


def grade_of(result: dict, given: Given | None, automatic_only: bool) -> Grade:
    """given: None where a gradebook should say it, and does not have this result."""
    asked, state, known = result["questions"], STATES[standing(result)], {}
    if state == GRADED and given is None:
        state = BEHIND
    elif state == GRADED:
        known = {question: Mark(0.0) for question, each in asked.items() if each["state"] == "missing"} | given.marks
        state = TO_MARK if len(known) < len(asked) or given.again else GRADED
    return Grade(
        submission=result["submission"],
        state=state,
        reason=result["reason"] or "",
        automatic=result["points"],
        automatic_max=result["max_points"],
        asked={question: each["max_points"] for question, each in asked.items()},
        marks=known,
        given=given or Given(),
        folder=result["folder"],
        automatic_only=automatic_only,
    )


def default_title(results: list[dict]) -> str:
    lessons = {lesson_of(name)["number"]: lesson_of(name)["title"] for result in results for name in result["exercises"]}
    return "Lesson {}: {}".format(*lessons.popitem()) if len(lessons) == 1 else course()["title"]
