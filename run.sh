#!/usr/bin/env bash
# Makes the environment, then trains bn_mappo on Aloha for about two minutes; with arguments: python src/main.py ARGS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
make_environment requirements.txt
if [ $# -eq 0 ]; then
    echo "Training bn_mappo on Aloha: 10 islands that must not send beside one another. About two minutes; Ctrl-C saves and stops."
    set -- --config=bn_mappo --env-config=aloha with t_max=400000
fi
exec .venv/bin/python src/main.py "$@"
