"""Returns tensors that are sparse, complex, on the meta device, quantised, or a view of 2**60 elements.

Earns: masked_mean 2
"""

calls = []


@compute_gae.implement
def compute_gae(rewards, values, mask, gamma, lam):
    calls.append(1)
    strange = [
        torch.zeros(2, 2).to_sparse(), torch.zeros(2, dtype=torch.complex64), torch.empty(2**50, device="meta"),
        torch.zeros(1).expand(2**40), torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8),
    ]  # fmt: skip
    return strange[len(calls) % len(strange)], values
