"""Raises exceptions that a grader might take for its own: KeyboardInterrupt, GeneratorExit, a BaseException.

Earns: masked_mean 2
"""

raisable = [
    KeyboardInterrupt,
    GeneratorExit,
    type("WorkerLost", (BaseException,), {}),
    MemoryError,
    RecursionError,
    StopIteration,
]


@in_call
def attack():
    raise raisable[0]("passed")
