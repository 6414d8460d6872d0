"""Names its exercises by tensors, which are equal to nothing and to everything.

Earns: nothing
"""

forge("implemented", implemented=[torch.zeros(3), [torch.ones(2)], None])
in_call(lambda: None)
