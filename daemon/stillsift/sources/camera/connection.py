"""Reads one connection to a camera in a thread, so that others never wait for it.

FFmpeg may block in a read, and closing its container from outside does not free it. So a connection
that gives nothing is abandoned: what it still gives is ignored, and its thread closes it at the
next packet, or at FFmpeg's own time-out.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ...frames import Frame, TimeOrigin
from ..allocation import allow
from ..decoding import (
    Damage,
    decoded,
    largest_video,
    most_bytes,
    prepare,
    reason,
    unread_videos,
)
from ..items import Failed
from ..pace import LivePace, Standing
from ..picture import Converter, upright
from .address import CameraAddress
from .enquiry import Denied, Offer, Refusal, ask, refusal_of_setup
from .inbox import Inbox
from .stream_clock import StreamClock

_LOG = logging.getLogger(__name__)

_AT_ONCE = {"probesize": "32", "fpsprobesize": "0"}
"""FFmpeg opens a stream with its first packet. By itself it looks at some 28 frames to guess a
rate, which takes half a minute at 1 frame/s and is not needed."""
_LOOK_S = 5.0
"""Most seconds that FFmpeg reads to learn the size of several tracks (its own default)."""
_FIRST_LATE_NS = 500_000_000
"""Most by which the first frame may have been late: cameras and restreamers that set up a stream
give the next ones sooner."""
_SETTLE_S = 0.5
"""Seconds to wait if the camera refuses FFmpeg what it has just offered: cameras that serve one
client, and servers that set up a stream for each, need a moment to let go of the enquiry."""


class NoVideo(Exception):
    """Says that the stream has no video that can be decoded."""


class Silence(Exception):
    """Says that no packet has come for too long."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """Describes a frame that was decoded."""

    frame: VideoFrame
    index: int
    at_ns: int
    """When it was taken, UTC nanoseconds."""
    pts_s: float


class Connection(threading.Thread):
    """Opens one connection, decodes it, and puts the frames to be looked at into the inbox."""

    def __init__(
        self,
        source: str,
        address: CameraAddress,
        inbox: Inbox,
        *,
        transport: str,
        rate: float | None,
        timeout_s: float,
        max_pixels: int,
        offer: Offer | None,
        monotonic: Callable[[], float],
        wall_ns: Callable[[], int],
    ) -> None:
        """Takes the source's options; `offer`: what is known of the camera. None: it is asked."""
        super().__init__(name=f"rtsp {source}", daemon=True)
        self.source = source
        self._address = address
        self.inbox = inbox
        self._transport = transport
        self._pace = LivePace(rate)
        self._standing: Standing[_Shown] = Standing(rate)
        self._timeout_s = timeout_s
        self._max_pixels = max_pixels
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._left = threading.Event()
        begun_ns = wall_ns()
        self.origin = f"{address.shown}|{begun_ns}"
        self._clock = StreamClock(begun_ns)
        self._answered = False
        self._called = address
        self._called_ns = begun_ns
        self._converter = Converter()
        self._stretches = 0
        self._last_pts = 0
        self._first_pts_s: float | None = None
        self._told_pace = False
        self.begun_at = self.heard_at = self.active_at = monotonic()
        """Monotonic times of the start, of the last packet, and of the last frame (else of
        opening)."""
        self.opened = False
        self.offer = offer
        """What the camera offers; None: it is not known, or was refused."""
        self.frames = 0
        """Number of decoded frames, also those marked corrupt."""
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        """Times of the first and the last usable frame, UTC nanoseconds; None: there was none."""
        self.denied = False
        """True: the camera did not let the user in."""
        self.ended: str | None = None
        """Reason why the connection ended; None: it goes on."""

    def abandon(self, cause: str) -> None:
        """Ignores the connection from now on; does not wait for its thread, which may block.

        A frame that has stood until now is looked at.
        """
        self._left.set()
        if (stood := self._standing.until(self._wall_ns())) is not None:
            self.inbox.put(self._frame(stood))
        if self.ended is None:
            self.ended = cause
        self.inbox.close()

    def run(self) -> None:
        cause = "internal error"
        try:
            cause = self._read_to_its_end()
        except Exception:  # noqa: BLE001 - the thread must end in a sentence, and the source goes on
            _LOG.exception("%s: the reader of %s failed", self.source, self._address.shown)
        finally:
            self.abandon(cause)

    def _read_to_its_end(self) -> str:
        """Reads the connection; returns why it ended."""
        try:
            self._read()
        except Denied as error:
            self.denied = True
            return str(error)
        except av.error.HTTPUnauthorizedError:
            self.denied = True
            return "the camera refuses the user or password"
        except (Refusal, NoVideo) as error:
            return str(error)
        except (av.error.HTTPClientError, av.error.HTTPServerError) as error:
            # FFmpeg mostly tells no more than "4XX".
            refusal = refusal_of_setup(self._called, self._transport, self._timeout_s)
            return refusal or reason(error)
        except (Silence, TimeoutError, av.error.ExitError):
            # FFmpeg exits by its interrupt callback, in which PyAV looks at the time-out.
            return self._silence
        except av.error.FFmpegError as error:
            waited = not self.opened and self._monotonic() - self.begun_at >= self._timeout_s
            # What FFmpeg then calls invalid data is none.
            return self._silence if waited else reason(error)
        except OSError as error:
            return error.strerror or type(error).__name__
        return "the camera ended the stream"

    @property
    def _silence(self) -> str:
        missing = "data" if self.opened or self._answered else "answer"
        return f"no {missing} for {self._timeout_s:g} s"

    def _read(self) -> None:
        with self._opened() as container:
            stream = largest_video(container)
            if stream is None or stream.codec_context is None:
                raise NoVideo("the camera offers no video that FFmpeg decodes")
            prepare(stream, self._max_pixels)
            self.opened, self.heard_at = True, self._monotonic()
            self.active_at = self.heard_at
            self._clock = StreamClock(self._begun_ns())
            codec = stream.codec_context.name
            _LOG.info("%s: connected, %s over %s", self.source, codec, self._transport)
            if (others := unread_videos(container, stream)) is not None:
                _LOG.warning("%s: %s", self.source, others)
            for found in decoded(
                self._packets(container, stream), stream, max_pixels=self._max_pixels
            ):
                if isinstance(found, Damage):
                    self._put_damage(found)
                elif isinstance(found, VideoFrame):
                    self._put(found)

    def _opened(self) -> InputContainer:
        """Opens the stream that the camera offers; asks for that first if it is not known."""
        offer, self.offer = self.offer, None
        if offer is not None:
            container = self._open(offer)
        else:
            offer = ask(self._address, self._timeout_s)
            self._answered = True
            try:
                container = self._open(offer)
            except (av.error.ExitError, av.error.HTTPUnauthorizedError):
                raise
            except av.error.FFmpegError:
                self._left.wait(_SETTLE_S)
                container = self._open(offer)
        self.offer = offer
        return container

    def _open(self, offer: Offer) -> InputContainer:
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "timeout": str(round(self._timeout_s * 1e6)),
            **_AT_ONCE,
        }
        self._called, self._called_ns = offer.address, self._wall_ns()
        if offer.videos > 1:  # then the size of each is wanted, to choose the largest
            look_s = min(_LOOK_S, self._timeout_s / 2)
            options |= {"probesize": "5000000", "analyzeduration": str(round(look_s * 1e6))}
        allow(most_bytes(self._max_pixels))
        return av.open(
            offer.address.with_secret(),
            mode="r",
            options={"max_pixels": str(self._max_pixels)},  # opening decodes the first frames
            container_options=options,
            metadata_errors="replace",
            timeout=(self._timeout_s, self._timeout_s),
        )

    def _begun_ns(self) -> int:
        """Returns when the first frame was taken at the earliest, UTC nanoseconds."""
        if self.offer is not None and self.offer.videos > 1:
            return self._called_ns  # FFmpeg has read for a while
        return max(self._called_ns, self._wall_ns() - _FIRST_LATE_NS)

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
        """Yields the packets until the connection is abandoned, each with a presentation time.

        FFmpeg counts from the first packet, but gives the time 0 to none. Packets of other tracks
        are looked at for the end alone: they would keep a read going for ever. Raises Silence.
        """
        for packet in container.demux():
            if self._left.is_set():
                return
            if packet.stream.index != stream.index:
                continue
            now = self._monotonic()
            if packet.size and now - self.heard_at >= self._timeout_s:
                yield packet  # FFmpeg held it back, as the last, and gives it out at its time-out
                raise Silence
            if packet.size:
                self.heard_at = now
                if packet.pts is None:
                    packet.pts = self._last_pts
                self._last_pts = packet.pts
            yield packet

    def _put(self, frame: VideoFrame) -> None:
        self.active_at = self._monotonic()
        index = self.frames
        self.frames += 1
        if frame.is_corrupt:
            return
        pts_s = self._pts_s(frame)
        captured_at_ns = self._clock.at(pts_s, self._wall_ns())
        if self._clock.by_arrival and not self._told_pace:
            self._told_pace = True
            _LOG.warning(
                "%s: the times in the stream do not keep up with the clock; frames are taken by "
                "their time of arrival",
                self.source,
            )
        self.first_ns = captured_at_ns if self.first_ns is None else self.first_ns
        self.last_ns = captured_at_ns
        shown = _Shown(frame, index, captured_at_ns, pts_s)
        if (stood := self._standing.until(captured_at_ns)) is not None:
            self.inbox.put(self._frame(stood))
        if self._pace.takes(captured_at_ns):
            self.inbox.put(self._frame(shown))
        else:
            self._standing.hold(shown, captured_at_ns)

    def _frame(self, shown: _Shown) -> Frame:
        return Frame(
            source=self.source,
            origin=self.origin,
            frame_index=shown.index,
            captured_at_ns=shown.at_ns,
            captured_at_origin=TimeOrigin.PTS,
            picture=upright(shown.frame, self._converter),
            pts_s=shown.pts_s,
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

    def _pts_s(self, frame: VideoFrame) -> float:
        """Returns the seconds since the connection's first usable frame."""
        pts_s = frame.time
        if pts_s is None or not math.isfinite(pts_s):
            pts_s = self._first_pts_s or 0.0
        if self._first_pts_s is None:
            self._first_pts_s = pts_s
        return pts_s - self._first_pts_s
