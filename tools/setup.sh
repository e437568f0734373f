#!/bin/sh
# Makes the virtual environment in .venv with everything that the project and its tests need.
set -eu
cd "$(dirname "$0")/.."

find_python() {
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 \
            && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

need() {  # need PACKAGE...: install Debian packages as root, or say how
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing $*"
        DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >/dev/null
    else
        echo "setup: please install these packages and run the command again: sudo apt-get install $*" >&2
        exit 1
    fi
}

python=$(find_python) || { need python3 python3-venv; python=$(find_python); }
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv

[ -x .venv/bin/python ] || { echo "setup: making .venv with $("$python" --version)"; "$python" -m venv .venv; }
echo "setup: installing packages (a few minutes the first time)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable '.[server,tablet,witness,dev]'
