"""Reads one connection to a camera in a thread, so that others never wait for it.

FFmpeg may block in a read, and closing its container from outside does not free it. So a connection
that gives no frames is abandoned: its thread ends at FFmpeg's own time-out, and what it still gives
is ignored.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ...frames import Frame, TimeOrigin
from ..decoding import ASSUMED_RATE, Damage, decoded, prepare, reason
from ..items import Failed
from ..pace import Pace
from ..picture import Converter, upright
from .address import CameraAddress
from .inbox import Inbox
from .stream_clock import StreamClock

_LOG = logging.getLogger(__name__)


class NoVideo(Exception):
    """Says that the stream has no video that can be decoded."""


class Connection(threading.Thread):
    """Opens one connection, decodes it, and puts the frames to be looked at into the inbox."""

    def __init__(
        self,
        source: str,
        address: CameraAddress,
        inbox: Inbox,
        *,
        transport: str,
        pace: Pace,
        timeout_s: float,
        max_pixels: int,
        monotonic: Callable[[], float],
        wall_ns: Callable[[], int],
    ) -> None:
        super().__init__(name=f"rtsp {source}", daemon=True)
        self._source = source
        self._address = address
        self.inbox = inbox
        self._transport = transport
        self._pace = pace
        self._timeout_s = timeout_s
        self._max_pixels = max_pixels
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._abandoned = False
        started_ns = wall_ns()
        self.origin = f"{address.shown}|{started_ns}"
        self._clock = StreamClock(started_ns)
        self._converter = Converter()
        self._stretches = 0
        self._first_pts_s: float | None = None
        self._counted = 0
        self.begun_at = self.active_at = monotonic()
        """Monotonic time of the start, and of the last frame (or of opening)."""
        self.opened = False
        self.frames = 0
        """Number of decoded frames, also those marked corrupt."""
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        """Times of the first and the last usable frame, UTC nanoseconds; None: there was none."""
        self.refused = False
        """True: the camera refused the user or password."""
        self.ended: str | None = None
        """Reason why the connection ended; None: it goes on."""

    def abandon(self, cause: str) -> None:
        """Ignores the connection from now on; does not wait for its thread, which may block."""
        self._abandoned = True
        if self.ended is None:
            self.ended = cause
        self.inbox.close()

    def run(self) -> None:
        try:
            self._read()
            cause = "the camera ended the stream"
        except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError) as error:
            self.refused, cause = True, reason(error)
        except av.error.ExitError:  # from FFmpeg's interrupt callback: the time-out set here
            cause = f"no data for {self._timeout_s:g} s"
        except av.error.FFmpegError as error:
            cause = reason(error)
        except NoVideo as error:
            cause = str(error)
        except Exception:  # noqa: BLE001 - the thread must end in a sentence, and the source goes on
            _LOG.exception("%s: the reader of %s failed", self._source, self._address.shown)
            cause = "internal error"
        self.abandon(cause)

    def _read(self) -> None:
        with self._open() as container:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.codec_context is None:
                raise NoVideo("the camera offers no video that FFmpeg decodes")
            prepare(stream, self._max_pixels)
            self.opened, self.active_at = True, self._monotonic()
            codec = stream.codec_context.name
            _LOG.info("%s: connected, %s over %s", self._source, codec, self._transport)
            for found in decoded(container, stream, read_on=False, max_pixels=self._max_pixels):
                if self._abandoned:
                    return
                if isinstance(found, Damage):
                    self._put_damage(found)
                elif isinstance(found, VideoFrame):
                    self._put(found, stream)

    def _open(self) -> InputContainer:
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "timeout": str(round(self._timeout_s * 1e6)),
        }
        return av.open(
            self._address.with_secret(),
            mode="r",
            options={"max_pixels": str(self._max_pixels)},  # opening decodes the first frames
            container_options=options,
            metadata_errors="replace",
            timeout=(self._timeout_s, self._timeout_s),
        )

    def _put(self, frame: VideoFrame, stream: VideoStream) -> None:
        self.active_at = self._monotonic()
        index = self.frames
        self.frames += 1
        if frame.is_corrupt:
            return
        pts_s = self._pts_s(frame, stream)
        captured_at_ns = self._clock.at(pts_s, self._wall_ns())
        self.first_ns = captured_at_ns if self.first_ns is None else self.first_ns
        self.last_ns = captured_at_ns
        if not self._pace.takes(pts_s):
            return
        self.inbox.put(
            Frame(
                source=self._source,
                origin=self.origin,
                frame_index=index,
                captured_at_ns=captured_at_ns,
                captured_at_origin=TimeOrigin.PTS,
                picture=upright(frame, self._converter),
                pts_s=pts_s,
            )
        )

    def _put_damage(self, damage: Damage) -> None:
        if self.first_ns is None:
            return  # before the first key frame nothing can be decoded; that is no damage
        self._stretches += 1
        self.inbox.put(
            Failed(
                None,
                f"{self.origin}|damaged {self._stretches}",
                self.frames,
                self.last_ns or self.first_ns,
                f"damaged from frame {self.frames}: {damage.detail}",
            )
        )

    def _pts_s(self, frame: VideoFrame, stream: VideoStream) -> float:
        """Returns the seconds since the connection's first usable frame.

        The first frames of a connection have no presentation time yet (FFmpeg needs a second packet
        for it), so frames are counted instead.
        """
        counted_s = self._counted / float(stream.average_rate or ASSUMED_RATE)
        self._counted += 1
        if (pts_s := frame.time) is None or not math.isfinite(pts_s):
            return counted_s
        if self._first_pts_s is None:
            self._first_pts_s = pts_s - counted_s
        return pts_s - self._first_pts_s
