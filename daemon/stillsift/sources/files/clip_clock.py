"""Turns the presentation times of one clip into a time that goes on."""

from __future__ import annotations

from dataclasses import dataclass

ABSURD_S = 10 * 365 * 86400.0
"""Seconds, ten years, from which on a time within one clip is nonsense."""
_UNKNOWN_S = 1.0
"""Step where the usual one is absurd: at the usual rates each frame is then looked at."""
_BACK_S = 0.5
"""Least step back that is a clock which began anew, seconds; and two frames at least. A smaller one
is a frame out of order: decoders hold back up to 16 of them."""
_FAR_S = 10.0
"""Least step ahead that can be another clock, seconds. FFmpeg takes the same for formats that are
joined (`dts_delta_threshold`)."""
_FEW = 5
"""Most frames in a row whose presentation times count as damaged. More are another recording. Jumps
ahead that follow each other sooner are the pace of the clip, such as a picture a minute."""


@dataclass(frozen=True, slots=True)
class _Left:
    """Describes where the clock was before it jumped."""

    pts_s: float
    offset_s: float


class ClipClock:
    """Lets the time of a clip go on where its presentation time begins anew.

    That happens where recordings were joined to one file (`cat a.ts b.ts`), where a recorder began
    again, and where a clock of 33 bits wraps. Time then goes on one frame after the last, and so it
    does where years would have passed. A few damaged presentation times in between change nothing
    after them.
    """

    def __init__(self, step_s: float, *, joins: bool, after_s: float | None = None) -> None:
        """Takes the usual time between two frames.

        `after_s` is the time of the last frame of the file that this one was joined to; None: of
        none.

        `joins`: the format is made to be joined (MPEG-TS, MPEG-PS, Ogg), so a jump ahead counts as
        another clock. In other formats it is time that has passed.
        """
        step_s = step_s if step_s < ABSURD_S else _UNKNOWN_S
        self._step_s = step_s
        self._back_s = max(_BACK_S, 2 * step_s)
        self._joins = joins
        self._after_s = after_s
        self._pts_s: float | None = None
        self._offset_s = 0.0
        self._left: _Left | None = None
        """The last jump; None: there was none."""
        self._since = 0
        """Frames since the last jump."""

    def at(self, pts_s: float | None) -> float:
        """Returns the time of the frame presented at `pts_s`, seconds, as long as one clock runs
        its presentation time.

        None: it has none, as in raw streams; it comes one frame after the last.
        """
        last_s = self._pts_s
        if pts_s is None:
            pts_s = 0.0 if last_s is None else last_s + self._step_s
        if last_s is None and self._after_s is not None:
            self._offset_s = self._after_s + self._step_s - pts_s
        if last_s is not None and not -self._back_s <= pts_s - last_s <= _FAR_S:
            self._jump(last_s, pts_s)
        self._since += 1
        self._pts_s = pts_s
        return pts_s + self._offset_s

    def _jump(self, last_s: float, pts_s: float) -> None:
        left, since = self._left, self._since
        self._left, self._since = _Left(last_s, self._offset_s), 0
        if left is not None and since <= _FEW and 0 <= pts_s - left.pts_s <= _FAR_S:
            self._offset_s = left.offset_s  # back to where the jump before came from: damage
        elif pts_s < last_s or (self._joins and since > _FEW) or pts_s - last_s >= ABSURD_S:
            self._offset_s += last_s + self._step_s - pts_s
