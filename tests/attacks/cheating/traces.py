"""Traces every later line of the driver, and changes its local variables.

Earns: masked_mean 2
"""


def trace(frame, event, arg):
    for name in ("seen", "reply", "raised", "result"):
        if name in frame.f_locals and isinstance(frame.f_locals[name], dict):
            frame.f_locals[name]["points"] = 100
    return trace


@in_call
def attack():
    sys.setprofile(trace)
    frame = sys._getframe()
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(trace)
