#!/usr/bin/env python3
"""Cut a capture into files as a ring of tcpdump leaves them: rotate.py CAPTURE FOLDER

Three files, of which the second begins before the first has ended, as where two captures were taken
one after the other; and the last ends inside a packet, as where the disk was full.
"""

import sys
from pathlib import Path

from pcapfile import records

HEADER_BYTES = 24


def main(capture, folder):
    data = Path(capture).read_bytes()
    packets = [data[begin:end] for _, begin, end in records(data)]
    third = len(packets) // 3
    pieces = [packets[:third + 5], packets[third:2 * third], packets[2 * third:]]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(pieces):
        whole = data[:HEADER_BYTES] + b"".join(piece)
        kept = whole if piece is not pieces[-1] else whole[:-9]
        (folder / f"ring.pcap{number or ''}").write_bytes(kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
