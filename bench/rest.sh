#!/usr/bin/env bash
# Commands by the native REST: to one process, and to three (--roles sip, media, control) on this host, in turns, in one run.
# A command through three processes may take 1 ms more at p99. Nothing leaves 127.0.0.0/8.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/rest.sh [options]

  --rounds N        runs of each kind, taken in turns (default 3)
  --rate N          requests per second to one process alone (default 5000; 0 leaves that out)
  --beside N        requests per second where one process is compared with three (default 1000)
  --seconds S       length of a run (default 10)
  --binary PATH     hookswitch (default target/release/hookswitch, built first)
  --out DIR         where the single runs go as JSON (default target/bench)
TEXT
}

cd "$(dirname "$0")/.."
rounds=3 rate=5000 beside=1000 seconds=10 binary="" out=target/bench
while [ $# -gt 0 ]; do
    case "$1" in
        --rounds) rounds=$2 && shift 2 ;;
        --rate) rate=$2 && shift 2 ;;
        --beside) beside=$2 && shift 2 ;;
        --seconds) seconds=$2 && shift 2 ;;
        --binary) binary=$2 && shift 2 ;;
        --out) out=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

if [ -z "$binary" ]; then
    cargo build --release --package hookswitch-server
    binary=${CARGO_TARGET_DIR:-target}/release/hookswitch
fi
for program in curl python3; do
    command -v "$program" >/dev/null || { echo "rest.sh: $program is missing" >&2 && exit 2; }
done

# A thousand calls with audio are four thousand sockets. All phones are one address, which may send as much as it likes.
ulimit -n "$(ulimit -Hn)"
mkdir -p "$out"
work=$(mktemp -d)
started=()
stop() {
    for pid in "${started[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    started=()
}
trap 'stop; rm -rf "$work"' EXIT

token=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
echo "$token" >"$work/token"
chmod 600 "$work/token"
digest=$(printf %s "$token" | sha256sum | cut -d' ' -f1)
listen='sip: { listen: [ "udp:127.0.0.1:5066" ], max_rate_per_source: 0 }'
routes='routes: [ { match: "sip:bench-*@*", to: "sip:127.0.0.2:5070" } ]'
media='media: { address: 127.0.0.1, ports: 10000-19999 }'
http='http: { listen: "127.0.0.1:9900" }'
channels='channels: { listen: "127.0.0.1:9902" }'
control="control: { listen: \"127.0.0.1:9901\", grants: [ { name: load, tokens: [ \"sha256:$digest\" ], scopes: [ read, control ] } ] }"
shared='log: { level: warn }'
nodes="sip: [ \"http://127.0.0.1:9900\" ], media: [ \"http://127.0.0.1:9902\" ], token: \"file:$work/token\""

# start NAME PORT ROLES LINE...: runs a process with these lines as its configuration and waits until it answers.
start() {
    local name=$1 port=$2 roles=$3
    shift 3
    printf '%s\n' "$@" "$shared" >"$work/$name.yml"
    rm -rf "$work/$name"
    "$binary" serve --config "$work/$name.yml" --data-dir "$work/$name" --roles "$roles" >"$work/$name.log" 2>&1 &
    started+=($!)
    for _ in $(seq 100); do
        if curl -s -o /dev/null "http://127.0.0.1:$port/health"; then return; fi
        sleep 0.1
    done
    echo "rest.sh: $name does not start:" >&2
    cat "$work/$name.log" >&2
    exit 3
}

one() { start one 9901 sip,media,control "$listen" "$routes" "$media" "$http" "$control"; }
three() {
    start sip 9900 sip "$listen" "$routes" "$http" "nodes: { token: \"file:$work/token\" }"
    start media 9902 media "$media" "$channels" "nodes: { token: \"file:$work/token\" }"
    start control 9901 control "$control" "nodes: { $nodes }"
    # The control process learns from its nodes how they fare once a second.
    sleep 3
}

# load FILE RATE: the figures of one run, against the processes that were started.
load() {
    local pids=()
    for pid in "${started[@]}"; do pids+=(--pid "$pid"); done
    "$binary" bench rest --server 127.0.0.1:9901 --token "$token" --rate "$2" --duration "$seconds" "${pids[@]}" --json \
        >"$out/$1" || echo "rest.sh: not everything went well in $out/$1" >&2
}

for round in $(seq "$rounds"); do
    if [ "$rate" != 0 ]; then
        one && load "rest-alone-$round.json" "$rate" && stop
    fi
    one && load "rest-one-$round.json" "$beside" && stop
    three && load "rest-three-$round.json" "$beside" && stop
done

python3 - "$out" "$rounds" "$rate" <<'PY'
import json
import statistics
import sys

folder, rounds, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def runs(kind):
    return [json.load(open(f"{folder}/rest-{kind}-{number}.json")) for number in range(1, rounds + 1)]


def median(some, *names):
    def of(run):
        for name in names:
            run = run[name]
        return run

    return statistics.median(of(run) for run in some)


def line(title, some):
    failed = sum(sum(run["failed"].values()) for run in some)
    print(
        f"{title:<26}{median(some, 'per_second'):7.0f}/s, p50 {median(some, 'all', 'p50_ms'):.2f} ms, "
        f"p99 {median(some, 'all', 'p99_ms'):.2f} ms, {median(some, 'cpu_us', 'all'):.0f} us of CPU each, {failed} failed"
    )


if rate:
    line("one process alone", runs("alone"))
one, three = runs("one"), runs("three")
line("one process", one)
line("three processes", three)
more = [b["all"]["p99_ms"] - a["all"]["p99_ms"] for a, b in zip(one, three)]
print(f"three take {statistics.median(more):+.2f} ms more at p99 (by round: {', '.join(f'{one:+.2f}' for one in more)})")
for kind in one[0]["kinds"]:
    a, b = median(one, "kinds", kind, "p99_ms"), median(three, "kinds", kind, "p99_ms")
    print(f"  {kind:<24}p99 {a:.2f} ms and {b:.2f} ms")
PY
