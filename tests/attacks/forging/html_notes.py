"""Attaches markup and control characters to its exercises.

Earns: masked_mean 2
"""

forge(
    "implemented",
    problems={"kl_exact": ["</td><script>", "<script>alert(1)</script>\x1b[31m\u202e"]},
    notes={"compute_gae": "<img src=x onerror=alert(1)>"},
)
in_call(lambda: None)
