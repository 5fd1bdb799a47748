"""The kernel's own account: every TCP state change, read with bpftrace.

Three kinds of line, all on one clock (nanoseconds since boot):

* `S` a full socket changed state (tracepoint sock:inet_sock_set_state);
* `T`/`R` the timer of a mini-socket was started: `T` for TIME_WAIT and for an
  orphan's FIN_WAIT_2, `R` for the SYN_RCVD of a passive open.  These are not
  full sockets and the tracepoint above does not show them;
* `C` such a timer was stopped or ran out.

Each carries the number of its network namespace, so one bpftrace serves all
scenarios at once, and the count of packets received by that CPU so far, which
tells whether two changes were made by one segment.
"""

import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass

from btf import member_offset
from netns import Namespace, die_with_parent

PROGRAM = """
tracepoint:net:netif_receive_skb { @packets[cpu]++; }

tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
  $sock = (struct sock *)args->skaddr;
  printf("S %llu %d %llu %u %llx %d %d %d %d\\n", nsecs, cpu, @packets[cpu],
    $sock->__sk_common.skc_net.net->ns.inum, (uint64)args->skaddr,
    args->sport, args->dport, args->oldstate, args->newstate);
}

tracepoint:timer:timer_start /(uint64)args->function == kaddr("tw_timer_handler")/ {
  $base = (uint64)args->timer - TW_TIMER;
  $mini = (struct inet_timewait_sock *)$base;
  $common = (struct sock_common *)$base;
  printf("T %llu %d %llu %u %llx %d %d 0 %d\\n", nsecs, cpu, @packets[cpu],
    $common->skc_net.net->ns.inum, (uint64)args->timer,
    $common->skc_num, $common->skc_dport, $mini->tw_substate);
  @mini[(uint64)args->timer] = 1;
}

tracepoint:timer:timer_start /(uint64)args->function == kaddr("reqsk_timer_handler")/ {
  $common = (struct sock_common *)((uint64)args->timer - RSK_TIMER);
  printf("R %llu %d %llu %u %llx %d %d 0 3\\n", nsecs, cpu, @packets[cpu],
    $common->skc_net.net->ns.inum, (uint64)args->timer,
    $common->skc_num, $common->skc_dport);
  @mini[(uint64)args->timer] = 1;
}

tracepoint:timer:timer_cancel /@mini[(uint64)args->timer]/ {
  printf("C %llu %d %llu 0 %llx 0 0 0 0\\n", nsecs, cpu, @packets[cpu], (uint64)args->timer);
  delete(@mini[(uint64)args->timer]);
}

END { clear(@packets); clear(@mini); }
"""

LINE = re.compile(r"([STRC]) (\d+) (\d+) (\d+) (\d+) ([0-9a-f]+) (\d+) (\d+) (\d+) (\d+)$")


@dataclass(frozen=True)
class Event:
    """One line of the account.  `object` is the address of the socket or timer."""

    kind: str
    boot_ns: int
    cpu: int
    packets: int
    namespace: int
    object: int
    local_port: int
    remote_port: int
    old: int
    new: int

    def same_segment(self, other):
        """Both happened while the CPU handled the same received packet."""
        return (self.cpu, self.packets) == (other.cpu, other.packets)


def parse_line(line):
    found = LINE.match(line)
    if not found:
        return None
    kind, *numbers = found.groups()
    boot, cpu, packets, namespace = map(int, numbers[:4])
    local, remote, old, new = map(int, numbers[5:])
    if kind in "TR":  # Mini-sockets keep the remote port in network byte order.
        remote = (remote & 0xFF) << 8 | remote >> 8
    return Event(kind, boot, cpu, packets, namespace, int(numbers[4], 16), local, remote, old, new)


class KernelEvents:
    """A running bpftrace and everything that it has said."""

    def __init__(self):
        program = PROGRAM.replace("TW_TIMER", str(member_offset("inet_timewait_sock", "tw_timer")))
        program = program.replace("RSK_TIMER", str(member_offset("request_sock", "rsk_timer")))
        self.events = []
        self.complaints = []
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            ["bpftrace", "-B", "line", "-e", program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=die_with_parent)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(30) or not self._sees_a_listener():
            self.stop()
            raise RuntimeError("bpftrace did not start:\n" + "".join(self.complaints))

    def _sees_a_listener(self):
        """It says that it is attaching before it has: open listeners until one is seen."""
        for _ in range(100):
            with Namespace(), socket.socket() as listener:
                listener.listen()
            time.sleep(0.1)
            if self.events:
                return True
        return False

    def _read(self):
        for line in self._process.stdout:
            event = parse_line(line)
            if event:
                self.events.append(event)
            elif line.startswith("Attaching"):
                self._ready.set()
            elif line.strip():
                self.complaints.append(line)
        self._ready.set()

    def lost(self):
        """Lines of bpftrace that say that it lost events."""
        return [line for line in self.complaints if "ost" in line and "event" in line]

    def stop(self):
        self._process.terminate()
        self._process.wait()
