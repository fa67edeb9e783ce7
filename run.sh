#!/usr/bin/env bash
# Makes the environment, then trains bn_mappo on MMM2 for about five minutes; with arguments: python src/main.py ARGS.
# The training without arguments uses up to four cores, as processes that train together (docs/scale.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
make_environment requirements.txt
[ $# -eq 0 ] || exec .venv/bin/python src/main.py "$@"
cores="$(.venv/bin/python -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)')"
processes=$((cores >= 4 ? 4 : cores >= 2 ? 2 : 1)) # they share out 32 games
echo "Training bn_mappo on MMM2, on Skirmish, our own simulator: 10 agents against 12 enemies."
echo "About five minutes on $processes of $cores cores, compilation and summary included; Ctrl-C saves and stops."
launcher=(.venv/bin/python)
[ "$processes" -eq 1 ] || launcher+=(-m torch.distributed.run --standalone --nproc-per-node="$processes")
exec "${launcher[@]}" src/main.py --config=bn_mappo --env-config=skirmish with env_args.reward_shield_regen=False \
    t_max=$((400000 + (processes > 1) * 200000)) test_interval=25000 log_interval=10000
