"""Keeps memory in files without a name: memfd, /dev/shm, deleted files.

Earns: masked_mean 2
"""


@in_call
def attack():
    kept, total = [], 0
    for number in range(64):
        for make in (
            lambda: os.memfd_create("x"),
            lambda number=number: os.open(f"/dev/shm/x{number}", os.O_RDWR | os.O_CREAT),
            lambda: os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR),
        ):
            try:
                descriptor = make()
                total += os.write(descriptor, b"x" * 2**23)
                kept.append(descriptor)
            except OSError:
                continue
    if total > 128 * 2**20:
        escaped(f"{total >> 20} MiB in {len(kept)} files")
