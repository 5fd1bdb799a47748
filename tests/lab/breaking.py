"""Scenarios of ends that do not close: aborts, unread data, killed processes."""

import socket

from host import abort
from impair import Impairment, drop
from packet import client_rst
from registry import scenario
from sequences import BOTH_RESET, CLIENT_FIRST, CLIENT_OPEN, SERVER_OPEN

CUT_SHORT = [(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2 CLOSED", SERVER_OPEN + " CLOSE_WAIT CLOSED")]


@scenario("A health check that resets instead", textbook=[17],
          expect=BOTH_RESET)
def health_check_reset(lab):
    listener = lab.server.listen(7000)
    for _ in range(3):
        client, _ = lab.connect(listener)
        lab.pause(0.02)
        abort(client)
        lab.pause(0.4)


@scenario("SO_LINGER with zero time: closed by RST at once, no TIME_WAIT", textbook=[17],
          expect=BOTH_RESET, ipv6=True)
def linger_zero(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    abort(client)
    lab.pause()


@scenario("The RST of an abort is lost: the server knows nothing until it sends", textbook=[17],
          path=Impairment(rules=[drop("RST of the client", client_rst)]),
          expect=BOTH_RESET)
def abort_unnoticed(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    abort(client)
    lab.pause(1)
    server.sendall(b"are you there")
    lab.pause()


@scenario("close() with unread data sends RST instead of FIN", textbook=[17],
          expect=BOTH_RESET)
def unread_data_reset(lab):
    client, server = lab.open()
    client.sendall(b"nobody reads this")
    lab.pause()
    server.close()
    lab.pause()


@scenario("Data reaches a client that has closed: RST, never TIME_WAIT", textbook=[7, 13],
          expect=CUT_SHORT)
def data_after_close(lab):
    client, server = lab.open()
    client.close()
    lab.pause()
    server.sendall(b"too late")
    lab.pause()


@scenario("The passive side answers a FIN by aborting: RST in CLOSE_WAIT", textbook=[17],
          expect=CUT_SHORT)
def close_wait_reset(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    lab.pause()
    abort(server)
    lab.pause()


@scenario("kill -9: the process is gone, its kernel sends the FIN", textbook=[18],
          expect=CLIENT_FIRST)
def killed_process(lab):
    process, [server] = lab.hold("client")
    lab.pause(0.5)
    process.kill()
    lab.pause()
    server.close()
    lab.pause()


@scenario("kill -9 with unread data: its kernel sends RST", textbook=[17, 18],
          expect=BOTH_RESET)
def killed_process_unread_data(lab):
    process, [server] = lab.hold("client")
    server.sendall(b"nobody reads this")
    lab.pause(0.5)
    process.kill()
    lab.pause()


@scenario("The leaking server process is killed: its kernel sends every FIN", textbook=[14, 18],
          expect=CLIENT_FIRST)
def close_wait_leak_killed(lab):
    process, clients = lab.hold("server", connections=8, port=6800)
    for client in clients:
        client.close()
    lab.pause(3)
    process.kill()
    lab.pause()
