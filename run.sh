#!/usr/bin/env bash
# Makes the environment, then trains bn_mappo on MMM2 for some ten minutes; with arguments: python src/main.py ARGS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
make_environment requirements.txt
if [ $# -eq 0 ]; then
    echo "Training bn_mappo on MMM2, on Skirmish, our own simulator: 10 agents against 12 enemies."
    echo "About five to thirteen minutes, by the machine, compilation and summary included; Ctrl-C saves and stops."
    # a run as short as this needs the bonus to its end: docs/deviations.md, Entropy
    set -- --config=bn_mappo --env-config=skirmish with env_args.reward_shield_regen=False t_max=400000 \
        entropy_coef=0.01 test_interval=25000 log_interval=10000
fi
exec .venv/bin/python src/main.py "$@"
