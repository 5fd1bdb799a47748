"""tcpdump at one interface."""

import signal
import subprocess
import time

from netns import die_with_parent

# Enough for every packet of a device whose MTU is 1500.  In immediate mode the
# kernel keeps room for whole snap lengths: a small one makes room for many.
SNAPLEN = 2000
# `tcp` alone does not look behind the destination options of IPv6.
FILTER = "tcp or icmp or ip6[6] == 60"


class Capture:
    """A running tcpdump that has begun to capture."""

    def __init__(self, namespace, path, device, snaplen=SNAPLEN):
        self.path = path
        command = ["tcpdump", "-i", device, "-w", str(path), "-U", "--immediate-mode",
                   "-s", str(snaplen), "-B", "8192",
                   "--time-stamp-precision=nano", "-Z", "root", "-n", FILTER]
        with namespace:
            self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                             preexec_fn=die_with_parent)
        for line in self._process.stderr:
            if "listening on" in line:
                return
        raise RuntimeError("tcpdump did not start")

    def stop(self):
        """Stop once the last packets have surely been written; fail if any were dropped."""
        time.sleep(0.2)
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=10)
        if "\n0 packets dropped by kernel" not in said:
            raise RuntimeError(f"{self.path}: {said}")
