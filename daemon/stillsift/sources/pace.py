"""How many frames of a stream are looked at."""

from __future__ import annotations

import math

_SLACK = 1e-6
"""Of a slot: 0.29 s at 100/s is slot 28.999999999999996 in floating point."""


class Pace:
    """Picks at most `rate` frames per second of stream time, the first of each slot.

    Slots are counted from time 0 of the stream, so the same file gives the same frames on every
    run. A stream whose time jumps, in either direction, goes on in the slot it jumped to.
    """

    def __init__(self, rate: float | None) -> None:
        """`rate` in frames per second; None: every frame."""
        if rate is not None and rate <= 0:
            raise ValueError(f"rate must be more than 0, not {rate}")
        self._rate = rate
        self._slot: int | None = None

    @property
    def all(self) -> bool:
        """Whether every frame is looked at."""
        return self._rate is None

    def slot(self, time_s: float) -> int | None:
        """The slot of which at most one frame is looked at; None: there are none."""
        return None if self._rate is None else math.floor(time_s * self._rate + _SLACK)

    def takes(self, time_s: float) -> bool:
        """Whether the frame at `time_s` is looked at. Ask once for each usable frame, in order."""
        if self._rate is None:
            return True
        slot = self.slot(time_s)
        taken = slot != self._slot
        self._slot = slot
        return taken
