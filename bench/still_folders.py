"""Folders of stills to time cleaning on, made out of the labelled media: the same for a seed.

`frames` is one clip as numbered stills. `photos` holds photographs with copies among them. `crowd`
holds as many photographs as asked for, small ones, made as fast as they can be. There are only a
few dozen photographs in the media, so a photograph here is a part of one of them, and no two
show the same part the same way round.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Truth = dict[str, int]
"""The number of the original that each file shows. Files with one number are copies of each other;
-1: not known."""

FULL_HD = 1920, 1080
SMALL = 640, 480
"""Pixels of the many: 100,000 of them take 6 GB."""
QUALITY = 90
CLIP = "a/opencv_vtest_pets09s2l1.avi"
"""The clip with the most frames among those of a static camera, 795; people walk in it."""
VIEWS = ("a/*.avi", "a/*.mp4", "b/*", "c/intel_asl_book*", "d/*.avi", "e/*.mp4")
"""Clips whose first bright frame is taken as a photograph; each shows another place."""
PART = 320, 240
"""Pixels, at least, of a part that is taken for a photograph: those of a quarter of the smallest
photographs. At most `ACROSS` by `ACROSS` are taken of one."""
ACROSS = 4
CONTRAST = 25
"""Standard deviation of the grey levels: parts below show sky, asphalt or night and nothing else,
and somebody who cleans a folder would not miss them."""
COPIES = ("resized", "recompressed", "brightened", "cropped")
LEAST, MOST = 0.3, 0.8
"""Height of a window of the many, of that of the view."""
SHARP = 240
"""Rows of a view, at least, in a window: what is enlarged more is dropped as blurred."""
SHARE = 0.1
"""Share of copies among the many."""


def frames(media: Path, folder: Path, number: int) -> Truth:
    """Writes the first frames of one clip; a clip that is too short begins again."""
    truth: Truth = {}
    while len(truth) < number:
        with av.open(str(media / CLIP)) as container:
            for frame in container.decode(video=0):
                if len(truth) == number:
                    break
                name = f"in{len(truth) + 1:06d}.jpg"
                picture = frame.reformat(*FULL_HD, "bgr24", interpolation="BICUBIC").to_ndarray()
                _write(folder / name, np.asarray(picture, np.uint8), number=len(truth))
                truth[name] = -1
    return truth


def photos(media: Path, folder: Path, number: int, seed: int = 1) -> Truth:
    """Writes photographs of 1080p, each with none to four copies, in no order."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(number).tolist()
    truth: Truth = {}

    def add(original: int, picture: Image, quality: int = QUALITY) -> None:
        if len(truth) < number:
            name = f"IMG_{places[len(truth)] + 1:06d}.jpg"
            _write(folder / name, picture, quality, number=len(truth))
            truth[name] = original

    for original, picture in enumerate(_originals(media)):
        if len(truth) == number:
            return truth
        add(original, picture)
        for kind in COPIES:
            if rng.random() < 0.5:
                add(original, *copy(picture, kind, rng))
    raise SystemExit(f"--number {number}: the media have photographs for {len(truth)} files only")


def crowd(media: Path, folder: Path, first: int, end: int, seed: int = 1) -> Truth:
    """Writes the photographs `first` to `end` of an endless row: what each shows depends on its
    number alone. Every tenth is a copy of another that comes before it.

    Two windows of one photograph can be nearly the same by chance.
    """
    views = [view for view in _views(media) if view.shape[0] * MOST >= SHARP]
    truth: Truth = {}
    for number in range(first, end):
        rng = np.random.default_rng((seed, number))
        name, shown = f"IMG_{number + 1:06d}.jpg", number
        if number and rng.random() < SHARE:
            shown = _copied(number, seed, rng)
            picture, quality = copy(
                _window(views, shown, seed), COPIES[int(rng.integers(len(COPIES)))], rng
            )
        else:
            picture, quality = _window(views, number, seed), QUALITY
        _write(folder / name, picture, quality, number=number)
        truth[name] = shown
    return truth


def _copied(number: int, seed: int, rng: np.random.Generator) -> int:
    """Returns the number of an original that comes before; the first one is never a copy."""
    while True:
        shown = int(rng.integers(number))
        if shown == 0 or np.random.default_rng((seed, shown)).random() >= SHARE:
            return shown


def copy(picture: Image, kind: str, rng: np.random.Generator) -> tuple[Image, int]:
    """Returns the pixels of a copy and the quality to write them with.

    The strengths are those that messengers, galleries and editors use; those of bench/quality lie
    among them.
    """
    if kind == "resized":
        factor = float(rng.uniform(0.35, 0.8))
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), QUALITY
    if kind == "recompressed":
        return picture, int(rng.integers(40, 81))
    if kind == "brightened":
        gain = float(rng.uniform(1.05, 1.15))
        return np.asarray(cv2.convertScaleAbs(picture, alpha=gain), np.uint8), QUALITY
    top, left, bottom, right = (float(cut) for cut in rng.uniform(0.0, 0.02, 4))
    height, width = picture.shape[:2]
    rows = slice(round(height * top), round(height * (1 - bottom)))
    columns = slice(round(width * left), round(width * (1 - right)))
    return picture[rows, columns], QUALITY


def _originals(media: Path) -> Iterator[Image]:
    """Yields photographs of 1080p: parts of those in the media that do not overlap, then the same
    the other way round."""
    views = list(_views(media))
    for mirrored in (False, True):
        for place in range(ACROSS**2):
            for view in views:
                height, width = view.shape[:2]
                across = max(1, min(ACROSS, width // PART[0], height // PART[1]))
                if place >= across**2:
                    continue
                part = _part(view, across, place)
                if cv2.cvtColor(part, cv2.COLOR_BGR2GRAY).std() >= CONTRAST:
                    large = cv2.resize(part, FULL_HD, interpolation=cv2.INTER_CUBIC)
                    yield np.asarray(cv2.flip(large, 1) if mirrored else large, np.uint8)


def _part(view: Image, across: int, place: int) -> Image:
    """Returns one of `across` by `across` parts of a view, cut to 16:9."""
    height, width = (side // across for side in view.shape[:2])
    top, left = height * (place // across), width * (place % across)
    wide = min(width, height * FULL_HD[0] // FULL_HD[1])
    tall = min(height, width * FULL_HD[1] // FULL_HD[0])
    top, left = top + (height - tall) // 2, left + (width - wide) // 2
    return view[top : top + tall, left : left + wide]


def _window(views: list[Image], number: int, seed: int) -> Image:
    """Returns a part of one view, anywhere in it, some mirrored, all with a colour of their own."""
    rng = np.random.default_rng((seed, number, 1))
    view = views[int(rng.integers(len(views)))]
    height, width = view.shape[:2]
    whole = min(height, width * SMALL[1] / SMALL[0])
    tall = round(rng.uniform(max(LEAST * whole, min(SHARP, MOST * whole)), MOST * whole))
    wide = round(tall * SMALL[0] / SMALL[1])
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    mode = cv2.INTER_AREA if tall > SMALL[1] else cv2.INTER_LINEAR
    picture = cv2.resize(view[top : top + tall, left : left + wide], SMALL, interpolation=mode)
    if rng.random() < 0.5:
        picture = cv2.flip(picture, 1)
    colours = np.diag(rng.uniform(0.6, 1.2, 3))[rng.permutation(3)]
    return np.asarray(cv2.transform(picture, colours), np.uint8)


def _views(media: Path) -> Iterator[Image]:
    """Yields what the media show: photographs, and one frame of each clip that has a view of its
    own. No two show the same."""
    for folder in ("f/ena24", "f/imagededup_base"):
        for path in sorted((media / folder).glob("*.jpg")):
            yield np.asarray(cv2.imread(str(path)), np.uint8)
    for pattern in VIEWS:
        for path in sorted(media.glob(pattern)):
            picture = _first_bright(path)
            if picture is not None:
                yield picture


def _first_bright(clip: Path) -> Image | None:
    """Returns the first frame that shows more than a fade; None: the clip has none."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            if picture.std() > 40:
                return picture
    return None


def _write(path: Path, picture: Image, quality: int = QUALITY, *, number: int) -> None:
    """Writes a JPEG with a number in a comment, so that no two files are the same bytes."""
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    comment = b"\xff\xfe" + struct.pack(">HQ", 10, number)
    path.write_bytes(jpeg[:2] + comment + jpeg[2:])
