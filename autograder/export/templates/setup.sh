#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image of the assignment.
set -euo pipefail
cd /autograder/source

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends bubblewrap python3-venv

python3 - <<'END'
import sys

if not (3, 10) <= sys.version_info[:2] < (3, 14):
    sys.exit("Python 3.10 to 3.13 is needed: choose Ubuntu 22.04 or 24.04 as the base image of the assignment.")
END
python3 -m venv /autograder/venv
/autograder/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --requirement requirements.txt
