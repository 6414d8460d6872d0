"""Leaves a key in the kernel's keyrings for later workers of the same user.

Earns: masked_mean 2
"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
for keyring in (-3, -4, -5):  # session, user, user session
    if libc.syscall(250, 10, keyring, b"user", b"rlhf-left-for-later", 0) > 0:  # keyctl search
        escaped("an earlier worker's key")
    libc.syscall(248, b"user", b"rlhf-left-for-later", b"it was me", 9, keyring)  # add_key


in_call(lambda: None)
