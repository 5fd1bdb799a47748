"""The path between the two hosts: two TUN devices and a forwarder in user space.

These kernels may lack `tc netem`, and a forwarder can do what netem cannot:
lose exactly the n-th FIN, or hand over a copy of a SYN after the connection
has closed.  It also is the third observer: it writes `middle.pcap`.
"""

import fcntl
import heapq
import itertools
import multiprocessing
import os
import random
import select
import struct
import subprocess
import time

import packet
from netns import die_with_parent
from pcapfile import Writer

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
DEVICE = "tun0"
OTHER = {"client": "server", "server": "client"}


def open_tun(namespace, address):
    """Make tun0 in the namespace, give it `address` (with prefix length), bring it up."""
    with namespace:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI)
        fcntl.ioctl(fd, TUNSETIFF, request)
        extra = ["nodad"] if ":" in address else []
        for command in (
            ["link", "set", "lo", "up"],
            ["addr", "add", address, "dev", DEVICE, *extra],
            ["link", "set", DEVICE, "up"],
        ):
            subprocess.run(["ip", *command], check=True)
    return fd


class Forwarder:
    """A process that carries packets between two TUN devices, as impaired as asked."""

    device = DEVICE

    def __init__(self, tuns, impairment, observer, pcap_path):
        self._tuns = tuns
        self._impairment = impairment
        self._observer = observer
        self._random = random.Random(impairment.seed)
        self._queue = []
        self._order = itertools.count()
        # Shared with the scenario, which may cut a direction at any moment.
        self._cut = multiprocessing.Array("b", 2)
        self._pcap_path = pcap_path
        self._process = multiprocessing.Process(target=self._run, daemon=True)
        self._process.start()

    def cut(self, *senders):
        """From now on lose everything these senders send (both, if none is named)."""
        self._set_cut(senders, 1)

    def restore(self, *senders):
        self._set_cut(senders, 0)

    def stop(self):
        self._process.kill()
        self._process.join()

    def _set_cut(self, senders, value):
        for sender in senders or ("client", "server"):
            self._cut[sender == "server"] = value

    def _run(self):
        die_with_parent()
        self._pcap = Writer(self._pcap_path)
        poller = select.epoll()
        sender_of = {fd: sender for sender, fd in self._tuns.items()}
        for fd in sender_of:
            poller.register(fd, select.EPOLLIN)
        while True:
            for fd, _ in poller.poll(self._seconds_to_next()):
                self._read_all(fd, sender_of[fd])
                self._run_due()
            self._run_due()

    def _seconds_to_next(self):
        if not self._queue:
            return None
        return max(0.0, (self._queue[0][0] - time.monotonic_ns()) / 1e9)

    def _read_all(self, fd, sender):
        while True:
            try:
                raw = os.read(fd, 65536)
            except BlockingIOError:
                return
            self._accept(sender, raw)

    def _accept(self, sender, raw):
        """Decide a packet's fate on its entry to the path."""
        segment = packet.parse(sender, raw)
        if segment is None:
            return
        lost, lost_early, extra, copies = self._apply_rules(segment)
        impairment = self._impairment
        lost = lost or self._random.random() < impairment.loss
        if self._random.random() < impairment.duplicate:
            copies.append((segment, self._random.random() * 0.05))
        if lost_early:
            return
        self._enter(segment, extra, lost)
        for copy, later in copies:
            self._enter(copy, later, False)

    def _apply_rules(self, segment):
        lost, lost_early, extra, copies = False, False, 0.0, []
        for rule in self._impairment.rules:
            if not rule.applies(segment):
                continue
            if rule.action == "drop":
                lost, lost_early = True, rule.before_middle
            elif rule.action == "duplicate":
                copies.append((segment, rule.seconds))
            elif rule.action == "inject":
                forged = packet.parse(segment.sender, rule.make(segment.raw))
                copies.append((forged, rule.seconds))
            elif rule.action == "answer":
                lost = True
                copies.append((packet.parse(OTHER[segment.sender], rule.make(segment.raw)), 0.0))
            else:
                extra += rule.seconds
        return lost, lost_early, extra, copies

    def _enter(self, segment, extra, lost):
        """Queue the two halves of the way: to the middle, then to the far end."""
        half = (self._impairment.delay(segment.sender) + extra) / 2
        jitter = self._impairment.jitter
        first = half + self._random.random() * jitter
        second = half + self._random.random() * jitter
        self._later(first, lambda: self._pass_middle(segment, second, lost))

    def _pass_middle(self, segment, second, lost):
        for kept in self._observer.see(segment):
            self._pcap.write(kept.raw)
        if not lost and not self._cut[segment.sender == "server"]:
            self._later(second, lambda: self._deliver(segment))

    def _deliver(self, segment):
        try:
            os.write(self._tuns[OTHER[segment.sender]], segment.raw)
        except OSError:
            pass  # The far host has gone.

    def _later(self, seconds, action):
        if seconds <= 0:
            action()
            return
        due = time.monotonic_ns() + int(seconds * 1e9)
        heapq.heappush(self._queue, (due, next(self._order), action))

    def _run_due(self):
        while self._queue and self._queue[0][0] <= time.monotonic_ns():
            heapq.heappop(self._queue)[2]()
