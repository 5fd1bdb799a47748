#!/usr/bin/env python3
"""Print testdata/README.md from the recordings themselves: provenance.py TESTDATA > README.md"""

import sys
from pathlib import Path

from check import read_truth
from hard_cases import CASES
from registry import SCENARIOS

HEAD = """\
# Test data

- `windump-close.pcap`: three lines of a close, as windump printed them, made into packets by
  `tests/it/windump.rs`, which has the lines.
- `windump-close.txt`: the same lines, unchanged.
- `text/RECORDING+PLACE.OPTION.txt`: what tcpdump 4.99.3 prints for `kernel/RECORDING/PLACE.pcap`:
  `TZ=UTC tcpdump -n -OPTION -r FILE` (`n`: no other option; `number`: `-#`).
- `kernel/demo/server.pcap` is also the capture that `finwait demo` carries.
- `kernel/` and `observer/` are recorded on a real Linux kernel, as described below; in `observer/`
  something is wrong with the capture in the middle, and only with that one.
- `sockets/holders`, `sockets/holders-ipv6`: recordings like those below
  (`record.py holders holders-ipv6 --out testdata/sockets`). Their `sockets/` has what each host's
  own tools said of its sockets near the end, word for word (`tests/lab/snapshots.py` has the
  commands), and `*.when.txt` says when the first tool began and the last ended. The server's
  programs: `leaky` never closes its three connections on 6800; `forking` shares its one on 6801
  with a child; nobody accepts the one on 6802; `late` does not read the 107 bytes on 6803; on 8080,
  `busy` keeps one connection and closes one first, and its host silently forgot a third.
- `sockets/made/`: written by `tests/lab/other_systems.py` from the documented columns of systems
  that the lab does not have (macOS, FreeBSD, OpenBSD, Windows; `utf16` as PowerShell redirects it),
  with the sockets of `holders`. `oracle-lsof-i.txt` is our rendering of the classic listing of an
  Oracle process that holds port 6800, as lsof printed it on a RHEL 3, with names for addresses.
- `misses/`: single connections from crowds (`record.py --random`) about which finwait misses
  something, cut out by `tests/lab/excerpt.py`; `docs/misses.md` says why. Seed and kernel are in
  each `truth.jsonl`. `kernel/random-3` has the first hundred connections of a crowd, cut out
  likewise.
- `rotated/`: `services/leaks/server.pcap` as a ring of tcpdump may leave it, made by
  `tests/lab/rotate.py`: three files, of which two share five packets and the last is cut inside a
  packet.
- `services/`: services with one fault each, or none, most of them longer than the minute after
  which a leak shows; `tests/it/services.rs` says what the first line of the report must be.

## Recordings

Made by `tests/lab/record.py` (as root, in network namespaces of its own; `--list` names the
scenarios). They hold nobody's real traffic. Each folder is one scenario:

- `client.pcap`, `server.pcap`: tcpdump at that endpoint's own interface. `middle.pcap`: half way
  between them. A packet that the path loses is in its sender's capture and, unless the table says
  *before the middle observer*, in the middle one too. All are pcap with nanoseconds and raw IP,
  except that those made on a bridge are Ethernet, or Linux cooked where the table says *any*.
- `truth.jsonl`: the kernel's own account of both endpoints, on the captures' clock. It has a first
  line of metadata; one line per transition; and a last line with the moment at which all three
  captures end and the state of every endpoint then (`null`: it never had a socket for this
  connection).

```json
{"endpoint":"server","conn":0,"client_port":45990,"server_port":7000,
 "from":"LISTEN","to":"SYN_RCVD","ts":"2026-11-20T14:15:31.674698385Z","source":"timer"}
```

`conn` numbers connections by their start; the two ends of a connection have the same number.
`source` is `tracepoint` (sock:inet_sock_set_state) or `timer` (the timer of a mini-socket: the
SYN_RCVD of a passive open, TIME_WAIT, an orphan's FIN_WAIT_2); both are exact to microseconds. `ss`
confirmed every state at the end. `tests/lab/check.py` checks recordings against the RFC and their
packets.

`NAME-mirrored` is the scenario NAME with its parts exchanged: the client opens as before, but then
the server does what the client did (closes first or last, loses, resets, forgets), and the client
does what the server did. For scenarios without such a twin, `--list` says why in one word: the
scenario is about the *opening*, both ends do the same (*symmetric*), the kernel gives a server no
say in its first sequence *number*, it is the built-in *example*, is there to take a *snapshot*, or
is about a *service* and its fault. `NAME-ipv6` is the same over IPv6.

## Hard cases

What is hard for an observer of TCP, and where each case is shown: the recordings (also with parts
exchanged, or over IPv6, where it says so) and the traces in `src/infer/tests`. The table is in
`tests/lab/hard_cases.py`.

{cases}
## All recordings

"Textbook" gives the lines of the textbook account of TCP that a recording shows:

{textbook}

| recording | shows | path | textbook | kernel, date |
|---|---|---|---|---|
"""

TEXTBOOK = """\
three-segment opening
client and server states of the opening
SYN_RCVD, short or held
stale SYN
options in the record
both sides' view
each direction closes by itself
four-segment close, FIN with data
who closes first is the active closer
active and passive states of the closing
FIN and ACK in one segment
both close at once
FIN_WAIT_2 that stays
CLOSE_WAIT and its leak
LAST_ACK and the lost last ACK
TIME_WAIT and port reuse
SO_LINGER with zero time
killed process, pulled cable, keepalive
a normal close in three segments
the two diagrams, as `show` draws them""".splitlines()


def main(root):
    names = "; ".join(f"{number} {name}" for number, name in enumerate(TEXTBOOK, 1))
    folders = [path for kind in ("kernel", "observer", "services") for path in sorted((root / kind).iterdir())]
    page = HEAD.replace("{cases}", _cases({path.name: path for path in folders}))
    print(page.replace("{textbook}", names), end="")
    for path in folders:
        print(_recording(path))
    print("\nMade with `tests/lab/record.py --out testdata/kernel` and `tests/lab/record.py "
          "--observers\n--out testdata/observer`, or one of them with `tests/lab/record.py NAME "
          "--out testdata/kernel`;\n`random-N` with `--random N --connections 30`. Those below `services` are named\n"
          "`service-NAME` there.")


def _cases(folders):
    lines = ["| case | recordings | traces |\n|---|---|---|\n"]
    for case, recordings, traces in CASES:
        shown = ", ".join(_variants(name, folders) for name in recordings)
        lines.append(f"| {case} | {shown} | {', '.join(f'`{trace}`' for trace in traces) or '-'} |\n")
    return "".join(lines)


def _variants(name, folders):
    """A scenario and the variants of it that are recorded."""
    assert name in folders, f"{name} is not recorded"
    others = [other for other, scenario in SCENARIOS.items()
              if other != name and scenario.run is SCENARIOS[name].run and other in folders]
    kinds = ["parts exchanged"] if any(SCENARIOS[other].mirrored for other in others) else []
    kinds += ["IPv6"] if SCENARIOS[name].ip == 6 or any(
        SCENARIOS[other].ip == 6 for other in others) else []
    return f"`{name}`" + (f" ({', '.join(kinds)})" if kinds else "")


def _recording(path):
    meta, _, _ = read_truth(path)
    changed = "; ".join(f"{name.removeprefix('ipv4/')}={value}"
                        for name, value in meta["sysctls"].items()
                        if name not in meta["base_sysctls"])
    way = "; ".join(filter(None, [meta["impairment"].replace("none", ""), changed]))
    lines = ", ".join(map(str, meta["textbook"])) or "-"
    return (f"| `{path.name}` | {meta['title']} | {way or '-'} | {lines} "
            f"| {meta['kernel']}, {meta['date']} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
