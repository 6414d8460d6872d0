"""The answers of a running notebook or program, as a submission."""

from rlhf_core.exercise import SignatureMismatch, exercises
from rlhf_core.source import definition_of, file_of, is_stub

from .driver.loading import Problem, Submission, by_names


def live_submission(names, implementations) -> Submission:
    """The answers of a running notebook or program."""
    submission = Submission("this notebook")
    for name in names:
        implementation = implementations[name]
        if implementation is None:
            declared = exercises()[name]
            message = (
                f"{name} has no implementation yet. It is an exercise of lesson {declared.lesson['number']}: "
                f"run the cell that begins with @{name}.implement, then check again."
            )
            submission.problems[name] = Problem("missing", message)
            continue
        try:
            exercises()[name].check_signature(implementation)
        except SignatureMismatch as error:
            submission.problems[name] = Problem("wrong_signature", f"{error}{by_names(error)}")
            continue
        submission.implementations[name] = implementation
        definition = definition_of(implementation)
        if definition is None:
            continue
        submission.files += (file_of(implementation),)
        if is_stub(definition):
            del submission.implementations[name]
            submission.problems[name] = Problem("stub", f"{name} is still the stub: write its body, run the cell, check again.")
    return submission
