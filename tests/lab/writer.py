"""Make truth.jsonl of a recording, and compare it with every other account there is.

Three accounts must agree: the truth from the kernel's events, `ss` at the end
of the recording, and what the scenario's author expected.
"""

import json
import os
import time

import clock
from lab import BASE_SYSCTLS
from truth import Follower, pair

ENDPOINTS = ("client", "server")


def write(scenario, recording, events, folder):
    """Write the truth; return a list of problems, empty if the recording is sound."""
    connections = connections_of(recording, events)
    lines = [_meta(scenario, recording, connections)]
    lines += _transitions(recording, connections)
    lines.append(_end(recording, connections))
    with open(folder / "truth.jsonl", "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return (_against_ss(recording, connections) + _against_expectation(scenario, connections)
            + ([] if recording.packets["client"] else ["client.pcap is empty"]))


def connections_of(recording, events):
    """The recording's connections, up to its end."""
    lives = {}
    # Bounded on both sides: the kernel gives a namespace's number away again.
    begin, end = recording.start[0], recording.end[0]
    until = [e for e in events if begin <= e.boot_ns <= end]
    for endpoint in ENDPOINTS:
        inode = recording.namespaces[endpoint]
        own = sorted((e for e in until if e.namespace in (inode, 0)), key=lambda e: e.boot_ns)
        lives[endpoint] = Follower().follow(own)
    return pair(lives["client"], lives["server"])


def _meta(scenario, recording, connections):
    addresses = recording.addresses
    first = connections[0].ports() if connections else (0, 0)
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "kernel": os.uname().release,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "textbook": list(scenario.textbook),
        "endpoints": {end: _with_port(addresses[end], port)
                      for end, port in zip(ENDPOINTS, first)},
        "connections": len(connections),
        "sysctls": recording.sysctls,
        "base_sysctls": BASE_SYSCTLS,
        "impairment": scenario.path(),
        "packets": recording.packets,
    }


def _with_port(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _transitions(recording, connections):
    lines = []
    for number, connection in enumerate(connections):
        client_port, server_port = connection.ports()
        for endpoint in ENDPOINTS:
            for life in getattr(connection, endpoint):
                for transition in life.transitions:
                    if transition.event.boot_ns > recording.end_boot_ns:
                        continue
                    at = clock.wall(transition.event.boot_ns, recording.start, recording.end)
                    lines.append((at, {
                        "endpoint": endpoint, "conn": number,
                        "client_port": client_port, "server_port": server_port,
                        "from": transition.old, "to": transition.new,
                        "ts": clock.rfc3339(at), "source": transition.source}))
    lines.sort(key=lambda pair_: pair_[0])
    return [line for _, line in lines]


def _end(recording, connections):
    end = clock.wall(recording.end_boot_ns, recording.start, recording.end)
    final = []
    for number, connection in enumerate(connections):
        states = {end: connection.state_at(end, recording.end_boot_ns) for end in ENDPOINTS}
        final.append({"conn": number, **states})
    return {"end_ts": clock.rfc3339(end), "final": final,
            "ss_agrees": not _against_ss(recording, connections)}


def _against_ss(recording, connections):
    """Each time that `ss` was asked, the truth's open sockets must be those that it showed."""
    problems = []
    for endpoint, before, after, shown in recording.shown:
        lives = [life for connection in connections for life in getattr(connection, endpoint)]
        possible = {}
        for life in lives:
            states = life.states_between(before, after)
            if states not in ({None}, {"CLOSED"}):
                possible.setdefault((life.local_port, life.remote_port), set()).update(states)
        for ports in sorted({*possible, *shown}):
            states = possible.get(ports, set()) - {"CLOSED"}
            if not _agree(states, shown.get(ports), possible.get(ports, set())):
                problems.append(f"{endpoint} {ports} at {before}: truth says "
                                f"{states or 'nothing'}, ss says {shown.get(ports)}")
    return problems


def _agree(open_states, shown, states):
    """`ss` shows one of the open states, or nothing if there was a moment without a socket."""
    if shown:
        return shown in open_states
    return not open_states or bool(states & {"CLOSED", None}) or len(open_states) > 1


def _against_expectation(scenario, connections):
    """Each connection's states must be those that the scenario is meant to show."""
    if not scenario.expect:
        return []
    problems = []
    for number, connection in enumerate(connections):
        expected = scenario.expect[min(number, len(scenario.expect) - 1)]
        for endpoint, states in zip(ENDPOINTS, expected):
            passed = " ".join(t.new for life in getattr(connection, endpoint)
                              for t in life.transitions)
            if passed != states:
                problems.append(f"conn {number} {endpoint}: {passed!r}, expected {states!r}")
    if len(connections) < len(scenario.expect):
        problems.append(f"{len(connections)} connections, expected {len(scenario.expect)}")
    return problems
