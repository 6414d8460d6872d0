"""Raises an exception whose text raises, and whose type has no name.

Earns: masked_mean 2
"""


class Meta(type):
    __name__ = property(lambda cls: 1 / 0)


class Error(Exception, metaclass=Meta):
    def __str__(self):
        raise SystemExit(0)


@in_call
def attack():
    raise Error
