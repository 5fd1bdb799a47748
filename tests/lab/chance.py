"""A crowd of connections that do anything at all, from one seed: material for scoring.

Every end of every connection is a process of its own that plays a random
script (send, read, wait, stop reading) and ends in a random way: it shuts down,
closes, aborts, is killed, or holds on.  The path delays, reorders, loses and
repeats, except for seeds divisible by ten: theirs is left alone, so that what
the kernel does cannot be put down to the path.  The same seed gives the same
scripts; the kernel's timing stays its own.
"""

import errno
import os
import random
import signal
import socket
import time

from host import TIMEOUT, abort
from impair import Impairment
from netns import die_with_parent
from registry import Scenario

PORT = 7000
# Servers whose receive buffers are soon full when they do not read.
SMALL_PORT = 7001
CLOSED_PORT = 7999
SMALL_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
# Few source ports for some of the clients, so that port pairs live again.
REUSED_PORTS = range(41000, 41008)
STARTS_PER_SECOND = 60
# How long the recording goes on after the last start: most scripts end in that time.
TAIL_SECONDS = 11.0
READ_TIMEOUT = 2.0
SYSCTLS = {
    "ipv4/tcp_fin_timeout": 5,
    "ipv4/tcp_orphan_retries": 4,
    "ipv4/tcp_retries2": 5,
    "ipv4/tcp_syn_retries": 3,
    "ipv4/tcp_synack_retries": 3,
    "ipv4/tcp_tw_reuse": 1,
}
# Longest waits in seconds; whoever stops reading lets the peer fill the buffer.
WAITS = {"wait": 0.1, "wait long": 1.0, "stop reading": 3.0}
ENDINGS = {"close": 10, "drain and close": 10, "shut down, drain and close": 5, "abort": 3,
           "kill": 3, "shut down and hold": 2, "hold": 3}


def random_scenario(seed, connections, tail=TAIL_SECONDS):
    """The scenario of a seed: its scripts, its path, its IP version (6 for every third)."""
    impairment = Impairment() if seed % 10 == 0 else _bad_path(random.Random(seed), seed)
    return Scenario(
        name=f"random-{seed}", title=f"{connections} random connections, seed {seed}",
        run=lambda lab: _run(lab, seed, connections, tail), textbook=(), expect=[],
        impairment=impairment, sysctls=SYSCTLS, ip=6 if seed % 3 == 2 else 4, settle=0.5,
        unmirrored="random")


def _bad_path(dice, seed):
    return Impairment(
        to_server=dice.choice([0.0, 0.002, 0.02, 0.06]),
        to_client=dice.choice([0.0, 0.002, 0.02, 0.06]),
        jitter=dice.choice([0.0, 0.001, 0.01]),
        loss=dice.choice([0.0, 0.01, 0.03, 0.06]),
        duplicate=dice.choice([0.0, 0.01, 0.03]),
        seed=seed)


def _run(lab, seed, connections, tail):
    spread = connections / STARTS_PER_SECOND
    crowds = [lab.server.process(lambda: _serve(lab, seed, PORT)),
              lab.server.process(lambda: _serve(lab, seed, SMALL_PORT, [SMALL_BUFFER])),
              lab.client.process(lambda: _come(lab, seed, connections, spread))]
    time.sleep(spread + tail)
    return crowds


def _serve(lab, seed, port, options=()):
    """Accept for ever, in a process whose children each play one connection's script."""
    listener = lab.server.listen(port, options=options)
    if os.fork() == 0:
        die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        listener.settimeout(None)
        number = 0
        while True:
            sock, _ = listener.accept()
            number += 1
            _play(f"{seed} server {port} {number}", lambda dice: sock, listener)
            sock.close()
    listener.close()


def _come(lab, seed, connections, spread):
    """Start the clients, each in its own process, each at its own moment."""
    for number in range(connections):
        _play(f"{seed} client {number}", lambda dice: _connect(lab, dice, spread))


def _connect(lab, dice, spread):
    """From a port of its own or a shared one; if that is in use, from one of its own after all."""
    time.sleep(dice.random() * spread)
    shared = dice.choice(REUSED_PORTS) if dice.random() < 0.3 else 0
    options = [SMALL_BUFFER] if dice.random() < 0.2 else []
    [port] = dice.choices([PORT, SMALL_PORT, CLOSED_PORT], [80, 16, 4])
    # An impatient application gives up while it is connecting.
    timeout = dice.random() * 0.1 + 0.001 if dice.random() < 0.04 else TIMEOUT
    try:
        return lab.client.connect(lab.server, port, shared, options, timeout=timeout)
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EADDRINUSE):
            raise
    return lab.client.connect(lab.server, port, 0, options, timeout=timeout)


def _play(name, obtain, listener=None):
    """In a new process: obtain a socket, play the script, then die or hold on."""
    if os.fork() != 0:
        return
    die_with_parent()
    if listener:
        listener.close()
    dice = random.Random(name)
    try:
        sock = obtain(dice)
        sock.settimeout(READ_TIMEOUT)
        for _ in range(dice.randint(0, 6)):
            _act(sock, dice)
        _end(sock, dice)
    except OSError:
        pass  # Reset, refused, unanswered: the process ends, as a simple program would.
    os._exit(0)


def _act(sock, dice):
    action = dice.choice(list(WAITS) + ["send"] * 4 + ["read"] * 2)
    if action == "send":
        sock.sendall(b"x" * dice.choice([1, 50, 500, 3000, 10000]))
    elif action == "read":
        sock.recv(dice.choice([10, 65536]))
    else:
        time.sleep(dice.random() * WAITS[action])


def _end(sock, dice):
    ending = dice.choices(list(ENDINGS), ENDINGS.values())[0]
    if "shut down" in ending:
        sock.shutdown(socket.SHUT_WR)
    if "drain" in ending:
        _drain(sock)
    if "hold" in ending:
        time.sleep(3600)
    elif ending == "abort":
        abort(sock)
    elif ending == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        sock.close()


def _drain(sock):
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        pass
