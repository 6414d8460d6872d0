"""Attaches notes and problems of 1 MB each to its exercises.

Earns: masked_mean 2
"""

forge("implemented", problems={"kl_exact": ["not_graded", "P" * 1_000_000]}, notes={"compute_gae": "N" * 1_000_000})
in_call(lambda: None)
