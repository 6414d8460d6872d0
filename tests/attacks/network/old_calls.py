"""Makes its system calls by the ways of other architectures: the 32-bit gate and the x32 numbers.

Earns: masked_mean 2
"""

import ctypes
import mmap
import platform


def succeeds(call) -> bool:
    """Tried by a child, which may be killed for it."""
    child = os.fork()
    if child == 0:
        os._exit(0 if call() >= 0 else 1)
    return os.waitpid(child, 0)[1] == 0


@in_call
def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.machine() == "x86_64":
        if succeeds(lambda: libc.syscall(0x40000000 | 41, 2, 1, 0)):  # socket, as x32
            escaped("x32")
        # push rbx; mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; pop rbx; ret
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3"))
        gate = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        if succeeds(gate):
            escaped("int 0x80")
