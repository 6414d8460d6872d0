"""What a worker and all that it has started use, looked at while it is waited for."""

import os
import time

import psutil

EVERY = 0.5  # seconds
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
        if self.sandbox.folder and size_of(self.sandbox.folder) > limits.disk_mib * 2**20:
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


def size_of(folder: str) -> int:
    """Bytes of the files in a folder; 4 KiB for each entry, so that many empty ones count, too."""
    total = 0
    for parent, folders, files in os.walk(folder):
        total += 4096 * (len(folders) + len(files))
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue
    return total
