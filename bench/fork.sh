#!/usr/bin/env bash
# What a call to ten places costs, beside ten calls to one place each: the same server in one run, in turns. The server is
# bound to CPU 0 and the load generator to CPU 1, and nothing leaves 127.0.0.0/8. Nine of the ten places ring until the call is
# cancelled (users named rings-*), the tenth answers.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/fork.sh [options]

  --rounds N       runs of each kind, taken in turns (default 3)
  --rate R         forks per second; calls come at ten times that (default 50)
  --seconds S      length of a run (default 10)
  --binary PATH    hookswitch (default target/release/hookswitch, built first)
  --server PATH    another one to be measured (default: the same)
TEXT
}

cd "$(dirname "$0")/.."
rounds=3 rate=50 seconds=10 binary="" server=""
while [ $# -gt 0 ]; do
    case "$1" in
        --rounds) rounds=$2 && shift 2 ;;
        --rate) rate=$2 && shift 2 ;;
        --seconds) seconds=$2 && shift 2 ;;
        --binary) binary=$2 && shift 2 ;;
        --server) server=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

if [ -z "$binary" ]; then
    cargo build --release --package hookswitch-server
    binary=${CARGO_TARGET_DIR:-target}/release/hookswitch
fi
server=${server:-$binary}

work=$(mktemp -d)
pid=""
stop() {
    [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$work"
}
trap stop EXIT

{
    cat <<YAML
sip: { listen: [ "udp:127.0.0.1:5066" ], trusted: [ 127.0.0.0/8 ] }
media: { address: 127.0.0.1, ports: 30000-30999, anchor: false }
call_api: { listen: "127.0.0.1:5959" }
http: { listen: "127.0.0.1:9900" }
log: { level: warn }
routes:
  - { match: "sip:bench-*@*", to: "sip:127.0.0.2:5070" }
  - match: "sip:fork-*@*"
    destinations:
      - { to: "sip:127.0.0.2:5070" }
YAML
    for place in $(seq 9); do echo "      - { to: \"sip:rings-$place@127.0.0.2:5070\" }"; done
} >"$work/hookswitch.yml"
taskset -c 0 "$server" serve --config "$work/hookswitch.yml" --data-dir "$work/data" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
    if ss -Hulpn "sport = :5066" | grep -q .; then break; fi
    sleep 0.1
done

# load NAME RATE: processor time of the server per call, in microseconds. Phones ring for a tenth of a second.
load() {
    taskset -c 1 "$binary" bench calls --server 127.0.0.1:5066 --to "sip:$1-{n}@127.0.0.1" --rate "$2" --ring 0.1 \
        --duration "$seconds" --pid "$pid" --json >"$work/run.json"
    grep -o '"cpu_us_per_call":[0-9.]*,"cpu_user' "$work/run.json" | grep -o '[0-9.]*' | head -1
}

forks=() calls=()
for _ in $(seq "$rounds"); do
    figure=$(load fork "$rate")
    forks+=("$figure")
    figure=$(load bench "$((rate * 10))")
    calls+=("$figure")
done
printf '%s\n' "${forks[@]}" | sort -n >"$work/forks"
printf '%s\n' "${calls[@]}" | sort -n >"$work/calls"
paste "$work/forks" "$work/calls" | awk '
    { fork[NR] = $1; call[NR] = $2 }
    END {
        m = int((NR + 1) / 2)
        printf "a fork to 10: %.0f us of processor time (%.0f to %.0f); a call: %.0f us (%.0f to %.0f)\n",
            fork[m], fork[1], fork[NR], call[m], call[1], call[NR]
        printf "a fork to 10 costs %.2f of 10 calls\n", fork[m] / (10 * call[m])
    }'
