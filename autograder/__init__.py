"""Checks the answers to the exercises, and says what is wrong with them: `from autograder import check`."""


def check(*answers):
    """Check your answers to exercises: `check(compute_gae)`, `check(5)` for a lesson, `check()` for all that you have."""
    from .selfcheck import check

    check(*answers)


__all__ = ["check"]
