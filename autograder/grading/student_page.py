"""The page that a student gets: points, what is wrong, what it looks like, and where to read."""

from dataclasses import dataclass, field

from rlhf_core.course import course

from .page import render
from .results import standing

TIERS = {
    "A": "a sandbox with name spaces of its own, without network",
    "B": "a sandbox of Landlock and seccomp, without network",
    "C": "a process with limits, which is no protection against code that means harm",
}
HINT, READ = "Hint: ", "Read again: "  # how `report.message` begins these lines
NOTHING = "was not handed in: nothing by this name is defined."
NOT_SHOWN = "Your answer fails on inputs that are not shown."
AS_ABOVE = "As above."


@dataclass
class Row:
    """A check as it is shown."""

    title: str
    status: str
    points: float
    max_points: float
    hidden: bool
    said: str


@dataclass
class Section:
    """An exercise as it is shown. `told`: what the mistake looks like, hint, where to read."""

    name: str
    state: str
    points: float
    max_points: float
    problem: str = ""
    rows: list[Row] = field(default_factory=list)
    told: tuple[str, str, str] | None = None

    @property
    def absent(self) -> bool:
        """Not handed in, and there is no more to say of it."""
        return self.state == "missing" and f"{self.name} {NOTHING}" in self.problem

    @property
    def whole(self) -> bool:
        return self.state == "graded" and self.points >= self.max_points - 1e-6


def student_page(result: dict, written: dict[str, str] | None = None) -> bytes:
    """result: as in result.json.  written: by written question, what the student wrote; None: it is not shown.

    Returns a page of HTML.
    """
    sections = {name: section(name, exercise) for name, exercise in result["exercises"].items()}
    lessons = [(lesson, [sections[n] for n in lesson["exercises"] if n in sections]) for lesson in course()["lessons"]]
    return render(
        "student.html.j2",
        result=result,
        standing=standing(result),
        lessons=[(lesson, Sum(found)) for lesson, found in lessons if found],
        questions=result.get("questions", {}),
        written=written or {},
        sum=Sum(list(sections.values())),
        tier=TIERS.get(result["isolation"], ""),
    )


class Sum:
    """Exercises together. Those that are not graded yet are in neither number."""

    def __init__(self, sections: list[Section]):
        graded = [section for section in sections if section.state != "not_graded"]
        self.sections = sections
        self.points = sum(section.points for section in graded)
        self.max_points = sum(section.max_points for section in graded)
        self.waiting = sum(section.max_points for section in sections if section.state == "not_graded")


def section(name: str, exercise: dict) -> Section:
    shown = Section(name, exercise["state"], exercise["points"], exercise["max_points"])
    visible = [check for check in exercise["checks"] if check["visibility"] == "visible"]
    if exercise["state"] == "missing":
        shown.problem = visible[0]["message"] if visible else ""
        return shown
    seen, open_to_all = set(), {parted(check["message"])[0] for check in visible}
    for check in exercise["checks"]:
        said, told = parted(check["message"])
        shown.told = shown.told or told
        if check["visibility"] == "hidden" and said not in open_to_all:
            said = NOT_SHOWN if check["status"] == "failed" else ""
        row = Row(check["title"], check["status"], check["points"], check["max_points"], check["visibility"] == "hidden", said)
        row.said = AS_ABOVE if said in seen else said
        seen.add(said or None)
        shown.rows.append(row)
    return shown


def parted(message: str) -> tuple[str, tuple[str, str, str] | None]:
    """What is wrong, and what is told about the mistake: explanation, hint, where to read."""
    lines = message.split("\n")
    for place in range(1, len(lines) - 2):
        explanation, hint, read = lines[place : place + 3]
        if hint.startswith(HINT) and read.startswith(READ):
            rest = "\n".join(lines[:place] + lines[place + 3 :])
            return rest, (explanation, hint.removeprefix(HINT), read.removeprefix(READ).rstrip("."))
    return message, None
