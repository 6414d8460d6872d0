"""The process that a learner's code runs in when `rlhf-course check` is called, one row of JSON a line on standard output.

    {"doing": NAME}             it has begun with an exercise; "" while it reads the answers
    {"exercise": NAME, ...}     its result
    {"done": true}              the last row: without it the process was ended from within

Any other line is Python's own last word (`faulthandler`): where a crash happened, or a call that could not be interrupted.
"""

import faulthandler
import json
import os
import sys

from .driver import limit
from .driver.loading import Problem, Submission, read_submission
from .engine import run_submission
from .report import exercise_data
from .show import exercise_text


def main():
    request = json.loads(sys.argv[1])
    # Whatever the answers write, by whatever means, goes to standard error: this stream is ours alone.
    rows = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    faulthandler.enable(rows)
    limit.last_resort = rows

    process = os.getpid()

    def tell(**row):
        if os.getpid() != process:  # a fork of an answer that came back
            os._exit(1)
        print(json.dumps(row), file=rows, flush=True)

    tell(doing="")
    if request["unreadable"]:
        submission = Submission(request["name"], refused=request["unreadable"])
    else:
        submission = read_submission(request["file"])
    for name, (kind, message) in request["lost"].items():
        submission.implementations.pop(name, None)
        submission.problems[name] = Problem(kind, message)
    for name in request["names"]:
        tell(doing=name)
        for result in run_submission(submission, [name]):
            tell(**row_of(result, name in submission.problems, request["json"], request["colour"]))
    tell(done=True, refused=submission.refused)


def row_of(result, explained, as_data, colour) -> dict:
    """What the command needs of a result to print it. explained: more is known than that nothing was handed in."""
    return {
        "exercise": result.exercise,
        "state": result.state,
        "points": result.points,
        "max_points": result.max_points,
        "note": result.note,
        "problem": result.problem,
        "explained": explained,
        "data": exercise_data(result) if as_data else None,
        "text": None if as_data else exercise_text(result, colour),
    }
