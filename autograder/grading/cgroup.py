"""A control group for a sandbox, where we may make one: the kernel then counts the memory and processes of all in it."""

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
SLACK = 256 * 2**20, 8  # bytes and processes of the sandbox itself
# version 1 has a tree for each resource, version 2 one for all: the files of the limits, and of those within
FILES = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max", "pids.max")}


class ControlGroup:
    """Groups of a name of their own; none where none can be made."""

    def __init__(self, name: str, memory: int, processes: int):
        self.folders = []
        for resource, most in (("memory", memory + SLACK[0]), ("pids", processes + SLACK[1])):
            for parent, file in places(resource):
                folder = parent / name
                with contextlib.suppress(OSError):
                    folder.mkdir(exist_ok=True)
                    if folder not in self.folders:
                        self.folders.append(folder)
                    (folder / file).write_text(str(most))

    def add(self, pids):
        for folder in self.folders:
            for pid in pids:
                with contextlib.suppress(OSError):
                    (folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        """Its processes have been killed, and take a moment to go."""
        for folder in self.folders:
            for _ in range(50):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


def places(resource) -> list[tuple[Path, str]]:
    """Our own group in the trees that hold this resource, and the file of its limit."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                base = ROOT / "unified" if (ROOT / "unified").is_dir() else ROOT
                found.append((base / path.lstrip("/"), FILES[resource][0]))
            elif resource in controllers.split(","):
                found.append((ROOT / controllers / path.lstrip("/"), FILES[resource][1]))
    return [(folder, file) for folder, file in found if os.access(folder, os.W_OK)]
