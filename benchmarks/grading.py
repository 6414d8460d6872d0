"""How fast submissions are graded, beside nbgrader on the same ones:  python -m benchmarks.grading

Rates are of two jobs at once where nothing else is said, CPU seconds are of all processes together, without the start of a run.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
import torch
from nbformat.v4 import new_code_cell, new_notebook

from autograder.driver.loading import read_submission
from autograder.engine import run_submission
from autograder.grading.grade import Seeds, grade
from autograder.grading.limits import Limits
from autograder.grading.sandbox import Sandbox, stage
from autograder.grading.tiers import best
from rlhf_core.course import course, exercise_names, notebook_name

from .submissions import whole_course

FEW, MANY, COLD, STEADY, LESSON, STUDENTS = 2, 14, 3, 5, 5, 8


def main():
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        print("| what | submissions a minute | CPU s a submission |\n|---|---|---|")
        one_file(folder / "course", 0)
        one_notebook(folder / "lesson", 0)
        own, lesson = checks_alone(folder / "course.py"), exercise_names(LESSON)
        row("the full course, cold: a new sandbox for each, one at a time", *cold(folder / "course.py", folder))
        cpu = cpu_of_grading(folder / "course.py", folder, exercise_names())
        row("the full course, with the zygote", rate(folder, "course", one_file, MANY), cpu)
        print(f"| the checks alone, in one process, without any sandbox | | {own:.2f} |")
        print(f"| what isolation adds | | {cpu - own:.2f} |")
        wall = rate(folder, "lesson", one_notebook, STUDENTS * 4, "--lesson", str(LESSON))
        ours = wall, cpu_of_grading(folder / "lesson.ipynb", folder, lesson)
        theirs = nbgrader(folder)
        row(f"lesson {LESSON}: this grader, all checks", *ours)
        row(f"lesson {LESSON}: nbgrader autograde, the visible checks", *theirs)
        print(f"\n{theirs[0] / ours[0]:.0f} times the rate of nbgrader, {theirs[1] / ours[1]:.0f} times less CPU.")


def row(what, wall, cpu):
    print(f"| {what} | {60 / wall:.1f} | {cpu:.2f} |", flush=True)


def timed(command, **options) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all below it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def one_file(path: Path, number: int):
    path.with_suffix(".py").write_text(f"# {number}\n" + whole_course(), encoding="utf-8")


def one_notebook(path: Path, number: int):
    nbformat.write(notebook(number), path.with_suffix(".ipynb"))


def rate(folder, name, write, many, *options) -> float:
    """Seconds a submission: those of many less those of a few, so that the start does not count."""
    spent = []
    for size in (FEW, many):
        place = folder / f"{name}-{size}"
        place.mkdir()
        for number in range(size):
            write(place / f"s{number}", number)
        command = [
            sys.executable,
            "-m",
            "rlhf_core.cli",
            "grade",
            place,
            "--out",
            folder / f"results-{name}-{size}",
            "--jobs",
            "2",
            *options,
        ]
        spent.append(timed(command)[0])
    return (spent[1] - spent[0]) / (many - FEW)


def checks_alone(path) -> float:
    """CPU seconds of all checks on the reference answers in this process, once they have been run before."""
    torch.set_num_threads(1)
    submission, seeds = read_submission(path), Seeds("benchmark").of_checks
    for _ in range(2):
        start = time.process_time()
        for _ in run_submission(submission, exercise_names(), hidden=True, seeds=seeds):
            pass
    return time.process_time() - start


def cold(path, folder) -> tuple[float, float]:
    """Wall and CPU seconds of a submission in a sandbox of its own; the inputs of the checks are known by then."""
    place, tier = stage(folder / "stage"), best()[0]
    start, cpu = time.perf_counter(), 0.0
    for _ in range(COLD):
        before = time.process_time()
        with Sandbox(tier, Limits.of_the_course(), place) as sandbox:
            grade({path.name: path.read_bytes()}, sandbox, Seeds("benchmark"), exercise_names())
            cpu += time.process_time() - before + cpu_below(sandbox)
    return (time.perf_counter() - start) / COLD, cpu / COLD


def cpu_of_grading(path, folder, names) -> float:
    """CPU seconds of a submission, of the grader and of the sandbox together, when it is not the first one."""
    with Sandbox(best()[0], Limits.of_the_course(), folder / "stage") as sandbox:
        for number in range(1 + STEADY):
            if number == 1:
                before = time.process_time() + cpu_below(sandbox)
            grade({path.name: path.read_bytes()}, sandbox, Seeds("benchmark"), names)
        return (time.process_time() + cpu_below(sandbox) - before) / STEADY


def cpu_below(sandbox) -> float:
    processes = [psutil.Process(sandbox.process.pid), *psutil.Process(sandbox.process.pid).children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)


# The same lesson for nbgrader: its answer cells and its check cells, without the experiments between them


def notebook(number: int):
    name = notebook_name(course()["lessons"][LESSON])
    solved = nbformat.read(Path("solutions/notebooks") / name, 4)
    kept = [cell for cell in solved.cells if cell.metadata.get("nbgrader")]
    module = course()["lessons"][LESSON]["name"]
    names = ", ".join(exercise_names(LESSON))
    head = new_code_cell(f"import torch\n\nfrom autograder import check\nfrom rlhf_core.{module} import {names}\n\n# {number}")
    for cell in kept:
        cell["outputs"] = []
    return new_notebook(cells=[head, *kept], metadata=solved.metadata)


def nbgrader(folder) -> tuple[float, float]:
    """Wall and CPU seconds a submission of `nbgrader autograde`."""
    place, name = folder / "nbgrader", "lesson"
    (place / "source" / name).mkdir(parents=True)
    nbformat.write(notebook(0), place / "source" / name / "answers.ipynb")
    (place / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    program = [sys.executable, "-m", "nbgrader"]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls alembic by its name
    environment = os.environ | {"RLHF_COURSE_ANSWERS": str(folder / "kept"), "PATH": programs}
    timed([*program, "generate_assignment", name, "--force"], cwd=place, env=environment)
    for number in range(STUDENTS):
        student = place / "submitted" / f"s{number}" / name
        student.mkdir(parents=True)
        nbformat.write(notebook(number), student / "answers.ipynb")
    wall, cpu = timed([*program, "autograde", name], cwd=place, env=environment)
    graded = list((place / "autograded").glob("*/lesson/answers.ipynb"))
    assert len(graded) == STUDENTS, graded
    outputs = [cell.get("outputs") for cell in json.loads(graded[0].read_text())["cells"] if cell["cell_type"] == "code"]
    assert "6 of 6 points" in json.dumps(outputs), "nbgrader did not run the checks"
    return wall / STUDENTS, cpu / STUDENTS


if __name__ == "__main__":
    main()
