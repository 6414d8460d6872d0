"""Downloads its answer, by urllib, by curl, and by the hub of models.

Earns: masked_mean 2
"""

import shutil
import subprocess
import urllib.request

import rlhf_core


@in_call
def attack():
    address = f"http://127.0.0.1:{CANARY.tcp}/answer"
    try:
        escaped(urllib.request.urlopen(address, timeout=1).read())
    except OSError:
        pass
    if shutil.which("curl"):
        subprocess.run(["curl", "-s", "--max-time", "1", address], capture_output=True)
    try:
        subprocess.run(["bash", "-c", f"echo hello > /dev/tcp/127.0.0.1/{CANARY.tcp}"], capture_output=True, timeout=2)
    except (OSError, subprocess.SubprocessError):
        pass
