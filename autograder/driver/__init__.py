"""What runs beside the learner's code: it makes a call, and hands back plain data about what happened.

Nothing here knows what is right.  Inputs come in, results go out, and the judging is done elsewhere, so that the same checks
work on a function in a notebook and on one in a sandbox.
"""
