#!/usr/bin/env python3
"""Cut connections out of a recording: excerpt.py RECORDING CONNECTION[-LAST] OUT

What is still got wrong of the crowds of `record.py --random` is kept this way, small, in
testdata/misses: the connection's packets at the three points, and the kernel's word on it.
"""

import json
import struct
import sys
from datetime import datetime
from pathlib import Path

from pcapfile import records

POINTS = ("client", "middle", "server")
# What clocks may differ and what a packet may be on its way, in ns.
SKEW = 2_000_000
WAY_MAX = 100_000_000


def ports(packet):
    """The two TCP ports of a raw IP packet."""
    start = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
    return frozenset(struct.unpack_from("!HH", packet, start))


def nanoseconds(stamp):
    whole, fraction = stamp.rstrip("Z").split(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(fraction)


def excerpt(recording, numbers, out):
    lines = [json.loads(line) for line in (recording / "truth.jsonl").read_text().splitlines()]
    head, end = lines[0], lines[-1]
    truth = [line for line in lines[1:-1] if line.get("conn") in numbers]
    # Other connections may have had the ports before and after.
    lives = {}
    for line in truth:
        at = nanoseconds(line["ts"])
        key = line["conn"], line["client_port"], line["server_port"]
        first, last = lives.get(key, (at, at))
        lives[key] = min(first, at), max(last, at)
    spans = {}
    for (_, *pair), (first, last) in lives.items():
        spans.setdefault(frozenset(pair), []).append((first - SKEW, last + WAY_MAX))
    out.mkdir(parents=True)
    for point in POINTS:
        data = (recording / f"{point}.pcap").read_bytes()
        kept = [
            data[at:to]
            for ns, at, to in records(data)
            if any(a <= ns <= b for a, b in spans.get(ports(data[at + 16 : to]), ()))
        ]
        (out / f"{point}.pcap").write_bytes(data[:24] + b"".join(kept))
        head["packets"][point] = len(kept)
    told = numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    head["title"] = f"connection {told} of {head['connections']}, {head['title']}"
    head["connections"] = len(numbers)
    end["final"] = [it for it in end["final"] if it["conn"] in numbers]
    rows = [head, *truth, end]
    (out / "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    first, _, last = sys.argv[2].partition("-")
    wanted = range(int(first), int(last or first) + 1)
    excerpt(Path(sys.argv[1]), wanted, Path(sys.argv[3]))
