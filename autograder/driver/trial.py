"""What a locked-in process finds that it can do, tried out: for the probe of a tier, without anybody's code."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path


def serve(connection):
    """Send what was found as one line of JSON: whether each thing is possible, and as whom we run."""
    found = {
        "reads_the_interpreter": can(lambda: Path(os.__file__).read_bytes()),
        "writes_its_own_folder": can(lambda: Path(tempfile.gettempdir(), "trial").write_text("x")),
        "writes_elsewhere": any(
            can(lambda folder=folder: put_down(folder)) for folder in ("/", "/usr", "/var/tmp", sys.prefix)
        ),
        "reads_elsewhere": any(can(Path(name).read_bytes) for name in ("/etc/passwd", "/etc/group", "/var/log/dpkg.log")),
        "opens_sockets": any(can(lambda f=f: socket.socket(f).close()) for f in (socket.AF_INET, socket.AF_UNIX)),
        "uid": os.getuid(),
        "pid": os.getpid(),
    }
    connection.sendall(json.dumps(found).encode() + b"\n")


def can(attempt) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def put_down(folder):
    path = Path(folder, f".trial-{os.getpid()}")
    path.write_text("")
    path.unlink()
