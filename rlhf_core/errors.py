"""Errors that a user can meet: what happened, which value, what to do. The command line shows the message alone."""


class CourseError(Exception):
    """A run cannot go on; exit code 1."""

    exit_code = 1


class UsageError(CourseError):
    """What the user named does not exist or does not fit; exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A preset, a key or a value that does not exist or does not fit."""


class DataError(UsageError):
    """A dataset that cannot be found or does not hold what the course needs."""


class ModelError(UsageError):
    """A model that cannot be found or read."""
