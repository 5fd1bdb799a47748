"""Write and trim nanosecond pcap files of raw IP packets."""

import struct
import time

MAGIC_NANO = 0xA1B23C4D
LINKTYPE_RAW = 101
SNAPLEN = 262144


class Writer:
    """A pcap written packet by packet, each stamped and flushed at once."""

    def __init__(self, path):
        self._file = open(path, "wb")
        header = struct.pack("<IHHiIII", MAGIC_NANO, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW)
        self._file.write(header)
        self._file.flush()

    def write(self, raw):
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        self._file.write(struct.pack("<IIII", seconds, nanos, len(raw), len(raw)) + raw)
        self._file.flush()


def records(data):
    """Yield (time in ns, offset, end offset) of each packet of a pcap's bytes."""
    assert struct.unpack_from("<I", data)[0] == MAGIC_NANO, "not a nanosecond pcap"
    offset = 24
    while offset + 16 <= len(data):
        seconds, nanos, stored, _ = struct.unpack_from("<IIII", data, offset)
        end = offset + 16 + stored
        if end > len(data):
            return
        yield seconds * 1_000_000_000 + nanos, offset, end
        offset = end


def trim(path, end_ns):
    """Drop what was captured after `end_ns`, so that capture and truth end together."""
    data = path.read_bytes()
    kept = [data[start:end] for ns, start, end in records(data) if ns <= end_ns]
    path.write_bytes(data[:24] + b"".join(kept))
    return len(kept)
