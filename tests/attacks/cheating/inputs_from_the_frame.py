"""Reads the question's frame out of the driver's memory, for whatever it holds beside the inputs.

Earns: masked_mean 2
"""

KNOWN = {"do", "arguments", "gradients", "weights", "seconds", "parameters", "exercise", "scenario"}


@in_call
def attack():
    frame = sys._getframe()
    while frame is not None:
        question = frame.f_locals.get("question")
        if isinstance(question, dict) and set(question) - KNOWN:
            escaped(sorted(question))
        frame = frame.f_back
