"""Makes namespaces of its own, in which it is root, and mounts what it wants to read.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    for flag in (0x10000000, 0x10020000, 0x20000, 0x40000000, 0x20000000, 0x2000000):
        if libc.unshare(flag) == 0:
            escaped(f"unshare {flag:#x}")
    if libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) == 0:
        os._exit(0)
    if libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) == 0 or libc.chroot(b".") == 0 or libc.umount2(b"/proc", 2) == 0:
        escaped("mounted")
    for call, arguments in ((428, (-100, b"/", 0)), (430, (b"tmpfs", 0)), (155, (b".", b"."))):  # open_tree, fsopen, pivot_root
        if libc.syscall(call, *arguments) >= 0:
            escaped(f"system call {call}")
