"""response_logprobs on a toy policy: its result, and the gradient to the policy's parameters."""

import torch

from ..toys import ToyPolicy


def score(implementation, input_ids, attention_mask, response_length, gradient_weights, temperature=None, **weights):
    """weights: of the policy.  temperature: None leaves it out.

    gradient_weights: (B, T); the gradient is that of the sum of weights times results.
    """
    policy = ToyPolicy(weights).eval()
    options = {} if temperature is None else {"temperature": temperature}
    result = implementation(policy, input_ids, attention_mask, response_length, **options)
    gradients = None
    if isinstance(result, torch.Tensor) and result.requires_grad and result.shape == gradient_weights.shape:
        parameters = {"embedding": policy.embedding, "position": policy.position, "head": policy.head}
        # A product with 0 would let through what is not finite at places that do not count.
        counted = torch.where(gradient_weights != 0, result, 0.0) * gradient_weights.to(result.dtype)
        found = torch.autograd.grad(counted.sum(), list(parameters.values()), allow_unused=True)
        gradients = {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(parameters.items(), found, strict=True)}
    return {"result": result, "gradients": gradients, "input_ids": input_ids, "attention_mask": attention_mask}
