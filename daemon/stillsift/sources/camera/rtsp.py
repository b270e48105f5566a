"""Reads a camera over RTSP and reconnects without end.

A connection that ends, or gives no frame for too long, is abandoned. The camera is called again,
and the time between is yielded as a gap.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...frames import Frame
from ..decoding import MAX_CLIP_PIXELS
from ..items import Gap, Idle, Item
from ..pace import Pace
from .address import CameraAddress
from .connection import Connection
from .inbox import Inbox

_LOG = logging.getLogger(__name__)
_STEADY_S = 10.0
"""Seconds after which a connection with frames was a good one: the next wait is short again."""
_FAREWELL_S = 0.5
"""Seconds to wait for the thread of an abandoned connection to end."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Computes how long to wait before a camera is called again."""

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 300.0
    """Wait after a wrong user or password: cameras lock out clients that try again and again."""

    def wait_s(self, failures: int) -> float:
        """Returns the seconds to wait after `failures` in a row (1 and up).

        The wait doubles with each failure, up to the longest. It is then shortened at random by up
        to half, so that many cameras behind one switch are not called at the same time.
        """
        whole = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return whole * random.uniform(0.5, 1.0)


class RtspSource:
    """Yields frames of one camera; the time between two connections becomes a `Gap`."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        transport: str = "tcp",
        rate: float | None = None,
        timeout_s: float = 10.0,
        user: str | None = None,
        password: str | None = None,
        queue_frames: int = 8,
        max_pixels: int = MAX_CLIP_PIXELS,
        duration_s: float | None = None,
        retry: Retry | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Takes the URL and options. Raises ValueError for a wrong URL or `transport`.

        `transport` is tcp or udp. `timeout_s` is for opening, and then between frames. `items` ends
        by itself after `duration_s`; None: never.
        """
        if transport not in ("tcp", "udp"):
            raise ValueError(f"transport is tcp or udp, not {transport}")
        self.name = name
        self._address = CameraAddress.parse(url, user, password)
        self._transport = transport
        self._rate = rate
        self._timeout_s = timeout_s
        self._queue_frames = queue_frames
        self._max_pixels = max_pixels
        self._duration_s = duration_s
        self._retry = retry or Retry()
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._stop = threading.Event()
        self._connection: Connection | None = None
        self._reconnects = 0
        self._last_frame_ns: int | None = None
        self._away: _Away | None = None
        self._size: tuple[int, int] | None = None

    # --- for metrics; may be read from any thread

    @property
    def up(self) -> bool:
        """Tells whether the current connection has given a frame."""
        connection = self._connection
        return connection is not None and connection.frames > 0

    @property
    def reconnects(self) -> int:
        """Gives how often frames came back after the camera was away."""
        return self._reconnects

    @property
    def queued(self) -> int:
        """Gives the number of frames that wait for analysis."""
        connection = self._connection
        return len(connection.inbox) if connection else 0

    # --- the source

    def stop(self) -> None:
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.inbox.close()

    def items(self) -> Iterator[Item]:
        begun = self._monotonic()
        deadline = None if self._duration_s is None else begun + self._duration_s
        ended = _Ended(self._stop, self._monotonic, deadline)
        # Away from the start on: this becomes a gap only if the first call fails.
        away_since_ns, failures = self._wall_ns(), 0
        try:
            while not ended():
                connection = self._connect()
                yield from self._heard(connection, ended)
                self._leave(connection)
                if ended():
                    break
                steady = (
                    connection.frames and connection.active_at - connection.begun_at >= _STEADY_S
                )
                failures = 1 if steady else failures + 1
                self._lost(connection, away_since_ns)
                yield from self._rest(self._wait_s(connection, failures), ended)
            if self._away is not None:
                yield self._away.over(self._wall_ns())
        finally:
            if self._connection is not None:
                self._leave(self._connection)

    def _connect(self) -> Connection:
        connection = Connection(
            self.name,
            self._address,
            Inbox(self._queue_frames),
            transport=self._transport,
            pace=Pace(self._rate),
            timeout_s=self._timeout_s,
            max_pixels=self._max_pixels,
            monotonic=self._monotonic,
            wall_ns=self._wall_ns,
        )
        self._connection = connection
        connection.start()
        return connection

    def _heard(self, connection: Connection, ended: Callable[[], bool]) -> Iterator[Item]:
        """Yields the items of one connection, until it ends or gives no frame for too long."""
        idle_at = self._monotonic() + 1
        while not ended():
            item = connection.inbox.get(min(1.0, self._timeout_s / 4))
            self._last_frame_ns = connection.last_ns or self._last_frame_ns
            if item is not None:
                yield from self._back(connection)
                if isinstance(item, Frame):
                    self._note_size(item)
                yield item
                idle_at = self._monotonic() + 1
                continue
            if connection.ended is not None and not len(connection.inbox):
                return
            silent_s = self._monotonic() - connection.active_at
            if silent_s > self._timeout_s:
                what = "no frame" if connection.opened else "no answer"
                connection.abandon(f"{what} for {self._timeout_s:g} s")
                return
            if self._monotonic() >= idle_at:
                idle_at = self._monotonic() + 1
                yield Idle()

    def _back(self, connection: Connection) -> Iterator[Gap]:
        """Yields the gap that this connection's first frame ends, if there is one."""
        if self._away is None or connection.first_ns is None:
            return
        away, self._away = self._away, None
        self._reconnects += 1
        gap = away.over(connection.first_ns)
        _LOG.info("%s: back after %.0f s", self.name, (gap.to_ns - gap.from_ns) / 1e9)
        yield gap

    def _lost(self, connection: Connection, begun_ns: int) -> None:
        cause = connection.ended or "connection lost"
        if self._away is None:
            since_ns = self._last_frame_ns or begun_ns
            self._away = _Away(connection.origin, since_ns, cause)
            _LOG.warning("%s: %s: %s; calling again", self.name, self._address.shown, cause)
        if connection.refused and not self._away.refused:
            self._away.refused = True
            _LOG.error(
                "%s: %s refuses the user or password; the next call is in %.0f s",
                self.name,
                self._address.shown,
                self._retry.refused_s,
            )

    def _wait_s(self, connection: Connection, failures: int) -> float:
        return self._retry.refused_s if connection.refused else self._retry.wait_s(failures)

    def _rest(self, wait_s: float, ended: Callable[[], bool]) -> Iterator[Item]:
        until = self._monotonic() + wait_s
        while not ended() and (left_s := until - self._monotonic()) > 0:
            self._stop.wait(min(left_s, 1.0))
            yield Idle()

    def _leave(self, connection: Connection) -> None:
        connection.abandon("left")
        connection.join(_FAREWELL_S)
        self._connection = None

    def _note_size(self, frame: Frame) -> None:
        size = (frame.picture.width, frame.picture.height)
        if size != self._size:
            _LOG.info("%s: the picture is %dx%d", self.name, *size)
        self._size = size


@dataclass(frozen=True, slots=True)
class _Ended:
    """Tells whether to end: the source was stopped, or its time is up."""

    stop: threading.Event
    monotonic: Callable[[], float]
    deadline: float | None

    def __call__(self) -> bool:
        late = self.deadline is not None and self.monotonic() >= self.deadline
        return late or self.stop.is_set()


@dataclass(slots=True)
class _Away:
    """Describes a gap that is not over yet."""

    origin: str
    since_ns: int
    cause: str
    refused: bool = False

    def over(self, at_ns: int) -> Gap:
        return Gap(f"{self.origin}|gap", self.since_ns, max(at_ns, self.since_ns), self.cause)
