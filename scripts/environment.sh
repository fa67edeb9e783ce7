# Sourced by run.sh and test.sh: makes .venv from a requirements file, again only when that file changes.

make_environment() {
    local requirements="$1" stamp=".venv/.$1.installed"
    local wanted
    wanted="$(cat requirements.txt "$requirements" pyproject.toml setup.py | cksum)"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
    local python="${PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "error: Python 3.11 or newer is needed; '$python' is not. Set PYTHON=/path/to/python3.11" >&2
        exit 2
    fi
    echo "Making .venv from $requirements (a minute or two, only this time) ..."
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    mkdir -p .venv/typing && ln -sfn ../../src .venv/typing/bn_mappo  # where mypy finds the package by its name
    echo "$wanted" > "$stamp"
}
