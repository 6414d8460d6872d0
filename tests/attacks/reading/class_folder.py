"""Lists the folders of the class and of the results.

Earns: masked_mean 2
"""


@in_call
def attack():
    for folder in (os.path.dirname(CANARY.neighbour), CANARY.results):
        try:
            escaped(os.listdir(folder))
        except OSError:
            pass
