"""tcpdump at an endpoint's own interface."""

import signal
import subprocess
import time

from forward import DEVICE


class Capture:
    """A running tcpdump that has begun to capture."""

    def __init__(self, namespace, path):
        self.path = path
        command = ["tcpdump", "-i", DEVICE, "-w", str(path), "-U", "--immediate-mode",
                   # In immediate mode the kernel keeps room for whole snap lengths: a small
                   # one makes room for many packets, and the device's MTU is 1500.
                   "-s", "2000", "-B", "8192",
                   "--time-stamp-precision=nano", "-Z", "root", "-n", "tcp or icmp"]
        with namespace:
            self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
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
