"""Makes half precision the default type of all that is computed from now on.

Earns: masked_mean 2
"""

torch.set_default_dtype(torch.float16)


in_call(lambda: None)
