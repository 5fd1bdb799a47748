#!/usr/bin/env bash
# How time and memory grow: with the packets of a capture of a web service, and with the connections
# that are open at once. Both tables are in docs/speed.md.
#
#   benches/scaling.sh [--packets "1 3 10 30"] [--open "10 100 1000 3000"] [--rounds 5] [--dir DIR]
#
# --packets are in millions; --open in thousands of connections, of five packets each. Of the rounds
# the one counts that took the least CPU time: what others of the machine do only adds to it.
set -euo pipefail

millions="1 3 10 30" thousands="10 100 1000 3000" rounds=5 dir=""
while (($# > 0)); do
    case $1 in
    --packets) millions=$2 ;;
    --open) thousands=$2 ;;
    --rounds) rounds=$2 ;;
    --dir) dir=$2 ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
cargo build --quiet --release --manifest-path "$root/Cargo.toml" -p finwait -p finwait-capgen || exit 2
if [[ -z $dir ]]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
fi
mkdir -p "$dir"

# A row: the capture's packets and connections, the CPU time and the peak memory of a report on it.
row() {
    local file=$dir/scaling.pcap counts
    "$target/capgen" "$@" -o "$file"
    counts=$(sed -n 's/^"packets":\([0-9]*\),"connections":\([0-9]*\),.*/\1 \2/p' "$file.json")
    : >"$dir/times"
    for ((round = 0; round < rounds; round++)); do
        /usr/bin/time -q -f "%U %S %M" -a -o "$dir/times" "$target/finwait" report \
            --progress never --threads 1 --max-connections 100000000 "$file" >/dev/null
    done
    awk -v counts="$counts" '
        { cpu = $1 + $2; kib = $3 }
        NR == 1 || cpu < least { least = cpu }
        END {
            split(counts, n, " ")
            # Times are whole hundredths of a second.
            each = least < 0.05 ? "-" : sprintf("%.0f", least * 1e9 / n[1])
            printf "| %d | %d | %.2f | %s | %.0f | %.0f |\n",
                n[1], n[2], least, each, kib / 1024, kib * 1024 / n[2]
        }' "$dir/times"
    rm -f "$file" "$file.json"
}

head="| packets | connections | CPU s | ns a packet | MiB | bytes a connection |\n|---|---|---|---|---|---|\n"
printf "web:\n\n$head"
for count in $millions; do row --shape web --snaplen 96 --packets "${count}M"; done
printf "\nopen at once:\n\n$head"
for count in $thousands; do
    row --shape concurrent --packets "$((count * 5))k" --conns "$((count * 1000))"
done
