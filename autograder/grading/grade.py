"""One submission, from its bytes to its points."""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass

from autograder.driver.loading import Problem, Submission
from autograder.driver.serve import TOLD
from autograder.engine import ExerciseResult, not_runnable, run_exercise
from autograder.report import exercise_data
from autograder.result import question_data
from rlhf_core.course import exercise_names

from .remote import GRACE, Budget, Remote
from .sandbox import WorkerLost

READ_SECONDS = 20.0  # to take the cells out of files of at most 20 MiB
READ_BYTES = 32 * 2**20  # of those cells
KINDS = (
    "missing",
    "stub",
    "syntax_error",
    "wrong_signature",
    "raises",
    "time_out",
)  # of what can stand in the way of an answer
LONGEST = 8_000  # characters of what a check says


@dataclass(frozen=True)
class Seeds:
    """What the inputs of all checks follow from: a secret that no worker ever gets, and the attempt of the student."""

    secret: str
    attempt: int = 1

    @property
    def id(self) -> str:
        """What names a seed in a result without giving it away."""
        return f"{hashlib.sha256(f'id/{self.secret}'.encode()).hexdigest()[:8]}.{self.attempt}"

    def of(self, purpose: str) -> str:
        return hmac.new(self.secret.encode(), f"{purpose}/{self.attempt}".encode(), hashlib.sha256).hexdigest()

    @property
    def of_checks(self) -> dict[str, str]:
        return {"visible": self.of("visible"), "hidden": self.of("hidden")}

    def of_learner(self, exercise: str) -> int:
        """For the generators of the submission's own code; says nothing about the other seeds."""
        return int(self.of(f"learner/{exercise}")[:8], 16)


@dataclass
class Graded:
    """What grading found, without whose it is: two students with the same files each get it."""

    refused: str | None
    exercises: dict[str, dict]
    questions: dict[str, dict]
    answers: dict[str, dict]
    written: dict[str, str]  # by question
    printed: str  # its first mebibyte
    wall_s: float


def grade(files: dict[str, bytes], sandbox, seeds: Seeds, names, blamed=(), doing=None) -> Graded:
    """Put a submission through all checks of these exercises, visible and hidden.

    blamed: exercises that broke the sandbox before, and are not run again.  doing: a list that gets the name of each exercise
    as it is begun.  Raises SandboxFault where the sandbox breaks down.
    """
    doing = [] if doing is None else doing
    budget = Budget(sandbox.limits.submission_seconds, time.monotonic)
    doing.append("")
    read, submission, printed = survey(files, sandbox, budget, seeds)
    exercises = {}
    for name in names:
        doing.append(name)
        if name in blamed:
            exercises[name] = exercise_data(
                lost_result(name, WorkerLost("broke_the_sandbox", "broke the sandbox that it ran in."))
            )
            continue
        remote = submission.implementations.get(name)
        try:
            result = run(name, submission, seeds)
            exercises[name] = described(result)
        except WorkerLost as lost:
            exercises[name] = exercise_data(lost_result(name, lost))
        finally:
            if remote is not None:
                remote.close()
                printed += remote.output
    most = sandbox.limits.output_mib * 2**20
    wall_s = round(time.monotonic() - budget.started, 3)
    printed = printed[:most].decode("utf-8", "replace")
    questions = question_data(names, read.get("written", {}))
    written = {name: text for name, text in read.get("written", {}).items() if name in questions}
    return Graded(submission.refused, exercises, questions, read.get("answers", {}), written, printed, wall_s)


def survey(files, sandbox, budget, seeds) -> tuple[dict, Submission, bytearray]:
    """The cells of a submission, read before any of its code runs, and which exercises it implements."""
    printed = bytearray()
    with sandbox.worker() as worker:
        try:
            read = worker.ask({"do": "read", "files": files}, READ_SECONDS, largest=READ_BYTES)
        except WorkerLost as lost:
            return {}, Submission("", refused=f"reading it {lost.message}".rstrip(".")), printed
        if "refused" in read:
            return read, Submission("", refused=read["refused"]), printed
        limits = sandbox.limits
        question = {"do": "load", "cells": read["cells"], "exercise": None, "others": []}
        question |= {"seconds": limits.import_seconds, "seed": seeds.of_learner("")}
        try:
            loaded = worker.ask(question, limits.import_seconds + GRACE)
            found, problems, notes = believed(loaded)
        except WorkerLost as lost:
            found, notes = [], {}
            problems = {name: Problem(lost.kind, f"The submission {lost.message}") for name in named_in(read["cells"])}
        except (TypeError, ValueError, KeyError, AttributeError):
            found, notes = [], {}
            message = "What the submission says of itself cannot be read."
            problems = {name: Problem("broken_frame", message) for name in named_in(read["cells"])}
        finally:
            worker.end()
            printed += worker.printed
    remotes = {name: Remote(name, sandbox, budget, read["cells"], seeds.of_learner(name)) for name in found}
    return read, Submission("", remotes, problems, notes), printed


def believed(loaded) -> tuple[list[str], dict[str, Problem], dict[str, str]]:
    """What a worker says that is implemented, what stands in the way of the rest, and notes; code of the submission has run by
    then, so that all of it may be made up. Raises TypeError and the like where it has another form."""
    names = exercise_names()
    found = [name for name in names if name in list(loaded["implemented"])]
    problems = {
        name: Problem(kind if kind in KINDS else "raises", str(message)[:TOLD])
        for name, (kind, message) in loaded["problems"].items()
    }
    notes = {name: str(note)[:TOLD] for name, note in loaded["notes"].items()}
    return found, {n: p for n, p in problems.items() if n in names}, {n: note for n, note in notes.items() if n in names}


def named_in(cells) -> list[str]:
    """The exercises whose names occur in a submission."""
    return [name for name in exercise_names() if any(re.search(rf"\b{name}\b", cell["source"]) for cell in cells)]


def run(name, submission, seeds) -> ExerciseResult:
    problem = submission.problem(name)
    if problem is None:
        seconds = float(submission.implementations[name].sandbox.limits.call_seconds)
        result = run_exercise(name, submission.implementations[name], hidden=True, seeds=seeds.of_checks, seconds=seconds)
    else:
        result = not_runnable(name, problem, hidden=True)
    result.note = submission.notes.get(name, "")
    return result


def described(result: ExerciseResult) -> dict:
    """The result as data; without the smallest input where its search lost the worker."""
    try:
        data = exercise_data(result)
    except WorkerLost:
        for check in result.checks:
            for finding in check.findings:
                finding.shrink = None
        data = exercise_data(result)
    for check in data["checks"]:
        if len(check["message"]) > LONGEST:  # what came back can be of any length
            check["message"] = check["message"][:LONGEST] + " ... (cut here)"
    return data


def lost_result(name, lost: WorkerLost) -> ExerciseResult:
    return not_runnable(name, Problem(lost.kind, f"{name} {lost.message}"), hidden=True)
