"""Refuses itself in the words of the reader, with a reason of its own.

Earns: masked_mean 2
"""

forge("implemented", refused="<script>alert(1)</script>", cells=[], answers={"compute_gae": {"source": "x", "normal": "x"}})
in_call(lambda: None)
