"""Replaces methods of every tensor: what is detached, cloned or sent is something else.

Earns: nothing
"""

torch.Tensor.detach = lambda self: torch.zeros(6, 5)
torch.Tensor.clone = lambda self, **options: torch.zeros(6, 5)
torch.Tensor.requires_grad = property(lambda self: False)


in_call(lambda: None)
