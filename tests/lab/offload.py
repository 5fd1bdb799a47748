"""Scenarios on a bridge: what captures of real, offloading hosts look like."""

import random

from bridge import BridgePath
from closing import exchange_and_close
from registry import scenario
from sequences import ACTIVE, CLIENT_FIRST, CLIENT_OPEN, PASSIVE, SERVER_OPEN


@scenario("A normal close over Ethernet; the senders' checksums are not filled in yet",
          textbook=[8], bridge=BridgePath(), expect=CLIENT_FIRST)
def bridge_close(lab):
    exchange_and_close(lab)


@scenario("Captured on all interfaces: every packet several times", textbook=[8],
          bridge=BridgePath(middle="any"), expect=CLIENT_FIRST)
def bridge_any_interface(lab):
    exchange_and_close(lab)


@scenario("Cut at 64 bytes: of the TCP header all but the last options", textbook=[8],
          bridge=BridgePath(snaplen=64), expect=CLIENT_FIRST)
def bridge_short_snap_length(lab):
    exchange_and_close(lab)


@scenario("The server sends segments larger than any MTU; captured are their headers only",
          textbook=[9], bridge=BridgePath(snaplen=96),
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE)],
          shows=[("middle", "ip.len>20000", 1)])
def bridge_large_segments(lab):
    client, server = lab.open(port=80)
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    server.recv(100)
    server.settimeout(None)
    lab.background(lambda: (server.sendall(random.Random(1).randbytes(900_000)), server.close()))
    while client.recv(262144):
        pass
    lab.pause()
    client.close()
    lab.pause()
