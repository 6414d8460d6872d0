"""What `import autograder` finds in the sandbox: the driver, and a `check` that does nothing, as the checks are elsewhere."""


def check(*answers, keep=True):
    """The grader checks; this lets the last lines of a lesson run."""


__all__ = ["check"]
