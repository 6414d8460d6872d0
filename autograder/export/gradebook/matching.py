"""Whose submission it is. Names of files are chosen by students: where it is not certain, nobody gets the grade."""

from collections import defaultdict
from dataclasses import dataclass, field

from .canvas import CANVAS
from .grades import Grade
from .moodle import MOODLE
from .roster import Roster


@dataclass
class Match:
    """Which submission belongs to which row of the roster."""

    rows: dict[int, Grade] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)  # submissions that are in no row
    several: list[str] = field(default_factory=list)  # sentences about those of which it is not certain
    doubted: set[str] = field(default_factory=set)  # the submissions that these are about

    def doubt(self, grades: list[Grade], sentence: str):
        self.several.append(sentence)
        self.doubted |= {grade.submission for grade in grades}


def match(roster: Roster, grades: list[Grade]) -> Match:
    """A student whose submission is not certain gets no grade: neither of two is taken."""
    found, claims = Match(), defaultdict(list)
    for grade in grades:
        places = roster.places(grade.submission)
        if not places:
            found.unknown.append(grade.submission)
        elif len(places) > 1:
            people = ", ".join(roster.person(place) for place in sorted(places))
            found.doubt([grade], f"{grade.submission} fits several students ({people})")
        else:
            claims[places.pop()].append(grade)
    for place, claim in sorted(claims.items()):
        if len(claim) == 1:
            found.rows[place] = claim[0]
        else:
            found.doubt(claim, f"{roster.person(place)} has {told_of(claim)}")
    return found


def by_names_alone(grades: list[Grade]) -> Match:
    """Without a roster: only that no two submissions have the number of one student."""
    found, claims = Match(), defaultdict(list)
    for grade in grades:
        number = CANVAS.in_name.search(grade.submission) or MOODLE.in_name.search(grade.submission)
        claims[number[1] if number else (grade.submission,)].append(grade)
    for claim in claims.values():
        if len(claim) > 1:
            found.doubt(claim, f"one student has {told_of(claim)}")
    return found


def told_of(claim: list[Grade]) -> str:
    return f"{len(claim)} submissions ({', '.join(grade.submission for grade in claim)})"


def absent(roster: Roster, found: Match) -> list[int]:
    """The students of the roster without a submission, not even one of which it is not certain whose it is."""
    doubted = set().union(*(roster.places(submission) for submission in found.doubted))
    return [place for place in roster.students if place not in found.rows and place not in doubted]
