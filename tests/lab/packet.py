"""Just enough of IPv4, IPv6 and TCP for a path to choose which packets to hurt."""

import struct
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
ECE, CWR, AE = 0x40, 0x80, 0x100
# IPv6 extension headers.
HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60


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


def client_fin(packet):
    return packet.sender == "client" and packet.fin


def server_fin(packet):
    return packet.sender == "server" and packet.fin


def client_data(packet):
    return packet.sender == "client" and packet.payload > 0


def server_data(packet):
    return packet.sender == "server" and packet.payload > 0


def client_rst(packet):
    return packet.sender == "client" and packet.rst


def client_pure_ack(packet):
    return packet.sender == "client" and packet.pure_ack


def server_pure_ack(packet):
    return packet.sender == "server" and packet.pure_ack


def opening_syn(packet):
    """A SYN of whoever opens."""
    return packet.syn and not packet.ack


def answering_syn(packet):
    return packet.syn and packet.ack


def parse(sender, raw):
    """The TCP segment in an IP packet, or None if it holds none."""
    start = tcp_start(raw)
    if start is None:
        return None
    version6 = raw[0] >> 4 == 6
    [length] = struct.unpack_from("!H", raw, 4 if version6 else 2)
    end = length + 40 if version6 else length
    seq, ack_number, offset, flags = struct.unpack_from("!IIBB", raw, start + 4)
    payload = end - start - (offset >> 4) * 4
    return Packet(sender, flags, seq, ack_number, payload, raw)


def tcp_start(raw):
    """Where TCP begins in an IP packet; None if something else does."""
    if raw[0] >> 4 == 4:
        return (raw[0] & 15) * 4 if raw[9] == 6 else None
    kind, start = raw[6], 40
    while kind in (HOP_BY_HOP, ROUTING, DESTINATION):
        kind, start = raw[start], start + (raw[start + 1] + 1) * 8
    return start if kind == 6 else None


def forge(raw, flags, seq_shift=0, payload=b""):
    """A segment without options, derived from a real one, checksums right.

    The same addresses, ports and acknowledgement number; other flags and payload,
    and a sequence number `seq_shift` further on.
    """
    version6 = raw[0] >> 4 == 6
    start = 40 if version6 else (raw[0] & 15) * 4
    ip = bytearray(raw[:start])
    ports, seq, ack_number = struct.unpack_from("!4sII", raw, start)
    window = raw[start + 14:start + 16]
    tcp = bytearray(struct.pack("!4sIIBB2sHH", ports, (seq + seq_shift) % 2**32, ack_number,
                                5 << 4, flags, window, 0, 0) + payload)
    addresses = bytes(ip[8:40] if version6 else ip[12:20])
    pseudo = addresses + struct.pack("!HH", 6, len(tcp))
    struct.pack_into("!H", tcp, 16, checksum(pseudo + tcp))
    if version6:
        struct.pack_into("!H", ip, 4, len(tcp))
    else:
        struct.pack_into("!H", ip, 2, start + len(tcp))
        struct.pack_into("!H", ip, 10, 0)
        struct.pack_into("!H", ip, 10, checksum(bytes(ip)))
    return bytes(ip + tcp)


def refuse(raw, ttl):
    """The RST that a device on an IPv4 path sends back for a segment, in its receiver's name."""
    start = (raw[0] & 15) * 4
    source, target = struct.unpack_from("!4s4s", raw, 12)
    from_port, to_port, _, ack_number = struct.unpack_from("!HHII", raw, start)
    ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, ttl, 6, 0, target, source))
    struct.pack_into("!H", ip, 10, checksum(bytes(ip)))
    tcp = bytearray(struct.pack("!HHIIBBHHH", to_port, from_port, ack_number, 0, 5 << 4, RST,
                                0, 0, 0))
    pseudo = target + source + struct.pack("!HH", 6, len(tcp))
    struct.pack_into("!H", tcp, 16, checksum(pseudo + bytes(tcp)))
    return bytes(ip + tcp)


def checksum(data):
    """The Internet checksum of some bytes."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
