"""Takes 8 GiB of memory, byte by byte written.

Earns: masked_mean 2
"""


@in_call
def attack():
    kept = []
    for _ in range(32):
        kept.append(bytearray(os.urandom(1024)) * (256 * 1024))
    escaped(f"{len(kept)} times 256 MiB")
