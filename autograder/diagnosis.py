"""Which known mistake leaves exactly the evidence that this answer left?"""

import time
from dataclasses import dataclass

from .answer import Answer, DifferentEvidence
from .bank import ABOUT, WrongAnswer, wrong_answers

PATIENCE = 4.0  # seconds that a diagnosis may take


@dataclass
class Diagnosis:
    """The mistakes that agree with an answer, and what to tell its author."""

    matches: list[WrongAnswer]

    @property
    def name(self) -> str | None:
        return self.matches[0].name if len(self.matches) == 1 else None

    @property
    def explanation(self) -> str:
        if len(self.matches) == 1:
            return self.matches[0].explanation
        topics = {match.about for match in self.matches}
        common = f"They have in common that they are about {ABOUT[topics.pop()]}." if len(topics) == 1 else ""
        listed = " Or: ".join(match.explanation for match in self.matches)
        return f"{len(self.matches)} known mistakes give just what yours gives. {common} {listed}".replace("  ", " ")

    @property
    def hint(self) -> str:
        return self.matches[0].hint

    @property
    def read(self) -> str | None:
        """The section to read again, where the matches agree on one."""
        sections = {match.read for match in self.matches}
        return sections.pop() if len(sections) == 1 else None


def diagnose(exercise: str, checks, evidence: dict, seeds) -> Diagnosis | None:
    """The mistakes of the bank whose evidence is that of the answer, check by check; None where there is none.

    Where none agrees in everything, the ones that agree in all but minor things.
    evidence: by check, what the answer showed, for every check that was run.
    """
    deadline = time.monotonic() + PATIENCE
    ran = [check for check in checks if check in evidence]
    for lenient in (False, True):
        matches = []
        for mistake in wrong_answers(exercise):
            if time.monotonic() > deadline:
                break
            for form in mistake.forms:
                if all(leaves(exercise, form, check, evidence[check], seeds, lenient) for check in ran):
                    matches.append(mistake)
                    break
        if matches:
            return Diagnosis(matches)
    return None


def leaves(exercise, implementation, check, evidence, seeds, lenient) -> bool:
    """Whether this implementation leaves the given evidence in a check."""
    answer = Answer(exercise, implementation, replay=evidence, lenient=lenient)
    try:
        check.ask(answer, seeds)
    except DifferentEvidence:
        return False
    return len(answer.evidence) == len(evidence)
