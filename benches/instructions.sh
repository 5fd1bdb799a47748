#!/usr/bin/env bash
# The instructions that a report takes, for each packet, held against the figures that are committed
# in benches/instructions.txt. Unlike time, they are nearly the same on a busy machine and a quiet
# one; what varies a little is the seed of the hash tables.
#
#   benches/instructions.sh [--bless]
#
# --bless writes the figures that it finds. Exit code: 0 as committed, or fewer; 1 more than ten
# percent above; 2 something could not be run.
set -euo pipefail

bless=""
case ${1:-} in
--bless) bless=yes ;;
"") ;;
*)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
cargo build --quiet --release --manifest-path "$root/Cargo.toml" -p finwait -p finwait-capgen || exit 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
committed=$root/benches/instructions.txt
packets=50000 worst=0

for shape in web bulk flood concurrent; do
    "$target/capgen" --packets $packets --shape $shape --conns 10000 -o "$dir/$shape.pcap"
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
        "$target/finwait" report --progress never --threads 1 "$dir/$shape.pcap" \
        >/dev/null 2>"$dir/log" || { tail -n 3 "$dir/log" >&2 && exit 2; }
    all=$(sed -n 's/.*I *refs: *//p' "$dir/log" | tr -d ,)
    found=$((all / packets))
    was=$(awk -v shape=$shape '$1 == shape { print $2 }' "$committed" 2>/dev/null || true)
    printf '%-12s %8d instructions a packet, committed %s\n' $shape "$found" "${was:-none}"
    echo "$shape $found" >>"$dir/found"
    if [[ -z $was ]] || ((found * 100 > was * 110)); then worst=1; fi
done
if [[ -n $bless ]]; then
    cp "$dir/found" "$committed"
    exit 0
fi
if ((worst > 0)); then
    echo "instructions.sh: more than is committed; if that is meant, --bless" >&2
fi
exit $worst
