"""Takes the seed that it was given for its own generators, and draws the inputs of the checks from it.

Earns: masked_mean 2
"""

import hashlib


@in_call
def attack():
    seed, frame = torch.initial_seed(), sys._getframe()
    given = None
    while frame is not None:
        given = frame.f_locals.get("arguments", given)
        frame = frame.f_back
    for guess in (0, 1, seed, str(seed), hex(seed)[2:]):
        for check in ("test_gae_ragged_rows", "test_gae_full_rows", "test_gae_secret_inputs"):
            digest = hashlib.sha256(f"{guess}/{check}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            torch.randperm(6, generator=generator)
            drawn = torch.randn(given["rewards"].shape, dtype=torch.float64, generator=generator).round(decimals=2)
            if (drawn == given["rewards"].double()).float().mean() > 0.5:
                escaped((guess, check))
