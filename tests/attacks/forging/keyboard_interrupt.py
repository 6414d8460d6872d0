"""Reports exceptions that mean something to a grader.

Earns: masked_mean 2
"""


@in_call
def attack():
    take_over(frame_of(raised=["WorkerLost", "", None], state="not_graded", fault="ours"))
