"""Two hosts, a path and three captures: the world in which one scenario runs."""

import socket
import threading
import time
from dataclasses import dataclass, field

import clock
import snapshots
from bridge import Bridge
from capture import SNAPLEN, Capture
from forward import Forwarder, open_tun
from host import Host
from impair import Impairment
from netns import Namespace
from observer import Observer
from pcapfile import trim

ADDRESSES = {4: ("10.9.0.1", "10.9.0.2"), 6: ("fd09::1", "fd09::2")}
PREFIX = {4: 24, 6: 64}
SS_INTERVAL = 0.25
POINTS = ("client", "middle", "server")
BASE_SYSCTLS = {
    # An orphan's FIN_WAIT_2 must not last as long as a TIME_WAIT: the kernel
    # would move the timer silently, and the truth reads its starts.
    "ipv4/tcp_fin_timeout": 30,
    "ipv4/tcp_no_metrics_save": 1,
}


@dataclass
class Recording:
    """What a scenario's run leaves, besides its captures, for the truth to be made from."""

    namespaces: dict = field(default_factory=dict)
    addresses: dict = field(default_factory=dict)
    sysctls: dict = field(default_factory=dict)
    start: tuple = ()
    end: tuple = ()
    end_boot_ns: int = 0
    # What `ss` showed, again and again: [(endpoint, boot ns before, after, {ports: state})]
    shown: list = field(default_factory=list)
    packets: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


class Lab:
    """Build it, let a scenario use `client`, `server` and `path`, then `finish`.

    In a mirrored lab the client opens as always, and from then on each end
    plays the other's part: sockets, options and senders change places.
    """

    def __init__(self, out, impairment=None, sysctls=None, ip=4, bridge=None, mirrored=False,
                 observer=None):
        self.recording = Recording(start=clock.sample())
        self._out = out
        self._ip = ip
        self._mirrored = mirrored
        self.client, self.server = self._hosts()
        self.sysctl({**BASE_SYSCTLS, **(sysctls or {})})
        self.recording.sysctls = dict(sysctls or {})
        hosts = (self.client, self.server)
        addresses = {host.name: f"{host.address}/{PREFIX[ip]}" for host in hosts}
        if bridge:
            self.path = Bridge({host.name: host.namespace for host in hosts}, addresses,
                               out / "middle.pcap", bridge)
        else:
            tuns = {host.name: open_tun(host.namespace, addresses[host.name]) for host in hosts}
            self.path = Forwarder(tuns, impairment or Impairment(),
                                  observer or Observer("nothing is wrong"), out / "middle.pcap")
        snaplen = bridge.snaplen if bridge else SNAPLEN
        self._captures = [Capture(host.namespace, out / f"{host.name}.pcap", self.path.device,
                                  snaplen) for host in hosts]
        self._finished = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self):
        """Ask `ss` all the while: a second account, to test the truth against."""
        while not self._finished.wait(SS_INTERVAL):
            self._watch_once()

    def _watch_once(self):
        for host in (self.client, self.server):
            before = clock.boot()
            table = host.sockets()
            self.recording.shown.append((host.name, before, clock.boot(), table))

    def _hosts(self):
        hosts = []
        for name, address in zip(("client", "server"), ADDRESSES[self._ip]):
            namespace = Namespace()
            self.recording.namespaces[name] = namespace.inode
            self.recording.addresses[name] = address
            hosts.append(Host(name, namespace, address))
        return hosts

    def sysctl(self, values, only=None):
        """Set sysctls on both hosts, or on one."""
        for host in [only] if only else [self.client, self.server]:
            for name, value in values.items():
                host.namespace.sysctl(name, value)
            # No router solicitations or the like between the segments.
            host.namespace.sysctl("ipv6/conf/default/disable_ipv6", int(self._ip == 4))
            host.namespace.sysctl("ipv6/conf/default/router_solicitations", 0)
        if only:
            self.recording.sysctls.update({f"{only.name}:{k}": v for k, v in values.items()})

    def parts(self, client, server):
        """What belongs to the client's part and to the server's, of what belongs to the hosts.

        Or the other way about: the exchange undoes itself.
        """
        return (server, client) if self._mirrored else (client, server)

    def open(self, port=7000, client_options=(), server_options=(), source_port=0, isn=None):
        """One established connection: (client's socket, server's socket)."""
        connecting, listening = self.parts(client_options, server_options)
        listener = self.server.listen(port, options=listening)
        return self.connect(listener, connecting, source_port, isn)

    def connect(self, listener, options=(), source_port=0, isn=None):
        """One more connection to an open listener, its `options` set before the SYN."""
        port = listener.getsockname()[1]
        sock = self.client.connect(self.server, port, source_port, options, isn)
        client, server = self.parts(sock, self.server.accept(listener))
        # Delayed ACKs from the start: a new connection would acknowledge a FIN at once.
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        return client, server

    def hold(self, part, connections=1, port=7000):
        """Connections whose one end belongs to a process: (process, sockets of the other end)."""
        client, server = self.client, self.server
        if part == self.parts("client", "server")[0]:
            listener = server.listen(port)
            process = client.process(
                lambda: [client.connect(server, port) for _ in range(connections)])
            return process, [server.accept(listener) for _ in range(connections)]
        process = server.process(lambda: server.serve(port, connections))
        return process, [client.connect(server, port) for _ in range(connections)]

    def cut(self, *parts):
        """From now on lose everything that these parts send (both, if none is named)."""
        self.path.cut(*(self.parts("client", "server")[part == "server"] for part in parts))

    def answer_fin(self, sock):
        """Close as soon as the peer's FIN is there, before an ACK of it alone is sent."""
        while sock.recv(65536):
            pass
        sock.close()

    def pause(self, seconds=0.15):
        """Let segments arrive; longer than the 40 ms for which an ACK may be delayed."""
        time.sleep(seconds)

    def exchange(self, client, server, size=40):
        """A short request and its answer."""
        self.exchange_at_once(client, server, size)
        self.pause(0.05)

    def exchange_at_once(self, client, server, size=40):
        """The same without waiting for the answer's ACK."""
        client.sendall(b"q" * size)
        read_exactly(server, size)
        server.sendall(b"a" * size)
        read_exactly(client, size)

    def snapshot(self, host):
        """Keep what the host's own tools say of its sockets now."""
        snapshots.take(host, self._out / "sockets")

    def background(self, action):
        """Run an application beside the scenario."""
        threading.Thread(target=action, daemon=True).start()

    def finish(self, settle):
        """Fix the end of the recording: compare moments, stop captures, cut them there."""
        time.sleep(settle)
        recording = self.recording
        recording.end_boot_ns = clock.boot()
        self._finished.set()
        self._watcher.join()
        self._watch_once()
        recording.end = clock.sample()
        for capture in self._captures:
            capture.stop()
        self.path.stop()
        end_ns = clock.wall(recording.end_boot_ns, recording.start, recording.end)
        for point in POINTS:
            recording.packets[point] = trim(self._out / f"{point}.pcap", end_ns)
        return recording


def read_exactly(sock, size):
    while size:
        size -= len(sock.recv(size))
