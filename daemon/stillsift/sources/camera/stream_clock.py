"""Computes when the frames of a live stream were taken."""

from __future__ import annotations

_TOLERANCE_NS = 5 * 10**9
"""Most that a stream may lag behind the wall clock before its start is corrected."""


class StreamClock:
    """Adds presentation times to the wall clock time at which the connection began.

    The time of arrival is not exact enough: opening takes a second, then a second of buffered
    frames comes at once. So a frame's time is the start plus its presentation time. Two things
    correct the start: a frame that would be taken after it arrived (the camera's clock runs fast),
    and a frame that would be more than 5 s old (presentation times jumped, wrapped or drifted).
    """

    def __init__(self, started_ns: int) -> None:
        """Takes the time when the connection was begun, UTC nanoseconds."""
        self._started_ns = started_ns
        self._anchor_ns: int | None = None
        self._last_ns: int | None = None

    def at(self, pts_s: float, arrived_ns: int) -> int:
        """Returns when the frame presented at `pts_s` was taken, UTC nanoseconds."""
        at_ns = self._anchored(round(pts_s * 1e9), arrived_ns)
        # Times of one connection increase, unless the wall clock itself was set back.
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
