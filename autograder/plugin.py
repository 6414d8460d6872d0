"""The pytest plugin: `pytest autograder/visible --submission answers.py` runs the checks as tests.

Markers: exercise(name), points(weight), visible, hidden.  Fixtures: `answer`, the hand that a check asks with; `draw`, its
seeded inputs; `submission`, what was handed in.  A failed check shows what is wrong with the answer, and no line of the check.
"""

import json
import os
import sys
from pathlib import Path

import pytest

RESULTS = pytest.StashKey[dict]()
SUBMISSION = pytest.StashKey[object]()


def pytest_addoption(parser):
    group = parser.getgroup("rlhf-course")
    group.addoption(
        "--submission", type=Path, metavar="FILE", help="the answers to check: a notebook, .py file, folder or archive"
    )
    group.addoption("--results", type=Path, metavar="FILE", help="write the results of the checks as JSON")
    group.addoption("--check-seed", default="0", metavar="SEED", help="what the inputs of the hidden checks are drawn from")


def pytest_configure(config):
    for line in (
        "exercise(name): the exercise that a check belongs to",
        "points(weight): the weight of a check among those of its exercise",
        "visible: a check that the learner sees",
        "hidden: a check whose inputs the learner never sees",
    ):
        config.addinivalue_line("markers", line)
    config.stash[RESULTS] = {}
    if config.option.submission is not None:
        from .driver import limit

        limit.last_resort = os.fdopen(os.dup(sys.__stderr__.fileno()), "w")  # pytest swallows what goes to the other one


def exercise_of(item) -> str | None:
    mark = item.get_closest_marker("exercise")
    return mark.args[0] if mark else None


def visibility_of(item) -> str:
    return "hidden" if item.get_closest_marker("hidden") else "visible"


@pytest.hookimpl(tryfirst=True)  # before -k selects
def pytest_collection_modifyitems(config, items):
    """Names what is missing; `-k compute_gae` selects the checks of that exercise, whatever they are called."""
    if any(map(exercise_of, items)) and not config.option.collectonly:
        if config.option.submission is None:
            raise pytest.UsageError("these are checks of a learner's answers: name them with --submission FILE")
        if not config.option.submission.exists():
            raise pytest.UsageError(f"--submission: there is no file or folder {str(config.option.submission)!r}")
    for item in items:
        if exercise_of(item) is not None:
            item.extra_keyword_matches.add(exercise_of(item))


@pytest.fixture(scope="session")
def submission(request):
    """The answers named by --submission."""
    return handed_in(request.config)


@pytest.fixture
def answer(request, submission):
    """One learner's answer to the exercise of this check."""
    from .answer import Answer

    name = exercise_of(request.node)
    return Answer(name, submission.implementations.get(name), submission.files)


@pytest.fixture
def draw(request):
    """The seeded inputs of this check."""
    from .draw import Draw

    return Draw(seeds(request.config)[visibility_of(request.node)], request.node.name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """All checks of an exercise are run together, once, as a diagnosis needs what every one of them has seen."""
    name = exercise_of(pyfuncitem)
    if name is None:
        return None
    from .report import message, smallest_input

    result = result_of(pyfuncitem, name)
    visibility = visibility_of(pyfuncitem)
    for check in result.checks:
        if (check.check.name, check.check.visibility) == (pyfuncitem.name, visibility):
            if check.fault:
                pytest.skip(message(result, check))
            if check.findings:
                said = message(result, check)
                smallest = smallest_input(result) if visibility == "visible" else ""
                pytest.fail(f"{said}\n{smallest}".rstrip(), pytrace=False)
    return True


def result_of(item, name):
    from .engine import run_submission

    results = item.config.stash[RESULTS]
    if name not in results:
        answers = handed_in(item.config)
        hidden = any(exercise_of(i) == name and i.get_closest_marker("hidden") for i in item.session.items)
        (results[name],) = run_submission(answers, [name], hidden, seeds(item.config))
    return results[name]


def handed_in(config):
    if SUBMISSION not in config.stash:
        from .driver.loading import read_submission

        config.stash[SUBMISSION] = read_submission(config.option.submission)
    return config.stash[SUBMISSION]


def seeds(config) -> dict:
    from .engine import SEEDS

    return SEEDS | {"hidden": config.option.check_seed}


def pytest_terminal_summary(terminalreporter, config):
    results = list(config.stash[RESULTS].values())
    if not results:
        return
    from .show import headline, points

    terminalreporter.section("points")
    for result in results:
        terminalreporter.line(headline(result))
    got, most = sum(result.points for result in results), sum(result.max_points for result in results)
    terminalreporter.line(f"{points(got)} of {points(most)} points")


def pytest_sessionfinish(session):
    config = session.config
    if config.stash[RESULTS] and config.option.results is not None:
        from .report import exercise_data
        from .result import as_data

        exercises = {name: exercise_data(result) for name, result in config.stash[RESULTS].items()}
        answers, facts = handed_in(config), {"seed_id": config.option.check_seed, "isolation": None}
        data = as_data(answers.name, answers.refused, exercises, **facts)
        config.option.results.write_text(json.dumps(data, indent=1), encoding="utf-8")
