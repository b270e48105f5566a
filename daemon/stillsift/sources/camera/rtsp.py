"""Reads a camera over RTSP and reconnects without end.

A connection that ends, or gives nothing for too long, is abandoned. Once it is closed, the camera
is called again, and the time between is yielded as a gap. There is never more than one connection
to a camera: many allow few, and count those that were left.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...frames import Frame
from ..decoding import MAX_CLIP_PIXELS
from ..items import FileIdentity, Gap, Idle, Item, Overload
from .address import CameraAddress
from .connection import Connection
from .enquiry import Offer
from .inbox import Inbox

_LOG = logging.getLogger(__name__)
_STEADY_S = 10.0
"""Seconds after which a connection with frames was a good one: the next wait is short again."""
_FAREWELL_S = 0.5
"""Seconds that a source which stops waits for its connection to be closed."""
_KEY_FRAME_S = 300.0
"""Seconds to wait for the first picture while packets come. Streams joined in the middle show none
before the next key frame, and encoders leave up to 250 frames between two (x264's default): 250 s
at 1 frame/s."""
_CALM_S = 60.0
"""Seconds without a loss after which an overload is over."""
_FIRST_REMINDER_S = 60.0
"""Seconds after which the log says that a camera is still away; then after ten times as long each
time, so that an outage of a week is five lines."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Computes how long to wait before a camera is called again."""

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 300.0
    """Wait after a login that is not let in: cameras lock out clients that try again and again."""

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

        `transport` is tcp or udp. `timeout_s` is for each step of opening, then between packets,
        and between frames once there was one. `items` ends by itself after `duration_s`; None:
        never.
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
        self._offer: Offer | None = None
        self._keyless = 0
        self._overload: _Overloaded | None = None
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

    def read_again(self, file: Path, identity: FileIdentity) -> None:
        """Does nothing: a camera has no files."""

    def stop(self) -> None:
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.inbox.close()

    @property
    def absence(self) -> str:
        """Says why no frame came."""
        return "no frame came" if self._away is None else f"no frame came: {self._away.latest}"

    def items(self) -> Iterator[Item]:
        begun = self._monotonic()
        deadline = None if self._duration_s is None else begun + self._duration_s
        ended = _Ended(self._stop, self._monotonic, deadline)
        # Away from the start on: this becomes a gap only if the first call fails.
        away_since_ns, failures = self._wall_ns(), 0
        try:
            while not ended():
                yield from self._alone(ended)
                if ended():
                    break
                connection = self._connect()
                yield from self._heard(connection, ended)
                if ended():
                    break
                connection.abandon("left")
                self._connection = None
                self._offer = connection.offer
                steady = (
                    connection.frames and connection.active_at - connection.begun_at >= _STEADY_S
                )
                failures = 1 if steady else failures + 1
                self._lost(connection, away_since_ns)
                yield from self._rest(self._wait_s(connection, failures), ended)
            if self._away is not None:
                yield self._away.over(self._wall_ns(), self._monotonic())
        finally:
            if (last := self._connection) is not None:
                last.abandon("left")
                last.join(_FAREWELL_S)
                self._connection = None

    def _alone(self, ended: Callable[[], bool]) -> Iterator[Item]:
        """Waits until earlier connections to the camera are closed, also those before a reload.

        FFmpeg's time-outs bound that. Its threads know themselves what is open.
        """
        told_at = self._monotonic()
        while not ended() and any(
            isinstance(thread, Connection) and thread.source == self.name
            for thread in threading.enumerate()
        ):
            self._stop.wait(0.05)
            if self._monotonic() - told_at >= 1:
                told_at = self._monotonic()
                yield self._idle()

    def _connect(self) -> Connection:
        connection = Connection(
            self.name,
            self._address,
            Inbox(self._queue_frames, self._monotonic),
            transport=self._transport,
            rate=self._rate,
            timeout_s=self._timeout_s,
            max_pixels=self._max_pixels,
            offer=self._offer,
            monotonic=self._monotonic,
            wall_ns=self._wall_ns,
        )
        self._connection = connection
        connection.start()
        return connection

    def _heard(self, connection: Connection, ended: Callable[[], bool]) -> Iterator[Item]:
        """Yields the items of one connection, until it ends or gives nothing for too long."""
        idle_at = self._monotonic() + 1
        waiting = False
        while not ended():
            item = connection.inbox.get(min(1.0, self._timeout_s / 4))
            self._last_frame_ns = connection.last_ns or self._last_frame_ns
            if item is not None:
                yield from self._back(connection)
                if isinstance(item, Frame):
                    self._note_size(item)
                self._note_losses(item)
                yield item
                idle_at = self._monotonic() + 1
                continue
            if connection.ended is not None and not len(connection.inbox):
                break
            if (cause := self._silence(connection)) is not None:
                connection.abandon(cause)
                continue  # a frame that stood until now may be left
            if connection.opened and not connection.frames and not waiting:
                waiting = self._monotonic() - connection.active_at > self._timeout_s
                if waiting:
                    _LOG.warning("%s: data comes; waiting for a key frame to begin with", self.name)
            if self._monotonic() >= idle_at:
                idle_at = self._monotonic() + 1
                yield self._idle()
        yield from connection.inbox.rest()

    def _silence(self, connection: Connection) -> str | None:
        """Returns what an open connection has not given for too long; None: it is well.

        One that is not open yet ends by its own time-outs.
        """
        if not connection.opened or connection.ended is not None:
            return None
        now = self._monotonic()
        if connection.frames:
            self._keyless = 0
        if now - connection.heard_at > self._timeout_s:
            return f"no data for {self._timeout_s:g} s"
        if connection.frames and now - connection.active_at > self._timeout_s:
            return f"no frame for {self._timeout_s:g} s"
        patience_s = max(self._timeout_s, _KEY_FRAME_S * 2.0 ** min(self._keyless, 4))
        if not connection.frames and now - connection.active_at > patience_s:
            self._keyless += 1
            return f"no key frame for {patience_s:g} s"
        return None

    def _idle(self) -> Idle:
        """Returns an item that says for how long the camera has been away; tells the log too."""
        self._note_losses(None)
        away = self._away
        if away is None:
            return Idle()
        away_s = self._monotonic() - away.since
        if away_s >= away.reminder_s:
            away.reminder_s *= 10
            _LOG.warning("%s: away for %.0f s: %s", self.name, away_s, away.latest)
        return Idle(away_s=away_s)

    def _back(self, connection: Connection) -> Iterator[Gap]:
        """Yields the gap that this connection's first frame ends, if there is one."""
        if self._away is None or connection.first_ns is None:
            return
        away, self._away = self._away, None
        self._reconnects += 1
        gap = away.over(connection.first_ns, self._monotonic())
        _LOG.info("%s: back after %.0f s", self.name, gap.seconds)
        yield gap

    def _lost(self, connection: Connection, begun_ns: int) -> None:
        """Notes that a connection ended; tells the log of each cause once while away."""
        cause = connection.ended or "connection lost"
        first = self._away is None
        if self._away is None:
            answered = self._last_frame_ns is not None
            since_ns = self._last_frame_ns or begun_ns
            since = connection.active_at if connection.frames else connection.begun_at
            self._away = _Away(
                connection.origin, since_ns, since, cause, answered, _FIRST_REMINDER_S
            )
        self._away.latest = cause
        if cause in self._away.told:
            return
        self._away.told.add(cause)
        if connection.denied:
            wait_s = self._retry.refused_s
            text = (
                f"{self.name}: {self._address.shown}: {cause}; the next call is in {wait_s:.0f} s"
            )
            _LOG.error("%s", text)
        elif first:
            _LOG.warning("%s: %s: %s; calling again", self.name, self._address.shown, cause)
        else:
            _LOG.warning("%s: still away: %s", self.name, cause)

    def _wait_s(self, connection: Connection, failures: int) -> float:
        return self._retry.refused_s if connection.denied else self._retry.wait_s(failures)

    def _rest(self, wait_s: float, ended: Callable[[], bool]) -> Iterator[Item]:
        until = self._monotonic() + wait_s
        while not ended() and (left_s := until - self._monotonic()) > 0:
            self._stop.wait(min(left_s, 1.0))
            yield self._idle()

    def _note_losses(self, item: Item | None) -> None:
        """Tells the log when frames begin to be lost to overload, and when that is over."""
        now = self._monotonic()
        if isinstance(item, Overload):
            if self._overload is None:
                self._overload = _Overloaded()
                _LOG.warning(
                    "%s: frames are lost, since analysis does not keep up or the store takes "
                    "nothing; lower its rate, or give the machine less to do",
                    self.name,
                )
            self._overload.frames += item.frames
            self._overload.last_at = now
        elif self._overload is not None and now - self._overload.last_at >= _CALM_S:
            _LOG.warning(
                "%s: analysis keeps up again; frames lost: %d", self.name, self._overload.frames
            )
            self._overload = None

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
    since: float
    """The same moment by the monotonic clock: that of the day may be set meanwhile."""
    cause: str
    answered: bool
    """Whether the camera had given a frame before."""
    reminder_s: float
    """How long it lasts when the log is told next."""
    latest: str = ""
    """Why the last call failed."""
    told: set[str] = field(default_factory=set)
    """Causes that the log knows."""

    def over(self, at_ns: int, at: float) -> Gap:
        to_ns = max(at_ns, self.since_ns)
        return Gap(
            *(f"{self.origin}|gap", self.since_ns, to_ns, self.cause, self.answered),
            lasted_s=at - self.since,
        )


@dataclass(slots=True)
class _Overloaded:
    """Counts the frames that one overload has cost so far."""

    frames: int = 0
    last_at: float = 0.0
    """Monotonic time of the last loss."""
