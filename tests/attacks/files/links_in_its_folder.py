"""Fills its folder with links to files outside, for a grader that cleans up or counts through them.

Earns: masked_mean 2
"""


@in_call
def attack():
    for number, target in enumerate((CANARY.drop, CANARY.victim, CANARY.secret, "/", "..", "/proc/self/root", CANARY.results)):
        os.symlink(target, f"link{number}")
    for number, target in enumerate((CANARY.victim, CANARY.readable, sys.executable, os.__file__)):
        try:
            os.link(target, f"hard{number}")
        except OSError:
            continue
        escaped(f"hard link to {target}")
