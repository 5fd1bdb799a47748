"""Scenarios of closing: four segments, three, both at once, lost, late, never."""

import socket

from host import abort
from impair import Impairment, drop, duplicate, late
from lab import read_exactly
from packet import (client_data, client_fin, client_pure_ack, server_fin, server_pure_ack)
from registry import scenario
from sequences import (ACTIVE, ACTIVE_THREE, CLIENT_FIRST, CLIENT_OPEN, CROSSED, PASSIVE,
                       SERVER_OPEN)


def close(lab, first, second):
    """The first closes; the other sees it and closes after its ACK has gone."""
    first.close()
    lab.pause()
    second.close()
    lab.pause()


def exchange_and_close(lab, **options):
    client, server = lab.open(**options)
    lab.exchange(client, server)
    close(lab, client, server)


@scenario("A normal close in four segments, the client first", textbook=[1, 2, 5, 8, 9, 10, 20],
          expect=CLIENT_FIRST, shows=[("middle", "tcp.flags.fin==1", 2)], ipv6=True,
          mirrored_name="four-segment-close-server-first")
def four_segment_close(lab):
    exchange_and_close(lab)


@scenario("A normal close, recorded until TIME_WAIT has ended", textbook=[10, 16],
          expect=[(CLIENT_OPEN + ACTIVE + " CLOSED", SERVER_OPEN + PASSIVE)])
def time_wait_to_its_end(lab):
    exchange_and_close(lab)
    lab.pause(63)


@scenario("FIN and ACK in one segment: three segments close, FIN_WAIT_2 is skipped",
          textbook=[9, 11, 19], expect=[(CLIENT_OPEN + ACTIVE_THREE, SERVER_OPEN + PASSIVE)],
          ipv6=True)
def three_segment_close(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.close()
    lab.answer_fin(server)
    lab.pause()


@scenario("Both FINs cross: both ends are in CLOSING", textbook=[12],
          path=Impairment(to_server=0.04, to_client=0.04),
          expect=[(CLIENT_OPEN + CROSSED, SERVER_OPEN + CROSSED)], ipv6=True, mirror="symmetric")
def simultaneous_close(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.close()
    server.close()
    lab.pause(0.3)


@scenario("Half-close: the client has no more data, the server sends for two more seconds",
          textbook=[7, 13], expect=CLIENT_FIRST, ipv6=True)
def half_close_data(lab):
    client, server = lab.open()
    client.sendall(b"send me everything")
    client.shutdown(socket.SHUT_WR)
    read_exactly(server, 18)
    for _ in range(10):
        server.sendall(b"x" * 1200)
        read_exactly(client, 1200)
        lab.pause(0.2)
    server.close()
    lab.pause()
    client.close()


@scenario("The FIN carries data", textbook=[8], expect=CLIENT_FIRST,
          shows=[("middle", "tcp.flags.fin==1 && tcp.len>0", 1)], ipv6=True)
def fin_with_data(lab):
    client, server = lab.open()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    client.sendall(b"my last words")
    client.close()
    read_exactly(server, 13)
    lab.pause()
    server.close()


@scenario("The FIN acknowledges the last data, which nothing has acknowledged before", textbook=[11],
          expect=CLIENT_FIRST, ipv6=True,
          shows=[("middle", "tcp.flags.fin==1 && tcp.analysis.acks_frame", 1)])
def fin_with_last_ack(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    server.sendall(b"the last word")
    read_exactly(client, 13)
    client.close()
    lab.pause()
    server.close()


@scenario("Both FINs carry data and cross", textbook=[8, 12],
          path=Impairment(to_server=0.04, to_client=0.04),
          expect=[(CLIENT_OPEN + CROSSED, SERVER_OPEN + CROSSED)], mirror="symmetric")
def simultaneous_close_with_data(lab):
    client, server = lab.open()
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        sock.sendall(b"my last words")
    for sock in (client, server):
        sock.shutdown(socket.SHUT_WR)
    lab.pause(0.4)


@scenario("The classic leak: the server's application never closes 32 of 35 connections",
          textbook=[9, 13, 14], expect=[], mirrored_name="close-wait-leak-client")
def close_wait_leak(lab):
    listener = lab.server.listen(6800)
    for number in range(35):
        client, server = lab.connect(listener)
        lab.exchange_at_once(client, server)
        client.close()
        if number % 12 == 5:
            lab.answer_fin(server)
    lab.pause(5)


@scenario("FIN_WAIT_2 held: the client said shutdown, the server's application does not close",
          textbook=[13], expect=[(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2",
                                  SERVER_OPEN + " CLOSE_WAIT")])
def fin_wait_2_held(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    lab.pause(4)


@scenario("An orphan's FIN_WAIT_2 times out in silence", textbook=[13],
          sysctls={"ipv4/tcp_fin_timeout": 2},
          expect=[(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2 CLOSED", SERVER_OPEN + " CLOSE_WAIT")])
def fin_wait_2_orphan_times_out(lab):
    client, server = lab.open()
    client.close()
    lab.pause(4)


@scenario("The FIN comes after the orphan's FIN_WAIT_2 timed out: RST, there is no socket",
          textbook=[13], sysctls={"ipv4/tcp_fin_timeout": 1},
          expect=[(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2 CLOSED", SERVER_OPEN + PASSIVE)],
          shows=[("middle", "tcp.flags.reset==1", 1)])
def fin_to_no_socket(lab):
    client, server = lab.open()
    client.close()
    lab.pause(2.5)
    server.close()
    lab.pause()


@scenario("The last ACK is lost: the FIN is repeated, TIME_WAIT acknowledges again",
          textbook=[15, 16], path=Impairment(rules=[
              drop("pure ACK of the client after FIN of the server", client_pure_ack,
                   after=server_fin)]),
          expect=CLIENT_FIRST, shows=[("middle", "tcp.flags.fin==1", 3)], ipv6=True)
def last_ack_lost(lab):
    exchange_and_close(lab)
    lab.pause(0.6)


@scenario("The ACK of the first FIN is lost: the FIN is repeated", textbook=[10],
          path=Impairment(rules=[
              drop("pure ACK of the server after FIN of the client", server_pure_ack,
                   after=client_fin)]),
          expect=CLIENT_FIRST, shows=[("middle", "tcp.flags.fin==1", 3)])
def ack_of_fin_lost(lab):
    client, server = lab.open()
    client.close()
    lab.pause(0.8)
    server.close()
    lab.pause()


@scenario("The first FIN is lost and repeated", textbook=[10],
          path=Impairment(rules=[drop("FIN of the client", client_fin)]), expect=CLIENT_FIRST,
          ipv6=True)
def fin_lost(lab):
    client, server = lab.open()
    client.close()
    lab.pause(0.8)
    server.close()
    lab.pause()


@scenario("The passive side's FIN is lost and repeated", textbook=[15],
          path=Impairment(rules=[drop("FIN of the server", server_fin)]), expect=CLIENT_FIRST)
def second_fin_lost(lab):
    exchange_and_close(lab)
    lab.pause(0.6)


@scenario("Both FINs are lost once and repeated", textbook=[12],
          path=Impairment(to_server=0.04, to_client=0.04, rules=[
              drop("FIN of the client", client_fin), drop("FIN of the server", server_fin)]),
          expect=[], shows=[("middle", "tcp.flags.fin==1", 4)], mirror="symmetric")
def both_fins_repeated(lab):
    client, server = lab.open()
    client.close()
    server.close()
    lab.pause(1.5)


@scenario("The path is cut: the FIN is never answered and the client gives up", textbook=[10, 18],
          sysctls={"ipv4/tcp_orphan_retries": 3},
          expect=[(CLIENT_OPEN + " FIN_WAIT_1 CLOSED", SERVER_OPEN)])
def fin_never_answered(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    lab.cut()
    client.close()
    lab.pause(8)


@scenario("LAST_ACK gives up: the path is cut before the second FIN", textbook=[15],
          sysctls={"ipv4/tcp_orphan_retries": 3},
          expect=[(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2", SERVER_OPEN + PASSIVE)],
          shows=[("middle", "tcp.flags.fin==1", 4)])
def last_ack_gives_up(lab):
    client, server = lab.open()
    client.shutdown(socket.SHUT_WR)
    lab.pause()
    lab.cut()
    server.close()
    lab.pause(8)


@scenario("LAST_ACK is stuck: the client's side is cut, the FIN repeated", textbook=[15],
          expect=[(CLIENT_OPEN + ACTIVE, SERVER_OPEN + " CLOSE_WAIT LAST_ACK")],
          shows=[("middle", "tcp.flags.fin==1", 4)])
def last_ack_stuck(lab):
    client, server = lab.open()
    client.shutdown(socket.SHUT_WR)
    lab.pause()
    lab.cut("client")
    server.close()
    lab.pause(3)


@scenario("A FIN overtakes the data before it: nothing changes until the hole is filled",
          textbook=[8], path=Impairment(rules=[drop("data of the client", client_data)]),
          expect=CLIENT_FIRST, ipv6=True)
def fin_ahead_of_hole(lab):
    client, server = lab.open()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"lost at first")
    client.shutdown(socket.SHUT_WR)
    read_exactly(server, 13)
    lab.pause()
    server.close()


@scenario("A FIN overtakes the data before it by reordering only", textbook=[8],
          path=Impairment(rules=[late("data of the client", client_data, 0.06)]),
          expect=CLIENT_FIRST)
def fin_reordered(lab):
    client, server = lab.open()
    client.sendall(b"this comes late")
    client.shutdown(socket.SHUT_WR)
    read_exactly(server, 15)
    lab.pause()
    server.close()


@scenario("The server closes first and the client much later: late, and legal", textbook=[9, 13],
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE)])
def client_closes_late(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    server.shutdown(socket.SHUT_WR)
    lab.pause(3)
    client.close()
    lab.pause()


@scenario("A health check: connect and close at once", textbook=[1, 8],
          expect=[(CLIENT_OPEN + ACTIVE_THREE, SERVER_OPEN + PASSIVE)])
def health_check(lab):
    listener = lab.server.listen(7000)
    for _ in range(3):
        client, server = lab.connect(listener)
        client.close()
        lab.answer_fin(server)
        lab.pause(0.4)


def _close_behind_closed_window(lab):
    """The client closes with more unsent than the server has room for: (server, bytes sent)."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)]
    client, server = lab.open(server_options=small)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    client.setblocking(False)
    sent = client.send(b"x" * 6000)
    client.close()
    lab.pause(2)
    return server, sent


@scenario("close() behind a closed window: FIN_WAIT_1 long before any FIN is sent", textbook=[10],
          expect=CLIENT_FIRST)
def close_behind_zero_window(lab):
    server, sent = _close_behind_closed_window(lab)
    read_exactly(server, sent)
    lab.pause()
    server.close()
    lab.pause()


@scenario("close() behind a closed window, and the server closes too: the client is in CLOSING "
          "before it has sent a FIN", textbook=[12],
          expect=[(CLIENT_OPEN + CROSSED, SERVER_OPEN + ACTIVE)])
def closing_behind_zero_window(lab):
    server, sent = _close_behind_closed_window(lab)
    server.shutdown(socket.SHUT_WR)
    lab.pause(0.5)
    read_exactly(server, sent)
    lab.pause()


@scenario("Sequence numbers wrap in the data", textbook=[8], expect=CLIENT_FIRST,
          mirror="number")
def sequence_wrap_in_data(lab):
    exchange_and_close(lab, isn=2**32 - 21)


@scenario("Sequence numbers wrap at the FIN, which has the last one", textbook=[8],
          expect=CLIENT_FIRST, mirror="number")
def sequence_wrap_at_fin(lab):
    exchange_and_close(lab, isn=2**32 - 42)


@scenario("Sequence numbers wrap at the SYN, which has the last one", textbook=[1],
          expect=CLIENT_FIRST, mirror="number")
def sequence_wrap_at_syn(lab):
    exchange_and_close(lab, isn=2**32 - 1)


@scenario("Sequence numbers wrap at the FIN of the end that closes second", textbook=[15],
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE)], mirror="number")
def sequence_wrap_at_last_fin(lab):
    client, server = lab.open(isn=2**32 - 42)
    lab.exchange(client, server)
    close(lab, server, client)


@scenario("Sequence numbers wrap in the data of a half-close", textbook=[7],
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE)], mirror="number")
def sequence_wrap_in_half_close(lab):
    client, server = lab.open(isn=2**32 - 61)
    lab.exchange(client, server)
    server.shutdown(socket.SHUT_WR)
    lab.pause()
    client.sendall(b"x" * 40)
    lab.pause()
    client.close()
    lab.pause()


@scenario("A repeated FIN reaches TIME_WAIT, which acknowledges again; its ACK draws a RST "
          "that is lost", textbook=[15, 16],
          path=Impairment(rules=[duplicate("FIN of the server", server_fin, 0.5),
                                 drop("RST", lambda p: p.rst, None)]),
          expect=CLIENT_FIRST)
def duplicated_fin(lab):
    exchange_and_close(lab)
    lab.pause(0.8)


@scenario("The built-in example: a service that leaks beside one that does not", textbook=[14],
          expect=[], mirror="example")
def demo(lab):
    """Nine leaks on 6800, and traffic that is in order on 8080 until well after a minute."""
    leaky, clean = lab.server.listen(6800), lab.server.listen(8080)
    leaked = []
    for _ in range(9):
        client, server = lab.connect(leaky)
        lab.exchange(client, server)
        client.close()
        leaked.append(server)
        lab.pause(0.8)
    lab.client.start_connect(lab.server, 9999)
    client, server = lab.connect(leaky)
    lab.exchange(client, server)
    client.close()
    lab.pause()
    server.close()
    for number in range(8):
        client, server = lab.connect(clean)
        lab.exchange(client, server)
        if number == 3:
            abort(client)
        elif number % 2:
            client.close()
            lab.answer_fin(server)
        else:
            server.close()
            lab.pause()
            client.close()
        lab.pause(8.5)


def close_unheard(lab, wait):
    """The server closes, and the client so long after."""
    client, server = lab.open()
    lab.exchange(client, server)
    lab.pause(0.3)
    server.shutdown(socket.SHUT_WR)
    lab.pause(wait)
    client.close()
    lab.pause(0.8)
    return client, server


UNHEARD = [
    drop("FIN of the server", server_fin, before_middle=True),
    drop("pure ACK of the server after FIN of the client", server_pure_ack, after=client_fin,
         before_middle=True),
]


@scenario("FINs cross; the server's first FIN and its ACK are lost before the observer, so that its "
          "repeated FIN looks like an answer", textbook=[11, 14],
          path=Impairment(to_server=0.005, to_client=0.005, rules=UNHEARD),
          expect=[(CLIENT_OPEN + ACTIVE_THREE, SERVER_OPEN + CROSSED)], mirror="no")
def repeated_fin_as_an_answer(lab):
    return close_unheard(lab, 0.15)


@scenario("FINs cross; the server's first FIN is lost, and its ACK passes behind the repeat",
          textbook=[11, 14],
          path=Impairment(to_server=0.005, to_client=0.005, rules=[
              drop("FIN of the server", server_fin, before_middle=True),
              late("pure ACK of the server after FIN of the client", server_pure_ack, 0.03,
                   after=client_fin, before_middle=True)]),
          expect=[], mirror="no")
def repeated_fin_ahead_of_an_ack(lab):
    return close_unheard(lab, 0.195)
