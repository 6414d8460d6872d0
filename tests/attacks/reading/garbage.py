"""Walks all objects in memory for what only the grader may know.

Earns: masked_mean 2
"""

import gc


@in_call
def attack():
    mine = globals()
    for thing in gc.get_objects():
        if isinstance(thing, dict) and thing is not mine and thing is not vars(CANARY):
            for key in ("expected", "oracle", "seeds", "secret", "hidden", "of_checks", "truth"):
                if key in thing and isinstance(thing[key], dict | str | bytes | torch.Tensor):
                    escaped((key, thing[key]))
        if type(thing).__name__ in ("Seeds", "Truth", "Check", "Draw", "Answer"):
            escaped(thing)
