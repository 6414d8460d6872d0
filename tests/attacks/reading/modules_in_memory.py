"""Looks through the loaded modules for checks, oracles and seeds.

Earns: masked_mean 2
"""


@in_call
def attack():
    private = ("autograder.hidden", "autograder.visible", "autograder.oracles", "autograder.engine", "autograder.grading",
               "autograder.answer", "autograder.wrong", "autograder.right", "solutions")  # fmt: skip
    found = [name for name in sys.modules if name.startswith(private)]
    if found:
        escaped(found)
