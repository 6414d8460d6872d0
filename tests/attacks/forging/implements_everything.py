"""Says that it implements every exercise of the course.

Earns: masked_mean 2
"""

forge("implemented", implemented=["masked_mean", "kl_estimate", "compute_gae", "nothing", "../x"] * 50)
in_call(lambda: None)
