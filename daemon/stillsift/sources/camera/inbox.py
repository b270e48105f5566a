"""Holds the few live frames that may wait for analysis."""

from __future__ import annotations

import threading
from collections import deque

from ...frames import Frame
from ..items import Failed, Overload


class Inbox:
    """Passes frames from a reader thread to the analysis: never blocks the reader, never grows.

    When it is full, the oldest item is given up, because the newest says most about what a camera
    sees. One `Overload` in the place of those given up holds their number.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a queue needs room for one frame, not {limit}")
        self._limit = limit
        self._waiting: deque[Frame | Failed] = deque()
        self._lost: Overload | None = None
        self._overloads = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: Frame | Failed) -> None:
        """Adds an item; ignores it once closed, as from a reader that was abandoned."""
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._limit:
                self._lose(self._waiting.popleft())
            self._waiting.append(item)
            self._changed.notify()

    def get(self, timeout_s: float) -> Frame | Failed | Overload | None:
        """Returns the oldest item; waits for one at most `timeout_s`. None: nothing came."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(timeout_s)
            if self._lost is not None:
                lost, self._lost = self._lost, None
                return lost
            return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        """Stops taking items; those that wait can still be got."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _lose(self, item: Frame | Failed) -> None:
        if self._lost is not None:
            lost = self._lost
            self._lost = Overload(lost.origin, lost.frame_index, lost.at_ns, lost.frames + 1)
            return
        self._overloads += 1
        at_ns = item.captured_at_ns if isinstance(item, Frame) else item.at_ns
        origin = f"{item.origin}|overload {self._overloads}"
        self._lost = Overload(origin, item.frame_index, at_ns, 1)
