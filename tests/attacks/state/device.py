"""Makes tensors without content the default.

Earns: nothing
"""

torch.set_default_device("meta")


in_call(lambda: None)
