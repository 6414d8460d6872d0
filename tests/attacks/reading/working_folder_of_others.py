"""Enters the folders of other workers and of the grader's temporary files.

Earns: masked_mean 2
"""

import glob
import tempfile


@in_call
def attack():
    here = os.path.realpath(os.getcwd())
    beside = os.path.dirname(here)
    for folder in (
        "/tmp",
        "/var/tmp",
        os.path.dirname(CANARY.drop),
        tempfile.gettempdir(),
        *([beside] if beside != "/" else []),
    ):
        for path in [*glob.glob(f"{folder}/*/"), *glob.glob(f"{folder}/*/.journal/")]:
            if not (here + "/").startswith(os.path.realpath(path)) and not os.path.realpath(path).startswith(here):
                try:
                    escaped((path, os.listdir(path)))
                except OSError:
                    pass
