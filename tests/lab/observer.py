"""What may be wrong with the capture in the middle, while the path carries everything.

An observer decides of each packet that passes it what its capture holds:
nothing, the packet, the packet twice, or the packet in another's place.
"""

from dataclasses import dataclass
from typing import Callable

from packet import Packet


@dataclass
class Observer:
    """`what` is wrong, in words, and `keep` does it: of a packet, what its capture writes now.

    `begins` and `ends` are the first packet that it sees and the first that it sees no more.
    """

    what: str
    keep: Callable[[Packet], list] = lambda packet: [packet]
    begins: Callable[[Packet], bool] | None = None
    ends: Callable[[Packet], bool] | None = None
    began: bool = False
    ended: bool = False

    def see(self, packet):
        self.began = self.began or not self.begins or self.begins(packet)
        self.ended = self.ended or bool(self.ends and self.ends(packet))
        return self.keep(packet) if self.began and not self.ended else []


def misses(what, match, nth=(1,)):
    """The capture drops these packets; with `nth` None, all that match."""
    return Observer(f"the middle capture misses {what}", _Misses(match, nth))


def begins(what, match):
    return Observer(f"the middle capture begins with {what}", begins=match)


def ends(what, match):
    """The packet itself is not in it any more."""
    return Observer(f"the middle capture ends before {what}", ends=match)


def twice():
    return Observer("the middle capture holds every packet twice", lambda packet: [packet, packet])


def exchanges(what, match, nth=1):
    """The n-th match is written behind the packet that follows it."""
    return Observer(f"the middle capture has {what} behind the next packet", _Exchanges(match, nth))


class Nth:
    """True of the n-th packet that matches."""

    def __init__(self, match, nth):
        self._match, self._nth, self._seen = match, nth, 0

    def __call__(self, packet):
        if not self._match(packet):
            return False
        self._seen += 1
        return self._nth is None or self._seen in self._nth


class _Misses:
    def __init__(self, match, nth):
        self._is_missed = Nth(match, nth)

    def __call__(self, packet):
        return [] if self._is_missed(packet) else [packet]


class _Exchanges:
    def __init__(self, match, nth):
        self._is_late = Nth(match, (nth,))
        self._held = []

    def __call__(self, packet):
        if self._is_late(packet):
            self._held = [packet]
            return []
        held, self._held = self._held, []
        return [packet, *held]
