"""A source that is stopped after any frame decides as one that never was, whatever it shows."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from clips import real_pictures
from sifting import LIMITS, footage, frame, lite0, noisy, scene, with_object
from stillsift.arrays import Image
from stillsift.embedding import Embedding
from stillsift.frames import Frame, Picture
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter, Verdict
from stillsift.selection.budgets import Amounts
from stillsift.selection.regions import Regions
from stillsift.selection.sensitivity import Sensitivity

CLOCK = Regions(ignore=(((0, 0), (0.3, 0), (0.3, 0.15), (0, 0.15)),))
SCARCE = Amounts(min_gap_s=0.4, max_per_minute=20, keep_ratio=0.1, heartbeat_s=4.0)
SETTINGS = {
    "normal": (LIMITS, 32),
    "scarce": (replace(LIMITS, amounts=SCARCE, regions=CLOCK), 32),
    "sensitive": (replace(LIMITS, sensitivity=Sensitivity.HIGH), 2),
    "changes": (replace(LIMITS, every_change=True, amounts=SCARCE), 3),
}


def pan() -> list[Image]:
    """A view that turns a little, rests until it is another one, and turns by a sixth."""
    left, right = (real_pictures(name, 1)[0] for name in ("bigbuckbunny", "bikes"))
    wide = np.concatenate([left, left[:, ::-1], right], 1)
    width = left.shape[1]
    ways = [0] * 15 + [3 * step for step in range(7)] + [21] * 60
    ways += [21 + 4 * step for step in range(15)] + [80] * 20
    return [np.ascontiguousarray(wide[:, way : way + width]) for way in ways]


def lamps() -> list[Image]:
    """Lamps that change their colour alone, and then go through the picture."""
    pictures = []
    for index in range(100):
        around = cv2.cvtColor(scene(0), cv2.COLOR_BGR2YCrCb)
        lamp = np.zeros(around.shape[:2], np.uint8)
        cv2.circle(lamp, (120 + 4 * max(0, index - 80), 60), 12, 255, -1)
        around[..., 1:][lamp > 0] = ((60, 90), (170, 150), (90, 190), (200, 60))[index // 25]
        pictures.append(np.asarray(cv2.cvtColor(around, cv2.COLOR_YCrCb2BGR), np.uint8))
    return pictures


def gone() -> list[Image]:
    """A thing in two places; with a gallery of two, no kept frame shows what is left without it."""
    view = scene(0)
    things = [with_object(view, 20, 2)] * 8 + [with_object(view, 200, 2)] * 8
    pictures = [view] * 30 + things + [view] * 30
    random = np.random.default_rng(7)
    noises = random.normal(0, 6, (len(pictures), *view.shape))
    loud = [np.clip(each + noise, 0, 255) for each, noise in zip(pictures, noises, strict=True)]
    return [np.asarray(each, np.uint8) for each in loud]


def shapes() -> list[Image]:
    """Things that come and go in pictures of one size after the other."""
    sizes = ((256, 144), (144, 256), (320, 180), (17, 9), (400, 50))
    pictures = []
    for index in range(90):
        picture = scene(index // 45)
        if index % 9 > 4:
            picture = with_object(picture, 20 * (index % 9), index % 4)
        size = sizes[index // 6 % len(sizes)]
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(small, np.uint8))
    return pictures


def offered(pictures: Callable[[], list[Image]]) -> list[Frame]:
    return [frame(noisy(each, index), index) for index, each in enumerate(pictures())]


WORLDS: dict[str, Callable[[], list[Frame]]] = {
    "pan": lambda: offered(pan),
    "lamps": lambda: offered(lamps),
    "gone": lambda: offered(gone),
    "shapes": lambda: offered(shapes),
    "cartoon": lambda: footage("bigbuckbunny"),
}


def sifted(
    frames: list[Frame], limits: Limits, size: int, *, stops: bool
) -> tuple[list[Verdict], list[bytes]]:
    """Returns all verdicts, and the states from which it went on if it `stops` after each frame."""
    looks: dict[int, Embedding] = {}  # of the real model, which sees each frame several times

    def look(picture: Picture) -> Embedding:
        if id(picture) not in looks:
            looks[id(picture)] = lite0()(picture)
        return looks[id(picture)]

    embed = look if limits.regions == LIMITS.regions else lite0()
    sifter = Sifter(limits, embed, Gallery(size), model="lite0")
    verdicts: list[Verdict] = []
    states: list[bytes] = []
    position = stopped = 0
    while position < len(frames):
        verdicts += sifter.offer(frames[position])
        position += 1
        if stops and position > stopped:
            stopped = position
            states.append(sifter.state())
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(size, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = Sifter(limits, embed, gallery, states[-1], model="lite0")
    return verdicts + sifter.flush(), states


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("world", WORLDS)
def test_a_stop_after_any_frame_changes_no_field_of_any_record(world: str, setting: str) -> None:
    frames, (limits, size) = WORLDS[world](), SETTINGS[setting]
    undisturbed, _ = sifted(frames, limits, size, stops=False)
    told = [(each.decision, each.other_view) for each in undisturbed]
    assert sum(each.is_kept for each in undisturbed) > 1
    verdicts, _ = sifted(frames, limits, size, stops=True)
    assert [(each.decision, each.other_view) for each in verdicts] == told


def test_the_worlds_above_leave_something_of_each_kind_in_the_state() -> None:
    names: set[str] = set()
    unshown_s = 0.0
    for world, setting in (("pan", "normal"), ("lamps", "normal"), ("gone", "sensitive")):
        for state in sifted(WORLDS[world](), *SETTINGS[setting], stops=True)[1]:
            with np.load(io.BytesIO(state)) as arrays:
                names |= {name for name in arrays if arrays[name].size}
                unshown_s = max(unshown_s, float(arrays["unshown_s"]))
    colours = {"seen_colours", "previous_chroma", "background_chroma"}
    assert colours | {"move", "last_move", "last_unsettled", "background_shown"} <= names
    assert unshown_s > 1
