#!/usr/bin/env bash
# Hookswitch beside Debian's Kamailio, and its media relay beside rtpengine: the same calls and registrations at the same
# rate, in turns, in one run. Servers are bound to CPU 0 and the load generator to CPU 1, all of them run before other programs
# (SCHED_FIFO) where that is allowed, and nothing leaves 127.0.0.0/8.
#
# Needs the Debian packages kamailio and rtpengine-daemon, and two CPUs with nothing else to do.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/compare.sh [signalling|media|registrations|all] [options]

  --rounds N         runs per server and figure, taken in turns (default 3)
  --rates "R ..."    calls per second of the signalling runs (default "500 1000 2000")
  --seconds S        length of a signalling run, and of the refreshes of a registration run (default 10)
  --calls "N ..."    calls standing at a time in the media runs (default "100 400 900")
  --hold S           how long these calls stand (default 20)
  --users N          phones of the registration runs (default 100000)
  --register RATE    registrations and refreshes per second (default 20000)
  --binary PATH      hookswitch (default target/release/hookswitch, built first)
  --out DIR          where the single runs go as JSON (default target/bench)
TEXT
}

cd "$(dirname "$0")/.."
what=all rounds=3 rates="500 1000 2000" seconds=10 calls="100 400 900" hold=20 users=100000 register=20000 binary="" out=target/bench
while [ $# -gt 0 ]; do
    case "$1" in
        signalling | media | registrations | all) what=$1 && shift ;;
        --rounds) rounds=$2 && shift 2 ;;
        --rates) rates=$2 && shift 2 ;;
        --seconds) seconds=$2 && shift 2 ;;
        --calls) calls=$2 && shift 2 ;;
        --hold) hold=$2 && shift 2 ;;
        --users) users=$2 && shift 2 ;;
        --register) register=$2 && shift 2 ;;
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
for program in kamailio rtpengine taskset ss curl; do
    command -v "$program" >/dev/null || { echo "compare.sh: $program is missing" >&2 && exit 2; }
done

# What is measured must not wait for a program that happens to wake up.
first=()
if chrt --fifo 1 true 2>/dev/null; then first=(chrt --fifo 1); else echo "compare.sh: SCHED_FIFO is not allowed here" >&2; fi

# A thousand anchored calls are four thousand sockets and more.
ulimit -n "$(ulimit -Hn)"

mkdir -p "$out"
work=$(mktemp -d)
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do
        # A server that drains for longer than this would be measured together with the next one.
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    started=()
}
trap 'stop; rm -rf "$work"' EXIT

# start NAME PORT COMMAND...: runs a server on CPU 0 and waits until it has its UDP port.
start() {
    local name=$1 port=$2
    shift 2
    "${first[@]}" taskset -c 0 "$@" >"$work/$name.log" 2>&1 &
    started+=($!)
    for _ in $(seq 100); do
        if ss -Hulpn "sport = :$port" | grep -q .; then return 0; fi
        sleep 0.1
    done
    echo "compare.sh: $name did not start:" >&2
    tail -20 "$work/$name.log" >&2
    return 1
}

# start_hookswitch ANCHOR: our server, with or without media.
start_hookswitch() {
    cat >"$work/hookswitch.yml" <<YAML
sip:
  listen: [ "udp:127.0.0.1:5060" ]
  trusted: [ 127.0.0.0/8 ]
media:
  address: 127.0.0.1
  ports: 30000-39999
  anchor: $1
call_api: { listen: "127.0.0.1:5959" }
http: { listen: "127.0.0.1:9900" }
routes:
  - { match: "sip:bench-*@*", to: "sip:127.0.0.2:5070" }
log: { level: warn }
YAML
    start hookswitch 5060 "$binary" serve --config "$work/hookswitch.yml" --data-dir "$work/data-$RANDOM"
}

# start_registrar: our server with the users of the registration runs, pushed as a web site would.
start_registrar() {
    cat >"$work/registrar.yml" <<YAML
sip:
  listen: [ "udp:127.0.0.1:5060" ]
media: { address: 127.0.0.1, ports: 30000-39999 }
call_api: { listen: "127.0.0.1:5959" }
http: { listen: "127.0.0.1:9900" }
log: { level: warn }
YAML
    start hookswitch 5060 "$binary" serve --config "$work/registrar.yml" --data-dir "$work/data-$RANDOM"
    awk -v n="$users" 'BEGIN {
        printf "{\"control\":\"\",\"users\":["
        for (i = 0; i < n; i++) printf "%s{\"username\":\"phone-%d\",\"secret\":\"s3cret\"}", i ? "," : "", i
        print "]}"
    }' >"$work/users.json"
    curl --silent --show-error --fail --retry 20 --retry-connrefused --retry-delay 1 --request PUT \
        --data-binary "@$work/users.json" http://127.0.0.1:9900/dir/example.test
    # What the push has used is given back before memory is read.
    sleep 20
}

# 512 MiB: Kamailio keeps each call for 5 s after its end.
start_kamailio() {
    start kamailio 5060 kamailio -DD -E -m 512 -M 16 "$@" -f bench/kamailio.cfg
}

start_kamailio_registrar() {
    start kamailio 5060 kamailio -DD -E -m 1024 -M 16 -f bench/kamailio-registrar.cfg
}

start_rtpengine() {
    start rtpengine 2223 rtpengine --foreground --table=-1 --interface=127.0.0.1 --listen-ng=127.0.0.1:2223 \
        --port-min=30000 --port-max=39999 --num-threads=2 --log-level=3 --log-stderr --pidfile="$work/rtpengine.pid"
}

# load FILE ARGS...: one run of the generator on CPU 1; its figures become one line of FILE.
load() {
    local file=$1 status=0
    shift
    "${first[@]}" taskset -c 1 "$binary" bench "$@" --server 127.0.0.1:5060 --json >"$work/run.json" || status=$?
    # 1 means that some calls or registrations failed, which is a figure like the others.
    [ "$status" -le 1 ] || { echo "compare.sh: the generator failed with code $status" >&2 && exit 1; }
    cat "$work/run.json" >>"$file"
}

signalling() {
    local rate
    for rate in $rates; do
        local dir=$out/signalling-$rate
        rm -rf "$dir" && mkdir -p "$dir"
        for _ in $(seq "$rounds"); do
            start_hookswitch false
            load "$dir/hookswitch.json" calls --rate "$rate" --duration "$seconds" --pid "${started[0]}"
            stop
            start_kamailio
            load "$dir/kamailio.json" calls --rate "$rate" --duration "$seconds" --pid "${started[0]}"
            stop
        done
        printf '\n### Signalling, %s calls/s for %s s\n\n' "$rate" "$seconds"
        "$binary" bench ratios "$dir/hookswitch.json" "$dir/kamailio.json"
    done
}

media() {
    local count
    for count in $calls; do
        local dir=$out/media-$count
        rm -rf "$dir" && mkdir -p "$dir"
        for _ in $(seq "$rounds"); do
            start_hookswitch true
            load "$dir/hookswitch.json" calls --rate 100 --calls "$count" --hold "$hold" --rtp --pid "${started[0]}"
            stop
            # Only rtpengine's own time counts; Kamailio's is on top of it.
            start_rtpengine
            start_kamailio -A WITH_RTPENGINE
            load "$dir/rtpengine.json" calls --rate 100 --calls "$count" --hold "$hold" --rtp --pid "${started[0]}"
            stop
        done
        printf '\n### Media, %s calls of PCMU both ways\n\n' "$count"
        "$binary" bench ratios "$dir/hookswitch.json" "$dir/rtpengine.json"
    done
}

registrations() {
    local dir=$out/registrations
    local args=(--users "$users" --rate "$register" --refresh "$seconds" --settle 40)
    rm -rf "$dir" && mkdir -p "$dir"
    for _ in $(seq "$rounds"); do
        start_registrar
        load "$dir/hookswitch.json" registrations "${args[@]}" --pid "${started[0]}"
        stop
        start_kamailio_registrar
        load "$dir/kamailio.json" registrations "${args[@]}" --pid "${started[0]}"
        stop
    done
    printf '\n### %s phones, %s registrations and refreshes per second\n\n' "$users" "$register"
    "$binary" bench ratios "$dir/hookswitch.json" "$dir/kamailio.json"
}

printf '%s, %s, %s\n' "$(uname -sr)" "$(kamailio -v | head -1)" "$(rtpengine --version 2>&1 | head -1)"
case "$what" in
    signalling) signalling ;;
    media) media ;;
    registrations) registrations ;;
    all) signalling && media && registrations ;;
esac
