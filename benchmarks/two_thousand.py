"""A large class, graded in one go and in a run that is killed five times:  python -m benchmarks.two_thousand [SIZE]

Prints whether the results are equal, how many were graded twice, and the memory of the run, first and last hundred.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from .submissions import make_class

KILLS = 5


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_class(folder / "class", size)
        seconds, memory = undisturbed(folder / "class", folder / "whole")
        print(f"undisturbed: {size} submissions in {seconds:.0f} s, {60 * size / seconds:.0f} a minute")
        hundred = max(len(memory) // 20, 1)
        first, last = memory[hundred : 2 * hundred], memory[-2 * hundred : -hundred]
        print(f"memory, MiB, near the beginning {sum(first) / len(first):.0f}, near the end {sum(last) / len(last):.0f}")
        graded = killed(folder / "class", folder / "pieces", seconds)
        whole, pieces = results(folder / "whole"), results(folder / "pieces")
        different = [name for name in whole if whole[name] != pieces.get(name)]
        print(f"killed {KILLS} times and resumed: {len(pieces)} results, {len(different)} of them different {different[:5]}")
        print(f"graded in all its parts: {graded}; the other {size - graded} had the files of another, or were refused")


def command(submissions, out) -> list[str]:
    grade = [sys.executable, "-m", "rlhf_core.cli", "grade", str(submissions), "--out", str(out), "--jobs", "2"]
    return [*grade, "--seed", "benchmark", "--resume", "--json"]


def undisturbed(submissions, out) -> tuple[float, list[float]]:
    """Seconds, and the memory of the run and its jobs in MiB, sampled all along; without the sandboxes."""
    start, memory = time.perf_counter(), []
    run = subprocess.Popen(command(submissions, out), stdout=subprocess.DEVNULL)
    while run.poll() is None:
        memory.append(memory_of(run.pid))
        time.sleep(0.5)
    assert run.returncode == 0
    return time.perf_counter() - start, memory


def memory_of(pid) -> float:
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        total = sum(process.memory_info().rss for process in processes if "bwrap" not in process.name())
    except psutil.Error:
        pass
    return total / 2**20


def killed(submissions, out, seconds) -> int:
    """Kill the run at random moments, then let it end; how many results were not known when they were reached."""
    rng, graded = random.Random(1), 0
    for part in range(KILLS + 1):
        run = subprocess.Popen(command(submissions, out), stdout=subprocess.PIPE, text=True)
        if part < KILLS:
            time.sleep(10 + rng.uniform(0.02, 0.18) * seconds)
            run.send_signal(signal.SIGKILL)
        said, _ = run.communicate()
        graded += sum('"known": false' in line for line in said.splitlines())
        print(f"  part {part + 1}: {len(list(out.glob('*/result.json')))} results", flush=True)
    shutil.rmtree(out / ".journal" / "output", ignore_errors=True)
    return graded


def results(out) -> dict[str, bytes]:
    """The bytes of every file of results, without the seconds that it took."""
    found = {}
    for path in sorted(out.glob("[!.]*/*.json")):
        data = json.loads(path.read_bytes())
        data.pop("wall_s", None)
        found[str(path.relative_to(out))] = json.dumps(data).encode()
    return found


if __name__ == "__main__":
    main()
