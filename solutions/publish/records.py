"""The records that stand in the student edition for oracles and wrong answers, made where they are not there already.

Making them takes minutes and depends on the code alone, so they are kept in `.publish-cache/`, each under a hash of that code.
"""

import functools
import hashlib
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from rlhf_core.course import lesson_of

from . import recording

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".publish-cache"
SLOW = ("rlhf_loop", "sample_response", "ppo_step")  # begun first
MINUTES = "2 to 5"  # for all of them, on two cores that are quiet or busy

# What a record follows from, beside the checks of its lesson and the answers of its exercise.
CODE = (
    *(f"autograder/{name}.py" for name in (
        "answer", "bank", "compare", "diagnosis", "draw", "engine", "hunt", "isolation", "plain_sampling", "recorded", "specs",
    )),
    "autograder/driver/call.py", "autograder/driver/toys.py", "autograder/driver/scenarios/*.py", "autograder/oracles/*.py",
    "rlhf_core/*.py", "solutions/answers/*.py", "solutions/publish/recording.py",
)  # fmt: skip


def records(names) -> dict[str, bytes]:
    """The record of each exercise, and of the `hunt`, as the bytes of its file."""
    from tqdm import tqdm

    paths = {name: CACHE / f"{name}.{code_of(name)}.npz" for name in names}
    missing = sorted((name for name in names if not paths[name].exists()), key=lambda name: name not in SLOW)
    if missing:
        print(
            f"Recording what the checks compare with, {len(missing)} of {len(names)}: about {MINUTES} minutes for all, "
            "only the first time and after a change of the checks",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        CACHE.mkdir(exist_ok=True)
        # Processes of their own, as checks remember what they have asked; leaving the block ends them.
        processes = multiprocessing.get_context("spawn").Pool(min(os.cpu_count(), len(missing)), recording.prepare)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder, processes as pool:
            made = pool.imap_unordered(functools.partial(recording.record, folder=Path(folder)), missing)
            for name in tqdm(made, desc="recording the checks", total=len(missing), disable=not sys.stderr.isatty()):
                for old in CACHE.glob(f"{name}.*.npz"):
                    old.unlink()
                Path(folder, f"{name}.npz").replace(paths[name])
            pool.close()
            pool.join()  # ended in order they leave no semaphores behind
    return {name: path.read_bytes() for name, path in paths.items()}


def code_of(name: str) -> str:
    """A hash of all code that a record follows from."""
    globs = list(CODE)
    if name != "hunt":
        globs.append(f"autograder/visible/test_{lesson_of(name)['number']:02d}_*.py")
        globs += [f"autograder/{kind}/{name}.py" for kind in ("wrong", "right")]
    paths = sorted(path for each in globs for path in ROOT.glob(each))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]
