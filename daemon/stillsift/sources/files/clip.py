"""Reads a video file frame by frame.

Every file is decoded from the start, also after a restart: in files with open groups of pictures,
variable rate or damage, seeking finds other frames than counting does. A decoded frame that is not
looked at costs no conversion, and it is not even decoded where it can be counted without
(`skipping`).
"""

from __future__ import annotations

import errno
import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ...arrays import Image
from ...frames import Frame, TimeOrigin, bounded_ns
from ..allocation import allow
from ..decoding import (
    ASSUMED_RATE,
    MAX_CLIP_PIXELS,
    NOTHING,
    Damage,
    DecodingError,
    decoded,
    endless,
    largest_video,
    most_bytes,
    packets_of_file,
    prepare,
    reason,
    refusal,
    translated,
    unread_videos,
)
from ..items import (
    ClipPosition,
    Failed,
    FileIdentity,
    Finished,
    Idle,
    Item,
    Opened,
    Repeated,
    Shorter,
    origin_of,
)
from ..pace import Pace, Standing
from ..picture import Converter, upright
from ..skipping import Skipped, Skipping, UncertainCount
from ..times import Times
from .clip_clock import ABSURD_S, ClipClock
from .contents import Kind, hashing, kind_of
from .extent import HEADER_ALLOWANCE, boxes, bytes_at
from .joined import MOST_PARTS, parts_of
from .motion_pictures import is_animated_png
from .opening import opened
from .reading import Reading

_LOG = logging.getLogger(__name__)

_NO_FRAME = "opened, but gave no frame; get it again"
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,gif,asf,flv,"
    "ogg,mxf,ivf,obu,nut,mjpeg,mpjpeg,jpeg_pipe,png_pipe,apng,pbm_pipe,pgm_pipe,ppm_pipe,"
    "dhav,dv,yuv4mpegpipe"
)
"""Demuxers that may read a file. Playlists (HLS, DASH, concat) above all are left out: they would
open other files and addresses that the author of the file chose."""
_DISCONTINUOUS = frozenset({"mpegts", "mpeg", "ogg"})
"""Demuxers of formats whose presentation time may jump; FFmpeg marks them `AVFMT_TS_DISCONT`."""
_JOINABLE = _DISCONTINUOUS | {"matroska"}
"""Demuxers that read on where files were joined by `cat`, and take their duration from one part."""
_TIMEOUT_S = 30.0
"""Seconds after which a call of FFmpeg that goes on reading ends the file."""
_AGAIN_S = 5.0
_EXACTLY_S = 0.0005
"""Seconds that two numbers for one presentation time may differ by."""
_MOST_TRIES = 12
"""Times that a clip is read again, `_AGAIN_S` apart, while the disk fails: what is known of its
frames stays good for a minute, and other files have waited as long."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Describes the start that the times of a clip's frames are counted from."""

    captured_at_ns: int
    known_by: TimeOrigin
    pts_s: float
    """Presentation time of the first frame."""

    def at_ns(self, pts_s: float) -> int:
        """Returns when the frame presented at `pts_s` was taken; files may hold absurd times."""
        return bounded_ns(self.captured_at_ns + round((pts_s - self.pts_s) * 1e9))


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """Describes a frame in its place in presentation order."""

    frame: VideoFrame | None
    """None: it was not decoded."""
    index: int
    pts_s: float


class ClipReader:
    """Reads one clip: yields `Opened`, then frames and failures in order, then `Finished`.

    Frames before `start_frame` and the damage among them are decoded but not yielded again.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        *,
        start_frame: int = 0,
        rate: float | None = None,
        times: Times | None = None,
        max_pixels: int = MAX_CLIP_PIXELS,
        stopped: Callable[[], bool] = lambda: False,
        earlier: Callable[[str], Path | None] = lambda _hash: None,
        shorter: Shorter | None = None,
        begin: Callable[[int], str | None] = lambda _next_frame: None,
    ) -> None:
        """Takes `rate` in frames per second of the clip's own time; None: every frame.

        `earlier` gives the file with a content hash that was decided before; the clip is then not
        read again. `stopped` is asked between frames; once true, reading ends without a `Finished`.
        `shorter` tells what was decided of the file when it was shorter: if it has only grown, it
        is read on from there. A file that grows while it is read ends without a `Finished`, too.
        `begin` is called before anything is decoded, with the first frame that is not decided; it
        tells why the clip is to be left alone, if it is.
        """
        self.path = path.absolute()
        self._source = source
        self._start_frame = start_frame
        self._rate = rate
        self._pace = Pace(rate)
        self._standing: Standing[_Shown] = Standing(rate)
        self._times = times or Times()
        self._max_pixels = max_pixels
        self._stopped = stopped
        self._earlier = earlier
        self._shorter = shorter
        self._begin = begin
        self._converter = Converter()
        self._index = 0
        self._stretches = 0
        self._lasted_s = 0.0
        self._stretches_told = 0
        self._failures: list[Failed] = []
        """What waits to be told until it is known whether the frame before it stood on screen."""
        self._tracks_told: set[str] = set()
        """What the log was told of video tracks that are not read."""
        self._end = 0
        """Byte at which the file seems to end to FFmpeg."""
        self._start: _Start | None = None
        """Known from the first frame of this pass on."""
        self._pts_s: float | None = None
        """Presentation time of the last frame of this pass; None: there was none."""
        self._left_s: list[float] = []
        """How long the joined recordings last together from each one on; empty: nobody asked."""
        self._error: OSError | None = None
        """What the disk said when it refused a read in this pass; None: it refused none."""
        self._at_s: float | None = None
        """Seconds from the first frame to the one that came last; None: none has come yet."""
        self._all_s = 0.0
        """Seconds that the whole file lasts; 0: it is not known."""
        self._reads: Reading | None = None
        """What gives the file to FFmpeg; None: it is not open yet."""

    @property
    def position(self) -> ClipPosition:
        """Tells how far reading has come; any thread may ask.

        By the time in the clip, where it is known how long it lasts, else by its bytes.
        """
        at_s, all_s, reads = self._at_s, self._all_s, self._reads
        if at_s is not None and 0 <= at_s <= all_s + 1 and all_s > 0:
            return ClipPosition(self.path, min(1.0, at_s / all_s), at_s, all_s)
        share = 0.0 if reads is None or not self._end else min(1.0, reads.at / self._end)
        return ClipPosition(self.path, share, at_s)

    def items(self) -> Iterator[Item]:
        """Opens the file and yields its items. Raises OSError where that cannot be done."""
        with opened(self.path) as data:
            yield from self.items_of(data)

    def items_of(self, data: BinaryIO) -> Iterator[Item]:
        """Yields the items of the file, which is open already.

        Raises OSError, also after some frames; the file can be read on then.
        """
        identity = FileIdentity.from_stat(os.fstat(data.fileno()))
        origin = origin_of(self.path, identity)
        shorter = self._shorter
        hashes = yield from hashing(data, self._stopped, shorter.size if shorter else None)
        if hashes is None:
            return
        # Recorders that were cut off leave what they had reserved: gigabytes of zeros, in which
        # demuxers would look for more one by one (measured: 2 s for 100 MB).
        reserved = identity.size - hashes.end > HEADER_ALLOWANCE
        self._end = hashes.end if reserved else identity.size
        if shorter is not None and hashes.beginning == shorter.content_hash:
            self._start_frame = max(self._start_frame, shorter.next_frame)
        if not self._start_frame and (earlier := self._earlier(hashes.whole)):
            at: tuple[int, TimeOrigin] | tuple[()] = ()
            if self._times.matches(self.path):
                at = self._times.of_clip_start(self.path, None, identity.mtime_ns, 0)
            yield Repeated(self.path, identity, hashes.whole, earlier, *at)
            return
        failure = self._begin(self._start_frame)
        yield Opened(self.path, identity, hashes.whole)
        if failure is None:
            failure = yield from self._frames(data, identity, origin)
        if self._stopped() or _changed(data, identity):
            return
        if self._error is not None:
            raise self._error
        if failure is None and self._index == 0 and self._stretches == 0:
            failure = _NO_FRAME
        if failure is not None:
            yield Failed(self.path, origin, self._index, identity.mtime_ns, failure)
        held = self._standing.held
        undecided = None if held is None else held.index
        yield Finished(
            self.path, identity, hashes.whole, self._index, self._lasted_s, undecided=undecided
        )

    def sought(self, data: BinaryIO, pts_s: float) -> VideoFrame | None:
        """Returns the frame that is presented at a time, found by seeking; None: seeking finds
        none that is certainly it. Raises FFmpegError and DecodingError."""
        whole = (0, os.fstat(data.fileno()).st_size)
        with translated(), self._open(self._reading(data, whole), decoders="none") as container:
            if _is(_DISCONTINUOUS, container) or _refusal(container, self._max_pixels):
                return None
        reading = self._reading(data, whole)
        with translated(), self._open(reading, max_pixels=self._max_pixels) as container:
            stream = largest_video(container)
            if stream is None or stream.codec_context is None or stream.time_base is None:
                return None
            prepare(stream, self._max_pixels)
            if refusal(stream.codec_context, self._max_pixels) is not None:
                return None
            container.seek(round(pts_s / float(stream.time_base)), stream=stream)
            for packet in container.demux(stream):
                reading.passed()
                for frame in packet.decode():
                    at_s = _pts_s(frame)
                    if at_s is None or at_s > pts_s + _EXACTLY_S or self._stopped():
                        return None
                    if at_s > pts_s - _EXACTLY_S:
                        return None if frame.is_corrupt else frame
        return None

    def _frames(
        self, data: BinaryIO, identity: FileIdentity, origin: str
    ) -> Generator[Item, None, str | None]:
        """Yields frames and failures; returns why the file was not opened, None: it was.

        While the disk fails, the clip is read again, from its start like ever, and nothing of it is
        yielded twice.
        """
        skip = True
        for attempt in range(_MOST_TRIES + 1):
            try:
                failure = yield from self._pass(data, identity, origin, skip=skip)
            except UncertainCount:
                skip = False
                self._begin_again()
                failure = yield from self._pass(data, identity, origin, skip=False)
            if self._error is None or self._stopped():
                break
            if attempt == _MOST_TRIES:
                break
            if attempt == 0:
                told = f"cannot be read: {self._error.strerror}; it is tried again"
                _LOG.warning("%s: %s %s", self._source, self.path, told)
            yield from self._pause()
            self._begin_again()
        return failure

    def _open(
        self, reading: Reading, *, max_pixels: int = 0, decoders: str | None = None
    ) -> InputContainer:
        """Opens a video file, with frames of at most `max_pixels`. Raises av.error.FFmpegError.

        `decoders` names the only ones that may be used; with "none" nothing is decoded, and formats
        and sizes are those that the container and the headers of the streams say.
        """
        more = {} if decoders is None else {"codec_whitelist": decoders}
        allow(reading.most)
        container = av.open(
            reading,
            mode="r",
            format="apng" if self._is_animated_png(reading) else None,
            options={"max_pixels": str(max_pixels)} if max_pixels else {},
            container_options={"format_whitelist": _FORMATS, "protocol_whitelist": "file", **more},
            metadata_errors="replace",
            timeout=(_TIMEOUT_S, _TIMEOUT_S),
        )
        reading.begun()  # FFmpeg has looked far ahead for what it is to decode
        return container

    def _reading(self, data: BinaryIO, part: tuple[int, int]) -> Reading:
        """Returns what gives a part of the file to FFmpeg, from its start."""
        return Reading(data, self._refused, part=part, most=most_bytes(self._max_pixels))

    def _is_animated_png(self, reading: Reading) -> bool:
        try:
            return is_animated_png(reading.file)
        except OSError as error:
            self._refused(error)
            return False

    def _refused(self, error: OSError) -> None:
        self._error = self._error or error

    def _begin_again(self) -> None:
        self._pace = Pace(self._rate)
        self._standing = Standing(self._rate)
        self._index = self._stretches = 0
        self._failures = []
        self._start = self._pts_s = None
        self._left_s = []
        self._error = self._at_s = None

    def _pause(self) -> Iterator[Idle]:
        until = time.monotonic() + _AGAIN_S
        while time.monotonic() < until and not self._stopped():
            time.sleep(0.2)
            yield Idle(busy=True)

    def _pass(
        self, data: BinaryIO, identity: FileIdentity, origin: str, *, skip: bool
    ) -> Generator[Item, None, str | None]:
        """Reads from the first frame on; yields none before `start_frame`.

        Returns why the file was not opened; None: it was. Raises UncertainCount.
        """
        parts = yield from parts_of(data, self._end, self._stopped)
        if len(parts) == 1:
            failure = yield from self._part(data, parts, 0, identity, origin, skip=skip)
        else:
            failure = None
            yield from self._joined(data, parts, identity, origin)
        if not self._is_over(data, identity):
            yield from self._told()
        return failure

    def _is_over(self, data: BinaryIO, identity: FileIdentity) -> bool:
        """Tells whether nothing more is said of the file in this pass.

        Where a file ended that has grown meanwhile is no damage.
        """
        return self._stopped() or self._error is not None or _changed(data, identity)

    def _joined(
        self, data: BinaryIO, parts: list[tuple[int, int]], identity: FileIdentity, origin: str
    ) -> Iterator[Item]:
        """Reads recordings that were joined. Of those in a row that give nothing one failure tells.

        Raises UncertainCount.
        """
        parts, rest = parts[:MOST_PARTS], parts[MOST_PARTS:]
        first, why = 0, ""
        told = time.monotonic()
        for number in range(1, len(parts) + 1):
            index, stretches, noted = self._index, self._stretches, len(self._failures)
            failure = yield from self._part(data, parts, number - 1, identity, origin, skip=False)
            if self._is_over(data, identity):
                return
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                yield Idle(busy=True)
            if failure is None and self._index == index:
                failure = _NO_FRAME
                self._stretches = stretches
                del self._failures[noted:]
            if failure is None:
                why = ""
            elif not why:
                first, why = number, failure
                damage = Damage(f"recording {number} of {len(parts)}: {why}")
                self._failed(damage, origin, self._known(identity), self._pts_s or 0.0)
            else:
                damage = Damage(f"recordings {first} to {number} of {len(parts)}: {why}")
                self._failed(damage, origin, self._known(identity), self._pts_s or 0.0, longer=True)
        if rest:
            damage = Damage(f"more than {MOST_PARTS:,} recordings were joined: no more are read")
            self._failed(damage, origin, self._known(identity), self._pts_s or 0.0)

    def _known(self, identity: FileIdentity) -> _Start:
        """Returns the start, as far as it is known yet."""
        return self._start or _Start(identity.mtime_ns, TimeOrigin.MTIME, 0.0)

    def _part(
        self,
        data: BinaryIO,
        parts: list[tuple[int, int]],
        number: int,
        identity: FileIdentity,
        origin: str,
        *,
        skip: bool,
    ) -> Generator[Item, None, str | None]:
        """Reads one of the recordings that were joined, from 0 on; returns why it was not opened.

        None: it was.
        """
        try:
            reading = self._reading(data, parts[number])
            with translated(), self._open(reading, decoders="none") as container:
                refused = _refusal(container, self._max_pixels)
            if refused is not None:
                return refused
            with translated():
                reading = self._reads = self._reading(data, parts[number])
                container = self._open(reading, max_pixels=self._max_pixels)
            with container:
                with translated():
                    stream = largest_video(container)
                    if stream is None:
                        return "holds no video, as a recording of sound alone; take it away"
                    if stream.codec_context is None:
                        return (
                            "holds video in a format that FFmpeg has no decoder for, or that is "
                            "encrypted; convert it where it can be played"
                        )
                    prepare(stream, self._max_pixels)
                    refused = refusal(stream.codec_context, self._max_pixels)
                if refused is not None:
                    return refused
                others = unread_videos(container, stream)
                if others is not None and others not in self._tracks_told:
                    self._tracks_told.add(others)
                    _LOG.warning("%s: %s: %s", self._source, self.path, others)
                skipping = Skipping.of(container, stream, self._pace) if skip else None
                duration_s = yield from self._lasts_s(data, parts, number, container, stream)
                self._all_s = self._whole_s(parts, container, duration_s)
                packets = packets_of_file(container, stream, reading)
                yield from self._decoded(
                    container, stream, packets, skipping, identity, origin, duration_s
                )
        except (av.error.FFmpegError, DecodingError) as error:
            why = endless(reading) if reading.spent else self._unopened(data, parts[number], error)
            return f"cannot be opened as a video: {why}"
        return None

    def _unopened(
        self, data: BinaryIO, part: tuple[int, int], error: av.error.FFmpegError | DecodingError
    ) -> str:
        """Returns why a recording was not opened, by what it begins with, and the way out."""
        if self._error is not None:  # the disk, and nothing in the file
            return reason(error)
        head = bytes_at(data, part[0], 64)
        names = {name for name, *_ in boxes(data)} if head[4:8] == b"ftyp" else set()
        match kind_of(head):
            case Kind.EMPTY:
                return "it is empty; get it again"
            case Kind.ZEROS:
                return "it begins with zeros, as what a power cut kept from the disk; get it again"
            case Kind.HTML | Kind.TEXT | Kind.ARCHIVE as kind:
                return f"it holds {kind.value}; get the video itself"
            case _:
                pass
        if names and part[0] == 0 and b"moov" not in names:
            return (
                "its index (moov) is missing, since the recording was cut off; a tool such as "
                "untrunc can make one by another clip of the same camera"
            )
        number = None if isinstance(error, DecodingError) else error.errno
        if number == errno.EIO:  # FFmpeg's word for that
            return "it ends within its header; get it again"
        if number == errno.EINVAL or isinstance(error, av.error.InvalidDataError):
            return f"{NOTHING}; get it again"
        return reason(error)

    def _decoded(
        self,
        container: InputContainer,
        stream: VideoStream,
        packets: Iterator[Packet[Any] | str],
        skipping: Skipping | None,
        identity: FileIdentity,
        origin: str,
        duration_s: float,
    ) -> Iterator[Item]:
        given = 0

        def counted() -> Iterator[Packet[Any] | str]:
            nonlocal given
            for packet in packets:
                given += not isinstance(packet, str) and packet.size > 0
                yield packet

        start, damaged = self._start, -1
        clock = _clock(container, stream, self._pts_s)
        pts_s = self._pts_s or 0.0
        last: tuple[int, Fraction | None] = (0, None)
        told = time.monotonic()
        for found in decoded(counted(), stream, skipping=skipping, max_pixels=self._max_pixels):
            if self._stopped() or self._error is not None:
                return
            items: list[Item] = []
            if isinstance(found, Damage):
                known = start or self._started(container, stream, identity, pts_s, duration_s)
                self._failed(found, origin, known, pts_s)
                damaged = given
            elif isinstance(found, Skipped):
                pts_s, last = clock.at(found.pts_s), (0, None)
                if start is None:
                    raise UncertainCount
                items += self._shown(None, origin, start, pts_s)
                self._index += 1
                self._at_s = pts_s - start.pts_s
            else:
                pts_s = clock.at(_pts_s(found))
                if start is None:
                    start = self._started(container, stream, identity, pts_s, duration_s)
                    self._start = start
                self._pts_s = pts_s
                items += self._shown(found, origin, start, pts_s)
                self._index += 1
                self._lasted_s = self._at_s = pts_s - start.pts_s
                last = found.duration, found.time_base
            if not items and time.monotonic() - told >= 1:
                items = [Idle(busy=True)]
            for item in items:
                told = time.monotonic()
                yield item
                if isinstance(item, Frame):
                    # Not yielded twice if the clip is read again.
                    self._start_frame = item.frame_index + 1
        if self._error is not None:
            return
        lasts_ns = round(_lasts_s(*last) * 1e9)
        if start is not None and (stood := self._standing.for_(lasts_ns)) is not None:
            yield from self._looked_at(stood, origin, start)
        # The index at the front of an MP4 that was cut off promises more than there is, and FFmpeg
        # ends such a file without an error. The index may be off by a frame or two; that of an AVI
        # is not reliable. Packets count, since damage before the end costs frames, too. Where the
        # last of them is damaged, that was told.
        promised = len(stream.index_entries) if "mp4" in container.format.name else 0
        if given < 0.95 * promised - 5 and start is not None and damaged != given:
            damage = Damage(f"cut off: its index promises {promised} frames, and {given} are there")
            self._failed(damage, origin, start, pts_s)

    def _started(
        self,
        container: InputContainer,
        stream: VideoStream,
        identity: FileIdentity,
        pts_s: float,
        duration_s: float,
    ) -> _Start:
        at_ns, known_by = self._times.of_clip_start(
            self.path, _created(container, stream), identity.mtime_ns, duration_s
        )
        return _Start(at_ns, known_by, pts_s)

    def _lasts_s(
        self,
        data: BinaryIO,
        parts: list[tuple[int, int]],
        number: int,
        container: InputContainer,
        stream: VideoStream,
    ) -> Generator[Item, None, float]:
        """Returns the duration from one of the joined recordings on, seconds; 0: it is not known.

        What a container gives is wrong where recordings were joined. So if the start depends on it,
        the packets are read for it (measured: 0.5 % of what decoding them takes).
        """
        created = _created(container, stream)
        if self._start is not None or not self._times.needs_duration(self.path, created):
            return _duration_s(container, stream)
        if len(parts) == 1 and not _is(_JOINABLE, container):
            return _duration_s(container, stream)
        if not self._left_s:
            self._left_s = yield from self._durations_s(data, parts)
        return _sane_s(self._left_s[number])

    def _whole_s(
        self, parts: list[tuple[int, int]], container: InputContainer, duration_s: float
    ) -> float:
        """Returns how long the whole file lasts, seconds; 0: it is not known.

        What a container says is believed only where nothing can have been joined to it.
        """
        if self._left_s:
            return _sane_s(self._left_s[0])
        return duration_s if len(parts) == 1 and not _is(_JOINABLE, container) else 0.0

    def _durations_s(
        self, data: BinaryIO, parts: list[tuple[int, int]]
    ) -> Generator[Item, None, list[float]]:
        """Returns how long the recordings last together from each one on, seconds."""
        lasts_s = [0.0] * len(parts)
        told = time.monotonic()
        for number, part in enumerate(parts):
            if self._stopped():
                break
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                yield Idle(busy=True)
            with suppress(av.error.FFmpegError, DecodingError):  # it is told when its turn comes
                lasts_s[number] = yield from self._part_lasts_s(data, part)
        return list(accumulate(reversed(lasts_s)))[::-1]

    def _part_lasts_s(self, data: BinaryIO, part: tuple[int, int]) -> Generator[Item, None, float]:
        """Returns the duration of a part, seconds; 0: it is not known."""
        reading = self._reading(data, part)
        with translated():  # nobody has looked yet whether it may be decoded
            container = self._open(reading, decoders="none")
        with container:
            stream = largest_video(container)
            if stream is None:
                return 0.0
            if not _is(_JOINABLE, container):
                return _duration_s(container, stream)
            clock = _clock(container, stream)
            first_s: float | None = None
            at_s = 0.0
            told = time.monotonic()
            for packet in packets_of_file(container, stream, reading):
                if self._stopped():
                    return 0.0
                if time.monotonic() - told >= 1:
                    told = time.monotonic()
                    yield Idle(busy=True)
                if isinstance(packet, str) or packet.dts is None or packet.time_base is None:
                    continue
                at_s = clock.at(float(packet.dts * packet.time_base))
                first_s = at_s if first_s is None else first_s
            read_s = 0.0 if first_s is None else _sane_s(at_s + _step_s(stream) - first_s)
            if _is(_DISCONTINUOUS, container) and read_s:
                return read_s
            # The first packets of a Matroska file may have no decoding time, and are missing here.
            return max(read_s, _duration_s(container, stream))

    def _shown(
        self, frame: VideoFrame | None, origin: str, start: _Start, pts_s: float
    ) -> list[Item]:
        """Returns what is to be told once a frame has come: the one that stood until now, the
        failures behind it, itself.

        None: the frame was not decoded. A damaged frame does not use up its slot: the next frame is
        looked at instead. Raises UncertainCount where a frame to be looked at was not decoded.
        """
        if frame is not None and frame.is_corrupt:
            return []
        at_s = pts_s - start.pts_s
        shown, stood = _Shown(frame, self._index, pts_s), self._standing.until(round(at_s * 1e9))
        found: list[Item] = [] if stood is None else [*self._looked_at(stood, origin, start)]
        found += self._told()
        if self._pace.takes(at_s):
            return found + self._looked_at(shown, origin, start)
        self._standing.hold(shown, round(at_s * 1e9))
        return found

    def _looked_at(self, shown: _Shown, origin: str, start: _Start) -> list[Frame]:
        """Returns the frame to be looked at; none if it lies before `start_frame`."""
        if shown.frame is None:
            raise UncertainCount
        if shown.index < self._start_frame:
            return []
        return [
            Frame(
                source=self._source,
                origin=origin,
                frame_index=shown.index,
                captured_at_ns=start.at_ns(shown.pts_s),
                captured_at_origin=start.known_by,
                picture=upright(shown.frame, self._converter),
                file=self.path,
                pts_s=shown.pts_s,
            )
        ]

    def _failed(
        self, damage: Damage, origin: str, start: _Start, pts_s: float, *, longer: bool = False
    ) -> None:
        """Notes the failure of a damaged stretch, unless it lies before `start_frame`.

        It is told behind the frame that may stand until the stretch ends: whoever reads on behind
        a failure passes by every frame before it. The stretch has its own origin, because its index
        is also that of the next frame. `longer`: more is known now of the stretch noted last.
        """
        if not longer:
            self._stretches += 1
        elif self._failures:
            self._failures.pop()
        if self._index < self._start_frame or self._stretches <= self._stretches_told:
            return
        failed = Failed(
            self.path,
            f"{origin}|damaged {self._stretches}",
            self._index,
            start.at_ns(pts_s),
            f"damaged from frame {self._index}: {damage.detail}",
        )
        self._failures.append(failed)

    def _told(self) -> list[Failed]:
        """Returns the failures noted since it was called last."""
        failures, self._failures = self._failures, []
        self._stretches_told = max(self._stretches, self._stretches_told)
        return failures


def frame_again(path: Path, index: int, pts_s: float, max_pixels: int, seconds: float) -> Image:
    """Returns a frame of a clip once more, (height, width, 3) BGR, upright.

    It is sought by its time, and where that is not certain, all before it is decoded. Raises
    OSError, and TimeoutError where that takes longer than `seconds`, or LookupError where the clip
    has no such frame.
    """
    until = time.monotonic() + seconds
    late = False

    def stopped() -> bool:
        nonlocal late
        late = late or time.monotonic() > until
        return late

    reader = ClipReader(path, "", start_frame=index, max_pixels=max_pixels, stopped=stopped)
    with opened(reader.path) as data:
        with suppress(av.error.FFmpegError, DecodingError):
            if (found := reader.sought(data, pts_s)) is not None:
                return upright(found, Converter()).bgr()
        data.seek(0)
        for item in reader.items_of(data):
            if isinstance(item, Frame) and item.frame_index >= index:
                if item.frame_index == index:
                    return item.picture.bgr()
                break
    if late:
        raise TimeoutError(f"{path}: frame {index} was not reached in {seconds:g} s")
    raise LookupError(f"{path}: has no frame {index} that can be decoded")


def _refusal(container: InputContainer, max_pixels: int) -> str | None:
    """Returns why no decoder may open any video of a file; None: decoders may.

    Opening a file decodes the first frames of all its streams. In some formats (FLV, MPEG-PS)
    FFmpeg takes no limit for that.
    """
    for stream in container.streams.video:
        # A cover is decoded under the limit, and may be as large as it likes.
        cover = stream.disposition & Disposition.attached_pic
        if stream.codec_context is not None and not cover:
            refused = refusal(stream.codec_context, max_pixels)
            if refused is not None:
                return refused
    return None


def _changed(data: BinaryIO, identity: FileIdentity) -> bool:
    """Tells whether an open file was written to since it had this identity. Raises OSError."""
    return FileIdentity.from_stat(os.fstat(data.fileno())) != identity


def _pts_s(frame: VideoFrame) -> float | None:
    """Returns the presentation time, seconds; None: it has none, as in raw streams."""
    pts_s = frame.time
    return pts_s if pts_s is not None and math.isfinite(pts_s) else None


def _lasts_s(duration: int, time_base: Fraction | None) -> float:
    """Returns how long its container lets a frame stand, seconds; 0: it does not say."""
    return _sane_s(float(duration * time_base)) if time_base else 0.0


def _step_s(stream: VideoStream) -> float:
    """Returns the usual time between two frames, seconds."""
    return 1 / float(stream.average_rate or stream.guessed_rate or ASSUMED_RATE)


def _is(formats: frozenset[str], container: InputContainer) -> bool:
    return not formats.isdisjoint(container.format.name.split(","))


def _clock(
    container: InputContainer, stream: VideoStream, after_s: float | None = None
) -> ClipClock:
    return ClipClock(_step_s(stream), joins=_is(_DISCONTINUOUS, container), after_s=after_s)


def _created(container: InputContainer, stream: VideoStream) -> str | None:
    """Returns the time at which a recorder says that it began; None: it does not say."""
    tags = {**container.metadata, **stream.metadata}
    return tags.get("creation_time") or tags.get("CREATION_TIME")


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Returns the duration that the container gives, seconds; 0: it gives none or nonsense."""
    if stream.duration is not None and stream.time_base is not None:
        return _sane_s(float(stream.duration * stream.time_base))
    return _sane_s((container.duration or 0) / av.time_base)


def _sane_s(duration_s: float) -> float:
    """Returns the duration; 0: it is nonsense."""
    return duration_s if 0 <= duration_s < ABSURD_S else 0.0
