"""A run: from the submissions that are there to their results, going on where an earlier run was stopped."""

import functools
import hashlib
import importlib.metadata
from dataclasses import asdict, dataclass
from pathlib import Path

import autograder
import rlhf_core
from autograder.driver.loading import Submission
from autograder.driver.reading import Refused
from autograder.engine import not_runnable
from autograder.report import exercise_data
from autograder.result import as_data, question_data
from rlhf_core.course import course

from .grade import Seeds
from .intake import Entry, NothingHandedIn, content_hash, snapshot
from .job import Settings
from .journal import Journal, key_of


@dataclass
class Task:
    """A submission whose content has to be graded."""

    entry: Entry
    files: dict[str, bytes]
    hash: str
    attempt: int
    key: str


@dataclass
class Run:
    journal: Journal
    settings: Settings

    def results(self, entries: list[Entry], grade_all):
        """Yield the result of each submission as it is ready, and whether it was there before.

        grade_all: a function from tasks to (task, what was found), in any order.
        """
        known: list[tuple[dict, bool]] = []

        def to_do():
            for entry in entries:
                task = self.task(entry, known)
                if task is not None:
                    yield task

        for task, work in grade_all(to_do()):
            if "fault" not in work:
                self.journal.keep(task.key, work)
            yield self.write(task, work), False
            while known:
                yield known.pop()
        yield from known

    def task(self, entry, known) -> Task | None:
        """What there is to grade; None where the result is known, which is written and added to `known`."""
        try:
            if entry.refused is not None:
                raise Refused(entry.refused)
            files = snapshot(entry, self.settings.exercises)
        except Refused as refusal:
            before = self.journal.result(entry.folder)
            as_result = self.nothing if isinstance(refusal, NothingHandedIn) else self.refuse
            result = as_result(entry, str(refusal))
            known.append((result, result == before))
            return None
        except OSError as error:  # of the machine, such as a disk that cannot be read
            task = Task(entry, {}, "", 1, "")
            known.append((self.write(task, {"fault": f"its files could not be read ({error})"}), False))
            return None
        digest = content_hash(files)
        attempt = self.attempt(entry, digest)
        task = Task(entry, files, digest, attempt, self.key(digest, attempt))
        work = self.journal.work(task.key)
        if work is None:
            return task
        known.append((self.write(task, work), True))
        return None

    def attempt(self, entry, digest) -> int:
        """1 for what a student handed in first; each change after a result gets other inputs, as feedback may show some."""
        before = self.journal.result(entry.folder)
        if before is None or before.get("state") != "graded" or before.get("reason") is not None:
            return 1 if before is None else attempt_of(before)
        return attempt_of(before) + (before.get("submission_hash") != digest)

    def key(self, digest, attempt) -> str:
        limits = sorted(self.settings.limits.items())
        parts = [digest, version_of_the_checks(), self.settings.secret, str(attempt), self.settings.tier, str(limits)]
        return key_of(*parts, *self.settings.exercises)

    def facts(self, digest, attempt, wall_s) -> dict:
        return {
            "submission_hash": digest,
            "course_version": importlib.metadata.version("rlhf-course"),
            "seed_id": Seeds(self.settings.secret, attempt).id,
            "isolation": self.settings.tier,
            "wall_s": wall_s,
        }

    def write(self, task, work) -> dict:
        name, folder = task.entry.name, task.entry.folder
        if "fault" in work:
            result = as_data(name, None, {}, **self.facts(task.hash, task.attempt, 0.0))
            result |= {"state": "not_graded", "reason": work["fault"], "max_points": self.most()}
            self.journal.write(folder, result, {}, {}, "")
            return result
        facts = self.facts(task.hash, task.attempt, work["wall_s"]) | {"questions": work["questions"]}
        result = as_data(name, work["refused"], work["exercises"], **facts)
        self.journal.write(folder, result, work["answers"], work["written"], work["printed"])
        return result

    def refuse(self, entry, reason) -> dict:
        result = as_data(entry.name, reason, {}, **self.facts(None, 1, 0.0)) | {"max_points": self.most()}
        self.journal.write(entry.folder, result, {}, {}, "")
        return result

    def nothing(self, entry, reason) -> dict:
        """The result of a student who handed in nothing for these exercises: 0 points, and the reason beside them."""
        names, empty = self.settings.exercises, Submission(entry.name)
        exercises = {name: exercise_data(not_runnable(name, empty.problem(name), hidden=True)) for name in names}
        facts = self.facts(None, self.attempt(entry, None), 0.0) | {"questions": question_data(names, {})}
        result = as_data(entry.name, None, exercises, **facts) | {"reason": reason}
        self.journal.write(entry.folder, result, {}, {}, "")
        return result

    def most(self) -> float:
        points = {name: value for lesson in course()["lessons"] for name, value in lesson["exercises"].items()}
        return float(sum(points[name] for name in self.settings.exercises))


def attempt_of(result) -> int:
    return int(str(result.get("seed_id")).rpartition(".")[2])


JUDGES = ("grade.py", "remote.py")  # of this folder; the rest does not touch a result


@functools.cache
def version_of_the_checks() -> str:
    """sha256 of the code that grades: a check that was changed grades anew, whatever the version is called."""
    digest = hashlib.sha256()
    for package in (autograder, rlhf_core):
        folder = Path(package.__file__).parent
        paths = [*folder.rglob("*.py"), *folder.rglob("*.json")]
        for path in sorted(path for path in paths if path.parent != Path(__file__).parent or path.name in JUDGES):
            digest.update(key_of(str(path.relative_to(folder)), path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest() + key_of(str(course()))


def settings_for(tier, secret, exercises, limits, stage=None) -> Settings:
    return Settings(tier, secret, exercises, asdict(limits), stage)


def in_shard(entry: Entry, shard: tuple[int, int]) -> bool:
    """Whether a submission belongs to part i of n; which one it is depends on nothing but its name."""
    part, parts = shard
    return int(hashlib.sha256(entry.folder.encode()).hexdigest(), 16) % parts == part - 1
