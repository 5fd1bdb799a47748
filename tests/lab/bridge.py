"""The other path: veth pairs and a bridge in a third namespace, as containers have them.

Nothing is impaired here.  What it gives instead is what offloading hosts show:
Ethernet, checksums not filled in yet, and segments larger than any MTU.
"""

import subprocess
from dataclasses import dataclass

from capture import SNAPLEN, Capture
from netns import Namespace


@dataclass
class BridgePath:
    """Where the middle observer looks, and how much of each packet is kept.

    The bridge's port to the client sees every packet once; "any" sees each one
    at both ports and on the bridge between them.
    """

    middle: str = "to-client"
    snaplen: int = SNAPLEN

    def describe(self):
        cut = f", snap length {self.snaplen}" if self.snaplen != SNAPLEN else ""
        return f"veth and bridge, middle capture on {self.middle}{cut}"


class Bridge:
    """Two hosts on one bridge, and the capture in the middle."""

    device = "eth0"

    def __init__(self, namespaces, addresses, pcap_path, path):
        self._namespace = Namespace()
        self._namespace.sysctl("ipv6/conf/default/disable_ipv6", 1)
        with self._namespace:
            _ip("link add br0 type bridge")
            _ip("link set br0 up")
            for name, namespace in namespaces.items():
                port = f"to-{name}"
                _ip(f"link add {port} type veth peer name eth0 netns {namespace.path}")
                _ip(f"link set {port} master br0 up")
        for name, namespace in namespaces.items():
            with namespace:
                _ip("link set lo up")
                _ip(f"addr add {addresses[name]} dev eth0")
                _ip("link set eth0 up")
        self._capture = Capture(self._namespace, pcap_path, path.middle, path.snaplen)

    def stop(self):
        self._capture.stop()


def _ip(command):
    subprocess.run(["ip", *command.split()], check=True)
