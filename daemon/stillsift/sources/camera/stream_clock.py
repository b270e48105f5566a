"""Computes when the frames of a live stream were taken."""

from __future__ import annotations

_TOLERANCE_NS = 5 * 10**9
"""Most that a stream may lag behind the wall clock before its start is corrected."""
_STRETCH_NS = 10**9
_STRETCH_FRAMES = 3
"""Time and frames of a stretch, whose least lag is compared with that of the stretch before: what a
busy network delays comes out at the end of a stretch at the latest."""
_SLOW = 0.25
"""Share of the wall clock's time that a stream may lose in a stretch. Clocks of cameras are wrong
by a thousandth at most; streams that count another unit, or not at all, lose half of it or more."""


class StreamClock:
    """Adds presentation times to the wall clock time at which the stream began.

    The time of arrival is not exact enough: networks and restreamers hold frames back and then hand
    them out at once. So a frame's time is the start plus its presentation time. Three things
    correct that: a frame that would be taken after it arrived (the camera's clock runs fast), a
    frame that would be more than 5 s old (presentation times jumped, wrapped or drifted), and a
    stream whose time falls behind the wall clock all the time (`by_arrival`).
    """

    def __init__(self, started_ns: int) -> None:
        """Takes the time when the stream began, UTC nanoseconds."""
        self._started_ns = started_ns
        self._anchor_ns: int | None = None
        self._last_ns: int | None = None
        self.by_arrival = False
        """True: stream time does not keep up, so frames count as taken when they arrive."""
        self._frames = 0
        self._begun_ns = 0
        self._least: tuple[int, int] | None = None
        """Least lag of this stretch, and when the frame that had it arrived."""
        self._before: tuple[int, int] | None = None
        """The same of the stretch before."""

    def at(self, pts_s: float, arrived_ns: int) -> int:
        """Returns when the frame presented at `pts_s` was taken, UTC nanoseconds.

        Times of one connection increase, also where presentation times go back and forth, unless
        the wall clock itself was set back.
        """
        pts_ns = round(pts_s * 1e9)
        at_ns = self._anchored(pts_ns, arrived_ns)
        self._watch(arrived_ns - pts_ns, arrived_ns)
        if self.by_arrival:
            at_ns, self._anchor_ns = arrived_ns, arrived_ns - pts_ns
        if self._last_ns is not None and at_ns <= self._last_ns < arrived_ns:
            at_ns = self._last_ns + 1
        self._last_ns = at_ns
        return at_ns

    def _anchored(self, pts_ns: int, arrived_ns: int) -> int:
        if self._anchor_ns is None:
            self._anchor_ns = self._started_ns - pts_ns
        lag_ns = arrived_ns - (self._anchor_ns + pts_ns)
        if not 0 <= lag_ns <= _TOLERANCE_NS:
            self._anchor_ns += lag_ns
        return self._anchor_ns + pts_ns

    def _watch(self, lag_ns: int, arrived_ns: int) -> None:
        """Compares the least lag of one stretch with that of the next."""
        if self._frames == 0:
            self._begun_ns = arrived_ns
        self._frames += 1
        if self._least is None or lag_ns < self._least[0]:
            self._least = lag_ns, arrived_ns
        if self._frames < _STRETCH_FRAMES or arrived_ns - self._begun_ns < _STRETCH_NS:
            return
        if self._before is not None:
            lost_ns = self._least[0] - self._before[0]
            passed_ns = self._least[1] - self._before[1]
            self.by_arrival = lost_ns > _SLOW * passed_ns > 0
        self._before, self._least, self._frames = self._least, None, 0
