"""A crowd of connections that do anything at all, from one seed: material for scoring.

Every end of every connection is a process of its own that plays a random
script (send, read, wait, shut down) and ends in a random way: it closes,
aborts, is killed, or holds on.  The path delays, reorders, loses and repeats.
The same seed gives the same scripts; the kernel's timing stays its own.
"""

import os
import random
import signal
import socket
import time

from host import abort
from impair import Impairment
from netns import die_with_parent
from registry import Scenario

PORT = 7000
CLOSED_PORT = 7999
# Few source ports for some of the clients, so that port pairs live again.
REUSED_PORTS = range(41000, 41008)
SPREAD_SECONDS = 5.0
SECONDS = 16.0
READ_TIMEOUT = 2.0
SYSCTLS = {
    "ipv4/tcp_fin_timeout": 5,
    "ipv4/tcp_orphan_retries": 4,
    "ipv4/tcp_retries2": 5,
    "ipv4/tcp_syn_retries": 3,
    "ipv4/tcp_synack_retries": 3,
    "ipv4/tcp_tw_reuse": 1,
}
ENDINGS = {"close": 10, "drain and close": 10, "shut down, drain and close": 5, "abort": 3,
           "kill": 3, "shut down and hold": 2, "hold": 3}


def random_scenario(seed, connections):
    """The scenario of a seed: its path, its IP version and all of its scripts."""
    dice = random.Random(seed)
    impairment = Impairment(
        to_server=dice.choice([0.0, 0.002, 0.02, 0.06]),
        to_client=dice.choice([0.0, 0.002, 0.02, 0.06]),
        jitter=dice.choice([0.0, 0.001, 0.01]),
        loss=dice.choice([0.0, 0.01, 0.03, 0.06]),
        duplicate=dice.choice([0.0, 0.01, 0.03]),
        seed=seed)
    return Scenario(
        name=f"random-{seed}", title=f"{connections} random connections, seed {seed}",
        run=lambda lab: _run(lab, seed, connections), textbook=(), expect=[],
        impairment=impairment, sysctls=SYSCTLS, ip=dice.choice([4, 4, 4, 6]), settle=0.5)


def _run(lab, seed, connections):
    crowds = [lab.server.process(lambda: _serve(lab, seed)),
              lab.client.process(lambda: _come(lab, seed, connections))]
    time.sleep(SECONDS)
    return crowds


def _serve(lab, seed):
    """Accept for ever, in a process whose children each play one connection's script."""
    listener = lab.server.listen(PORT)
    if os.fork() == 0:
        die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        listener.settimeout(None)
        number = 0
        while True:
            sock, _ = listener.accept()
            number += 1
            _play(f"{seed} server {number}", lambda dice: sock, listener)
            sock.close()
    listener.close()


def _come(lab, seed, connections):
    """Start the clients, each in its own process, each at its own moment."""
    for number in range(connections):
        _play(f"{seed} client {number}", lambda dice: _connect(lab, dice))


def _connect(lab, dice):
    time.sleep(dice.random() * SPREAD_SECONDS)
    source = dice.choice(REUSED_PORTS) if dice.random() < 0.3 else 0
    sock = lab.client.socket(source)
    port = CLOSED_PORT if dice.random() < 0.04 else PORT
    if dice.random() < 0.04:  # An impatient application gives up while it is connecting.
        sock.settimeout(dice.random() * 0.1 + 0.001)
    sock.connect((lab.server.address, port))
    return sock


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
    action = dice.choice(["send", "send", "read", "wait", "wait long"])
    if action == "send":
        sock.sendall(b"x" * dice.choice([1, 50, 500, 3000]))
    elif action == "read":
        sock.recv(dice.choice([10, 65536]))
    else:
        time.sleep(dice.random() * (0.1 if action == "wait" else 1.0))


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
