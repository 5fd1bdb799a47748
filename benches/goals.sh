#!/usr/bin/env bash
# Every goal for speed and memory, measured and held: one line each, with the ratio that was found,
# the bound, and whether it was met.
#
# The programs of one goal run in turn, several rounds, and the medians are compared, so that a busy
# machine is equally busy for each. Captures are generated, so their content is known, and a wrong
# answer fails, however fast it came. The goals are meant for the full sizes: 10 million packets of
# web, 5 million of flood and open, 1.5 million of bulk, 100 million of a flood that must stay
# bounded. --tenth takes a tenth of each, for a look.
#
#   benches/goals.sh [--tenth] [--rounds N] [--dir DIR] [--no-peers] [--no-bound]
#
# --no-peers leaves out tcptrace and tshark, --no-bound the long flood. Exit code: 0 all goals that
# could be measured are met, 1 one is not, 2 something could not be run.
set -euo pipefail

rounds=5 dir="" tenth="" peers=yes bound=yes
while (($# > 0)); do
    case $1 in
    --tenth) tenth=yes ;;
    --no-peers) peers="" ;;
    --no-bound) bound="" ;;
    --rounds) rounds=$2 && shift ;;
    --dir) dir=$2 && shift ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
    esac
    shift
done

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
cargo build --quiet --release --manifest-path "$root/Cargo.toml" \
    -p finwait -p finwait-capgen -p finwait-floor || exit 2
if [[ ! -x /usr/bin/time ]]; then
    echo "goals.sh: /usr/bin/time is missing" >&2
    exit 2
fi
if [[ -z $dir ]]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
fi
mkdir -p "$dir"
missed=0

# Generates a capture unless it is there: a name, packets in thousands, and what else capgen takes.
capture() {
    local name=$1 thousands=$2
    shift 2
    if [[ -n $tenth ]]; then thousands=$((thousands / 10)); fi
    file=$dir/$name.pcap
    if [[ ! -e $file.json ]]; then
        "$target/capgen" --packets "${thousands}k" "$@" -o "$file"
    fi
    cat "$file" >/dev/null
}

count() { sed -n "s/^\"packets\":\([0-9]*\),\"connections\":\([0-9]*\),.*/\\$1/p" "$2.json"; }

# Runs commands in turn, and leaves "wall cpu KiB" of each in the array `medians`.
in_turn() {
    local at round
    for ((at = 0; at < $#; at++)); do : >"$dir/times.$at"; done
    for ((round = 0; round < rounds; round++)); do
        at=0
        for command in "$@"; do
            local -a words
            read -ra words <<<"$command"
            # A program that fails has no time: compared as if it had, it would meet any goal.
            if ! /usr/bin/time -q -f "%e %U %S %M" -o "$dir/time" "${words[@]}" >/dev/null 2>"$dir/stderr"; then
                echo "goals.sh: failed: $command: $(tail -n 1 "$dir/stderr")" >&2
                exit 2
            fi
            awk '{ print $1, $2 + $3, $4 }' "$dir/time" >>"$dir/times.$at"
            at=$((at + 1))
        done
    done
    medians=()
    for ((at = 0; at < $#; at++)); do
        medians+=("$(for column in 1 2 3; do
            cut -d' ' -f$column "$dir/times.$at" | sort -g | sed -n "$(((rounds + 1) / 2))p"
        done | xargs)")
    done
}

# One goal: what, the value, the most it may be, its unit. Without a value nothing was measured.
goal() {
    local verdict
    if [[ ! $2 =~ ^[0-9.]+$ ]]; then
        echo "goals.sh: not measured: $1" >&2
        exit 2
    fi
    verdict=$(awk -v value="$2" -v most="$3" 'BEGIN { print (value <= most) ? "met" : "MISSED" }')
    printf '%-58s %10.3f %10.3f %-8s %s\n' "$1" "$2" "$3" "${4:-}" "$verdict"
    if [[ $verdict != met ]]; then missed=1; fi
}

# A quotient. What took too short a time to be measured has none.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a > 0 && b > 0) printf "%.4f", a / b }'; }
wall() { cut -d' ' -f1 <<<"$1"; }
cpu() { cut -d' ' -f2 <<<"$1"; }
kib() { cut -d' ' -f3 <<<"$1"; }

# The reports on a file are right, and the same with one thread and with two.
answers() {
    if ! "$target/finwait" report --format jsonl $options "$file" | "$target/capcheck" "$file.json"; then
        goal "$1: true counts by kind of close (wrong)" 1 0
    else
        goal "$1: true counts by kind of close (wrong)" 0 0
    fi
    local differ=0 format
    for format in table jsonl json; do
        cmp -s <("$target/finwait" report --format $format --threads 1 $options "$file") \
            <("$target/finwait" report --format $format --threads 2 $options "$file") || {
            echo "goals.sh: $1: $format differs" >&2
            differ=$((differ + 1))
        }
    done
    goal "$1: formats that differ between one thread and two" $differ 0
}

options="--progress never --max-connections 100000000"
finwait="$target/finwait report $options"
printf '%-58s %10s %10s\n' goal found at-most

capture web 10000 --shape web --snaplen 96
answers web
in_turn "$finwait $file" "tcpdump -n -r $file -w /dev/null" "$target/floor -n 1 $file batched" \
    "$finwait --threads 1 $file" "$finwait --format jsonl $file"
own=${medians[0]}
goal "web: wall to tcpdump -w /dev/null" "$(ratio "$(wall "$own")" "$(wall "${medians[1]}")")" 1.0
goal "web, one thread: cpu to the batched floor" "$(ratio "$(cpu "${medians[3]}")" "$(cpu "${medians[2]}")")" 2.0
goal "web, JSON Lines: wall to the report" "$(ratio "$(wall "${medians[4]}")" "$(wall "$own")")" 4.0
if [[ -n $peers ]]; then
    saved=$rounds rounds=1
    if command -v tcptrace >/dev/null; then
        in_turn "tcptrace -n $file"
        goal "web: wall to tcptrace" "$(ratio "$(wall "$own")" "$(wall "${medians[0]}")")" 0.0667
        goal "web: peak memory to tcptrace" "$(ratio "$(kib "$own")" "$(kib "${medians[0]}")")" 0.05
    fi
    if command -v tshark >/dev/null; then
        in_turn "tshark -n -q -z conv,tcp -r $file"
        goal "web: wall to tshark -z conv,tcp" "$(ratio "$(wall "$own")" "$(wall "${medians[0]}")")" 0.0167
    fi
    rounds=$saved
fi
for packer in zstd gzip; do
    if command -v $packer >/dev/null; then
        [[ -e $file.$packer ]] || $packer -q -c <"$file" >"$file.$packer"
        in_turn "$finwait $file.$packer" "$packer -q -dc $file.$packer"
        goal "web, $packer: wall to decompression" "$(ratio "$(wall "${medians[0]}")" "$(wall "${medians[1]}")")" 1.1
    fi
done

capture bulk 1500 --shape bulk --snaplen 65535
answers bulk
in_turn "$finwait $file" "tcpdump -n -r $file -w /dev/null"
goal "bulk: wall to tcpdump -w /dev/null" "$(ratio "$(wall "${medians[0]}")" "$(wall "${medians[1]}")")" 0.6

conns=1000000
if [[ -n $tenth ]]; then conns=100000; fi
for shape in flood concurrent; do
    capture $shape 5000 --shape $shape --conns $conns
    answers $shape
    in_turn "$finwait $file" "$target/floor -n 1 $file batched"
    goal "$shape: wall to the batched floor" "$(ratio "$(wall "${medians[0]}")" "$(wall "${medians[1]}")")" 1.5
    goal "$shape: peak memory for each connection" \
        "$(ratio $(($(kib "${medians[0]}") * 1024)) "$(count 2 "$file")")" 160 bytes
done

# Through a pipe: a hundred million packets would be a file of eight gigabytes.
if [[ -n $bound ]]; then
    thousands=100000 file=$dir/long-flood
    if [[ -n $tenth ]]; then thousands=10000; fi
    rm -f "$file" && mkfifo "$file"
    "$target/capgen" --shape flood --packets "${thousands}k" -o "$file" &
    options="--progress never --max-connections 1000000"
    if ! /usr/bin/time -q -f "%e %U %S %M" -o "$dir/time" "$target/finwait" report --format jsonl \
        $options "$file" | tail -n 1 >"$dir/summary"; then
        echo "goals.sh: failed on the long flood" >&2
        exit 2
    fi
    wait
    read -r _ _ _ kib <"$dir/time"
    goal "a long flood, --max-connections 1000000: peak memory" "$(ratio "$kib" 1024)" 512 MiB
    grep -q '"limits_hit":{"connections_forgotten":[1-9]' "$dir/summary" && silent=0 || silent=1
    goal "a long flood: limits that were hit and not told" $silent 0
fi
exit $missed
