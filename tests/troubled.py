"""Makes footage of cameras in trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import cv2
import numpy as np

from clips import real_pictures
from sifting import LIMITS, blocks
from stillsift.arrays import Image
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.health import Alarm
from stillsift.selection import Gallery, Sifter

START_NS = 1_764_000_000 * 10**9


@cache
def view(name: str = "bikes") -> Image:
    """(180, 320, 3) of a real clip."""
    return real_pictures(name, 1)[0]


def usual(number: int, picture: Image | None = None) -> Image:
    """The picture with the noise of this frame."""
    noise = np.random.default_rng(number).normal(0, 2, (180, 320, 3))
    return np.asarray(np.clip((view() if picture is None else picture) + noise, 0, 255), np.uint8)


def frame(number: int, picture: Image, *, step_s: float = 10.0) -> Frame:
    at_s = number * step_s
    picture_ = ArrayPicture(picture)
    at_ns = START_NS + round(at_s * 1e9)
    return Frame("yard", "rtsp://yard|1", number, at_ns, TimeOrigin.PTS, picture_, pts_s=at_s)


def days(count: int, trouble: Callable[[int], Image], first: int, last: int) -> list[Frame]:
    """The usual picture, and from frame `first` to before `last` the trouble."""
    return [
        frame(number, trouble(number) if first <= number < last else usual(number))
        for number in range(count)
    ]


def frozen(_number: int) -> Image:
    return usual(0)


def covered(number: int) -> Image:
    hand = cv2.GaussianBlur(view(), (0, 0), 60) // 8
    return usual(number, np.asarray(hand, np.uint8))


def sift(frames: Iterable[Frame], sifter: Sifter | None = None) -> list[Alarm]:
    sifter = sifter or Sifter(LIMITS, blocks, Gallery(32), model="blocks")
    found: list[Alarm] = []
    for each in frames:
        sifter.offer(each)
        found += sifter.take_alarms()
    sifter.flush()
    return found + sifter.take_alarms()
