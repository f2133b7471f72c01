#!/usr/bin/env bash
# All kinds of audio at once for hours: relay, transcoding, rooms, sounds and recordings, together at a share of what one
# media core can carry. Says each minute how much memory they use, and at the end whether a packet was lost, how late ticks
# were, and whether memory grew.
#
# Needs two CPUs with nothing else to do. Exits with 0 when nothing was lost and memory stayed flat, else with 1.
set -euo pipefail

usage() {
    cat <<'TEXT'
bench/soak.sh [options]

  --hours H          how long, fractions allowed (default 2)
  --share S          share of the core's measured capacity, up to 1 (default 0.7)
  --binary PATH      hookswitch (default target/release/hookswitch, built first)
  --out DIR          where samples and figures go (default target/soak, emptied first)
TEXT
}

cd "$(dirname "$0")/.."
hours=2 share=0.7 binary="" out=target/soak
while [ $# -gt 0 ]; do
    case "$1" in
        --hours) hours=$2 && shift 2 ;;
        --share) share=$2 && shift 2 ;;
        --binary) binary=$2 && shift 2 ;;
        --out) out=$2 && shift 2 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
seconds=$(awk -v h="$hours" 'BEGIN { print int(h * 3600) }')
[ "$seconds" -ge 10 ] || { echo "soak.sh: at least 10 seconds" >&2 && exit 2; }

if [ -z "$binary" ]; then
    cargo build --release --package hookswitch-server
    binary=${CARGO_TARGET_DIR:-target}/release/hookswitch
fi
# Phones and media threads wait for no other program of the machine.
ahead=()
if chrt --fifo 1 true 2>/dev/null; then ahead=(chrt --fifo 1); else echo "soak.sh: SCHED_FIFO is not allowed here" >&2; fi
# A huge page is resident as a whole, however little of it is used: the kernel's gathering of small ones would pass for growth.
export MIMALLOC_ALLOW_THP=0
ulimit -n "$(ulimit -Hn)"
rm -rf "$out" && mkdir -p "$out"

kinds=(relay g722 mix play record)
# One process lasts so long at most; one that records leaves its files behind it only as long as it lasts.
longest=3600 longest_recording=1800
# Each kind has ports of its own, enough for so many calls.
most_calls=1000 first_port=20000

running=()
stop() {
    for kind in "${kinds[@]}"; do touch "$out/$kind.stop"; done
    for kind in "${kinds[@]}"; do
        pid=$(bench_of "$kind")
        if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    done
    wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 1' INT TERM

field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }

bench() { # KIND INDEX CALLS SECONDS
    local first=$((first_port + $2 * 4 * most_calls))
    "${ahead[@]}" "$binary" bench media --kinds "$1" --calls "$3" --seconds "$4" --ports "$first-$((first + 4 * most_calls - 1))" --json
}

echo "what a call costs:"
declare -A calls
for index in "${!kinds[@]}"; do
    kind=${kinds[$index]}
    # 1 is a packet that was lost, which is no matter here.
    line=$(bench "$kind" "$index" 50 5) || [ $? -eq 1 ]
    percent=$(field percent_per_channel <<<"$line")
    calls[$kind]=$(awk -v p="$percent" -v s="$share" -v k="${#kinds[@]}" -v most="$most_calls" 'BEGIN {
        n = p > 0 ? int(100 * s / k / (2 * p)) : most; print (n < 1 ? 1 : (n > most ? most : n)) }')
    printf '  %-8s %s %% of a core: %s calls\n' "$kind" "$(awk -v p="$percent" 'BEGIN { printf "%.4f", 2 * p }')" "${calls[$kind]}"
done

# Keeps one kind going until the time is over, or somebody says stop.
keep() { # KIND INDEX LONGEST
    local kind=$1 end=$((SECONDS + seconds)) left status
    while left=$((end - SECONDS)) && [ "$left" -gt 0 ] && [ ! -e "$out/$kind.stop" ]; do
        status=0
        bench "$kind" "$2" "${calls[$kind]}" $((left < $3 ? left : $3)) >>"$out/$kind.json" 2>>"$out/$kind.err" &
        echo $! >"$out/$kind.pid"
        wait $! || status=$?
        echo "$status" >>"$out/$kind.status"
        [ "$status" -le 1 ] || return 0
    done
}
bench_of() { pgrep -P "$(cat "$out/$1.pid" 2>/dev/null || echo 0)" 2>/dev/null | head -n 1 || true; }

for index in "${!kinds[@]}"; do
    kind=${kinds[$index]} limit=$longest
    [ "$kind" != record ] || limit=$longest_recording
    keep "$kind" "$index" "$limit" &
    running+=($!)
done

every=$((seconds < 600 ? (seconds + 9) / 10 : 60))
echo "memory every $every s, in kB:"
printf '  %8s' s "${kinds[@]}" && echo
for ((passed = every; passed <= seconds; passed += every)); do
    sleep "$every"
    printf '  %8s' "$passed"
    for kind in "${kinds[@]}"; do
        pid=$(bench_of "$kind")
        rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/${pid:-none}/status" 2>/dev/null || true)
        if [ -n "$rss" ]; then echo "$pid $rss" >>"$out/$kind.memory"; fi
        printf '  %8s' "${rss:--}"
    done
    echo
done
wait "${running[@]}" || true
running=()

# Of each process that lasted: no more at its end than after a quarter of its time, but for a twentieth and 2 MB.
grew() {
    awk '{ n[$1]++; at[$1, n[$1]] = $2 }
         END { for (p in n) if (n[p] >= 8) { base = at[p, int((n[p] + 3) / 4)]; last = at[p, n[p]]
               if (last > base * 1.05 + 2048) { printf "from %d to %d kB", base, last; exit } } }' "$1" 2>/dev/null
}

failed=0
for kind in "${kinds[@]}"; do
    lost=$(cat "$out/$kind.json" 2>/dev/null | field lost | awk '{ n += $1 } END { print n + 0 }')
    unwritten=$(cat "$out/$kind.json" 2>/dev/null | field recording_lost_ms | awk '{ n += $1 } END { print n + 0 }')
    late=$(cat "$out/$kind.json" 2>/dev/null | field tick_late_max_ms | sort -g | tail -n 1)
    worst=$(sort -n "$out/$kind.status" 2>/dev/null | tail -n 1)
    growth=$(grew "$out/$kind.memory" || true)
    verdict=passed
    if [ "$lost" != 0 ] || [ "$unwritten" != 0 ] || [ "${worst:-3}" != 0 ] || [ -n "$growth" ]; then verdict=FAILED failed=1; fi
    printf '%-8s %s: %s calls, %s packets lost, %s ms of recordings, ticks at most %s ms late, memory %s\n' \
        "$kind" "$verdict" "${calls[$kind]}" "$lost" "$unwritten" "${late:--}" "${growth:-flat}"
done
exit "$failed"
