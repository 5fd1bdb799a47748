"""What a path does to packets: described as data, applied by the forwarder.

The middle observer stands half way.  A packet that a rule drops is by default
lost *after* the observer: it is in the middle capture and never arrives, which
is the case that an observer finds hard.  `before_middle=True` loses it earlier.
"""

from dataclasses import dataclass, field
from typing import Callable

from packet import Packet


@dataclass
class Rule:
    """Do `action` to the packets that `match`, counting matches from 1.

    `action` is "drop", "duplicate" (a second copy, `seconds` later) or "delay"
    (this packet alone comes `seconds` later), "inject" (a packet made from this
    one by `make` follows it after `seconds`) or "answer" (one made from it goes
    back, and it goes no further).  `nth` limits the rule to these
    matches; None means all of them.  With `after`, counting begins only behind
    the first packet for which that is true.
    """

    action: str
    what: str
    match: Callable[[Packet], bool]
    nth: tuple | None = (1,)
    seconds: float = 0.0
    before_middle: bool = False
    make: Callable[[bytes], bytes] | None = None
    after: Callable[[Packet], bool] | None = None
    seen: int = 0
    begun: bool = False

    def applies(self, packet):
        if self.after and not self.begun:
            self.begun = self.after(packet)
            return False
        if not self.match(packet):
            return False
        self.seen += 1
        return self.nth is None or self.seen in self.nth

    def describe(self):
        which = "every" if self.nth is None else ",".join(map(str, self.nth)) + ". match of"
        later = f" {self.seconds} s later" if self.seconds else ""
        where = " before the middle observer" if self.before_middle else ""
        return f"{self.action} {which} {self.what}{later}{where}"


@dataclass
class Impairment:
    """A path: one-way delays in seconds, random trouble, and rules.

    `jitter` is added at random on each half of the way, which reorders;
    `loss` and `duplicate` are probabilities per packet.
    """

    to_server: float = 0.0
    to_client: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    seed: int = 0
    rules: list = field(default_factory=list)

    def delay(self, sender):
        return self.to_server if sender == "client" else self.to_client

    def describe(self):
        """One line for the recording's meta data."""
        parts = []
        if self.to_server or self.to_client:
            parts.append(f"delay {self.to_server} s to server, {self.to_client} s to client")
        for name in ("jitter", "loss", "duplicate"):
            if getattr(self, name):
                parts.append(f"{name} {getattr(self, name)}")
        if parts and self.seed:
            parts.append(f"seed {self.seed}")
        parts += [rule.describe() for rule in self.rules]
        return "; ".join(parts) or "none"


def drop(what, match, nth=(1,), **more):
    return Rule("drop", what, match, nth, **more)


def duplicate(what, match, seconds, nth=(1,), **more):
    return Rule("duplicate", what, match, nth, seconds, **more)


def late(what, match, seconds, nth=(1,), **more):
    return Rule("delay", what, match, nth, seconds, **more)


def inject(what, match, make, seconds, nth=(1,)):
    """A third party's packet: it joins the path where the matched one did."""
    return Rule("inject", what, match, nth, seconds, make=make)


def answer(what, match, make, nth=(1,), **more):
    """A device half way answers in the receiver's name."""
    return Rule("answer", what, match, nth, make=make, **more)
