"""Reads and writes the memory of other processes: process_vm_readv, /proc/PID/mem, ptrace.

Earns: masked_mean 2
"""

import ctypes


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for pid in (CANARY.pid, CANARY.harness, os.getppid(), 1):
        if pid in (0, os.getpid()):
            continue
        for request in (16, 0x4206):  # attach, seize
            if libc.ptrace(request, pid, None, None) == 0:
                escaped(f"ptrace {pid}")
        for name in ("mem", "maps", "syscall", "stack"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if name != "mem":
                        escaped((pid, name, file.read(100)))
            except OSError:
                pass
