#!/usr/bin/env python3
"""The kernel lab: record small captures on a real Linux with the kernel's own truth.

    record.py --list                         name every scenario
    record.py --out DIR                      record all of them
    record.py SCENARIO... --out DIR          record these
    record.py --observers --out DIR          those with something wrong with the middle capture
    record.py --random SEED --out DIR        N random connections (see chance.py)
    record.py --live --out DIR               a few, in seconds; nothing where that cannot be

Needs root, tcpdump, iproute2, bpftrace and a kernel with BTF.  Each scenario
gets two namespaces of its own and leaves, in DIR/NAME/, client.pcap,
middle.pcap, server.pcap and truth.jsonl.
"""

import argparse
import os
import pickle
import shutil
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import live
import scenarios  # noqa: F401  (registers them)
import writer
from chance import random_scenario
from kernel_events import KernelEvents
from lab import Lab
from netns import die_with_parent
from registry import SCENARIOS

# Events reach us through bpftrace's buffers; they are all here after this long.
EVENTS_DELAY = 0.5
ATTEMPTS = 3
FORKING = threading.Lock()


def main():
    options = _options()
    if options.list:
        _list()
        return 0
    missing = live.obstacle()
    if missing and not options.live:
        sys.exit(f"nothing can be recorded here: {missing}")
    if missing:
        print(f"no network namespaces here: nothing recorded ({missing})")
        return 0
    chosen = _chosen(options)
    events = KernelEvents()
    pool = ThreadPoolExecutor(len(chosen) if options.live else options.jobs)
    try:
        problems = list(pool.map(lambda s: _record(s, options.out, events), chosen))
    except KeyboardInterrupt:
        # Everything that was started dies with this process; waiting would finish the recording.
        os._exit(130)
    finally:
        events.stop()
    failed = sum(problems)
    print(f"{len(chosen)} recorded, {failed} with problems")
    return 1 if failed else 0


def _list():
    """Every scenario by its name, with the word for why its parts are not exchanged."""
    for scenario in SCENARIOS.values():
        why_not = f" [not mirrored: {scenario.unmirrored}]" if scenario.unmirrored else ""
        print(f"{scenario.name:40} {scenario.title}{why_not}")


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenario", nargs="*", help="names from --list (default: all with sound captures)")
    parser.add_argument("--out", type=Path, default=Path("recordings"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--observers", action="store_true",
                        help="the scenarios whose capture in the middle is at fault, and no others")
    parser.add_argument("--random", type=int, metavar="SEED", action="append", default=[],
                        help="a crowd of random connections (may be repeated)")
    parser.add_argument("--connections", type=int, default=50, help="how many of them")
    parser.add_argument("--live", action="store_true",
                        help="a small fixed selection, if this host can record at all")
    parser.add_argument("--jobs", type=int, default=6, help="scenarios at a time")
    return parser.parse_args()


def _chosen(options):
    if options.live:
        return live.selection()
    unknown = [name for name in options.scenario if name not in SCENARIOS]
    if unknown:
        sys.exit(f"no such scenario: {', '.join(unknown)} (see --list)")
    crowds = [random_scenario(seed, options.connections) for seed in options.random]
    whole = [] if crowds else [name for name, scenario in SCENARIOS.items()
                               if bool(scenario.observer) == options.observers]
    names = options.scenario or whole
    return [SCENARIOS[name] for name in names] + crowds


def _record(scenario, out, events):
    """Record one scenario; say and count what is wrong with it.

    On a busy machine an application may come a moment too late to show what it
    is meant to show, so there is more than one attempt.
    """
    folder = out / scenario.name
    for _ in range(ATTEMPTS):
        problems = _attempt(scenario, folder, events)
        print(f"{scenario.name}: {'; '.join(problems) or 'ok'}\n", end="", flush=True)
        if not problems:
            break
    return bool(problems)


def _attempt(scenario, folder, events):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recording = _in_own_process(scenario, folder)
    if isinstance(recording, str):
        return [recording]
    time.sleep(EVENTS_DELAY)
    return writer.write(scenario, recording, list(events.events), folder) + events.lost()


def _in_own_process(scenario, folder):
    """Namespaces belong to threads and sockets to processes: give each scenario its own."""
    # One at a time: a pipe inherited by another scenario's process would not end.
    with FORKING:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(scenario, folder, write)
        os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(data) if data else "the scenario's process died"


def _child(scenario, folder, write):
    """The scenario's process: leaves what it recorded in the pipe, and never returns."""
    try:
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(_run(scenario, folder), pipe)
    finally:
        os._exit(0)


def _run(scenario, folder):
    try:
        lab = Lab(folder, scenario.impairment, scenario.sysctls, scenario.ip, scenario.bridge,
                  scenario.mirrored, scenario.observer)
        kept = scenario.run(lab)  # noqa: F841  (keeps sockets open to the end)
        return lab.finish(scenario.settle)
    except Exception:
        return traceback.format_exc()


if __name__ == "__main__":
    sys.exit(main())
