#!/usr/bin/env bash
# Makes the environment with the test tools, then lint, imports, types, the site of the documentation, and tests.
# --quick leaves out the slow tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
make_environment requirements-dev.txt
export OMP_NUM_THREADS=1
select=()
if [ "${1:-}" = "--quick" ]; then
    select=(-m "not slow")
    shift
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/lint-imports
.venv/bin/mypy
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict # with --quiet it would not see its own warnings
.venv/bin/python -m pytest -n 2 --dist worksteal "${select[@]}" "$@"
