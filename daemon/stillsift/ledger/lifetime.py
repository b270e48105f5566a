"""Counts the time that has passed for a ledger, with a clock that nobody can set.

Whatever is deleted for its age has its age from here. The clock on the wall jumps: a machine
without a battery starts with the time at which it was switched off, and is set weeks ahead a minute
later. So it is never asked how old something is.

The rule: the time of every run counts, and the time between two runs if the machine was not started
anew in between; suspended time too. The time around a new start of the machine, or on the way to
another machine, does not count: only the clock on the wall would tell it. So things may be held for
longer than was asked for, never for a shorter time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")


@dataclass(frozen=True, slots=True)
class Uptime:
    """Tells for how long a machine has been running."""

    boot: str
    """What the kernel calls this start of the machine; empty: it cannot be known."""
    ns: int


def uptime() -> Uptime:
    """Returns for how long this machine has been running, suspended time included.

    Where /proc tells it, since a library that shifts the clock for one process (faketime) shifts
    CLOCK_BOOTTIME too.
    """
    try:
        boot = _BOOT_ID.read_text("ascii").strip()
        return Uptime(boot, round(float(_UPTIME.read_text("ascii").split()[0]) * 1e9))
    except OSError:
        return Uptime("", time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Lifetime:
    """Goes on counting from where an earlier process has recorded to be."""

    def __init__(
        self, recorded_ns: int, recorded_at: Uptime, clock: Callable[[], Uptime] = uptime
    ) -> None:
        """Takes the lifetime that was recorded, and the uptime of then."""
        self._clock = clock
        began = clock()
        # A container that was started anew may have the host's boot and an uptime of its own.
        goes_on = began.boot == recorded_at.boot != "" and began.ns >= recorded_at.ns
        self._since_ns = recorded_at.ns if goes_on else began.ns
        self._before_ns = self._last_ns = recorded_ns

    def read(self) -> tuple[int, Uptime]:
        """Returns the lifetime now, and the uptime to record with it; it never goes back."""
        now = self._clock()
        self._last_ns = max(self._last_ns, self._before_ns + now.ns - self._since_ns)
        return self._last_ns, now
