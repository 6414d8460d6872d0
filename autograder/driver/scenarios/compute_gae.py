"""What compute_gae does with inputs that carry a gradient."""

import torch


def gradients(implementation, rewards, values, mask, gamma, lam):
    """The results, and the gradient of each to rewards and to values: None where the result requires none."""
    leaves = [rewards.clone().requires_grad_(), values.clone().requires_grad_()]
    results = implementation(leaves[0].clone(), leaves[1].clone(), mask, gamma, lam)
    found = []
    for result in results if isinstance(results, tuple | list) else ():
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            found.append([None, None])
            continue
        given = torch.autograd.grad(result.sum(), leaves, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in given):  # it requires one all the same
            given = [torch.zeros_like(leaf) for leaf in leaves]
        found.append(list(given))
    return {"results": results, "gradients": found}
