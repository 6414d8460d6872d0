"""What is to be known of a platform; the modules `canvas` and `moodle` say it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .table import Table


@dataclass(frozen=True)
class Platform:
    """The file that a platform exports, and the one that it takes.

    needs: the columns by which it is recognised.  number: the column that ends with the number of a student, which stands in
    the name of a submission where `in_name` finds it.  names: columns that may hold the name of a submission.  person: who it
    is, for people.  closed: a column, None for that of the grades, and what in it says that no grade is taken.

    column: the one of the grades of an assignment, None where none was named; may raise UsageError.  most: the points that the
    platform has for the assignment of a column, None where it does not say.  new: a file of submissions and their grades,
    '' for none, under the title and the points of an assignment.
    """

    name: str
    needs: frozenset[str]
    number: str
    in_name: re.Pattern
    names: tuple[str, ...]
    person: tuple[str, ...]
    closed: tuple[str | None, tuple[str, ...]]
    column: Callable[[Table, str | None], int]
    most: Callable[[Table, int], float | None]
    new: Callable[[list[tuple[str, str]], str, float], bytes]
