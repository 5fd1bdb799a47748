"""Scenarios of opening: handshakes that work, wait, fail, or meet a stranger."""

import socket

from host import MSG_FASTOPEN, TCP_FASTOPEN, TIMEOUT, abort, forget
from impair import Impairment, drop, duplicate
from lab import read_exactly
from packet import answering_syn, client_pure_ack, opening_syn
from registry import scenario
from sequences import (ACTIVE, BOTH_RESET, CLIENT_FIRST, CLIENT_OPEN, PASSIVE, SERVER_OPEN,
                       STILL_OPEN)


def client_but_no_syn(packet):
    return packet.sender == "client" and not packet.syn


def client_opening_syn(packet):
    return packet.sender == "client" and opening_syn(packet)


@scenario("A SYN to a port where nobody listens is refused by RST", textbook=[2],
          expect=[("SYN_SENT CLOSED", "")], mirror="opening")
def syn_refused(lab):
    lab.client.start_connect(lab.server, 7001)
    lab.pause()


@scenario("No SYN arrives: repeats, then silence", textbook=[2],
          path=Impairment(rules=[drop("SYN", opening_syn, None)]),
          sysctls={"ipv4/tcp_syn_retries": 2, "ipv4/tcp_syn_linear_timeouts": 1},
          expect=[("SYN_SENT CLOSED", "")], mirror="opening")
def syn_unanswered(lab):
    lab.server.listen(7000)
    lab.client.start_connect(lab.server, 7000)
    lab.pause(8.8)


@scenario("The application gives up in SYN_SENT; the SYN+ACK that comes late is refused",
          textbook=[4], path=Impairment(to_server=0.1, to_client=0.1),
          expect=[("SYN_SENT CLOSED", "SYN_RCVD CLOSED")], mirror="opening")
def client_gives_up(lab):
    lab.server.listen(7000)
    sock = lab.client.start_connect(lab.server, 7000)
    lab.pause(0.05)
    sock.close()
    lab.pause(0.5)


@scenario("The first SYN is lost and repeated", textbook=[1],
          path=Impairment(rules=[drop("SYN", opening_syn)]), expect=STILL_OPEN, mirror="opening")
def syn_lost(lab):
    lab.exchange(*lab.open())


@scenario("The first SYN+ACK is lost; SYN or SYN+ACK is repeated", textbook=[1],
          path=Impairment(rules=[drop("SYN+ACK", answering_syn)]),
          expect=STILL_OPEN, mirror="opening")
def syn_ack_lost(lab):
    lab.exchange(*lab.open())


@scenario("The handshake's ACK is lost: the server repeats SYN+ACK, the client its ACK",
          textbook=[2, 3], path=Impairment(rules=[drop("pure ACK of the client", client_pure_ack)]),
          expect=STILL_OPEN, shows=[("middle", "tcp.flags==0x12", 2)], mirror="opening")
def handshake_ack_lost(lab):
    lab.open()
    lab.pause(0.3)


@scenario("The handshake's ACK is lost and the client's first data completes it", textbook=[1, 2],
          path=Impairment(rules=[drop("pure ACK of the client", client_pure_ack)]),
          expect=STILL_OPEN, mirror="opening")
def handshake_completed_by_data(lab):
    listener = lab.server.listen(7000)
    sock = lab.client.connect(lab.server, 7000)
    lab.pause(0.1)
    lab.exchange(sock, lab.server.accept_after(listener, lambda: sock.sendall(b"hello")))


@scenario("The handshake's ACK is lost and the client's FIN completes it", textbook=[2, 7],
          path=Impairment(rules=[drop("pure ACK of the client", client_pure_ack)]),
          expect=CLIENT_FIRST, mirror="opening")
def handshake_completed_by_fin(lab):
    listener = lab.server.listen(7000)
    lab.client.connect(lab.server, 7000).close()
    lab.pause()
    lab.server.accept(listener).close()
    lab.pause()


@scenario("Somebody withholds the last ACK: SYN_RCVD lasts, then the server gives up",
          textbook=[3],
          path=Impairment(rules=[drop("pure ACK of the client", client_pure_ack, None)]),
          sysctls={"ipv4/tcp_synack_retries": 2},
          expect=[(CLIENT_OPEN, "SYN_RCVD CLOSED")], shows=[("middle", "tcp.flags==0x12", 3)],
          mirror="opening")
def syn_rcvd_held(lab):
    lab.server.listen(7000)
    lab.client.connect(lab.server, 7000)
    lab.pause(8)


@scenario("A SYN flood's shape: many SYN+ACKs that nobody answers", textbook=[3],
          path=Impairment(rules=[drop("anything but SYN of the client", client_but_no_syn, None),
                                 drop("SYN+ACK", answering_syn, None)]),
          sysctls={"ipv4/tcp_synack_retries": 1, "ipv4/tcp_syn_retries": 1},
          expect=[("SYN_SENT", "SYN_RCVD")], mirror="opening")
def many_half_open(lab):
    lab.server.listen(7000)
    for _ in range(20):
        lab.client.start_connect(lab.server, 7000)
    lab.pause(0.5)


# Slow enough that the last SYNs come before an ACK fills the accept queue: a SYN
# that meets a full queue is dropped, and no SYN_RCVD comes of it.
SLOW = Impairment(to_server=0.02, to_client=0.02)


def _overflow(lab):
    """Three connections to a queue for two."""
    lab.client.connect(lab.server, 7000)
    lab.pause()
    for _ in range(2):
        lab.client.start_connect(lab.server, 7000)


@scenario("The accept queue is full: the client is ESTABLISHED, the server stays SYN_RCVD",
          textbook=[3], sysctls={"ipv4/tcp_syncookies": 0}, path=SLOW,
          expect=STILL_OPEN, shows=[("middle", "tcp.flags==0x12", 5)], mirror="opening")
def accept_queue_overflow(lab):
    listener = lab.server.listen(7000, backlog=1)
    _overflow(lab)
    lab.pause(2.2)
    for _ in range(3):
        lab.server.accept(listener)


@scenario("The accept queue stays full until the server gives up on the third connection",
          textbook=[3], sysctls={"ipv4/tcp_syncookies": 0, "ipv4/tcp_synack_retries": 2}, path=SLOW,
          expect=[*STILL_OPEN, *STILL_OPEN, (CLIENT_OPEN, "SYN_RCVD CLOSED")], mirror="opening")
def accept_queue_never_drained(lab):
    lab.server.listen(7000, backlog=1)
    _overflow(lab)
    lab.pause(8)


DEFER = (socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 10)


@scenario("TCP_DEFER_ACCEPT: the server ignores the last ACK until data comes", textbook=[3],
          expect=STILL_OPEN, mirror="opening")
def deferred_accept(lab):
    listener = lab.server.listen(7000, options=[DEFER])
    sock = lab.client.connect(lab.server, 7000)
    lab.pause(1.5)
    lab.exchange(sock, lab.server.accept_after(listener, lambda: sock.sendall(b"hello")))


@scenario("TCP_DEFER_ACCEPT runs out: a repeated SYN+ACK, its ACK is accepted without data",
          textbook=[3], expect=STILL_OPEN,
          shows=[("middle", "tcp.flags==0x12", 2)], mirror="opening")
def deferred_accept_runs_out(lab):
    lab.server.listen(7000, options=[(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)])
    lab.client.connect(lab.server, 7000)
    lab.pause(4)


@scenario("SYN and SYN+ACK negotiate ECN: more flag bits than usual", textbook=[5],
          sysctls={"ipv4/tcp_ecn": 1}, expect=STILL_OPEN,
          shows=[("middle", "tcp.flags.syn==1 && tcp.flags.ece==1", 2)], mirror="symmetric")
def ecn(lab):
    lab.exchange(*lab.open())


@scenario("No options but MSS: no scale, no timestamps, no SACK", textbook=[5],
          sysctls={"ipv4/tcp_window_scaling": 0, "ipv4/tcp_timestamps": 0, "ipv4/tcp_sack": 0},
          expect=STILL_OPEN, mirror="symmetric")
def plain_options(lab):
    lab.exchange(*lab.open())


@scenario("No SYN+ACK arrives; the application begins again from the same port: another ISN "
          "meets SYN_RCVD", textbook=[4],
          path=Impairment(rules=[drop("SYN+ACK", answering_syn, (1, 2))]), expect=[],
          mirror="opening")
def syn_with_other_isn(lab):
    listener = lab.server.listen(7000)
    lab.client.start_connect(lab.server, 7000, source_port=40001).close()
    lab.pause(0.1)
    lab.client.start_connect(lab.server, 7000, source_port=40001)
    lab.pause(4)
    return listener


@scenario("A SYN cookie: the server keeps nothing until the last ACK brings it back",
          textbook=[1], sysctls={"ipv4/tcp_syncookies": 2}, expect=STILL_OPEN, mirror="opening")
def syn_cookie(lab):
    lab.exchange(*lab.open())


FASTOPEN_QUEUE = (socket.IPPROTO_TCP, TCP_FASTOPEN, 16)


def _fast_connect(lab, data, wait=True):
    """Connect and send at once; not waiting for the answer, if there is a cookie."""
    sock = lab.client.socket()
    sock.settimeout(None if wait else 0)
    sock.sendto(data, MSG_FASTOPEN, (lab.server.address, 7000))
    sock.settimeout(TIMEOUT)
    return sock


@scenario("Fast Open: the first connection fetches a cookie, the second brings data in its SYN",
          textbook=[1], sysctls={"ipv4/tcp_fastopen": 3}, expect=STILL_OPEN,
          shows=[("middle", "tcp.flags==0x02 && tcp.len>0", 1)], mirror="opening")
def fast_open(lab):
    listener = lab.server.listen(7000, options=[FASTOPEN_QUEUE])
    for _ in range(2):
        sock = _fast_connect(lab, b"hello")
        lab.exchange(sock, lab.server.accept(listener))
        lab.pause()


@scenario("Fast Open: the server answers and closes before the handshake's ACK arrives",
          textbook=[1], sysctls={"ipv4/tcp_fastopen": 0x207},
          path=Impairment(to_server=0.05, to_client=0.05),
          expect=[(CLIENT_OPEN + PASSIVE, "SYN_RCVD" + ACTIVE)], mirror="opening")
def fast_open_server_closes_in_syn_rcvd(lab):
    listener = lab.server.listen(7000, options=[FASTOPEN_QUEUE])
    sock = _fast_connect(lab, b"hello", wait=False)
    accepted = lab.server.accept(listener)
    accepted.recv(100)
    accepted.sendall(b"answer")
    accepted.close()
    read_exactly(sock, 6)
    lab.pause(0.3)
    sock.close()
    lab.pause(0.2)


@scenario("Both open at once: the SYNs cross", textbook=[2],
          path=Impairment(to_server=0.05, to_client=0.05),
          expect=[("SYN_SENT SYN_RCVD ESTABLISHED", "SYN_SENT SYN_RCVD ESTABLISHED")],
          mirror="symmetric")
def simultaneous_open(lab):
    lab.client.start_connect(lab.server, 7002, source_port=7001)
    lab.server.start_connect(lab.client, 7001, source_port=7002)
    lab.pause(0.4)


@scenario("Both open at once and one SYN is lost: that end's peer never is in SYN_RCVD",
          path=Impairment(to_server=0.05, to_client=0.05,
                          rules=[drop("SYN of the client", client_opening_syn)]),
          expect=[("SYN_SENT SYN_RCVD ESTABLISHED", "SYN_SENT ESTABLISHED")])
def simultaneous_open_one_syn_lost(lab):
    lab.client.start_connect(lab.server, 7002, source_port=7001)
    lab.server.start_connect(lab.client, 7001, source_port=7002)
    lab.pause(0.6)


@scenario("A copy of the SYN arrives after an abort by the client: the SYN+ACK is refused",
          textbook=[4], path=Impairment(rules=[duplicate("SYN", opening_syn, 0.8)]),
          expect=[*BOTH_RESET, ("", "SYN_RCVD CLOSED")])
def stale_syn(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    abort(client)
    lab.pause(1.2)


@scenario("A copy of the SYN arrives in the server's TIME_WAIT: ACK, RST, and TIME_WAIT is gone",
          textbook=[4, 16], path=Impairment(rules=[duplicate("SYN", opening_syn, 0.8)]),
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE + " CLOSED")],
          mirrored_expect=[(CLIENT_OPEN + ACTIVE + " CLOSED", SERVER_OPEN + PASSIVE),
                           ("", "SYN_RCVD CLOSED")])
def stale_syn_to_time_wait(lab):
    """Mirrored, the SYN meets a listener, whose SYN+ACK then meets the TIME_WAIT."""
    client, server = lab.open()
    server.close()
    lab.pause()
    client.close()
    lab.pause(2.3)


@scenario("A copy of the SYN meets the ESTABLISHED connection: challenge ACK, nothing changes",
          textbook=[4], path=Impairment(rules=[duplicate("SYN", opening_syn, 0.5)]),
          expect=STILL_OPEN, mirror="opening")
def stale_syn_challenged(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.pause(0.8)
    lab.exchange(client, server)


@scenario("The client's host crashed and asks again from the same port: challenge ACK, RST, "
          "the same SYN again", textbook=[18],
          expect=[*BOTH_RESET, *STILL_OPEN], mirror="opening")
def peer_rebooted(lab):
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=40001)
    lab.exchange(client, server)
    forget(client)
    lab.pause(0.5)
    lab.exchange(*lab.connect(listener, source_port=40001))


@scenario("The server's host crashed: the client's data is answered by RST", textbook=[18],
          expect=BOTH_RESET)
def server_rebooted(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    forget(server)
    lab.pause(0.5)
    client.sendall(b"are you there")
    lab.pause()
