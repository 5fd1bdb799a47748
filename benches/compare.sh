#!/usr/bin/env bash
# finwait against the bare floor and against other programs that read captures, on generated
# captures whose content is known.
#
# All programs run in turn, several rounds, so that a busy machine is equally busy for each; what
# counts are the ratios. Programs that are not installed are left out. finwait's output is held
# against the truth about each capture, and a wrong answer fails, however fast it came.
#
#   benches/compare.sh [--packets N] [--snaplen N] [--rounds N] [--shapes "web bulk ..."]
#                      [--dir DIR] [--finwait FILE]
#
# Exit code: 0 done, 1 finwait's answer was wrong, 2 something could not be run.
set -euo pipefail

packets=500k snaplen=96 rounds=3 shapes="web bulk flood concurrent" dir="" finwait=""
while (($# > 0)); do
    case $1 in
    --packets) packets=$2 ;;
    --snaplen) snaplen=$2 ;;
    --rounds) rounds=$2 ;;
    --shapes) shapes=$2 ;;
    --dir) dir=$2 ;;
    --finwait) finwait=$2 ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cargo build --quiet --release --manifest-path "$root/Cargo.toml" \
    -p finwait -p finwait-capgen -p finwait-floor || exit 2
finwait=${finwait:-$target/release/finwait}
if [[ -z $dir ]]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
fi
mkdir -p "$dir"
times=$dir/times.txt

# The programs: a name, then the command, in which FILE stands for the capture.
programs=(
    "finwait|$finwait report --format jsonl --max-connections 16777216 --progress never FILE"
    "public|$target/release/floor -n 1 FILE public"
    "floor|$target/release/floor -n 1 FILE table"
    "capinfos|capinfos -c FILE"
    "tcpdump|tcpdump -n -r FILE -w /dev/null"
    "tcptrace|tcptrace -n FILE"
    "tshark|tshark -n -q -z conv,tcp -r FILE"
)

# Runs a command once on a file, and adds its name, wall nanoseconds and peak KiB to the times.
measure() {
    local name=$1 file=$2 begun ended memory=0
    local -a command
    read -ra command <<<"${3//FILE/$file}"
    local timer=()
    if [[ -x /usr/bin/time ]]; then
        timer=(/usr/bin/time -q -f %M -o "$dir/memory")
    fi
    begun=$(date +%s%N)
    if ! "${timer[@]}" "${command[@]}" >/dev/null 2>"$dir/stderr"; then
        echo "$name failed on $(basename "$file"): $(tail -n 1 "$dir/stderr")" >&2
        return 1
    fi
    ended=$(date +%s%N)
    if ((${#timer[@]})); then
        memory=$(tail -n 1 "$dir/memory")
    fi
    echo "$name $((ended - begun)) $memory" >>"$times"
}

# Prints the median of each program with its ratio to the public floor.
print_table() {
    awk -v packets="$1" '
        { if (!($1 in n)) order[++count] = $1; wall[$1, n[$1]++] = $2
          if ($3 > peak[$1]) peak[$1] = $3 }
        function median(name,    i, j, swap) {
            for (i = 0; i < n[name]; i++)
                for (j = i + 1; j < n[name]; j++)
                    if (wall[name, j] < wall[name, i]) {
                        swap = wall[name, i]; wall[name, i] = wall[name, j]; wall[name, j] = swap
                    }
            return wall[name, int(n[name] / 2)]
        }
        END {
            base = median("public")
            printf "  %-10s %10s %12s %10s %6s\n", "program", "ns/packet", "to public", "peak MiB", "runs"
            for (i = 1; i <= count; i++) {
                m = median(order[i])
                printf "  %-10s %10.1f %12.2f %10.1f %6d\n", order[i], m / packets, m / base, \
                    peak[order[i]] / 1024, n[order[i]]
            }
        }' "$times"
}

wrong=0
for shape in $shapes; do
    file=$dir/$shape.pcap
    "$target/release/capgen" --shape "$shape" --packets "$packets" --snaplen "$snaplen" -o "$file" || exit 2
    count=$(sed -n 's/^"packets":\([0-9]*\).*/\1/p' "$file.json")
    echo "$shape: $count packets, $(stat -c %s "$file") bytes"
    : >"$times"
    failed=" "
    for ((round = 0; round < rounds; round++)); do
        for program in "${programs[@]}"; do
            name=${program%%|*} command=${program#*|}
            if [[ $failed == *" $name "* ]] || ! command -v "${command%% *}" >/dev/null; then
                continue
            fi
            if ! measure "$name" "$file" "$command"; then
                failed+="$name "
            fi
        done
    done
    print_table "$count"
    "$finwait" report --format jsonl --max-connections 16777216 --progress never "$file" |
        "$target/release/capcheck" "$file.json" | sed 's/^/  /' || wrong=1
done
exit "$wrong"
