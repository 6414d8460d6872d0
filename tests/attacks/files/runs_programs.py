"""Runs programs of its own and of the machine to get out.

Earns: masked_mean 2
"""

import subprocess


@in_call
def attack():
    commands = [
        ["cat", CANARY.secret],
        ["sh", "-c", f"cat {CANARY.readable}"],
        ["cp", CANARY.readable, "copy"],
        [sys.executable, "-I", "-c", f"print(open({CANARY.readable!r}).read())"],
        ["sh", "-c", f"echo x > {CANARY.drop}/by-shell"],
    ]
    said = ""
    for command in commands:
        try:
            said += subprocess.run(command, capture_output=True, text=True, timeout=3).stdout
        except (OSError, subprocess.SubprocessError):
            pass
    if said or os.path.exists("copy") and open("copy").read():
        escaped(said)
