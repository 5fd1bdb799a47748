"""Network namespaces without names.

A scenario needs two hosts whose traffic touches nothing else.  The namespaces
here are anonymous: they live as long as a process holds them, so the kernel
removes them, with their devices and sockets, however the recorder ends.
"""

import ctypes
import os
from pathlib import Path

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """One network namespace; `with namespace:` runs the calling thread in it."""

    def __init__(self):
        self._home = _own_namespace()
        _check(_libc.unshare(CLONE_NEWNET))
        self._fd = _own_namespace()
        _check(_libc.setns(self._home, CLONE_NEWNET))
        # The kernel's own number for it: kernel events are matched by this.
        self.inode = os.fstat(self._fd).st_ino

    @property
    def path(self):
        """A name for it that other processes can use while this one lives."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def __enter__(self):
        _check(_libc.setns(self._fd, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        _check(_libc.setns(self._home, CLONE_NEWNET))

    def sysctl(self, name, value):
        """Set a sysctl of this namespace, `ipv4/tcp_fin_timeout` style."""
        with self:
            Path("/proc/sys/net", name).write_text(f"{value}\n")


def _own_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def die_with_parent():
    """Ask the kernel to kill this process when its parent ends (PR_SET_PDEATHSIG)."""
    _check(_libc.prctl(1, 9, 0, 0, 0))
