"""The live selection: a few scenarios that take seconds, to hold a build against this very kernel.

Where there is nothing to record with, that is no failure of anything: `obstacle`
says what is missing.
"""

import os
import shutil
import subprocess
from pathlib import Path

from chance import random_scenario
from netns import Namespace
from registry import SCENARIOS

NAMES = ("four-segment-close", "three-segment-close", "simultaneous-close", "half-close-data",
         "last-ack-lost", "syn-refused", "linger-zero", "keepalive-unanswered")
CROWD_SEED = 0  # An unimpaired path.
CROWD = 60
CROWD_TAIL_SECONDS = 4.5
TOOLS = ("ip", "ss", "tcpdump", "bpftrace")
TRACEPOINT = "events/sock/inet_sock_set_state"
TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
FILES = ("/dev/net/tun", "/sys/kernel/btf/vmlinux")


def selection():
    """The crowd first: it takes the longest."""
    crowd = random_scenario(CROWD_SEED, CROWD, CROWD_TAIL_SECONDS)
    return [crowd] + [SCENARIOS[name] for name in NAMES]


def obstacle():
    """Why nothing can be recorded here, or None."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    missing += [file for file in FILES if not Path(file).exists()]
    if missing:
        return f"no {missing[0]}"
    if not any(Path(mount, TRACEPOINT).exists() for mount in TRACEFS):
        return "no tracefs; mount -t tracefs nodev /sys/kernel/tracing"
    try:
        Namespace()
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return error.strerror
    nothing = ["bpftrace", "-e", "BEGIN { exit(); }"]
    if subprocess.run(nothing, capture_output=True, check=False).returncode != 0:
        return "bpftrace may not run"
    return None
