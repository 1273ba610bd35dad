#!/usr/bin/env bash
# install.sh VENV PYTHON REQUIREMENT [REQUIREMENT ...]
# Makes VENV when there is none (PYTHON, or the newest of 3.13 to 3.10 that runs here) and installs this project, editable,
# with the requirements. Run from the repository root.
set -euo pipefail
export UV_PYTHON_DOWNLOADS=never

venv=$1 wanted=$2 project=$3
shift 3

suits='import sys, venv; raise SystemExit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

find_python() {
    local name
    for name in ${wanted:-python3.13 python3.12 python3.11 python3.10 python3}; do
        # Being on PATH is not enough: version managers put shims there for interpreters that are switched off.
        if "$name" -c "$suits" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "error: ${wanted:-no python3.10 to python3.13 on PATH}${wanted:+ is no Python 3.10 to 3.13 with venv}." >&2
    echo "Install one (Debian: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2
    return 1
}

has_uv() { uv --version >/dev/null 2>&1; }

if [[ ! -x $venv/bin/python ]]; then
    python=$(find_python)
    echo "$venv: made with $("$python" --version)"
    if has_uv; then
        uv venv --quiet --python "$(command -v "$python")" "$venv"
    elif ! "$python" -m venv "$venv" >/dev/null; then
        rm -rf "$venv"
        echo "error: $python cannot make virtual environments; Debian: apt install python3-venv" >&2
        exit 1
    fi
fi

echo "$venv: installing $project $*"
if has_uv; then
    uv pip install --quiet --python "$venv/bin/python" --editable "$project" "$@"
else
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
    "$venv/bin/python" -m pip install --quiet --editable "$project" "$@"
fi
