"""Alarms: what is wrong with a source itself, and for how long.

A trouble has to last before its alarm begins, and has to be over for a while before the alarm ends:
one trouble is one alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

_UNSURE_S = 60.0
"""A trouble that has not begun is forgotten after so long, and not less than it has to last, in
which nothing could be told: moments of it far apart are no trouble that lasts."""


class AlarmKind(StrEnum):
    """What is wrong with the source."""

    FROZEN = "frozen"
    """The very same picture for too long."""
    COVERED = "covered"
    """A picture without anything in it, all of a sudden: a covered lens, or darkness."""
    MOVED = "moved"
    """A camera that stood still shows another view."""
    FOCUS = "focus"
    """The view has lost most of the sharpness that it had."""
    CLOCK = "clock"
    """Times that jump within one file or connection."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One trouble of one source. The same kind and start is the same alarm."""

    kind: AlarmKind
    from_ns: int
    """Captured time of the first frame that showed it."""
    to_ns: int | None
    """Captured time of the first frame that was well again, or of that with which it was given up;
    None: it is not over."""
    detail: str
    """A sentence for people."""


@dataclass(slots=True)
class Condition:
    """One trouble: begins after it has lasted, ends after it has been over."""

    kind: AlarmKind
    begin_s: float
    end_s: float
    frames: int = 5
    """That must show it before it begins; a camera may give one picture a minute."""
    given_up_s: float | None = None
    """Time in which nothing can be told after which it ends as well; None: it stands."""
    since_ns: int | None = None
    """First frame of the trouble; None: there is none."""
    lasted_s: float = 0.0
    shown: int = 0
    raised: bool = False
    detail: str = ""
    over_ns: int | None = None
    over_s: float = 0.0
    unsure_s: float = 0.0
    """For how long nothing has been told."""

    def step(
        self, at_ns: int, step_s: float, wrong: bool | None, detail: str, limit_s: float = 0.0
    ) -> Alarm | None:
        """Take one frame; the alarm that begins or ends with it. `wrong` None: cannot be told.

        `limit_s`: time for which it has to last, where that is more than `begin_s`.
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
        """The alarm is over, and nothing is held against the source any more."""
        assert self.since_ns is not None
        ended = Alarm(self.kind, self.since_ns, max(at_ns, self.since_ns), self.detail)
        self.raised = False
        self._forget()
        return ended

    def _forget(self) -> None:
        self.since_ns, self.lasted_s, self.shown, self.unsure_s = None, 0.0, 0, 0.0

    def memory(self) -> dict[str, Any]:
        """What changes. How long things last is no memory: an update may change it."""
        fixed = {"begin_s", "end_s", "frames", "given_up_s"}
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in fixed
        }

    def recall(self, memory: Mapping[str, Any]) -> None:
        """What `memory` gave, as far as it is known today."""
        for name in self.memory().keys() & memory.keys() - {"kind"}:
            setattr(self, name, memory[name])
        self.raised = self.raised and self.since_ns is not None

    @property
    def now(self) -> Alarm | None:
        """The alarm that has begun and is not over; None: there is none."""
        if not self.raised or self.since_ns is None:
            return None
        return Alarm(self.kind, self.since_ns, None, self.detail)
