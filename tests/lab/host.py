"""One host of the lab: what applications do there.

Everything that a scenario opens is kept open until the recording ends, so that
no state changes merely because Python forgot a socket.
"""

import os
import re
import signal
import socket
import subprocess
import threading
import time

from netns import die_with_parent

TCP_REPAIR = 19
TCP_REPAIR_QUEUE, TCP_SEND_QUEUE = 20, 2
TCP_QUEUE_SEQ = 21
TCP_REPAIR_OFF_NO_PROBE = -1
TCP_FASTOPEN = 23
IPPROTO_MPTCP = 262
MSG_FASTOPEN = 0x20000000
SS_NAME = {"ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RCVD",
           "FIN-WAIT-1": "FIN_WAIT_1", "FIN-WAIT-2": "FIN_WAIT_2", "TIME-WAIT": "TIME_WAIT",
           "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK", "CLOSING": "CLOSING"}
TIMEOUT = 30


class Host:
    """A namespace, its address, and its sockets."""

    def __init__(self, name, namespace, address):
        self.name = name
        self.namespace = namespace
        self.address = address
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # MPTCP is asked for where a socket is made; its subflows are TCP connections.
        self.protocol = socket.IPPROTO_TCP
        self._kept = []

    def socket(self, port=0):
        """A TCP socket bound to this host's address; bound early so that its port is known."""
        with self.namespace:
            sock = socket.socket(self.family, socket.SOCK_STREAM, self.protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(TIMEOUT)
        sock.bind((self.address, port))
        self._kept.append(sock)
        return sock

    def listen(self, port, backlog=128, options=()):
        listener = self.socket(port)
        _set(listener, options)
        listener.listen(backlog)
        return listener

    def connect(self, to, port, source_port=0, options=(), isn=None, timeout=TIMEOUT):
        """Connect and wait until it is established; `isn` chooses the first sequence number."""
        sock = self.socket(source_port)
        sock.settimeout(timeout)
        _set(sock, options)
        if isn is not None:
            _set_isn(sock, isn)
        sock.connect((to.address, port))
        return sock

    def start_connect(self, to, port, source_port=0, options=(), isn=None):
        """Send a SYN and do not wait for what comes of it."""
        sock = self.socket(source_port)
        _set(sock, options)
        if isn is not None:
            _set_isn(sock, isn)
        sock.setblocking(False)
        try:
            sock.connect((to.address, port))
        except BlockingIOError:
            pass
        return sock

    def accept(self, listener):
        sock, _ = listener.accept()
        sock.settimeout(TIMEOUT)
        self._kept.append(sock)
        return sock

    def accept_after(self, listener, action):
        """Accept what only `action` makes acceptable."""
        action()
        return self.accept(listener)

    def serve(self, port, connections):
        """Accept so many in a thread of this process, and never close one."""
        listener = self.listen(port)
        accept = lambda: [self.accept(listener) for _ in range(connections)]  # noqa: E731
        threading.Thread(target=accept, daemon=True).start()

    def process(self, script):
        """Run `script` in a process of its own that then only waits to be killed."""
        ready, done = os.pipe()
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            kept = script()
            os.write(done, b"!")
            while kept is not Ellipsis:
                time.sleep(60)
        os.read(ready, 1)
        return Process(pid)

    def sockets(self):
        """{(local port, remote port): state} as `ss` shows it now."""
        with self.namespace:
            said = subprocess.run(["ss", "-tanH"], capture_output=True, text=True, check=True)
        table = {}
        for line in said.stdout.splitlines():
            state, _, _, local, remote = line.split()[:5]
            if state in SS_NAME:
                table[_port(local), _port(remote)] = SS_NAME[state]
        return table


class Process:
    """A process that holds sockets."""

    def __init__(self, pid):
        self.pid = pid

    def kill(self):
        """kill -9: the application gets no chance to close anything."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def abort(sock):
    """SO_LINGER with zero time, then close: RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def forget(sock):
    """Lose the socket without a word, as a crashed host does (TCP_REPAIR, close)."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


def _set_isn(sock, isn):
    """A socket in repair mode may be told where its numbers begin."""
    for name, value in ((TCP_REPAIR, 1), (TCP_REPAIR_QUEUE, TCP_SEND_QUEUE),
                        (TCP_QUEUE_SEQ, isn - 2**32 if isn >= 2**31 else isn),
                        (TCP_REPAIR, TCP_REPAIR_OFF_NO_PROBE)):
        sock.setsockopt(socket.IPPROTO_TCP, name, value)


def _set(sock, options):
    for level, name, value in options:
        sock.setsockopt(level, name, value)


def _port(address):
    return int(re.search(r":(\d+)$", address).group(1))
