"""Which known mistake leaves exactly the evidence that this answer left?"""

import functools
import json
import time
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import torch

from .answer import Answer
from .bank import ABOUT, WrongAnswer, wrong_answers
from .compare import same
from .recorded import FOLDER, Form

PATTERNS = Path(__file__).parent / "wrong" / "patterns.json"
UNHURRIED = 60.0  # seconds that a call of a known mistake may take: all come to an end, on a busy machine later
PATIENCE = 8.0  # seconds of computing that a diagnosis may take; most take a few tenths, that of the loop the longest


@dataclass
class Diagnosis:
    """The mistakes that agree with an answer, and what to tell its author."""

    matches: list[WrongAnswer]
    everywhere: bool = True  # else they agree in most of the checks that failed, and not in the rest

    @property
    def name(self) -> str | None:
        return self.matches[0].name if len(self.matches) == 1 else None

    @property
    def explanation(self) -> str:
        if not self.everywhere:
            return f"In most of the checks that fail, what yours gives is just what this gives: {self.matches[0].explanation}"
        if len(self.matches) == 1:
            return self.matches[0].explanation
        topics = {match.about for match in self.matches}
        common = f" What they have in common is {ABOUT[topics.pop()]}." if len(topics) == 1 else ""
        listed = " Or: ".join(match.explanation for match in self.matches)
        return f"{len(self.matches)} known mistakes give just what yours gives.{common} {listed}"

    @property
    def hint(self) -> str:
        told = self.matches if self.everywhere else self.matches[:1]
        return " Or: ".join(dict.fromkeys(match.hint for match in told))

    @property
    def read(self) -> str | None:
        """The section to read again, where the matches agree on one."""
        sections = {match.read for match in self.matches}
        return sections.pop() if len(sections) == 1 else None


class OutOfPatience(Exception):
    """The diagnosis has taken too long."""


DIFFERENT, IN_ALL_BUT_MINOR_THINGS, EXACTLY = 0, 1, 2


def diagnose(exercise: str, evidence: dict, failed: list, pattern: list, seeds) -> Diagnosis | None:
    """The mistakes of the bank whose evidence is that of the answer, check by check; None where there is none.

    Those that are known to fail the same visible checks are compared first, as all of them would take long in an exercise that
    trains a model.  Where none agrees exactly, the ones that agree in all but minor things; where there are none of these
    either, the one that agrees in at least half of the checks that failed, and in more of them than any other does.
    evidence: by check, what the answer showed, for every check that was run, the cheapest first.  failed: the checks that
    failed, and by more than a minor fault.  pattern: the numbers of the visible checks that failed.
    """
    deadline = time.process_time() + PATIENCE
    mistakes = wrong_answers(exercise)

    @functools.cache
    def agreement(form, check):
        if time.process_time() > deadline:
            raise OutOfPatience
        return compare_evidence(exercise, form, check, evidence[check], seeds)

    def matches(forms, checks, least):
        return [m for m in mistakes if any(all(agreement(f, check) >= least for check in checks) for f in forms[m.name])]

    every_form = {m.name: m.forms for m in mistakes}
    alike, failed_first = of_pattern(exercise, mistakes, pattern), sorted(evidence, key=lambda check: check not in failed)
    try:
        for forms, checks in ((alike, failed_first), (every_form, list(evidence))):
            for least in (EXACTLY, IN_ALL_BUT_MINOR_THINGS) if failed else (EXACTLY,):
                if found := matches(forms, checks, least):
                    return Diagnosis(found)
        if not failed:  # minor faults alone, and not those of a known mistake
            return None
        telling = [check for check in failed if has_numbers(evidence[check])]
        counts = [max(sum(agreement(f, check) != DIFFERENT for check in telling) for f in m.forms) for m in mistakes]
    except OutOfPatience:
        return None
    most = max(counts, default=0)
    if counts.count(most) == 1 and most >= max(len(failed) / 2, 1):
        return Diagnosis([mistakes[counts.index(most)]], everywhere=False)
    return None


@functools.cache
def patterns() -> dict[str, dict[str, list[list[int]]]]:
    """exercise -> mistake -> for each of its forms the numbers of the visible checks that it fails.  Written with the page
    docs/wrong-answers.md."""
    path = PATTERNS if PATTERNS.exists() else FOLDER / PATTERNS.name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def of_pattern(exercise, mistakes, pattern) -> dict[str, list]:
    """By mistake, the forms that fail just these visible checks, or of which that is not known."""
    known = patterns().get(exercise, {})
    return {
        m.name: [f for f, p in zip(m.forms, known.get(m.name) or repeat(pattern), strict=False) if p == pattern]
        for m in mistakes
    }


def has_numbers(evidence) -> bool:
    """Whether there is more than verdicts in it, so that an agreement is no accident."""
    if isinstance(evidence, torch.Tensor):
        return evidence.is_floating_point() and evidence.numel() > 1
    if isinstance(evidence, dict):
        evidence = evidence.values()
    return isinstance(evidence, list | tuple | type({}.values())) and any(map(has_numbers, evidence))


# What a form of a mistake showed in a check: the evidence, and whether that is all of it. A run ends at the first difference.
SHOWN: dict[tuple, tuple[list, bool]] = {}


def compare_evidence(exercise, form, check, evidence, seeds) -> int:
    """How far this form of a mistake leaves the given evidence in a check."""
    if isinstance(form, Form):
        return compare(*form.evidence[check.name], evidence) or DIFFERENT
    key = (form, check, str(seeds[check.visibility]))
    agreement = compare(*SHOWN[key], evidence) if key in SHOWN else None
    if agreement is None:
        remember(exercise, form, check, seeds, replay=evidence)
        agreement = compare(*SHOWN[key], evidence)
    return agreement or DIFFERENT


def remember(exercise, form, check, seeds, replay=None) -> bool:
    """Put a form of a mistake through a check and keep what it shows, up to where that differs from `replay` if given.

    Returns whether it failed, as far as it went.
    """
    answer, whole = Answer(exercise, form, replay=replay, seconds=UNHURRIED), True
    try:
        check.ask(answer, seeds)
    except Exception:  # mostly DifferentEvidence; else a check that cannot cope with what this mistake returns
        whole = False
    SHOWN[form, check, str(seeds[check.visibility])] = [(value, minor) for value, minor in answer.shown], whole
    return bool(answer.findings) or not whole


def compare(shown, whole, evidence) -> int | None:
    """How far evidence agrees with what was shown; None where not enough was shown to tell."""
    agreement = EXACTLY
    for (value, minor), other in zip(shown, evidence, strict=False):
        if not same(value, other):
            if not minor:
                return DIFFERENT
            agreement = IN_ALL_BUT_MINOR_THINGS
    if len(shown) > len(evidence) or (whole and len(shown) < len(evidence)):
        return DIFFERENT
    return agreement if whole else None
