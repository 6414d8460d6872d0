"""Takes the processors for itself: priority, real time, affinity.

Earns: masked_mean 2
"""


@in_call
def attack():
    for name, way in {
        "nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
        "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "priority of another": lambda: os.setpriority(os.PRIO_PROCESS, CANARY.pid, 19),
        "affinity of another": lambda: os.sched_setaffinity(CANARY.pid, {0}),
    }.items():
        try:
            way()
        except OSError:
            continue
        escaped(name)
