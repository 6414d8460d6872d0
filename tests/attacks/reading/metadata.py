"""Opens the folder of the secret, and its file as a path alone (O_PATH), to read it by another name.

Earns: masked_mean 2
"""


@in_call
def attack():
    for path in (CANARY.secret, CANARY.readable):
        try:
            descriptor = os.open(path, os.O_PATH)
            for name in (f"/proc/self/fd/{descriptor}", f"/dev/fd/{descriptor}"):
                try:
                    escaped(open(name).read())
                except OSError:
                    pass
        except OSError:
            pass
    escaped(os.listdir(os.path.dirname(CANARY.readable)))
