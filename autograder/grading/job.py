"""Grades one submission after the other in this process, in a sandbox that it keeps.

Run as a program, it takes its settings and then submissions from standard input, frame by frame: a command line can be read
by everybody.
"""

import collections
import contextlib
import ctypes
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from autograder.driver.frames import HEAD, lengths, pack, unpack

from .grade import Seeds, grade
from .limits import Limits
from .sandbox import Sandbox, SandboxFault, stage

TRIES = 2  # of an exercise that broke the sandbox, before it is taken to be the cause


@dataclass
class Settings:
    """What is the same for all submissions of a run."""

    tier: str
    secret: str
    exercises: list[str]
    limits: dict
    stage: str | None = None  # the folder for what the sandbox may see; None: a job makes one of its own


class Job:
    """number: of the job among those of this machine."""

    def __init__(self, settings: Settings, number: int = 0):
        self.settings, self.number, self.sandbox = settings, number, None
        self.limits = Limits(**settings.limits)
        self.own_stage = None if settings.stage else tempfile.TemporaryDirectory(prefix="rlhf-stage-")
        self.stage = Path(settings.stage) if settings.stage else stage(Path(self.own_stage.name).resolve())

    def grade(self, files: dict[str, bytes], attempt: int) -> dict:
        """What was found, as data; {"fault": why} where nothing could be found, through no fault of the submission's."""
        broke = collections.Counter()
        while True:
            try:
                sandbox = self.ready()
            except SandboxFault as fault:
                return {"fault": str(fault)}
            blamed = [name for name, times in broke.items() if times >= TRIES]
            doing = []
            try:
                return asdict(
                    grade(files, sandbox, Seeds(self.settings.secret, attempt), self.settings.exercises, blamed, doing)
                )
            except SandboxFault as fault:
                self.end_sandbox()
                where = doing[-1] if doing else ""
                broke[where] += 1
                if broke[where] > TRIES:
                    return {"fault": str(fault)}

    def ready(self) -> Sandbox:
        if self.sandbox is None:
            self.sandbox = Sandbox(self.settings.tier, self.limits, self.stage, self.number)
        return self.sandbox

    def end_sandbox(self):
        if self.sandbox is not None:
            self.sandbox.close()
            self.sandbox = None

    def close(self):
        self.end_sandbox()
        if self.own_stage is not None:
            self.own_stage.cleanup()


def main():
    if sys.platform == "linux":  # die with whoever started us, and all that we started with us
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    questions, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints by mistake
    settings, number = read_from(questions)
    job = Job(Settings(**settings), number)
    with contextlib.suppress(BrokenPipeError):
        while (question := read_from(questions)) is not None:
            replies.write(pack(job.grade(**question)))
            replies.flush()
    job.close()


def read_from(stream):
    """The next frame; None at the end."""
    head = stream.read(HEAD.size)
    if not head:
        return None
    first, second = lengths(head)
    return unpack(stream.read(first), stream.read(second))


if __name__ == "__main__":
    main()
