#!/bin/sh
# Print the command of the first Python that can run this project: 3.11 or newer, and able to make a virtual environment.
# A name on PATH proves nothing (pyenv leaves shims for versions that are switched off), so each candidate is run.
set -u

check='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
found=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python py; do
    if "$candidate" -c "$check" >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) && found="$found $candidate ($version)"
done

{
    echo "sam2-lab needs Python 3.11 or newer with the modules venv and ensurepip."
    echo "Looked at:${found:- no Python at all on PATH}."
    echo "Install one (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python;"
    echo "Windows: winget install Python.Python.3.13) or name yours: make PYTHON=/path/to/python3.12 ..."
} >&2
exit 1
