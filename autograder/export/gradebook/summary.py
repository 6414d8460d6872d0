"""What the command says: how many grades there are, and everybody without one by name."""

from collections import Counter

from autograder.result import points
from autograder.show import safe

from .grades import ABSENT, Grade, highest
from .matching import Match, absent
from .roster import Roster


def told(grades: list[Grade], roster: Roster | None, found: Match) -> str:
    states = Counter(grade.state for grade in grades)
    lines = [f"{counted(len(grades), 'submission')}: " + ", ".join(f"{count} {state}" for state, count in states.items())]
    lines += [f"  {grade.state}: {grade.submission}" for grade in grades if not grade.entered]
    lines += told_of_roster(roster, found) if roster else []
    lines += [f"  not in the roster: {name}" for name in found.unknown]
    lines += [f"  left without a grade: {sentence}" for sentence in found.several]
    most, ours = roster and roster.most(), highest(grades)
    if most is not None and most != ours:
        lines.append(
            f"The roster has {points(most)} points for this assignment, and these results have {points(ours)}: change it in "
            f"{roster.platform.name} before you upload. Points are entered as they are."
        )
    for grade in found.rows.values():
        if most is not None and grade.entered and float(grade.entered) > most:
            lines.append(f"  more than the {points(most)} points of the roster: {grade.submission} with {grade.entered}")
    return "\n".join(safe(line).replace("\n", " ") for line in lines)


def told_of_roster(roster: Roster, found: Match) -> list[str]:
    graded = {place for place, grade in found.rows.items() if grade.entered}
    entered = {place for place in graded if not roster.closed(place)}
    lines = [f"Of {counted(len(roster.students), 'student')} in the roster, {len(entered)} got a grade."]
    for place in roster.students:
        before = roster.grade(place)
        if place in graded - entered:
            lines.append(f"  left as it was, as {roster.platform.name} takes no grade: {roster.person(place)}")
        elif place not in entered and before:
            lines.append(f"  left with {before}, as the roster has it: {roster.person(place)}")
    return lines + [f"  {ABSENT}: {roster.person(place)}" for place in absent(roster, found)]


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
