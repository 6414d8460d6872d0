"""Says that its problems are a text.

Earns: nothing
"""

forge("implemented", problems="x")
in_call(lambda: None)
