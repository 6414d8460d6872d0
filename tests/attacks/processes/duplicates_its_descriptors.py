"""Puts its output on the connection and the connection on its output.

Earns: masked_mean 2
"""


@in_call
def attack():
    connection = socket_of().fileno()
    os.dup2(connection, 50)
    os.dup2(1, connection)
    os.dup2(50, 1)
    os.dup2(50, 2)
    os.write(1, b"x" * 100)
