#!/usr/bin/env bash
# How many instructions a plain call costs a server in user space, counted by valgrind: unlike processor time this is the
# same, to a few in a thousand, on a busy machine and on a quiet one. What a thousand calls more need is divided by a
# thousand, so that starting and stopping do not count; the 32 s for which transactions linger do. System calls count
# nothing. Nothing leaves 127.0.0.0/8.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/instructions.sh [options]

  --server PATH    a hookswitch to be measured; may be given several times (default: the one of --binary)
  --binary PATH    hookswitch that makes the calls (default target/release/hookswitch, built first)
  --rate R         calls per second (default 50; valgrind is some thirty times slower than the processor)
  --keep DIR       where to leave the profiles, for callgrind_annotate (default: nowhere)
TEXT
}

cd "$(dirname "$0")/.."
servers=() binary="" rate=50 keep=""
while [ $# -gt 0 ]; do
    case "$1" in
        --server) servers+=("$2") && shift 2 ;;
        --binary) binary=$2 && shift 2 ;;
        --rate) rate=$2 && shift 2 ;;
        --keep) keep=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

if [ -z "$binary" ]; then
    cargo build --release --package hookswitch-server
    binary=${CARGO_TARGET_DIR:-target}/release/hookswitch
fi
[ ${#servers[@]} -gt 0 ] || servers=("$binary")

work=$(mktemp -d)
pid=""
stop() {
    [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$work"
}
trap stop EXIT

# Without io_uring: valgrind lets no other thread run while one waits in it.
cat >"$work/hookswitch.yml" <<'YAML'
sip: { listen: [ "udp:127.0.0.1:5066" ], trusted: [ 127.0.0.0/8 ], max_rate_per_source: 0 }
media: { address: 127.0.0.1, ports: 30000-30999, anchor: false, io: epoll }
call_api: { listen: "127.0.0.1:5959" }
http: { listen: "127.0.0.1:9900" }
log: { level: warn }
routes: [ { match: "sip:bench-*@*", to: "sip:127.0.0.2:5070" } ]
YAML

# count CALLS PROFILE: instructions of one life of the server.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$2" "$work/server" serve --config "$work/hookswitch.yml" \
        --data-dir "$work/data" >"$work/log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        if ss -Hulpn "sport = :5066" | grep -q .; then break; fi
        sleep 0.1
    done
    "$binary" bench calls --server 127.0.0.1:5066 --rate "$rate" --calls "$1" >"$work/calls" || { cat "$work/calls" >&2; exit 1; }
    if ! grep -q '^repeats *0 sent, 0 seen' "$work/calls"; then
        echo "some messages were repeated, which counts as well: try a lower --rate" >&2
    fi
    sleep 34
    kill "$pid" && wait "$pid" || true
    pid=""
    sed -n 's/.*Collected : //p' "$work/log"
}

for server in "${servers[@]}"; do
    # Valgrind would read the line tables for minutes.
    objcopy --strip-debug "$server" "$work/server"
    few=$(count 100 "$work/100.callgrind")
    many=$(count 1100 "$work/1100.callgrind")
    echo "$server: $(((many - few) / 1000)) instructions per call"
    if [ -n "$keep" ]; then
        mkdir -p "$keep/$(basename "$server")" && cp "$work"/*.callgrind "$keep/$(basename "$server")"
    fi
done
