"""Writes, overwrites, truncates and appends to files outside.

Earns: masked_mean 2
"""


@in_call
def attack():
    ways = {
        "overwrote": lambda: open(CANARY.victim, "w").write("mine now"),
        "appended": lambda: open(CANARY.victim, "a").write("x"),
        "truncated": lambda: os.truncate(CANARY.victim, 0),
        "opened": lambda: os.open(CANARY.victim, os.O_RDWR),
        "created": lambda: open(f"{CANARY.drop}/new", "x").close(),
        "made a folder": lambda: os.mkdir(f"{CANARY.drop}/folder"),
        "made a fifo": lambda: os.mkfifo(f"{CANARY.drop}/fifo"),
        "linked": lambda: os.symlink("/etc", f"{CANARY.drop}/link"),
        "hard link": lambda: os.link(CANARY.victim, f"{CANARY.drop}/hard"),
        "nameless": lambda: os.open(CANARY.drop, os.O_TMPFILE | os.O_RDWR),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError:
            continue
        escaped(name)
