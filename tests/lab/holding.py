"""Scenarios of who holds a socket: what a host's own tools say beside what the wire shows."""

import ctypes
import os
import threading
import time

from host import forget
from netns import die_with_parent
from registry import scenario

PR_SET_NAME = 15
LEAKY, SHARED, UNACCEPTED, UNREAD, BUSY = 6800, 6801, 6802, 6803, 8080


@scenario("Sockets and who holds them: a leak, a descriptor shared by two processes, one that "
          "nobody accepted, unread data, one that the host forgot", textbook=[14], expect=[],
          mirror="snapshot", ipv6=True)
def holders(lab):
    # Before any socket of this process: a child inherits what its parent holds.
    programs = [
        lab.server.process(lambda: _named("leaky") and lab.server.serve(LEAKY, 3)),
        lab.server.process(lambda: _named("forking") and _serve_and_fork(lab.server)),
        lab.server.process(lambda: _named("sleepy") and [lab.server.listen(UNACCEPTED)]),
        lab.server.process(lambda: _named("late") and lab.server.serve(UNREAD, 1)),
        lab.server.process(lambda: _named("busy") and _serve_and_forget(lab.server)),
    ]
    ports = [LEAKY, LEAKY, LEAKY, SHARED, UNACCEPTED, UNREAD]
    clients = [lab.client.connect(lab.server, port) for port in ports]
    clients[-1].sendall(b"x" * 107)
    lab.pause()
    for client in clients:
        client.close()
    # Three that are open when the snapshot is taken; the host forgets one of them without a word,
    # and of one the server closes first.
    opened = [lab.client.connect(lab.server, BUSY) for _ in range(3)]
    lab.pause()
    opened[2].close()
    lab.pause(1.5)
    for host in (lab.server, lab.client):
        lab.snapshot(host)
    lab.pause(1.5)
    # The capture goes on until after the snapshot.
    opened[0].sendall(b"still there")
    lab.pause()
    return programs, opened


def _named(name):
    """Give this process a name of its own for ps, ss and lsof."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    return True


def _serve_and_fork(host):
    """A worker that is forked with its parent's socket, which both hold from then on."""
    listener = host.listen(SHARED)

    def accept():
        host.accept(listener)
        if os.fork() == 0:
            die_with_parent()
        # The child's parent is this thread: it must not end.
        while True:
            time.sleep(60)

    threading.Thread(target=accept, daemon=True).start()


def _serve_and_forget(host):
    """Three connections: one stays, one is forgotten, one is closed from here."""
    listener = host.listen(BUSY)

    def accept():
        accepted = [host.accept(listener) for _ in range(3)]
        forget(accepted[1])
        accepted[2].close()

    threading.Thread(target=accept, daemon=True).start()
