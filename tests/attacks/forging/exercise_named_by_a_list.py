"""Names problems and notes by numbers, lists and tensors.

Earns: nothing
"""

forge(
    "implemented",
    problems={7: [1, 2], (1, 2): ["a", "b"], None: [3, 4]},
    notes={"masked_mean": torch.zeros(3), 5: 6},
    implemented=None,
)
in_call(lambda: None)
