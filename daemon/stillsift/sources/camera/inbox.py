"""Holds the few live frames that may wait for analysis."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ...frames import Frame
from ..items import Failed, Overload

_TELL_EVERY_S = 10.0
"""Least seconds between two losses that are told. A machine that is always a little too slow loses
every few frames, and each loss told is a row of the ledger."""


class Inbox:
    """Passes frames from a reader thread to the analysis: never blocks the reader, never grows.

    When it is full, the oldest item is given up, because the newest says most about what a camera
    sees. One `Overload` holds the number of those given up: the first ones at once in their place,
    later ones together after `_TELL_EVERY_S`.
    """

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        if limit < 1:
            raise ValueError(f"a queue needs room for one frame, not {limit}")
        self._limit = limit
        self._waiting: deque[Frame | Failed] = deque()
        self._monotonic = monotonic
        self._lost: Overload | None = None
        self._told_at = float("-inf")
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
            if self._lost is not None and self._monotonic() - self._told_at >= _TELL_EVERY_S:
                self._told_at = self._monotonic()
                return self._taken()
            return self._waiting.popleft() if self._waiting else None

    def rest(self) -> list[Overload]:
        """Returns the loss that is not told yet; call it when nothing more is taken."""
        with self._changed:
            return [] if (lost := self._taken()) is None else [lost]

    def close(self) -> None:
        """Stops taking items; those that wait can still be got."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _taken(self) -> Overload | None:
        lost, self._lost = self._lost, None
        return lost

    def _lose(self, item: Frame | Failed) -> None:
        if self._lost is not None:
            lost = self._lost
            self._lost = Overload(lost.origin, lost.frame_index, lost.at_ns, lost.frames + 1)
            return
        self._overloads += 1
        at_ns = item.captured_at_ns if isinstance(item, Frame) else item.at_ns
        origin = f"{item.origin}|overload {self._overloads}"
        self._lost = Overload(origin, item.frame_index, at_ns, 1)
