"""Converts the pixels of a decoded video frame, only when they are asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from ..arrays import Image
from ..frames import FULL_RANGE, VIDEO_RANGE, chroma_of
from ..problems import Problem

_LUMA_FIRST = frozenset(
    f"{prefix}{layout}p"
    for prefix in ("yuv", "yuvj")
    for layout in ("420", "422", "444", "440", "411")
) | {"nv12", "nv21", "gray", "yuva420p"}
"""Pixel formats whose first plane is 8-bit luma."""
_CHROMA_AFTER = frozenset(name for name in _LUMA_FIRST if name.startswith("yuv"))
"""Those of them whose second and third plane are 8-bit Cb and Cr."""
_AS_601 = ((0.9834, -0.0725), (-0.1107, 0.9899))
"""Makes Cr and Cb of ITU-R BT.709 those of BT.601, as `frames.chroma_of` gives them: from the luma
weights of both (0.2126, 0.0722 and 0.299, 0.114)."""
_STRETCH = 255 / 224
"""Factor that makes video's range of chroma the full range, around 128."""
_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


class ConversionError(Problem):
    """Says that FFmpeg does not convert the pixel format of a decoded frame."""


class Converter:
    """Scales and converts the frames of one reader.

    A conversion that is set up once and reused costs a third of a new one per frame, so each kind
    of result has its own. May be used from several threads.
    """

    def __init__(self) -> None:
        self._reformatters = {
            name: VideoReformatter() for name in ("gray", "rgb24", "bgr24")
        }  # one each: a change of size or format sets up a reformatter again
        self._lock = threading.Lock()

    def convert(self, frame: VideoFrame, width: int, height: int, layout: str) -> Image:
        """Returns (height, width) for "gray", (height, width, 3) for "rgb24" and "bgr24", 0-255.

        Colours come out as `ffmpeg -i clip frame.png` writes them: by the frame's own matrix and
        range, chroma interpolated bicubically at full size. Raises ConversionError.
        """
        full_size = (width, height) == (frame.width, frame.height)
        # Measured, 1080p to 288x160: AREA 0.86 ms and closest to OpenCV's area filter, BILINEAR
        # 1.20 ms; FAST_BILINEAR 0.40 ms, but it uses 2 of 7 pixels of a row.
        interpolation = Interpolation.BICUBIC if full_size else Interpolation.AREA
        try:
            with self._lock:
                converted = self._reformatters[layout].reformat(
                    frame,
                    width=width,
                    height=height,
                    format=layout,
                    interpolation=interpolation,
                    dst_color_range=ColorRange.JPEG,
                    threads=1,
                )
        except Exception as error:  # PyAV raises ValueError and others beside those of FFmpeg
            raise ConversionError(f"{frame.format.name} cannot be converted: {error}") from error
        # Encoders and onnxruntime need it contiguous, and odd widths leave padding in the rows.
        return np.ascontiguousarray(plane(converted, 1 if layout == "gray" else 3))


def plane(frame: VideoFrame, channels: int) -> Image:
    """Returns the first plane as a view, rows without their padding."""
    return _pixels(frame.planes[0], frame, channels)


def _chroma_plane(second: VideoPlane) -> Image:
    """Returns a plane of one byte a sample as a view, without the padding of its rows."""
    rows: Image = np.frombuffer(memoryview(second), np.uint8).reshape(-1, second.line_size)
    return rows[: second.height, : second.width]


def _pixels(first: VideoPlane, frame: VideoFrame, channels: int) -> Image:
    rows: Image = np.frombuffer(memoryview(first), np.uint8).reshape(-1, first.line_size)
    pixels = rows[: frame.height, : frame.width * channels]
    return pixels if channels == 1 else pixels.reshape(frame.height, frame.width, channels)


@dataclass(frozen=True, slots=True)
class VideoPicture:
    """Holds a frame as decoded and converts it on demand. The frame stays valid while held."""

    frame: VideoFrame
    converter: Converter
    rotation: int
    """Degrees counterclockwise that turn the frame upright: 0, 90, 180 or 270."""

    @property
    def width(self) -> int:
        return self.frame.height if self.rotation in (90, 270) else self.frame.width

    @property
    def height(self) -> int:
        return self.frame.width if self.rotation in (90, 270) else self.frame.height

    @property
    def levels(self) -> tuple[int, int]:
        name = self.frame.format.name
        # FFmpeg takes these formats for full range, whatever the stream says or does not say.
        full = name.startswith(("yuvj", "gray")) or self.frame.color_range == ColorRange.JPEG
        return FULL_RANGE if full or self._luma_plane() is None else VIDEO_RANGE

    def luma(self) -> Image:
        if (first := self._luma_plane()) is not None:
            return self._upright(_pixels(first, self.frame, 1))
        return self._converted(self.width, self.height, "gray")

    def rgb(self, width: int, height: int) -> Image:
        return self._converted(width, height, "rgb24")

    def chroma(self, width: int, height: int) -> Image:
        name = self.frame.format.name
        if name.startswith("gray"):
            return np.full((height, width, 2), 128, np.uint8)
        if name not in _CHROMA_AFTER or self._luma_plane() is None:
            return chroma_of(self.rgb(width, height))
        size = (height, width) if self.rotation in (90, 270) else (width, height)
        planes = [_chroma_plane(self.frame.planes[number]) for number in (2, 1)]
        small = cv2.merge(
            [cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in planes]
        )
        video = self.levels == VIDEO_RANGE
        if self.frame.colorspace == Colorspace.ITU709:
            turned = np.array(_AS_601) * (_STRETCH if video else 1.0)
            small = cv2.transform(small, np.column_stack([turned, 128 - 128 * turned.sum(1)]))
        elif video:
            small = cv2.addWeighted(small, _STRETCH, small, 0, 128 - 128 * _STRETCH)
        return self._upright(np.asarray(small, np.uint8))

    def bgr(self) -> Image:
        return self._converted(self.width, self.height, "bgr24")

    def _luma_plane(self) -> VideoPlane | None:
        """Returns the luma plane; None: there is none, or its rows do not run from the top down."""
        if self.frame.format.name not in _LUMA_FIRST:
            return None
        first = self.frame.planes[0]
        return first if first.line_size > 0 else None

    def _converted(self, width: int, height: int, layout: str) -> Image:
        if self.rotation in (90, 270):
            width, height = height, width
        return self._upright(self.converter.convert(self.frame, width, height, layout))

    def _upright(self, pixels: Image) -> Image:
        turn = _TURNS.get(self.rotation)
        return pixels if turn is None else np.asarray(cv2.rotate(pixels, turn), np.uint8)


def upright(frame: VideoFrame, converter: Converter) -> VideoPicture:
    """Returns the picture of a frame, turned as its container says (quarter turns only)."""
    return VideoPicture(frame, converter, round(frame.rotation / 90) * 90 % 360)
