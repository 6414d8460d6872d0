"""Never returns, catches everything, and ignores the alarm.

Earns: masked_mean 2
"""

import signal


@in_call
def attack():
    while True:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            while True:
                pass
        except BaseException:
            continue
