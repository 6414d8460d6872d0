#!/bin/sh
# Linux and macOS: sets the course up from this folder, without a network, and opens the lessons.
here=$(cd "$(dirname "$0")" && pwd)
for python in python3.13 python3.12 python3.11 python3.10 python3; do
    if command -v "$python" > /dev/null && "$python" "$here/start.py" --fits 2> /dev/null; then
        exec "$python" "$here/start.py" "$@"
    fi
done
if command -v python3 > /dev/null; then
    exec python3 "$here/start.py" "$@"
fi
echo "There is no Python on this computer. The file START-HERE.txt says which one to install." >&2
exit 2
