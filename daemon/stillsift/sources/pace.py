"""Decides which frames of a file or of a live stream are looked at."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

_Shown = TypeVar("_Shown")

_SLACK = 1e-6
"""Share of a slot that rounding may lose: 0.29 s at 100/s is slot 28.999999999999996."""


_EARLY = 0.25
"""Share of a period by which a live frame may come early: frames of a camera that gives just the
wanted rate arrive a little before or after they are due."""


class Pace:
    """Picks at most `rate` frames per second of stream time, the first of each slot.

    Slots are counted from time 0 of the stream, so the same file gives the same frames on every
    run. A stream whose time jumps, in either direction, goes on in the slot it jumped to.
    """

    def __init__(self, rate: float | None) -> None:
        """Takes `rate` in frames per second; None: every frame. Raises ValueError for 0 or less."""
        if rate is not None and rate <= 0:
            raise ValueError(f"rate must be more than 0, not {rate}")
        self._rate = rate
        self._slot: int | None = None

    @property
    def all(self) -> bool:
        """Tells whether every frame is looked at."""
        return self._rate is None

    @property
    def step_s(self) -> float:
        """Gives the length of a slot, seconds; 0: there are no slots."""
        return 0.0 if self._rate is None else 1 / self._rate

    def slot(self, time_s: float) -> int | None:
        """Returns the slot, of which at most one frame is looked at; None: there are no slots."""
        return None if self._rate is None else math.floor(time_s * self._rate + _SLACK)

    def takes(self, time_s: float) -> bool:
        """Tells whether a frame is looked at. Call once for each usable frame, in order."""
        if self._rate is None:
            return True
        slot = self.slot(time_s)
        taken = slot != self._slot
        self._slot = slot
        return taken


class LivePace:
    """Picks at most `rate` frames per second of a live stream, as they fall due.

    Live frames have no slots to belong to: what is wanted is one frame in each period, and the
    times they come with are shifted now and then.
    """

    def __init__(self, rate: float | None) -> None:
        """Takes `rate` in frames per second; None: every frame. Raises ValueError for 0 or less."""
        if rate is not None and rate <= 0:
            raise ValueError(f"rate must be more than 0, not {rate}")
        self._period_ns = None if rate is None else round(1e9 / rate)
        self._due_ns: int | None = None

    def takes(self, at_ns: int) -> bool:
        """Tells whether a frame taken at `at_ns` is looked at. Call for each, in order."""
        period_ns = self._period_ns
        if period_ns is None:
            return True
        due_ns = self._due_ns
        # The wall clock was set back: nothing would be due for as long.
        if due_ns is not None and due_ns - 2 * period_ns < at_ns < due_ns - _EARLY * period_ns:
            return False
        late = due_ns is None or not -period_ns < at_ns - due_ns < period_ns
        self._due_ns = (at_ns if late or due_ns is None else due_ns) + period_ns
        return True


class Standing(Generic[_Shown]):
    """Holds back one frame that is not due, until it is known how long it stood on screen.

    Frames of screen recorders and telephones come at a variable rate: a picture can stand for
    minutes, and the short one before it have used up its slot. So what stands for a whole step of
    the pace is looked at wherever it begins. At a constant rate nothing is added: either no frame
    stands that long, or every frame is due. At a variable one, at most one frame in each step is.
    """

    def __init__(self, rate: float | None) -> None:
        """Takes the rate of the pace, frames per second; None: every frame is due."""
        self._step_ns = 0.0 if rate is None else (1 - _SLACK) * 1e9 / rate
        self._held: tuple[_Shown, int] | None = None

    def hold(self, frame: _Shown, at_ns: int) -> None:
        """Holds a frame that is not due and began at `at_ns`, instead of the one before."""
        self._held = frame, at_ns

    @property
    def held(self) -> _Shown | None:
        """Gives the frame held back; None: there is none."""
        return None if self._held is None else self._held[0]

    def until(self, at_ns: int) -> _Shown | None:
        """Returns the frame held back if it stood for a step until `at_ns`, else None.

        In either case nothing is held any more.
        """
        held, self._held = self._held, None
        return held[0] if held is not None and at_ns - held[1] >= self._step_ns else None

    def for_(self, lasts_ns: int) -> _Shown | None:
        """Returns the frame held back if it is the last and stands for a step, else None.

        It is still held then: more may come.
        """
        if self._held is None or lasts_ns < self._step_ns:
            return None
        return self.until(self._held[1] + lasts_ns)
