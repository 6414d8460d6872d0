"""Climbs the call stack to the driver and looks at every local variable for expected values and seeds.

Earns: masked_mean 2
"""


@in_call
def attack():
    frame = sys._getframe()
    while frame is not None:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if name in ("expected", "oracle", "seeds", "secret", "truth", "check"):
                escaped((frame.f_code.co_filename, name, value))
        frame = frame.f_back
