"""Writes into the folder of results, its journal and other students' results.

Earns: masked_mean 2
"""


@in_call
def attack():
    folders = [CANARY.results, f"{CANARY.results}/.journal", f"{CANARY.results}/.journal/work", f"{CANARY.results}/honest-ada",
               os.path.dirname(CANARY.neighbour)]  # fmt: skip
    for folder in folders:
        for way in (lambda: open(f"{folder}/forged.json", "x").close(), lambda: os.mkdir(f"{folder}/forged"),
                    lambda: open(f"{folder}/result.json", "a").close()):  # fmt: skip
            try:
                way()
            except OSError:
                continue
            escaped(folder)
