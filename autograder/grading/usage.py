"""What a worker and all that it has started use, looked at while it is waited for."""

import contextlib
import math
import os
import subprocess
import time
from pathlib import Path

import psutil

EVERY = 0.5  # seconds
DU_SECONDS = 5.0
SLACK = 512 * 2**20  # bytes that the zygote itself takes


class Usage:
    """Memory and, where files lie on a real disk, their size. Short calls are not looked at."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.next = time.monotonic() + EVERY

    def exceeded(self) -> tuple[str, str] | None:
        """What is beyond its limit: the kind, and the rest of a sentence about the exercise."""
        if time.monotonic() < self.next:
            return None
        self.next = time.monotonic() + EVERY
        limits = self.sandbox.limits
        if memory_of(self.sandbox.process.pid) > limits.memory_mib * 2**20 + SLACK:
            return "memory", f"used more than {limits.memory_mib} MiB of memory."
        folder = self.sandbox.folder
        if folder and size_of(folder) + deleted_in(folder, self.sandbox.process.pid) > limits.disk_mib * 2**20:
            return "disk", f"wrote more than {limits.disk_mib} MiB of files."
        return None


def memory_of(pid: int) -> int:
    """Bytes of memory of a process and all below it; what they share is counted once."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += getattr(process.memory_full_info(), "pss", 0)
        except psutil.Error:  # it has ended in the meantime
            continue
    return total


def deleted_in(folder: str, pid: int) -> int:
    """Bytes of the files of a folder that have no name any more, and are still open in a process below this one."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(OSError):
                for link in Path(f"/proc/{process.pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        name = os.readlink(link)
                        if name.startswith(folder) and name.endswith(" (deleted)"):
                            total += link.stat().st_blocks * 512
    return total


def size_of(folder: str) -> float:
    """Bytes of the files in a folder; by `du`, which goes to any depth. Infinity where it takes too long."""
    try:
        found = subprocess.run(["du", "-sk", folder], capture_output=True, text=True, timeout=DU_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        return math.inf
    return 1024 * int(found.split()[0]) if found else 0
