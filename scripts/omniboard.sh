#!/usr/bin/env bash
# Installs Omniboard once (locked versions, about 530 MB in .omniboard) and shows the runs of a MongoDB at http://127.0.0.1:PORT.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    echo "Usage: MONGO_URL=mongodb://user:password@host:27017/sacred scripts/omniboard.sh [--port PORT] [--install-only]"
    echo "Shows the runs of that database at http://127.0.0.1:9004 (or PORT), to this machine alone. Ctrl-C stops it."
    echo "Needs node 16 or newer, and npm. From elsewhere: ssh -L 9004:127.0.0.1:9004 THIS_MACHINE"
}
fail() { echo "error: $1" >&2; usage >&2; exit 2; }

port=9004 install_only=""
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage; exit ;;
        --port) port="${2:-}"; shift 2 || fail "--port needs a number" ;;
        --install-only) install_only=yes; shift ;;
        *) fail "unknown argument '$1'; allowed: --port PORT, --install-only, --help" ;;
    esac
done
case "$port" in '' | *[!0-9]*) fail "--port $port: give a number such as 9004" ;; esac
[ "$port" -ge 1 ] && [ "$port" -le 65535 ] || fail "--port $port: give a number from 1 to 65535"
command -v npm > /dev/null && command -v node > /dev/null ||
    fail "node and npm are not installed (Debian: apt-get install nodejs npm)"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 16 ] || fail "node $(node --version) is too old: 16 or newer"

stamp=.omniboard/.installed wanted="$(cksum < scripts/omniboard/package-lock.json)"
if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
    echo "Installing Omniboard into .omniboard (a minute or two, 530 MB, only this time) ..."
    mkdir -p .omniboard
    cp scripts/omniboard/package.json scripts/omniboard/package-lock.json .omniboard/
    (cd .omniboard && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    echo "$wanted" > "$stamp"
fi
cp scripts/omniboard/preload.js .omniboard/
[ -z "$install_only" ] || exit 0
[ -n "${MONGO_URL:-}" ] || fail "MONGO_URL is not set: it names the database to show"
child=""
trap '[ -z "$child" ] || { kill "$child" 2> /dev/null; wait "$child" 2> /dev/null; } || true; exit 0' INT TERM
if node -e 'require("net").connect(+process.argv[1], "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))' "$port"; then
    fail "port $port is taken; choose another with --port"
fi

echo "Omniboard: http://127.0.0.1:$port/sacred   (Ctrl-C stops it)"
# The address goes through the environment, for the list of processes shows arguments to everybody.
export MONGO_URI="$MONGO_URL" PORT="$port"
while true; do # Omniboard gives up when the database is not there at its start
    status=0 started=$SECONDS
    node --no-deprecation --require ./.omniboard/preload.js .omniboard/node_modules/omniboard/dist/start.js &
    child=$!
    wait "$child" || status=$?
    [ $((SECONDS - started)) -ge 5 ] || { echo "error: Omniboard cannot start (status $status)" >&2; exit 1; }
    echo "Omniboard ended with status $status; starting it again in 3 s" >&2
    sleep 3 & wait $!
done
