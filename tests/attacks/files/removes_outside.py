"""Removes and renames files outside, and moves its own over them.

Earns: masked_mean 2
"""


@in_call
def attack():
    with open("mine", "w") as file:
        file.write("mine")
    ways = {
        "removed": lambda: os.unlink(CANARY.victim),
        "renamed": lambda: os.rename(CANARY.victim, CANARY.victim + "-moved"),
        "replaced": lambda: os.replace("mine", CANARY.victim),
        "took": lambda: os.rename(CANARY.victim, "taken"),
        "removed the folder": lambda: os.rmdir(CANARY.drop),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError:
            continue
        escaped(name)
