"""From the kernel's boot clock to the wall clock that captures are stamped with."""

import time
from datetime import datetime, timezone


def boot():
    """Nanoseconds since boot: the clock of the kernel's events."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def sample():
    """(boot ns, wall ns) read as close together as possible."""
    best = None
    for _ in range(50):
        before = boot()
        wall = time.time_ns()
        after = boot()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, wall)
    return best[1], best[2]


def wall(boot_ns, start, end):
    """Wall time of a boot time, between two samples: the wall clock may be slewed."""
    (boot_0, wall_0), (boot_1, wall_1) = start, end
    drift = (wall_1 - boot_1) - (wall_0 - boot_0)
    share = (boot_ns - boot_0) / max(1, boot_1 - boot_0)
    return boot_ns + (wall_0 - boot_0) + round(drift * share)


def rfc3339(wall_ns):
    seconds, nanos = divmod(wall_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
