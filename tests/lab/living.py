"""Scenarios between opening and closing: silence, keepalives, windows, trouble on the way."""

import random
import socket

from host import IPPROTO_MPTCP, forget
from impair import Impairment, drop, duplicate, inject, late
from lab import read_exactly
from packet import RST, SYN, client_data, forge, server_data
from registry import scenario
from sequences import (ACTIVE, BOTH_RESET, CLIENT_FIRST, CLIENT_OPEN, PASSIVE, SERVER_OPEN,
                       STILL_OPEN)

TCP_USER_TIMEOUT = 18
GAVE_UP = [(CLIENT_OPEN + " CLOSED", SERVER_OPEN)]
KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
             (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
             (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
             (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]


@scenario("A pulled cable: the client's data is never acknowledged and it gives up",
          textbook=[18], sysctls={"ipv4/tcp_retries2": 3}, expect=GAVE_UP)
def dead_peer_data(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.cut()
    client.sendall(b"are you there")
    lab.pause(8)


@scenario("A pulled cable: the client's application set TCP_USER_TIMEOUT", textbook=[18],
          expect=GAVE_UP)
def dead_peer_user_timeout(lab):
    client, server = lab.open()
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 1500)
    lab.exchange(client, server)
    lab.cut()
    client.sendall(b"are you there")
    lab.pause(4)


@scenario("A pulled cable: keepalives go unanswered, then RST and CLOSED", textbook=[18],
          expect=GAVE_UP, ipv6=True)
def keepalive_unanswered(lab):
    client, server = lab.open(client_options=KEEPALIVE)
    lab.exchange(client, server)
    lab.cut()
    lab.pause(6)


@scenario("A pulled cable and nothing to say: both stay ESTABLISHED", textbook=[18],
          expect=STILL_OPEN, mirror="symmetric")
def dead_peer_unnoticed(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.cut()
    lab.pause(3)


@scenario("Keepalives are answered and change nothing", textbook=[18], expect=CLIENT_FIRST)
def keepalive_answered(lab):
    client, server = lab.open(client_options=KEEPALIVE)
    lab.exchange(client, server)
    lab.pause(3.5)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@scenario("Keepalives find out that the server's host has forgotten the connection",
          textbook=[18], expect=BOTH_RESET)
def keepalive_to_forgotten(lab):
    client, server = lab.open(client_options=KEEPALIVE)
    lab.exchange(client, server)
    forget(server)
    lab.pause(2)


@scenario("A middlebox forgets an idle connection: everything is dropped from then on",
          textbook=[18], sysctls={"ipv4/tcp_retries2": 3},
          expect=BOTH_RESET, mirror="symmetric")
def silent_drop(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.pause(2)
    lab.cut()
    client.sendall(b"still there?")
    server.sendall(b"still there?")
    lab.pause(8)


@scenario("The server stops reading: a closed window, probes, then it reads on", textbook=[7],
          expect=CLIENT_FIRST, shows=[("middle", "tcp.window_size_value==0 && tcp.flags==0x10", 3)])
def zero_window(lab):
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)]
    client, server = lab.open(server_options=small)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    client.setblocking(False)
    sent = client.send(b"x" * 8000)
    lab.pause(4)
    read_exactly(server, sent)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@scenario("Data is lost and repeated, both ways", textbook=[8],
          path=Impairment(rules=[drop("data of the client", client_data, (1, 3)),
                                 drop("data of the server", server_data, (2,))]),
          expect=CLIENT_FIRST)
def data_lost(lab):
    client, server = lab.open()
    for _ in range(3):
        lab.exchange(client, server)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@scenario("Data is reordered and duplicated on the way", textbook=[8],
          path=Impairment(to_server=0.01, to_client=0.01, rules=[
              late("data of the client", client_data, 0.03, (1, 3)),
              duplicate("data of the client", client_data, 0.05, (2,))]),
          expect=CLIENT_FIRST)
def data_reordered(lab):
    client, server = lab.open()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(5):
        client.sendall(b"x" * 100)
        lab.pause(0.005)
    read_exactly(server, 500)
    lab.pause(0.2)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@scenario("A larger transfer over a path that delays, reorders, loses and duplicates", textbook=[8],
          path=Impairment(to_server=0.01, to_client=0.01, jitter=0.004, loss=0.04,
                          duplicate=0.03, seed=7), expect=[])
def rough_path(lab):
    client, server = lab.open()
    client.sendall(b"x" * 20000)
    read_exactly(server, 20000)
    server.sendall(b"y" * 20000)
    read_exactly(client, 20000)
    client.close()
    lab.pause(0.3)
    server.close()
    lab.pause(1)


@scenario("A long transfer: the server sends 40 kB and closes first", textbook=[9],
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE)])
def download(lab):
    client, server = lab.open(port=80)
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    server.recv(100)
    server.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + random.Random(1).randbytes(40000))
    server.close()
    while client.recv(65536):
        pass
    lab.pause()
    client.close()
    lab.pause()


def _stranger(flags, seq_shift):
    """A packet in the client's name that it never sent, made from its first data."""
    return Impairment(rules=[inject(
        f"forged {'RST' if flags & RST else 'SYN'} after data of the client", client_data,
        lambda raw: forge(raw, flags, seq_shift), 0.3)])


def _meet_a_stranger(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.pause(0.6)
    return client, server


@scenario("A RST in the window, but not exactly at RCV.NXT: challenge ACK, nothing changes",
          path=_stranger(RST, 40 + 1000), expect=STILL_OPEN)
def reset_in_window(lab):
    lab.exchange(*_meet_a_stranger(lab))


@scenario("A RST outside the window: ignored in silence",
          path=_stranger(RST, 2**31 - 1000), expect=STILL_OPEN)
def reset_outside_window(lab):
    lab.exchange(*_meet_a_stranger(lab))


@scenario("A forged RST exactly at RCV.NXT kills the server's end; the client learns of it late",
          path=_stranger(RST, 40), textbook=[17],
          expect=BOTH_RESET)
def reset_at_window_edge(lab):
    client, _ = _meet_a_stranger(lab)
    client.sendall(b"are you there")
    lab.pause()


@scenario("A forged SYN in the window of an ESTABLISHED connection: challenge ACK",
          path=_stranger(SYN, 40 + 1000), expect=STILL_OPEN)
def syn_in_window(lab):
    lab.exchange(*_meet_a_stranger(lab))


@scenario("Urgent data", textbook=[8], expect=STILL_OPEN,
          shows=[("middle", "tcp.flags.urg==1", 1)])
def urgent_data(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.send(b"!", socket.MSG_OOB)
    lab.exchange(client, server)


@scenario("Multipath TCP with one subflow: its options, and a DATA_FIN before the FIN",
          textbook=[5], expect=[], shows=[("middle", "tcp.option_kind==30", 4)])
def mptcp(lab):
    lab.client.protocol = lab.server.protocol = IPPROTO_MPTCP
    listener = lab.server.listen(7000)
    client, server = lab.parts(lab.client.connect(lab.server, 7000), lab.server.accept(listener))
    lab.exchange(client, server)
    client.close()
    lab.pause()
    server.close()
    lab.pause()


@scenario("An idle connection", textbook=[18], expect=STILL_OPEN, mirror="symmetric")
def idle(lab):
    lab.exchange(*lab.open())
    lab.pause(3)
