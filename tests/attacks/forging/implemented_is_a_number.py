"""Names its exercises by a number.

Earns: nothing
"""

forge("implemented", implemented=7)
in_call(lambda: None)
