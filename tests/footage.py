"""Pictures and clips for the tests: scenes that differ as much as scenes can."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stillsift.arrays import Image

START_S = 1_764_000_000
"""When the first picture was taken. The others follow ten seconds apart, so that no two of them
belong to one moment, however fast they arrive."""
WIDTH, HEIGHT, FPS = 320, 240, 10


def scene(number: int) -> Image:
    """(HEIGHT, WIDTH, 3) BGR: coloured shapes with sharp edges, of another kind every time."""
    random = np.random.default_rng(number)
    pixels = np.full((HEIGHT, WIDTH, 3), random.integers(0, 255, 3), np.uint8)

    def point() -> tuple[int, int]:
        return int(random.integers(0, WIDTH)), int(random.integers(0, HEIGHT))

    for _ in range(int(random.integers(4, 16))):
        colour = random.integers(0, 255, 3).tolist()
        thick = int(random.integers(2, 12))
        match number % 5:
            case 0:
                cv2.rectangle(pixels, point(), point(), colour, -1)
            case 1:
                cv2.circle(pixels, point(), int(random.integers(10, 80)), colour, thick)
            case 2:
                cv2.line(pixels, point(), point(), colour, thick)
            case 3:
                cv2.putText(pixels, f"{number}?", point(), 5, thick / 2, colour, thick)
            case 4:
                corners = np.array([point() for _ in range(3)], np.int32)
                cv2.fillPoly(pixels, [corners], colour)
    return pixels


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
    """One scene as a file that appears whole and with its time.

    Given its time only afterwards it would be two files to a daemon that is quick enough.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(jpeg(number))
    taken(aside, number).rename(path)
    return path


def write_stills(folder: Path, numbers: Iterable[int]) -> list[Path]:
    """Stills whose natural order is that of their times."""
    return [write_still(folder / f"img{number}.jpg", number) for number in numbers]


def write_clip(path: Path, scenes: Iterable[int], *, frames: int = 10, number: int = 0) -> Path:
    """An MP4 with `frames` frames of each scene, ten a second; like a still it appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    with av.open(str(aside), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for one in scenes:
            for shift in range(frames):
                pixels = np.roll(scene(one), shift, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode())
    return taken(aside, number).rename(path)
