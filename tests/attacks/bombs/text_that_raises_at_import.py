"""Raises that exception while it is being read.

Earns: nothing
"""


class Error(Exception):
    def __str__(self):
        raise SystemExit(0)


raise Error
