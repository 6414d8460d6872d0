"""Which tier of isolation this machine gives: tried out, never assumed."""

import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from rlhf_core.errors import CourseError

from .limits import Limits
from .sandbox import TIERS, Sandbox, SandboxFault, WorkerLost, stage  # noqa: F401

# What a worker of a tier may find that it can do; anything else is a hole.
WANTED = {"reads_the_interpreter": True, "writes_its_own_folder": True}
DENIED = ("writes_elsewhere", "reads_elsewhere", "opens_sockets")


def probe(tier: str) -> str | None:
    """None where this machine gives the tier; else why not, and what to do about it."""
    if sys.platform == "win32":
        return "submissions are graded on Linux: use WSL 2, or a virtual machine"
    if tier == "A" and shutil.which("bwrap") is None:
        return "bubblewrap is not installed: apt-get install bubblewrap, or dnf install bubblewrap"
    if tier in ("A", "B") and sys.platform != "linux":
        return f"it needs Linux, and this is {platform.system()}"
    try:
        with tempfile.TemporaryDirectory(prefix="rlhf-probe-") as folder:
            place = stage(Path(folder).resolve() / "stage", models=False)
            Path(folder).chmod(0o755)
            with Sandbox(tier, Limits.of_the_course(), place, trial=True) as sandbox, sandbox.worker() as worker:
                found = json.loads(worker.line(10.0))
    except WorkerLost as lost:
        return f"a process that was locked in {lost.message} {HELP[tier]}"
    except (CourseError, OSError, ValueError) as error:
        return f"{error}. {HELP[tier]}"
    if tier == "C":
        return None
    wrong = [name for name, wanted in (WANTED | dict.fromkeys(DENIED, False)).items() if found[name] is not wanted]
    return f"what is locked in is not as it should be: {', '.join(wrong)}" if wrong else None


HELP = {
    "A": "Where the system forbids user namespaces (AppArmor on Ubuntu 24.04, a container), allow them or grade as root",
    "B": "It needs Linux 5.13 or newer with Landlock enabled (lsm=...,landlock)",
    "C": "",
}


def best() -> tuple[str, dict[str, str | None]]:
    """The best tier that there is, and what was found of each that was tried. Raises SandboxFault where there is none."""
    found: dict[str, str | None] = {}
    for tier in "ABC":
        found[tier] = probe(tier)
        if found[tier] is None:
            return tier, found
    raise SandboxFault("this machine gives no isolation at all: " + "; ".join(f"{t}: {why}" for t, why in found.items()))
