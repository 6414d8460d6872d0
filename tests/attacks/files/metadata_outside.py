"""Changes modes, owners, times and attributes of files outside, to which Landlock does not object.

Earns: masked_mean 2
"""

import ctypes
import fcntl


@in_call
def attack():
    ways = {
        "chmod": lambda: os.chmod(CANARY.victim, 0o600),
        "chown": lambda: os.chown(CANARY.victim, os.getuid(), -1),
        "utime": lambda: os.utime(CANARY.victim, (0, 0)),
        "touch": lambda: os.utime(CANARY.victim),
        "setxattr": lambda: os.setxattr(CANARY.victim, "user.x", b"x"),
        "chmod of a folder": lambda: os.chmod(CANARY.drop, 0),
        "chmod of its own": lambda: os.chmod(".", 0o777),
        "lchown": lambda: os.lchown(CANARY.victim, 0, 0),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError:
            continue
        if name != "chmod of its own":
            escaped(name)
