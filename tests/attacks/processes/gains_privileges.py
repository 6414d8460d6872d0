"""Becomes root again: by ids, by capabilities, by programs that run as root.

Earns: masked_mean 2
"""

import subprocess


@in_call
def attack():
    for way in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0), lambda: os.setgroups([0])):
        try:
            way()
        except OSError:
            continue
        if os.geteuid() != CANARY.harness_uid:
            escaped("another user")
    for command in (
        ["su", "-c", "id"],
        ["sudo", "-n", "id"],
        ["newgrp"],
        ["mount", "-t", "tmpfs", "x", "/tmp"],
        ["bwrap", "true"],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError):
            continue
        if "uid=0" in done.stdout:
            escaped(done.stdout)
