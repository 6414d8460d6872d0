"""Never returns from one call of C, with all signals blocked.

Earns: masked_mean 2
"""

import signal


@in_call
def attack():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    sum(range(10**13))
