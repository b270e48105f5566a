"""Defines the alarms about a source, and decides when each begins and ends.

A condition has to last before its alarm begins, and has to be over for a while before the alarm
ends. So one condition gives one alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

_UNSURE_S = 60.0
"""Time without an answer after which a condition is forgotten, if its alarm has not begun; at least
the time that it has to last. So short times of it far apart do not add up to an alarm."""


class AlarmKind(StrEnum):
    """Says what is wrong with a source."""

    FROZEN = "frozen"
    """The very same picture for too long."""
    COVERED = "covered"
    """A picture that suddenly shows almost nothing: a covered lens, or darkness."""
    MOVED = "moved"
    """Another view from a camera that stood still."""
    FOCUS = "focus"
    """A view that has lost most of its sharpness."""
    CLOCK = "clock"
    """Times that jump within one file or connection."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Describes one alarm of one source; the same kind and start mean the same alarm."""

    kind: AlarmKind
    from_ns: int
    """Captured time of the first frame that showed the condition."""
    to_ns: int | None
    """Captured time of the first frame that was well again, or of the frame with which the alarm
    was given up; None: it is not over."""
    detail: str
    """A sentence for people."""


@dataclass(slots=True)
class Condition:
    """Follows one condition: begins its alarm after it has lasted, ends it after it has been over.

    Times in seconds are sums of the steps between frames.
    """

    kind: AlarmKind
    begin_s: float
    """Time that the condition has to last before its alarm begins."""
    end_s: float
    """Time that it has to be over before the alarm ends."""
    frames: int = 5
    """Frames that must show it before the alarm begins; a camera may give one picture a minute."""
    given_up_s: float | None = None
    """Time without an answer after which the alarm ends too; None: it goes on."""
    since_ns: int | None = None
    """Captured time of the first frame that showed it; None: none does."""
    lasted_s: float = 0.0
    shown: int = 0
    """Frames that have shown it so far."""
    raised: bool = False
    """Whether its alarm has begun."""
    detail: str = ""
    over_ns: int | None = None
    """Captured time of the first frame that was well again; None: the condition goes on."""
    over_s: float = 0.0
    unsure_s: float = 0.0
    """Time since the last frame that gave an answer."""

    def step(
        self, at_ns: int, step_s: float, wrong: bool | None, detail: str, limit_s: float = 0.0
    ) -> Alarm | None:
        """Takes one frame; returns the alarm that begins or ends with it.

        `wrong`: whether the frame shows the condition; None: this cannot be told.
        `limit_s`: time that the condition has to last, if that is more than `begin_s`.
        """
        if wrong is None:
            return self._step_unsure(at_ns, step_s)
        self.unsure_s = 0.0
        if self.raised:
            return self._step_raised(at_ns, step_s, wrong)
        if not wrong:
            self._forget()
            return None
        if self.since_ns is None:
            self.since_ns = at_ns
        else:
            self.lasted_s += step_s
        self.shown += 1
        if self.lasted_s < max(self.begin_s, limit_s) or self.shown < self.frames:
            return None
        self.raised, self.detail = True, detail
        self.over_ns, self.over_s = None, 0.0
        return Alarm(self.kind, self.since_ns, None, detail)

    def _step_unsure(self, at_ns: int, step_s: float) -> Alarm | None:
        self.unsure_s += step_s
        if not self.raised:
            if self.unsure_s >= max(_UNSURE_S, self.begin_s):
                self._forget()
            return None
        given_up = self.given_up_s is not None and self.unsure_s >= self.given_up_s
        return self.end(at_ns) if given_up else None

    def _step_raised(self, at_ns: int, step_s: float, wrong: bool) -> Alarm | None:
        if wrong:
            self.lasted_s += step_s
            self.over_ns, self.over_s = None, 0.0
            return None
        if self.over_ns is None:
            self.over_ns = at_ns
        else:
            self.over_s += step_s
        return self.end(self.over_ns) if self.over_s >= self.end_s else None

    def end(self, at_ns: int) -> Alarm:
        """Ends the alarm and returns it; forgets the condition."""
        assert self.since_ns is not None
        ended = Alarm(self.kind, self.since_ns, max(at_ns, self.since_ns), self.detail)
        self.raised = False
        self._forget()
        return ended

    def _forget(self) -> None:
        self.since_ns, self.lasted_s, self.shown, self.unsure_s = None, 0.0, 0, 0.0

    def memory(self) -> dict[str, Any]:
        """Returns the fields that change; an update of the program may set the others anew."""
        fixed = {"begin_s", "end_s", "frames", "given_up_s"}
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in fixed
        }

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes over what `memory` gave, as far as this version knows the fields."""
        for name in self.memory().keys() & memory.keys() - {"kind"}:
            setattr(self, name, memory[name])
        self.raised = self.raised and self.since_ns is not None

    @property
    def now(self) -> Alarm | None:
        """Gives the alarm that has begun and is not over; None: there is none."""
        if not self.raised or self.since_ns is None:
            return None
        return Alarm(self.kind, self.since_ns, None, self.detail)
