"""Pairs of students whose answers share more than chance explains. It reports; whoever reads it judges.

What counts is code that hardly anybody else in the class has, in answers that are alike as a whole.  What many students have is
a common way to write it, and what stands in the course's own answers or among its known mistakes is nobody's own: neither
counts, so that a short answer such as that of `best_of_n_kl` never does.  Only texts are compared here, the normal forms of
`driver.likeness`; nothing is parsed.
"""

import functools
import inspect
import itertools
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from autograder.bank import right_answers, wrong_answers
from autograder.driver.likeness import answers_of, normal_form_of
from autograder.driver.reading import Cell
from rlhf_core.course import exercise_names
from rlhf_core.exercise import reference_answers

WINDOW = 6  # tokens in a row that have to agree
ALIKE = 0.6  # of the windows of two answers together, the share that both have
LEAST = 10.0  # tokens of their own that two answers to an exercise share; less is an idiom
ENOUGH = 60.0  # tokens of their own that two students share, over all exercises


@dataclass
class Pair:
    """Two students, and by exercise how many tokens they share that hardly anybody else has."""

    students: tuple[str, str]
    tokens: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return round(sum(self.tokens.values()), 6)


def alike(answers: dict[str, dict[str, str]], known=None, progress=iter) -> list[Pair]:
    """The pairs that share ENOUGH, those that share most first.

    answers: by student, by exercise, the normal form.  known: a function from an exercise to the windows that are nobody's
    own, without it those of the course.  progress: is told the exercises as they are done, as tqdm is.
    """
    known = known_windows if known is None else known
    pairs: dict[tuple[str, str], Pair] = {}
    for exercise in progress(exercise_names()):
        windows = {student: windows_of(forms[exercise]) for student, forms in answers.items() if exercise in forms}
        for students, tokens in shared(windows, known(exercise)).items():
            first, second = (windows[student] for student in students)
            if tokens >= LEAST and len(first & second) >= ALIKE * len(first | second):
                pairs.setdefault(students, Pair(students)).tokens[exercise] = tokens
    return sorted((pair for pair in pairs.values() if pair.total >= ENOUGH), key=lambda pair: (-pair.total, pair.students))


def shared(windows: dict[str, set], known: set) -> dict[tuple[str, str], float]:
    """For each two students, the tokens that they share and hardly anybody else has.

    One that no third has counts 1. The more have it the less it counts: 1 - log k / log n, with k besides the first of them, is
    how unlikely it is to be shared by chance, on a scale on which classes of different sizes n can be compared.
    """
    counts = Counter(itertools.chain.from_iterable(windows.values()))
    most = crowd(len(windows))
    rare = {window for window, count in counts.items() if 2 <= count <= most} - known
    owners = defaultdict(list)
    for student in sorted(windows):
        for window in windows[student] & rare:
            owners[window].append(student)
    tokens: Counter = Counter()
    for students in owners.values():
        worth = 1 - math.log(len(students) - 1) / math.log(len(windows))
        for pair in itertools.combinations(students, 2):
            tokens[pair] += worth
    return {pair: round(sum_of, 6) for pair, sum_of in tokens.items()}  # sets have another order in each process


def crowd(students: int) -> int:
    """How many of so many students may have the same before it is a common way to write it."""
    return max(4, min(students // 10, 20))


def windows_of(normal: str) -> set[int]:
    """Every WINDOW tokens in a row within a function, as hashes; where it stands among others says nothing."""
    return set().union(*map(windows_in, normal.split("\n\n")))


def windows_in(block: str) -> set[int]:
    """A numbered name is told by how far back it stood last, so that a line more or less changes nothing further down."""
    last: dict[str, int] = {}
    tokens = []
    for place, token in enumerate(re.findall(r"\w+|[^\w\s]", block)):
        if token[0] == "v" and token[1:].isdigit():
            back = place - last.get(token, -WINDOW)
            last[token] = place
            token = f"v{back}" if back < WINDOW else "v"
        tokens.append(token)
    return set(map(hash, zip(*(tokens[start:] for start in range(WINDOW)), strict=False)))


@functools.cache
def known_windows(exercise: str) -> set[int]:
    """The windows of the reference answer, where this edition has it, and of the bank's right and wrong answers."""
    forms = [implementation for mistake in wrong_answers(exercise) for implementation in mistake.forms]
    modules = {inspect.getmodule(implementation) for implementation in [*right_answers(exercise), *forms]}
    texts = [normal_form_of(inspect.getsource(module)) for module in modules]
    try:
        module = inspect.getmodule(getattr(reference_answers(), exercise))
        texts.append(answers_of([Cell(exercise, inspect.getsource(module), notebook=False)])[exercise]["normal"])
    except LookupError:
        pass
    return set().union(*map(windows_of, texts))
