"""How a scenario is declared: a function that drives both hosts, and what must come of it."""

from dataclasses import dataclass, field, replace
from typing import Callable

import mirror as exchanged
from bridge import BridgePath
from impair import Impairment
from observer import Observer

SCENARIOS = {}


@dataclass
class Scenario:
    """A registered scenario.

    `expect` lists, for each connection in order, the states that client and
    server must have passed through: ("SYN_SENT ESTABLISHED …", "SYN_RCVD …").
    The last pair stands for all connections after it; no pairs at all promise nothing.
    `bridge` replaces the impaired path by a real bridge.  `observer` spoils the
    capture in the middle.  `mirrored`: the two
    ends play each other's part (see `mirror`); `unmirrored` says why none does.
    """

    name: str
    title: str
    run: Callable
    textbook: tuple
    expect: list
    impairment: Impairment
    sysctls: dict
    ip: int
    settle: float
    shows: list = field(default_factory=list)
    bridge: BridgePath | None = None
    mirrored: bool = False
    unmirrored: str = ""
    observer: Observer | None = None

    def path(self):
        """The way of the packets and what is wrong with the capture, in words."""
        way = (self.bridge or self.impairment).describe()
        if not self.observer:
            return way
        return self.observer.what if way == "none" else f"{way}; {self.observer.what}"


def scenario(title, expect, textbook=(), path=None, sysctls=None, settle=0.3, shows=(),
             bridge=None, mirror=True, mirrored_name="", mirrored_expect=None, ipv6=False,
             observer=None, ip=4):
    """Register the function below under its own name, with hyphens.

    `shows` are (capture point, Wireshark display filter, least number of
    packets): what the capture must contain for the recording to be of use.
    Unless `mirror` is a word that says why not, the scenario exists with its
    parts exchanged too, as NAME-mirrored; where the exchange makes another
    ending of it, `mirrored_expect` has that.  `ipv6` adds NAME-ipv6; `ip` is the
    version of a scenario that exists over one only.
    """

    def register(function):
        plain = Scenario(function.__name__.replace("_", "-"), title, function, tuple(textbook),
                         expect, path or Impairment(), sysctls or {}, ip, settle, list(shows),
                         bridge, unmirrored="" if mirror is True else mirror, observer=observer)
        variants = [plain]
        if mirror is True:
            variants.append(_mirrored(plain, mirrored_name, mirrored_expect))
        if ipv6:
            variants += map(_over_ipv6, list(variants))
        SCENARIOS.update((variant.name, variant) for variant in variants)
        return function

    return register


def _mirrored(plain, name, expect):
    return replace(plain, name=name or f"{plain.name}-mirrored", mirrored=True,
                   title=f"{exchanged.words(plain.title)} (parts exchanged)",
                   expect=exchanged.expectation(plain.expect) if expect is None else expect,
                   impairment=exchanged.impairment(plain.impairment),
                   observer=plain.observer and exchanged.observer(plain.observer))


def _over_ipv6(plain):
    return replace(plain, name=f"{plain.name}-ipv6", title=f"{plain.title}, over IPv6", ip=6)
