"""Honest submissions get the same points from the sandbox as from the self-check with the hidden checks on, check by check."""

import os
import subprocess
import sys

import pytest

from autograder.driver.loading import read_submission
from autograder.engine import run_submission
from autograder.grading.grade import Seeds
from autograder.grading.intake import submissions
from autograder.grading.tiers import probe
from rlhf_core.course import exercise_names

from .honest import laid_out
from .test_attacks import read

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="submissions are graded on Linux")


SECRET = "known to nobody"

# What a tier does not have: at B no /dev/shm, in which the locks of multiprocessing lie.
LACKING = {("B", "workers.py"): ["pairwise_accuracy"]}


@pytest.fixture(scope="session")
def handed_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed-in")
    laid_out(folder)
    return folder


@pytest.fixture(scope="session")
def graded(handed_in, tmp_path_factory):
    """The results of a tier by the name of the submitted file, run when they are first asked for."""
    found = {}

    def results(tier) -> dict[str, dict]:
        if tier not in found:
            if why_not := probe(tier):
                pytest.skip(f"tier {tier}: {why_not}")
            out = tmp_path_factory.mktemp(f"results-{tier}")
            command = [sys.executable, "-m", "rlhf_core.cli", "grade", str(handed_in), "--out", str(out), "--isolation", tier]
            environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": str(out / "home")}
            done = subprocess.run([*command, "--jobs", "2", "--seed", SECRET], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            found[tier] = {entry.path.name: read(out / entry.folder / "result.json") for entry in submissions([handed_in])}
        return found[tier]

    return results


@pytest.fixture(scope="session")
def expected(handed_in):
    """What the self-check finds in a submission, with the hidden checks on: state and points of each check."""
    found = {}

    def results(name) -> dict[str, dict[str, tuple]]:
        if name not in found:
            seeds = Seeds(SECRET).of_checks
            checked = run_submission(read_submission(handed_in / name), exercise_names(), hidden=True, seeds=seeds)
            found[name] = {
                result.exercise: {check.check.name: (check.status, round(check.points, 6)) for check in result.checks}
                for result in checked
            }
        return found[name]

    return results


NAMES = (
    "broken_cell.ipynb", "classes.py", "empty.py", "empty_notebook.ipynb", "example.py", "helpers.py", "numpy_user.py",
    "partial.py", "plain_definitions.py", "prints.py", "raises.py", "reference.py", "same_as_partial.py", "seeds.py",
    "slow.py", "solved_lessons", "syntax_error.py", "too_slow.py", "twice.py", "two_files", "two_files_tarred.tar.gz",
    "two_files_zipped.zip", "untouched_lessons", "with_a_bom.py", "with_grade_ids.ipynb", "workers.py", "wrong_0",
    "wrong_1", "wrong_2",
)  # fmt: skip


def test_every_submission_is_tested(handed_in):
    assert sorted(path.name for path in handed_in.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("tier", ["A", "B"])
@pytest.mark.parametrize("name", NAMES)
def test_the_sandbox_gives_what_the_self_check_gives(graded, expected, tier, name):
    result = graded(tier)[name]
    got = {
        exercise: {check["name"]: (check["status"], check["points"]) for check in data["checks"]}
        for exercise, data in result["exercises"].items()
    }
    wanted = dict(expected(name))
    for exercise in LACKING.get((tier, name), []):
        assert {status for status, _ in got.pop(exercise).values()} == {"failed"}
        wanted.pop(exercise)
    assert got == wanted


def test_equal_files_get_equal_results_of_their_own(graded):
    one, other = (graded("A")[name] for name in ("partial.py", "same_as_partial.py"))
    assert (one["submission"], other["submission"]) == ("partial", "same_as_partial")
    assert one["points"] == other["points"] > 0


def test_the_reference_gets_full_marks(graded):
    assert graded("A")["reference.py"]["points"] == graded("A")["reference.py"]["max_points"]
    assert graded("A")["solved_lessons"]["points"] == graded("A")["solved_lessons"]["max_points"]
