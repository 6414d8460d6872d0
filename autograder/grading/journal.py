"""What a run has found so far, in the results folder: written so that a run can be killed at any moment and gone on with.

OUT/<submission>/result.json, answers.json, written.json    what is read by people and programs
OUT/.journal/work/<key>.json                                what grading found, by what was graded and not by whose it is
OUT/.journal/output/<submission>.txt                        what its code printed; may show inputs, so not for students
OUT/.journal/seed                                           the secret that all inputs follow from
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from rlhf_core.errors import CourseError, UsageError


class Journal:
    """The journal of a results folder; made where there is none. Raises CourseError where it cannot be."""

    def __init__(self, out: Path):
        self.out, self.folder = out, out / ".journal"
        try:
            for name in ("work", "output"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise CourseError(f"the results cannot be written to {str(out)!r}: {error.strerror}") from error

    @contextlib.contextmanager
    def locked(self, part: str):
        """One run at a time for each part of the work. Raises CourseError where another one is at it."""
        try:
            import fcntl
        except ModuleNotFoundError:  # Windows
            yield
            return
        with (self.folder / f"lock-{part}").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CourseError(
                    f"another run is at work in {str(self.out)!r}: wait until it has ended, or give this one another --out"
                ) from None
            yield

    def secret(self, given: str | None) -> str:
        """The secret of this folder: the one given, else the one it has had, else that of this machine's user."""
        path = self.folder / "seed"
        if given is not None:
            atomic_write(path, given.encode())
        elif not path.exists():
            atomic_write(path, secret_of_the_user().encode())
        path.chmod(0o600)
        return path.read_text(encoding="utf-8")

    def keep_scope(self, paths, lesson: int | None, resume: bool) -> int | None:
        """Remember what is graded here, for a run that goes on with it; the lesson, which a resumed run takes over.

        Raises UsageError where the results that are there are of another lesson, or of all.
        """
        before = self.scope()
        if before and resume and lesson is None:
            lesson = before["lesson"]
        if before and before["lesson"] != lesson:
            is_of, wanted = ("all lessons" if each is None else f"lesson {each}" for each in (before["lesson"], lesson))
            raise UsageError(f"{str(self.out)!r} holds results of {is_of}, not of {wanted}: name another --out")
        paths = [str(path.absolute()) for path in paths] or before["paths"]
        atomic_write(self.folder / "scope.json", as_json({"paths": paths, "lesson": lesson}))
        return lesson

    def scope(self) -> dict | None:
        try:
            return json.loads((self.folder / "scope.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def paths(self) -> list[Path]:
        """The paths of the run before. Raises UsageError where there was none."""
        before = self.scope()
        if before is None:
            raise UsageError(f"{str(self.out)!r} holds no run to go on with: name the submissions to grade")
        return [Path(path) for path in before["paths"]]

    def others(self, folders: set[str]) -> list[str]:
        """Results that are in none of these folders."""
        return sorted(path.parent.name for path in self.out.glob("*/result.json") if path.parent.name not in folders)

    def work(self, key: str) -> dict | None:
        try:
            return json.loads((self.folder / "work" / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def keep(self, key: str, work: dict):
        atomic_write(self.folder / "work" / f"{key}.json", as_json(work))

    def result(self, folder: str) -> dict | None:
        """The result that a submission has now."""
        try:
            found = json.loads((self.out / folder / "result.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, folder: str, result: dict, answers: dict, written: dict, printed: str):
        """The result comes last: where it is, the rest is, too."""
        place = self.out / folder
        place.mkdir(exist_ok=True)
        if printed:
            atomic_write(self.folder / "output" / f"{folder}.txt", printed.encode("utf-8", "replace"))
        write_if_changed(place / "answers.json", as_json(answers))
        write_if_changed(place / "written.json", as_json(written))
        write_if_changed(place / "result.json", as_json(result))

    def make_stage(self) -> Path:
        """An empty folder for what the sandbox may see; those of runs that were killed are removed."""
        for old in self.folder.glob("stage-*"):
            pid = old.name.partition("-")[2].partition("-")[0]
            if not Path(f"/proc/{pid}").exists():
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"stage-{os.getpid()}-", dir=self.folder)).resolve()


def secret_of_the_user() -> str:
    """A secret that is drawn once for each user of a machine, so that a regrade asks the same questions."""
    path = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rlhf-course" / "seed"
    drawn = secrets.token_hex(16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError), open(path, "x", encoding="utf-8", opener=private) as file:
            file.write(drawn)
        return path.read_text(encoding="utf-8")
    except OSError:  # no home that can be written to: the results folder keeps it
        return drawn


def private(path, flags):
    return os.open(path, flags, 0o600)


def key_of(*parts: str) -> str:
    """sha256 over parts that are framed by their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()


def as_json(data) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=True).encode() + b"\n"


def write_if_changed(path: Path, content: bytes):
    if not path.exists() or path.read_bytes() != content:
        atomic_write(path, content)


def atomic_write(path: Path, content: bytes):
    """Whoever reads the file sees the old content or the new one, also after a power cut.

    Raises CourseError where the disk is full or cannot be written.
    """
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise CourseError(
            f"{path.name} could not be written ({error.strerror}): mend that, and go on with --resume; nothing graded is lost"
        ) from error
