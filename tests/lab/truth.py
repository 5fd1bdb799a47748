"""From the kernel's events to the RFC 9293 histories of both endpoints.

The kernel moves one connection through up to three objects: a request (SYN_RCVD
of a passive open), a full socket, and a mini-socket (TIME_WAIT, or FIN_WAIT_2
once the application has let go).  A `Life` follows it through them.  What the
kernel prints and the RFC means differ in three places, put right here:

* the full socket is "closed" when a mini-socket takes over: no transition;
* FIN+ACK in answer to a FIN passes FIN_WAIT_2 within one segment: by the RFC
  this is FIN_WAIT_1 to TIME_WAIT;
* the child of a request is born in SYN_RCVD again: no transition.
"""

from dataclasses import dataclass, field

RFC_NAME = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RCVD", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2",
            6: "TIME_WAIT", 7: "CLOSED", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN",
            11: "CLOSING"}
SYN_SENT, SYN_RCVD, CLOSE, LISTEN = 2, 3, 7, 10
# A timer that is started again this soon after it was stopped was only moved.
RESTART_NS = 5_000_000
NO_PORT_NS = 300_000


@dataclass
class Transition:
    """One change of one endpoint, with the event that showed it."""

    old: str
    new: str
    event: object
    source: str


@dataclass
class Life:
    """One endpoint of one connection, from its first state to CLOSED."""

    local_port: int
    remote_port: int
    transitions: list = field(default_factory=list)
    in_mini_socket: bool = False
    has_child: bool = False

    @property
    def state(self):
        return self.transitions[-1].new

    @property
    def start_ns(self):
        return self.transitions[0].event.boot_ns

    @property
    def active(self):
        return self.transitions[0].new == "SYN_SENT"

    def state_at(self, boot_ns):
        """The state at a moment, or None before the first transition."""
        state = None
        for transition in self.transitions:
            if transition.event.boot_ns <= boot_ns:
                state = transition.new
        return state

    def states_between(self, start_ns, end_ns):
        """Every state that it was in at some moment of that time (None: not yet begun)."""
        inside = {t.new for t in self.transitions if start_ns < t.event.boot_ns <= end_ns}
        return {self.state_at(start_ns), *inside}

    def move(self, new, event, source, old=None):
        old = old or self.state
        if old != new:  # The kernel says LAST_ACK again when close() follows shutdown().
            self.transitions.append(Transition(old, new, event, source))


class Follower:
    """Turns one namespace's events into lives."""

    def __init__(self):
        self.lives = []
        self._sockets = {}
        self._timers = {}

    def follow(self, events):
        """`events` in time order; `C` lines may belong to other namespaces."""
        restarted = _restarts(events)
        for index, event in enumerate(events):
            if event.kind == "S":
                self._full_socket(event)
            elif event.kind == "T":
                self._time_wait_timer(event)
            elif event.kind == "R":
                self._request_timer(event)
            elif index not in restarted:
                self._timer_ended(event)
        for life in self.lives:
            life.transitions = _skip_fin_wait_2(life.transitions)
        return [life for life in self.lives if not _found_no_port(life)]

    def _begin(self, event, old, new, source):
        life = Life(event.local_port, event.remote_port)
        life.move(new, event, source, old=old)
        self.lives.append(life)
        return life

    def _full_socket(self, event):
        if LISTEN in (event.new, event.old) and event.new in (LISTEN, CLOSE):
            return
        if (event.old, event.new) == (CLOSE, SYN_SENT):
            self._sockets[event.object] = self._begin(event, "CLOSED", "SYN_SENT", "tracepoint")
        elif (event.old, event.new) == (LISTEN, SYN_RCVD):
            self._sockets[event.object] = self._child(event)
        elif event.object in self._sockets:
            self._known_socket(event, self._sockets[event.object])

    def _child(self, event):
        """The request's full socket; without a request (Fast Open, SYN cookie) a new life."""
        for life in self._timers.values():
            if life.state == "SYN_RCVD" and not life.has_child and _same_ports(life, event):
                life.has_child = True
                return life
        return self._begin(event, "LISTEN", "SYN_RCVD", "tracepoint")

    def _known_socket(self, event, life):
        if not life.local_port:
            life.local_port = event.local_port
        if event.new == CLOSE:
            del self._sockets[event.object]
            if life.in_mini_socket:
                return
        life.move(RFC_NAME[event.new], event, "tracepoint")

    def _time_wait_timer(self, event):
        life = self._timers.get(event.object)
        if life is None:
            life = next((x for x in self._sockets.values() if _same_ports(x, event)), None)
            if life is None:
                return
            life.in_mini_socket = True
            self._timers[event.object] = life
        if life.state != RFC_NAME[event.new]:
            life.move(RFC_NAME[event.new], event, "timer")

    def _request_timer(self, event):
        if event.object not in self._timers:
            self._timers[event.object] = self._begin(event, "LISTEN", "SYN_RCVD", "timer")

    def _timer_ended(self, event):
        life = self._timers.pop(event.object, None)
        # The timer of a request that became a full socket ends with the request only.
        if life and (life.in_mini_socket or not life.has_child):
            life.move("CLOSED", event, "timer")


def _restarts(events):
    """Indexes of the `C` events whose timer is started again at once.

    For the same ports, that is: the memory of one mini-socket is soon another's.
    """
    indexes, started, stopped = set(), {}, {}
    for index, event in enumerate(events):
        if event.kind == "C":
            stopped[event.object] = index
        elif event.kind in "TR":
            before, stop = started.get(event.object), stopped.pop(event.object, None)
            if before and stop is not None and _same_mini_socket(before, event):
                if event.boot_ns - events[stop].boot_ns < RESTART_NS:
                    indexes.add(stop)
            started[event.object] = event
    return indexes


def _same_mini_socket(one, other):
    return (one.kind, one.local_port, one.remote_port) == (
        other.kind, other.local_port, other.remote_port)


def _same_ports(life, event):
    return (life.local_port, life.remote_port) == (event.local_port, event.remote_port)


def _skip_fin_wait_2(transitions):
    """FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT by one segment is FIN_WAIT_1, TIME_WAIT."""
    kept = []
    for transition in transitions:
        before = kept[-1] if kept else None
        if (before and before.old == "FIN_WAIT_1" and transition.old == "FIN_WAIT_2"
                and transition.new == "TIME_WAIT"
                and before.event.same_segment(transition.event)):
            kept.pop()
            transition = Transition("FIN_WAIT_1", "TIME_WAIT", transition.event, transition.source)
        kept.append(transition)
    return kept


def _found_no_port(life):
    """connect() enters SYN_SENT before it looks whether the port pair is free.

    If it is not, the socket is closed again within the call, and no SYN is sent.
    """
    if [t.new for t in life.transitions] != ["SYN_SENT", "CLOSED"]:
        return False
    opened, closed = (t.event for t in life.transitions)
    return opened.same_segment(closed) and closed.boot_ns - opened.boot_ns < NO_PORT_NS


@dataclass
class Connection:
    """Both ends of one connection.

    Either may be missing: a refused SYN meets no socket, a stale SYN opens the
    server's end alone.  A server that gave up on a request and is asked again
    by the same client has two lives in it.
    """

    client: list = field(default_factory=list)
    server: list = field(default_factory=list)

    @property
    def start_ns(self):
        return min(life.start_ns for life in self.client + self.server)

    def ports(self):
        """(client port, server port)"""
        if self.client:
            return self.client[0].local_port, self.client[0].remote_port
        return self.server[0].remote_port, self.server[0].local_port

    def state_at(self, endpoint, boot_ns):
        """The endpoint's state, or None if it had no socket for this connection yet."""
        states = [life.state_at(boot_ns) for life in getattr(self, endpoint)]
        return next((state for state in reversed(states) if state), None)


def pair(client_lives, server_lives):
    """The connections, numbered by their start: which life belongs with which."""
    connections = [Connection(client=[life]) for life in client_lives]
    for server in server_lives:
        fitting = [c for c in connections if c.client and _fits(c, server)]
        if fitting:
            nearest = min(fitting, key=lambda c: abs(c.start_ns - server.start_ns))
            nearest.server.append(server)
        else:
            connections.append(Connection(server=[server]))
    connections.sort(key=lambda c: c.start_ns)
    return connections


def _fits(connection, server):
    """May this life of the server be the far end of the client's connection?"""
    if connection.ports() != (server.remote_port, server.local_port):
        return False
    if server.active:  # Simultaneous open: either end may be the first.
        return not connection.server
    if connection.client[0].start_ns > server.start_ns:
        return False
    if not connection.server:
        return True
    still_asking = connection.state_at("client", server.start_ns) == "SYN_SENT"
    return still_asking and connection.state_at("server", server.start_ns) == "CLOSED"
