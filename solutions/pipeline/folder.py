"""A run's folder: every file appears whole or not at all, so that a run can be killed at any moment and go on later."""

import contextlib
import io
import json
import os
from pathlib import Path

import torch
import yaml

from rlhf_core.config import RunConfig, from_tree, to_tree
from rlhf_core.errors import CourseError, UsageError


class RunFolder:
    """Reads and writes the files of one run; `stage(name)` is what a finished stage left behind."""

    def __init__(self, path: Path):
        self.path = Path(path)

    @classmethod
    def vacant(cls, path: Path) -> "RunFolder":
        """A folder that nothing stands in; nothing is written yet. Raises UsageError when something does."""
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            remedy = "add --resume to go on with it, or" if (path / "config.yaml").exists() else "it is not a run:"
            raise UsageError(f"{path} is not empty: {remedy} name another folder with --out")
        return cls(path)

    @classmethod
    def reopen(cls, path: Path) -> tuple["RunFolder", RunConfig]:
        """An existing folder and the config it was made with. Raises UsageError when there is none to go on with."""
        file = Path(path) / "config.yaml"
        try:
            return cls(path), from_tree(yaml.safe_load(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise UsageError(f"{path} holds no run to resume (no config.yaml): leave --resume out to start one") from None
        except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read ({error}): name another folder with --out and start anew") from None

    def write_config(self, config: RunConfig):
        self.write_text("config.yaml", yaml.safe_dump(to_tree(config), sort_keys=False))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_text(self, name: str, text: str):
        self.write_bytes(name, text.encode("utf-8"))

    def write_json(self, name: str, value):
        self.write_text(name, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def write_lines(self, name: str, rows: list[dict]):
        self.write_text(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def append_line(self, name: str, row: dict):
        with _explained(self / name), open(self / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def save(self, name: str, state):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self.write_bytes(name, buffer.getbuffer())

    def load(self, name: str, map_location="cpu"):
        """What `save` wrote, or None. Raises CourseError for a damaged file."""
        file = self / name
        if not file.exists():
            return None
        try:
            return torch.load(file, map_location=map_location, weights_only=True)
        except Exception as error:  # a damaged archive shows itself as any of a dozen kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CourseError(
                f"the checkpoint {file} is damaged ({reason}): delete it and resume; that stage then starts from its beginning"
            ) from error

    def stage(self, name: str):
        """The result of a finished stage, or None."""
        file = self / f"stages/{name}.json"
        if not file.exists():
            return None
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CourseError(f"{file} is damaged ({error}): delete it and resume; that stage is then done again") from error

    def finish(self, name: str, result: dict):
        self.write_json(f"stages/{name}.json", result)

    def write_bytes(self, name: str, data):
        file = self / name
        temporary = file.with_name(file.name + ".tmp")
        with _explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                os.replace(temporary, file)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise


@contextlib.contextmanager
def _explained(file: Path):
    """Turn a full disk or a missing permission into a message that says what to do."""
    try:
        yield
    except OSError as error:
        raise CourseError(
            f"could not write {file}: {error.strerror or error}. What was finished before is kept: "
            "make room (or mend the permission), then go on with --resume"
        ) from error
