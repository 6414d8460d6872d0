"""Names its exercises by a tensor.

Earns: nothing
"""

forge("implemented", implemented=torch.zeros(3))
in_call(lambda: None)
