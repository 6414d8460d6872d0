"""Asks for a state that has no denominator.

Earns: nothing
"""

forge("implemented", implemented=[], problems={"compute_gae": ["not_graded", "ours"], "masked_mean": ["fault", "ours"]})
in_call(lambda: None)
