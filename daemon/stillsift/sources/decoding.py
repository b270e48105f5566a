"""Decodes the frames of an open container, and reports the damage between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .skipping import Skipped, Skipping

MAX_PIXELS = 100_000_000
"""Most pixels of a photo that is decoded, unless its source sets another limit."""
MAX_CLIP_PIXELS = 36_000_000
"""Most pixels of a frame that is decoded, unless its source sets another limit: 8192x4352 is the
largest frame of level 6.2, the highest that H.264 has and cameras for 8K use of HEVC."""
_MOST_HELD = 34
"""Most frames that FFmpeg's decoders of H.264 and HEVC hold: 16 to refer to, 16 that wait for their
turn, the one they work on and the one given out last."""
_HOLDING = frozenset({"h264", "hevc", "vvc"})
_OTHERS_HOLD = 10
"""The same of all others: VP9 and AV1 refer to 8, the rest to fewer."""
_USUAL_BITS = 12
"""Bits of a pixel of 8-bit 4:2:0 video."""
_BYTES_PER_PIXEL = 6
"""Most bytes of an uncompressed frame for each pixel that is allowed: `refusal` lets none pass that
has more than 5.1."""
_ALLOWANCE = 64 << 20
"""Bytes of indices and headers that come with a packet. An MP4 of a day has 50 MB of them."""
ASSUMED_RATE = 25.0
"""Frames per second of a stream that does not say its rate."""
NOTHING = "FFmpeg can make nothing of its data"
_READ_RETRIES = 50
"""Unreadable places in a row after which the rest of a file is given up: otherwise a demuxer that
fails without moving on would be asked for ever."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Says that a stretch without usable pictures begins here; the next usable frame ends it."""

    detail: str


class Budget(Protocol):
    """Limits how much of a file is read, and so held in memory, for one packet."""

    @property
    def most(self) -> int:
        """Gives the number of bytes that may be read for one packet."""

    @property
    def spent(self) -> bool:
        """Tells whether no more is read, because it would be more than `most`."""

    def passed(self) -> None:
        """Notes that a packet was given out."""


class DecodingError(Exception):
    """Says that PyAV raised something that is no error of FFmpeg, because of what it was given."""


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever PyAV raises, except FFmpegError, into a DecodingError.

    A bad file makes it raise ValueError, OverflowError and others, each release different ones.
    Hold nothing in it but calls of PyAV.
    """
    try:
        yield
    except av.error.FFmpegError:
        raise
    except Exception as error:
        raise DecodingError(f"{type(error).__name__} in PyAV") from error


def reason(error: av.error.FFmpegError | DecodingError) -> str:
    """Returns FFmpeg's own message; `str(error)` would hold the URL, with its password."""
    if isinstance(error, DecodingError):
        return str(error)
    if isinstance(error, av.error.MemoryError):
        return "takes more memory at once than one frame may (max_clip_pixels)"
    if isinstance(error, av.error.InvalidDataError):
        return NOTHING
    return error.strerror or type(error).__name__


def weight(context: VideoCodecContext) -> int:
    """Returns how much memory a decoder may take, as the pixels of a frame of usual video.

    Usual is 8-bit 4:2:0 in H.264, the codec that may hold most frames. Deeper pixels and fuller
    colour weigh more. Nothing weighs less than its number of pixels.
    """
    bits = VideoFormat(context.pix_fmt).padded_bits_per_pixel if context.pix_fmt else _USUAL_BITS
    held = _MOST_HELD if context.name in _HOLDING else _OTHERS_HOLD
    pixels = context.width * context.height
    return max(pixels, pixels * bits * held // (_USUAL_BITS * _MOST_HELD))


def most_bytes(max_pixels: int) -> int:
    """Returns how many bytes may be read or taken at once for frames of so many pixels.

    A compressed frame is not larger than it is uncompressed.
    """
    return max_pixels * _BYTES_PER_PIXEL + _ALLOWANCE


def refusal(context: VideoCodecContext, max_pixels: int) -> str | None:
    """Returns why a stream is not decoded; None: it may be."""
    heavy, size = weight(context), f"{context.width}x{context.height}"
    if heavy <= max_pixels:
        return None
    if heavy == context.width * context.height:
        return f"{size} is more than {max_pixels:,} pixels (max_clip_pixels)"
    return (
        f"{size} in {context.pix_fmt} may take the memory of {heavy:,} pixels, more than "
        f"{max_pixels:,} (max_clip_pixels)"
    )


def prepare(stream: VideoStream, max_pixels: int) -> None:
    """Limits a decoder to `max_pixels` per frame and to one thread (streams run side by side)."""
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(max_pixels)}


def largest_video(container: InputContainer) -> VideoStream | None:
    """Returns the video track with the most pixels; None: there is none.

    Pictures of a cover count only where there is no other track, and so do tracks without a
    decoder. Of equal tracks FFmpeg's own choice counts.
    """
    best = container.streams.best("video")
    if not isinstance(best, VideoStream):
        return None

    def rank(stream: VideoStream) -> tuple[bool, int, bool]:
        playable = stream.codec_context is not None and not _is_cover(stream)
        return playable, _pixels(stream), stream.index == best.index

    return max(container.streams.video, key=rank)


def unread_videos(container: InputContainer, read: VideoStream) -> str | None:
    """Names the video tracks beside the one that is read; None: there are no others."""
    others = [stream for stream in container.streams.video if stream.index != read.index]
    if not others:
        return None
    named = ", ".join(_named(stream) for stream in others)
    return f"{len(others) + 1} video tracks; {_named(read)} is read, as the largest; not {named}"


def _named(stream: VideoStream) -> str:
    size = f"{stream.width}x{stream.height}" if _pixels(stream) else "of unknown size"
    return f"track {stream.index} ({'cover ' if _is_cover(stream) else ''}{size})"


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _pixels(stream: VideoStream) -> int:
    return 0 if stream.codec_context is None else stream.width * stream.height


def decoded(
    packets: Iterable[Packet[Any] | str],
    stream: VideoStream,
    *,
    skipping: Skipping | None = None,
    max_pixels: int = MAX_CLIP_PIXELS,
) -> Iterator[VideoFrame | Damage | Skipped]:
    """Yields frames in presentation order, and one `Damage` at the start of each damaged stretch.

    A text among the packets is damage too: the reason why a place could not be read. Frames that
    the decoder marks corrupt come out, marked; they do not end a stretch. `skipping` decides what
    is not decoded (None: everything is decoded). Raises UncertainCount before the first `Damage` if
    something was skipped. Ends where the stream becomes too large for `max_pixels`.
    """
    damaged = False
    context, layout = stream.codec_context, None
    for packet in packets:
        found: list[VideoFrame] = []
        trouble: str | None = None
        if isinstance(packet, str):
            trouble = packet
        elif skipping is not None and skipping.skips(packet):
            continue
        else:
            try:
                with translated():
                    found = packet.decode()
            except EOFError:
                break
            except (av.error.FFmpegError, DecodingError) as error:
                trouble = reason(error)
            if layout != (layout := (context.width, context.height, context.pix_fmt)) and (
                refused := refusal(context, max_pixels)
            ):
                yield Damage(refused)
                return
        for frame in found:
            if skipping is not None:
                yield from skipping.before(frame)
            if frame.is_corrupt and not damaged:
                yield Damage("frames marked corrupt by the decoder")
            damaged = frame.is_corrupt
            yield frame
        if trouble is not None and skipping is not None:
            skipping.give_up()
        if trouble is not None and not damaged:
            damaged = True
            yield Damage(trouble)
    if skipping is not None:
        yield from skipping.rest()


def packets_of_file(
    container: InputContainer, stream: VideoStream, budget: Budget
) -> Iterator[Packet[Any] | str]:
    """Yields the packets of a file, and the reason in place of each that could not be read."""
    failures, index = 0, stream.index
    # What was gathered until the budget ended. Decoders would take as much again.
    large = budget.most * 7 // 8
    while failures < _READ_RETRIES:
        try:
            with translated():
                demuxed = container.demux()  # of all streams: each packet renews the budget
            while (packet := _next(demuxed, index, budget)) is not None:
                failures = 0
                too_large = packet.size > large
                if too_large or (budget.spent and packet.size == 0):
                    yield endless(budget)
                if not too_large:
                    yield packet
            return
        except (av.error.InvalidDataError, DecodingError) as error:
            failures += 1
            yield endless(budget) if budget.spent else reason(error)
        except av.error.FFmpegError as error:  # the disk, or a time-out: another try would fail too
            yield endless(budget) if budget.spent else reason(error)
            break
    yield from _flushed(stream)


def endless(budget: Budget) -> str:
    """Returns what a budget that is spent says of a file."""
    return f"no packet ends within {budget.most:,} bytes (max_clip_pixels)"


def _next(packets: Iterator[Packet[Any]], index: int, budget: Budget) -> Packet[Any] | None:
    """Returns the next packet of the stream with this index; None: there is none."""
    with translated():
        for packet in packets:
            budget.passed()
            if packet.stream.index == index:
                return packet
    return None


def _flushed(stream: VideoStream) -> Iterator[Packet[Any]]:
    """Yields an empty packet, which makes the decoder give out the frames it still holds."""
    packet: Packet[Any] = Packet()
    packet.stream = stream
    yield packet
