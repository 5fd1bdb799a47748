"""How a scenario is declared: a function that drives both hosts, and what must come of it."""

from dataclasses import dataclass, field
from typing import Callable

from bridge import BridgePath
from impair import Impairment

SCENARIOS = {}


@dataclass
class Scenario:
    """A registered scenario.

    `expect` lists, for each connection in order, the states that client and
    server must have passed through: ("SYN_SENT ESTABLISHED …", "SYN_RCVD …").
    The last pair stands for all connections after it; no pairs at all promise nothing.
    `bridge` replaces the impaired path by a real bridge.
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


def scenario(title, expect, textbook=(), path=None, sysctls=None, ip=4, settle=0.3, shows=(),
             bridge=None):
    """Register the function below under its own name, with hyphens.

    `shows` are (capture point, Wireshark display filter, least number of
    packets): what the capture must contain for the recording to be of use.
    """

    def register(function):
        name = function.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, title, function, tuple(textbook), expect,
                                   path or Impairment(), sysctls or {}, ip, settle,
                                   list(shows), bridge)
        return function

    return register
