#!/usr/bin/env bash
# What media costs: relay, transcoding, rooms, sounds and recordings over real sockets, and relay beside Debian's rtpengine.
# Everything that docs/benchmarks.md says of media comes from one run of this on a machine with nothing else to do.
#
# Needs two CPUs; for the part beside rtpengine also the Debian packages kamailio and rtpengine-daemon, see compare.sh.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/media.sh [options]

  --calls N          calls of two phones, or twice as many phones in rooms and hearing sounds (default 200)
  --seconds S        length of each kind (default 10)
  --rounds N         runs of each kind, and per server beside rtpengine (default 3)
  --alone            leave out the part beside rtpengine
  --binary PATH      hookswitch (default target/release/hookswitch, built first)
TEXT
}

cd "$(dirname "$0")/.."
calls=200 seconds=10 rounds=3 alone="" binary=""
while [ $# -gt 0 ]; do
    case "$1" in
        --calls) calls=$2 && shift 2 ;;
        --seconds) seconds=$2 && shift 2 ;;
        --rounds) rounds=$2 && shift 2 ;;
        --alone) alone=1 && shift ;;
        --binary) binary=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

if [ -z "$binary" ]; then
    cargo build --release --package hookswitch-server
    binary=${CARGO_TARGET_DIR:-target}/release/hookswitch
fi

# Generator and media thread each keep to a CPU, and wait for no program that happens to wake up.
first=()
if chrt --fifo 1 true 2>/dev/null; then first=(chrt --fifo 1); else echo "media.sh: SCHED_FIFO is not allowed here" >&2; fi
ulimit -n "$(ulimit -Hn)"

printf '%s, %s calls, %s s for each kind\n' "$(uname -sr)" "$calls" "$seconds"
for _ in $(seq "$rounds"); do
    # 1 means that packets were lost, which is a figure like the others.
    status=0
    "${first[@]}" "$binary" bench media --calls "$calls" --seconds "$seconds" || status=$?
    [ "$status" -le 1 ] || exit "$status"
done
if [ -z "$alone" ]; then
    bench/compare.sh media --calls "400 1000" --rounds "$rounds" --hold 20 --binary "$binary"
fi
