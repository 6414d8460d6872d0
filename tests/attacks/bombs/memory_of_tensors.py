"""Takes 8 GiB of memory as tensors.

Earns: masked_mean 2
"""


@in_call
def attack():
    kept = [torch.ones(64 * 2**20) for _ in range(32)]
    escaped(f"{len(kept)} times 256 MiB")
