#!/usr/bin/env bash
# Shows it all on this machine alone: a MongoDB-compatible server, Omniboard, and two short runs recorded live.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
if [ $# -gt 0 ]; then
    echo "Usage: scripts/demo_tracking.sh   (no arguments). Needs node 16+ and npm; Ctrl-C stops everything it started."
    case "$1" in -h | --help) exit ;; *) echo "error: unknown argument '$1'" >&2; exit 2 ;; esac
fi
command -v npm > /dev/null || { echo "error: npm is not installed (Debian: apt-get install nodejs npm)" >&2; exit 2; }
make_environment requirements-dev.txt
scripts/omniboard.sh --install-only

ports="$(.venv/bin/python -c 'import socket
probes = [socket.socket() for _ in range(2)]
[probe.bind(("127.0.0.1", 0)) for probe in probes]
print(*(probe.getsockname()[1] for probe in probes))')"
read -r mongo_port board_port <<< "$ports"
data="$(mktemp -d)" children=()
stop() {
    trap '' INT TERM
    trap - EXIT
    echo "Stopping ..."
    for child in "${children[@]}"; do kill "$child" 2> /dev/null || true; done
    wait
    rm -rf "$data"
    exit "${1:-0}"
}
trap 'stop $?' EXIT
trap 'stop 0' INT TERM

.venv/bin/secantusd-py --host 127.0.0.1 --port "$mongo_port" --storage-path "$data" --standalone --cache-size 128M \
    > "$data/server.log" 2>&1 &
children+=($!)
export MONGO_URL="mongodb://127.0.0.1:$mongo_port/sacred" OMP_NUM_THREADS=1
for _ in $(seq 100); do
    (: < "/dev/tcp/127.0.0.1/$mongo_port") 2> /dev/null && break
    sleep 0.2
done
scripts/omniboard.sh --port "$board_port" > "$data/omniboard.log" 2>&1 &
children+=($!)
echo "Omniboard: http://127.0.0.1:$board_port/sacred   (the database is $MONGO_URL)"
for config in bn_mappo mappo; do
    echo "Recording a run of $config on Aloha, about 20 s; watch it there ..."
    .venv/bin/python src/main.py --config="$config" --env-config=aloha with t_max=40000 local_results_path="$data/results" \
        > "$data/$config.log" 2>&1 &
    children+=($!)
    wait $! || { tail -5 "$data/$config.log" >&2; exit 1; }
done
.venv/bin/python src/runs.py list --results "$data/results"
echo "Both runs are at http://127.0.0.1:$board_port/sacred   Ctrl-C stops the server and Omniboard, and removes their files."
wait
