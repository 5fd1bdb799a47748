"""A hand-made TCP: a peer that sends what no kernel would.

It lives beside a host, on an address that the host does not own, so that the
kernel there keeps silent; every segment is written by the scenario.
"""

import socket
import struct
import time

import packet

ADDRESS = {"10.9.0.1": "10.9.0.101", "10.9.0.2": "10.9.0.102"}
ETH_P_IP = 0x0800
WINDOW = 60000
MSS_OPTION = b"\x02\x04\x05\xb4"


class Puppet:
    """A peer at a port; it remembers the numbers, and does nothing by itself."""

    def __init__(self, host, device, port, isn=1_000_000):
        self.address, self.port = ADDRESS[host.address], port
        self._device = device
        with host.namespace:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                         socket.htons(ETH_P_IP))
        self._socket.bind((device, ETH_P_IP))
        self._peer = None
        self.nxt = isn
        self._expected = 0

    def address_to(self, host, port):
        """Whom to send to before anything was received."""
        self._peer = (host.address, port)

    def receive(self, wanted, timeout=5):
        """The next segment for this peer for which `wanted` is true; its bytes are taken."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            raw, (_, _, kind, _, _) = self._socket.recvfrom(65536)
            segment = packet.parse("", raw)
            if kind == socket.PACKET_OUTGOING or not self._is_mine(raw, segment):
                continue
            self._peer = (socket.inet_ntoa(raw[12:16]), struct.unpack_from("!H", raw, 20)[0])
            self._expected = (segment.seq + segment.payload + segment.syn + segment.fin) % 2**32
            if wanted(segment):
                return segment
        raise TimeoutError("the segment did not come")

    def send(self, flags, payload=b"", options=b"", seq=None):
        """Send a segment with these nine flags; ACK acknowledges all that was received."""
        seq = self.nxt if seq is None else seq
        ack = self._expected if flags & packet.ACK else 0
        offset_and_flags = (20 + len(options)) // 4 << 12 | flags
        header = struct.pack("!HHIIHHHH", self.port, self._peer[1], seq, ack,
                             offset_and_flags, WINDOW, 0, 0)
        tcp = bytearray(header + options + payload)
        addresses = socket.inet_aton(self.address) + socket.inet_aton(self._peer[0])
        pseudo = addresses + struct.pack("!HH", 6, len(tcp))
        struct.pack_into("!H", tcp, 16, packet.checksum(pseudo + tcp))
        ip = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0))
        struct.pack_into("!H", ip, 10, packet.checksum(bytes(ip) + addresses))
        self._socket.sendto(bytes(ip) + addresses + tcp, (self._device, ETH_P_IP))
        used = len(payload) + bool(flags & packet.SYN) + bool(flags & packet.FIN)
        self.nxt = (seq + used) % 2**32

    def _is_mine(self, raw, segment):
        own = socket.inet_aton(self.address)
        return (segment is not None and raw[16:20] == own
                and struct.unpack_from("!H", raw, 22)[0] == self.port)
