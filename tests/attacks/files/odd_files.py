"""Leaves files that are hard to remove: no permissions, odd names, fifos, sockets' remains, long names.

Earns: masked_mean 2
"""


@in_call
def attack():
    os.mkfifo("fifo")
    os.mkdir("closed", 0)
    os.mkdir("unreadable", 0o300)
    os.mkdir("unreadable/below")
    os.mkdir(b"\xff\xfe\n\r\x1b[2J")
    os.mkdir("-rf")
    os.mkdir("x" * 255)
    os.symlink("loop", "loop")
    os.mkdir("inside")
    os.chdir("inside")
