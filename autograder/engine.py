"""Runs checks against answers and turns what they found into results: plain data, the same for a notebook, a grader, a test."""

import contextlib
import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rlhf_core.course import lesson_of

from .answer import MINOR, SECONDS, Answer, EndOfCheck, Finding
from .bank import right_answers
from .diagnosis import Diagnosis, diagnose
from .draw import Draw
from .isolation import together, under_test
from .recorded import NotRecorded, WriteFirst

SEEDS = {"visible": 0, "hidden": 0}  # a grader draws a secret one for the hidden checks


def points_of(exercise: str) -> int:
    return lesson_of(exercise)["exercises"][exercise]


@dataclass(frozen=True)
class Check:
    """A test function of `autograder/visible` or `autograder/hidden`."""

    exercise: str
    name: str
    weight: int
    visibility: str
    function: Callable

    @property
    def title(self) -> str:
        """The first line of its docstring."""
        return inspect.getdoc(self.function).splitlines()[0].rstrip(".")

    def ask(self, answer: Answer, seeds=SEEDS):
        """Put the answer through the check, on inputs that follow from the seed of its visibility."""
        with under_test(self.exercise, answer.implementation), contextlib.suppress(EndOfCheck):
            try:
                self.function(answer, Draw(seeds[self.visibility], self.name))
            except WriteFirst as missing:
                answer.report("write_first", str(missing))


def checks_of(exercise: str, hidden: bool = False) -> list[Check]:
    """The visible checks of an exercise, and the hidden ones where asked for, in the order they are written."""
    return [check for check in all_checks(hidden) if check.exercise == exercise]


def all_checks(hidden: bool = False) -> list[Check]:
    found = []
    for folder in ("visible", "hidden") if hidden else ("visible",):
        package = importlib.import_module(f"autograder.{folder}")
        for info in pkgutil.iter_modules(package.__path__):
            if info.name.startswith("test_"):
                found += checks_in(importlib.import_module(f"autograder.{folder}.{info.name}"), folder)
    return found


def checks_in(module, visibility) -> list[Check]:
    found = []
    for name, function in vars(module).items():
        marks = {mark.name: mark.args[0] for mark in getattr(function, "pytestmark", [])}
        if "exercise" in marks and function.__module__ == module.__name__:
            found.append(Check(marks["exercise"], name, marks.get("points", 1), visibility, function))
    return found


@dataclass
class CheckResult:
    """What one check found.  `findings` is empty where it passed; `fault` is an error of ours, not of the answer."""

    check: Check
    max_points: float
    findings: list[Finding] = field(default_factory=list)
    fault: str | None = None

    @property
    def status(self) -> str:
        return "not_graded" if self.fault else "failed" if self.findings else "passed"

    @property
    def points(self) -> float:
        return self.max_points if self.status == "passed" else 0.0


@dataclass
class ExerciseResult:
    """All checks of one exercise on one answer."""

    exercise: str
    checks: list[CheckResult]
    state: str = "graded"  # or "missing", "not_graded"
    diagnosis: Diagnosis | None = None
    printed: str = ""
    problem: str = ""  # why there was nothing to check
    note: str = ""  # something else to tell, such as a definition that stands twice

    @property
    def points(self) -> float:
        passed = sum(result.check.weight for result in self.checks if result.status == "passed")
        return self.max_points * passed / sum(result.check.weight for result in self.checks)

    @property
    def max_points(self) -> float:
        return float(points_of(self.exercise))


def run_exercise(exercise: str, implementation, files=(), hidden=False, seeds=SEEDS, seconds=SECONDS, verdict_only=False):
    """Put one implementation through the checks of an exercise, and diagnose what fails.

    Once a call has run out of time, the checks that are left fail without being run.
    verdict_only: stop at the first check that fails, without a diagnosis.
    """
    checks = checks_of(exercise, hidden)
    total, points = sum(check.weight for check in checks), points_of(exercise)
    results, evidence, cost, printed, out_of_time = [], {}, {}, "", False
    for check in checks:
        result = CheckResult(check, points * check.weight / total)
        results.append(result)
        if out_of_time:
            said = "Not run, as an earlier check of this exercise ran out of time."
            result.findings.append(Finding("time_out", said, public=True))
            continue
        answer, started = Answer(exercise, implementation, tuple(files), seconds=seconds), time.process_time()
        try:
            check.ask(answer, seeds)
        except Exception as error:  # what the answer raises is a finding, so this is the check's own
            fault = f"{type(error).__name__}: {error}"
            if isinstance(error, NotRecorded) or breaks_down(check, seeds):
                result.fault = fault
                continue
            answer.report("cannot_be_judged", f"What {exercise} returned cannot be judged ({fault}).")
        result.findings = answer.findings
        evidence[check], cost[check] = answer.evidence, time.process_time() - started
        printed = printed or answer.printed
        out_of_time = any(finding.kind == "time_out" for finding in answer.findings)
        if verdict_only and answer.findings:
            break
    found = None
    if not out_of_time and not verdict_only:
        cheapest_first = sorted(evidence, key=cost.get)
        found = mistake_behind(results, {check: evidence[check] for check in cheapest_first}, seeds)
    state = "not_graded" if any(result.fault for result in results) else "graded"
    return ExerciseResult(exercise, results, state, found, printed)


def mistake_behind(results: list[CheckResult], evidence: dict, seeds) -> Diagnosis | None:
    """The diagnosis of what failed.  None where nothing did, and for code that never came to an end without an exception: its
    message says more than a mistake that happens to raise the same."""
    kinds = [{finding.kind for finding in result.findings} for result in results]
    if not any(kinds) or all("raises" in each for each in kinds):
        return None
    failed = [result.check for result, each in zip(results, kinds, strict=True) if each - set(MINOR)]
    return diagnose(results[0].check.exercise, evidence, failed, failed_numbers(results), seeds)


def failed_numbers(results: list[CheckResult]) -> list[int]:
    """The visible checks that failed, counted from 1: the pattern by which a mistake is found quickly."""
    visible = [result for result in results if result.check.visibility == "visible"]
    return [number for number, result in enumerate(visible, 1) if result.status == "failed"]


def breaks_down(check: Check, seeds) -> bool:
    """Whether a check cannot cope with an answer that is known to be right: then the fault is ours."""
    for implementation in right_answers(check.exercise)[:1]:
        try:
            check.ask(Answer(check.exercise, implementation), seeds)
        except Exception:
            return True
    return False


def run_submission(submission, names, hidden=False, seeds=SEEDS, seconds=SECONDS):
    """The results of these exercises of a submission, one after the other, as they are ready."""
    for name in names:
        problem = submission.problem(name)
        if problem is None:
            with together(submission.implementations):
                result = run_exercise(name, submission.implementations[name], submission.files, hidden, seeds, seconds)
        else:
            result = not_runnable(name, problem, hidden)
        result.note = submission.notes.get(name, "")
        yield result


def not_runnable(exercise: str, problem, hidden=False) -> ExerciseResult:
    """The result of an exercise that was not handed in, or not in a form that can be run: every check failed."""
    checks = checks_of(exercise, hidden)
    total, points = sum(check.weight for check in checks), points_of(exercise)
    finding = Finding(problem.kind, problem.message, public=True)
    results = [CheckResult(c, points * c.weight / total, [finding]) for c in checks]
    state = "missing" if problem.kind in ("missing", "stub") else "graded"
    return ExerciseResult(exercise, results, state, problem=problem.message)
