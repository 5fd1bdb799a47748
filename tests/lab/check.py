#!/usr/bin/env python3
"""Check recordings: check.py DIR...

Three things, none of which trusts the way the truth was made:

* every history is one that RFC 9293 allows, and times never run backwards;
* the packets agree: an endpoint that entered SYN_SENT, FIN_WAIT_1 or LAST_ACK
  sent its SYN or FIN at about that time, by the capture at its own interface;
* the capture holds what the scenario is meant to show (its `shows`, with tshark).
"""

import json
import struct
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import scenarios  # noqa: F401  (registers them)
from packet import parse, tcp_start
from pcapfile import records
from registry import SCENARIOS

ALLOWED = {
    ("CLOSED", "SYN_SENT"), ("LISTEN", "SYN_RCVD"),
    ("SYN_SENT", "ESTABLISHED"), ("SYN_SENT", "SYN_RCVD"), ("SYN_SENT", "CLOSED"),
    ("SYN_RCVD", "ESTABLISHED"), ("SYN_RCVD", "FIN_WAIT_1"), ("SYN_RCVD", "CLOSED"),
    ("SYN_RCVD", "CLOSE_WAIT"),
    ("ESTABLISHED", "FIN_WAIT_1"), ("ESTABLISHED", "CLOSE_WAIT"), ("ESTABLISHED", "CLOSED"),
    ("FIN_WAIT_1", "FIN_WAIT_2"), ("FIN_WAIT_1", "CLOSING"), ("FIN_WAIT_1", "TIME_WAIT"),
    ("FIN_WAIT_1", "CLOSED"), ("FIN_WAIT_2", "TIME_WAIT"), ("FIN_WAIT_2", "CLOSED"),
    ("CLOSING", "TIME_WAIT"), ("CLOSING", "CLOSED"), ("CLOSE_WAIT", "LAST_ACK"),
    ("CLOSE_WAIT", "CLOSED"), ("LAST_ACK", "CLOSED"), ("TIME_WAIT", "CLOSED"),
}
# Bytes before the IP header: Ethernet, raw IP.
LINK_HEADER = {1: 14, 101: 0}
# A FIN may wait behind unsent data; a SYN may not.
SYN_WITHIN_NS = 50_000_000


def main(folders):
    problems = Counter()
    for folder in map(Path, folders):
        for problem in check(folder):
            problems[folder.name] += 1
            print(f"{folder.name}: {problem}")
    print(f"{len(folders)} checked, {len(problems)} with problems")
    return 1 if problems else 0


def check(folder):
    meta, transitions, end = read_truth(folder)
    problems = list(_histories(transitions))
    problems += _packets(folder, transitions)
    problems += _shown(folder, SCENARIOS.get(meta["scenario"]))
    if not end["ss_agrees"]:
        problems.append("ss did not agree at the end")
    return problems


def read_truth(folder):
    """(meta, transitions, end) of a recording."""
    lines = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return lines[0], lines[1:-1], lines[-1]


def nanoseconds(text):
    moment = datetime.fromisoformat(text[:19] + "+00:00")
    return int(moment.timestamp()) * 1_000_000_000 + int(text[20:29])


def _histories(transitions):
    state, last = {}, 0
    for line in transitions:
        key = (line["conn"], line["endpoint"])
        before = state.get(key)
        if (line["from"], line["to"]) not in ALLOWED:
            yield f"{key}: {line['from']} to {line['to']} is not in the RFC"
        if before not in (None, line["from"]) and (before, line["from"]) != ("CLOSED", "LISTEN"):
            yield f"{key}: was {before}, continues from {line['from']}"
        if nanoseconds(line["ts"]) < last:
            yield f"{key}: time runs backwards at {line['ts']}"
        state[key], last = line["to"], nanoseconds(line["ts"])


def _packets(folder, transitions):
    """What was sent, by the sender's own capture, against the states that send it."""
    problems = []
    for endpoint in ("client", "server"):
        sent = _sent(folder, endpoint)
        own = [line for line in transitions if line["endpoint"] == endpoint]
        for line in own:
            if line["to"] == "SYN_SENT" and not _syn_follows(sent, line):
                problems.append(f"conn {line['conn']}: SYN_SENT, but no SYN was sent then")
        fins = {port for _, packet, port in sent if packet.fin}
        closing = {line["client_port"] for line in own if line["to"] in ("FIN_WAIT_1", "LAST_ACK")}
        if not fins <= closing:
            problems.append(f"{endpoint}: FIN of client ports {fins - closing}, "
                            "which never were in FIN_WAIT_1 or LAST_ACK")
    return problems


def _syn_follows(sent, line):
    at = nanoseconds(line["ts"])
    return any(packet.syn and port == line["client_port"] and at <= ns < at + SYN_WITHIN_NS
               for ns, packet, port in sent)


def _sent(folder, endpoint):
    """[(time, packet, the connection's client port)] sent by an endpoint, at its interface."""
    data = (folder / f"{endpoint}.pcap").read_bytes()
    link_header = LINK_HEADER[struct.unpack_from("<I", data, 20)[0]]
    own = _address_of(folder, endpoint)
    sent = []
    for ns, start, stop in records(data):
        raw = data[start + 16 + link_header:stop]
        packet = parse(endpoint, raw)
        version6 = raw[0] >> 4 == 6
        source = raw[8:24] if version6 else raw[12:16]
        if packet and source == own:
            ports = struct.unpack_from("!HH", raw, tcp_start(raw))
            sent.append((ns, packet, ports[endpoint == "server"]))
    return sent


def _address_of(folder, endpoint):
    import ipaddress

    text = read_truth(folder)[0]["endpoints"][endpoint].rpartition(":")[0]
    return ipaddress.ip_address(text.strip("[]")).packed


def _shown(folder, scenario):
    problems = []
    for point, expression, least in scenario.shows if scenario else ():
        command = ["tshark", "-r", str(folder / f"{point}.pcap"), "-Y", expression]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = len(said.splitlines())
        if found < least:
            problems.append(f"{point}: {found} packets of {expression!r}, expected {least}")
    return problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
