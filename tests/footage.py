"""Pictures and clips for the tests: scenes that differ as much as scenes can."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stillsift.frames import Image

START_S = 1_764_000_000
"""When the first picture was taken. The others follow ten seconds apart, so that no two of them
belong to one moment, however fast they arrive."""
WIDTH, HEIGHT, FPS = 320, 240, 10


def scene(number: int) -> Image:
    """(HEIGHT, WIDTH, 3) BGR: coloured blocks of one kind, with sharp edges."""
    random = np.random.default_rng(number)
    rows, columns = random.integers(4, 12, 2)
    blocks = random.integers(0, 255, (rows, columns, 3), np.uint8)
    return np.asarray(
        cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8
    )


def jpeg(number: int) -> bytes:
    """One scene as a JPEG file."""
    done, data = cv2.imencode(".jpg", scene(number))
    assert done
    return data.tobytes()


def taken(path: Path, number: int) -> Path:
    """Give a file the time of the picture with this number."""
    os.utime(path, ns=((START_S + 10 * number) * 10**9,) * 2)
    return path


def write_still(path: Path, number: int) -> Path:
    """A JPEG of one scene, taken at a time of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(number))
    return taken(path, number)


def write_stills(folder: Path, numbers: Iterable[int]) -> list[Path]:
    """Stills whose natural order is that of their times."""
    return [write_still(folder / f"img{number}.jpg", number) for number in numbers]


def write_clip(path: Path, scenes: Iterable[int], *, frames: int = 10, number: int = 0) -> Path:
    """An MP4 with `frames` frames of each scene, ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for one in scenes:
            for shift in range(frames):
                pixels = np.roll(scene(one), shift, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode())
    return taken(path, number)
