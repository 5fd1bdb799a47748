"""Just enough of IPv4, IPv6 and TCP for a path to choose which packets to hurt."""

import struct
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


@dataclass(frozen=True)
class Packet:
    """A TCP segment on the path; `sender` is "client" or "server"."""

    sender: str
    flags: int
    seq: int
    ack_number: int
    payload: int
    raw: bytes

    @property
    def syn(self):
        return bool(self.flags & SYN)

    @property
    def fin(self):
        return bool(self.flags & FIN)

    @property
    def rst(self):
        return bool(self.flags & RST)

    @property
    def ack(self):
        return bool(self.flags & ACK)

    @property
    def pure_ack(self):
        """Nothing but an acknowledgement."""
        return self.ack and self.payload == 0 and not self.flags & (SYN | FIN | RST)


def parse(sender, raw):
    """The TCP segment in an IP packet, or None if it holds none."""
    version = raw[0] >> 4
    if version == 4 and raw[9] == 6:
        start, end = (raw[0] & 15) * 4, struct.unpack_from("!H", raw, 2)[0]
    elif version == 6 and raw[6] == 6:
        start, end = 40, 40 + struct.unpack_from("!H", raw, 4)[0]
    else:
        return None
    seq, ack_number, offset, flags = struct.unpack_from("!IIBB", raw, start + 4)
    payload = end - start - (offset >> 4) * 4
    return Packet(sender, flags, seq, ack_number, payload, raw)
