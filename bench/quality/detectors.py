"""What the detectors find on labelled footage, and what a picture costs.

    python bench/quality/detectors.py [--media DIR] [--only cost,road,people,animals,faces]

cost      milliseconds for each picture of 1080p, one thread, beside the trunk embedder; least of 15
          rounds in turns. Their ratio holds across machines
road      two clips of a road: events in which some frame shows a vehicle, empty frames that show
          none, and the same with squares around what differs from the empty road
people    people of 30 to 85 pixels, cut out of real footage, over its own empty view enlarged to
          1080p: found at their place, in the whole picture and with a square; looks that find
          somebody where nobody is. A clip in which there are always people
animals   photographs of camera traps: those in which some animal is found
faces     an astronaut, somebody in a car and somebody at a desk, as they are and smaller

Every fifth frame of a clip is looked at. Confidences: 0.2, 0.3, 0.4, 0.5.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import people as walkers

import labels
from labels import Span
from stillsift.arrays import Image
from stillsift.decisions import Box
from stillsift.detection import (
    Detection,
    Detector,
    crops,
    detect_around,
    detectors,
    open_detector,
)
from stillsift.embedding import Embedder
from stillsift.embedding.manifest import manifest
from stillsift.embedding.onnx_model import load
from stillsift.frames import ArrayPicture

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
LEAST = (0.2, 0.3, 0.4, 0.5)
STEP = 5
VEHICLES = frozenset({"car", "truck", "bus", "motorcycle", "train"})
ANIMALS = frozenset(
    {"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}
)
HEIGHTS = ((30, 45), (45, 60), (60, 86))
PEOPLE = 24
"""For each range of heights."""

Look = Callable[[Image], list[Detection]]


def opened(name: str) -> Detector:
    return open_detector(detectors()[name], "cpu")


def frames(path: Path) -> Iterator[tuple[int, Image]]:
    capture = cv2.VideoCapture(str(path))
    number = 0
    while True:
        done, picture = capture.read()
        if not done:
            return
        if number % STEP == 0:
            yield number, np.asarray(picture, np.uint8)
        number += 1


def best(found: list[Detection], wanted: frozenset[str]) -> float:
    return max((each.confidence for each in found if each.label in wanted), default=0.0)


def shares(confidences: list[float]) -> str:
    """How many reach each confidence, of how many."""
    counts = [sum(each >= least for each in confidences) for least in LEAST]
    return " ".join(f"{count:5}" for count in counts) + f"  of {len(confidences)}"


def told(what: str, confidences: list[float]) -> None:
    print(f"  {what:52}{shares(confidences)}", flush=True)


# -- cost ------------------------------------------------------------------------------------------


def cost(media: Path) -> None:
    del media
    picture = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    embedder = Embedder(load(manifest()["efficientnet-lite0-trunk-int8"], "cpu"))
    runs: dict[str, Callable[[], object]] = {
        "efficientnet-lite0-trunk-int8": lambda: embedder(ArrayPicture(picture))
    }
    for name in detectors():
        detector = opened(name)
        runs[name] = lambda detector=detector: detector(picture, 0.3)  # type: ignore[misc]
        runs[f"{name}, a square"] = (
            lambda detector=detector: detector(  # type: ignore[misc]
                picture[:240, :240], 0.3
            )
        )
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(15):
        for name, run in runs.items():
            since = time.thread_time()
            run()
            took[name].append((time.thread_time() - since) * 1000)
    least = {name: min(some) for name, some in took.items()}
    for name, milliseconds in least.items():
        ratio = milliseconds / least["efficientnet-lite0-trunk-int8"]
        print(f"  {name:34}{milliseconds:7.1f} ms {ratio:6.1f} x the embedder")


# -- roads -----------------------------------------------------------------------------------------


def road(media: Path) -> None:
    nanodet = opened("nanodet-416")
    for name in ("intel_car-detection.mp4", "bgs_overhead_road.avi"):
        path = media / "a" / name
        (clip,) = (clip for clip in labels.labelled(media) if clip.path == path)
        events = list(clip.events)
        pictures = list(frames(path))
        empty = np.median([p for n, p in pictures if not _inside(n, events)][::2], axis=0)
        looks: dict[str, Look] = {
            "whole": lambda picture: nanodet(picture, 0.1),
            "with squares": lambda picture: detect_around(
                nanodet,
                picture,
                changed(picture, empty),  # noqa: B023  used before the next clip
                0.1,
            ),
        }
        squares = [len(crops(p.shape, changed(p, empty))) for _, p in pictures]
        print(f" {name}: {np.mean(squares):.1f} squares a frame")
        for look_name, look in looks.items():
            found = {number: best(look(picture), VEHICLES) for number, picture in pictures}
            told(
                f"{look_name}: events with a vehicle",
                [max(found[n] for n in found if _inside(n, [event])) for event in events],
            )
            told(f"{look_name}: frames of events", [found[n] for n in found if _inside(n, events)])
            told(
                f"{look_name}: empty frames with a vehicle",
                [found[n] for n in found if not _inside(n, events)],
            )


def _inside(number: int, spans: list[Span]) -> bool:
    return any(span.holds(number) for span in spans)


def changed(picture: Image, empty: Image) -> list[Box]:
    """The three largest places that differ from the empty view, in pixels."""
    differs = np.abs(picture.astype(np.int16) - empty.astype(np.int16)).max(2) > 40
    mask = cv2.dilate(differs.astype(np.uint8), np.ones((9, 9), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
    large = sorted((b for b in boxes[1:].tolist() if b[4] > 300), key=lambda b: -b[4])
    return [(x, y, x + w, y + h) for x, y, w, h, _ in large[:3]]


# -- people ----------------------------------------------------------------------------------------


def people(media: Path) -> None:
    nanodet = opened("nanodet-416")
    somebody = frozenset({"person"})
    empty, some = walkers.pedestrians(media)
    view = np.asarray(cv2.resize(empty, (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)
    rng = np.random.default_rng(1)
    for low, high in HEIGHTS:
        these = [each for each in some if low <= len(each.alpha) < high]
        whole, around = [], []
        for _ in range(PEOPLE):
            cut = these[int(rng.integers(len(these)))]
            height, width = cut.alpha.shape
            x, y = int(rng.integers(50, 1870 - width)), int(rng.integers(350, 1030 - height))
            picture = view.copy()
            walkers.paste(picture, cut, x, y)
            place = (x, y, x + width, y + height)
            whole.append(best(_at(nanodet(picture, 0.1), place), somebody))
            found = detect_around(nanodet, picture, [place], 0.1)
            around.append(best(_at(found, place), somebody))
        told(f"{low} to {high - 1} pixels of 1080, whole: found", whole)
        told(f"{low} to {high - 1} pixels of 1080, with a square: found", around)
    told("the empty view, whole: somebody", [best(nanodet(view, 0.1), somebody)])
    nobody = []
    for _ in range(60):
        x, y = int(rng.integers(0, 1920 - 240)), int(rng.integers(0, 1080 - 240))
        nobody.append(best(nanodet(view[y : y + 240, x : x + 240], 0.1), somebody))
    told("squares of the empty view: somebody", nobody)
    path = media / "a" / "opencv_vtest_pets09s2l1.avi"
    told(
        f"{path.name}, people in every frame: frames with somebody",
        [best(nanodet(picture, 0.1), somebody) for _, picture in frames(path)],
    )


def _at(found: list[Detection], place: Box) -> list[Detection]:
    """Findings whose centre lies in a place."""
    return [
        each
        for each in found
        if place[0] <= (each.box[0] + each.box[2]) / 2 <= place[2]
        and place[1] <= (each.box[1] + each.box[3]) / 2 <= place[3]
    ]


# -- animals, faces --------------------------------------------------------------------------------


def animals(media: Path) -> None:
    nanodet = opened("nanodet-416")
    paths = sorted((media / "f" / "ena24").glob("*.jpg"))
    pictures = [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]
    told("photographs with an animal", [best(nanodet(p, 0.1), ANIMALS) for p in pictures])
    empty = [p for name in ("d/dvrscan_brightness_change.avi",) for _, p in frames(media / name)]
    told(
        "frames of an empty street with an animal", [best(nanodet(p, 0.1), ANIMALS) for p in empty]
    )


def faces(media: Path) -> None:
    from skimage import data

    centerface = opened("centerface-640")
    face = frozenset({"face"})
    astronaut = data.astronaut()[..., ::-1]
    for height in (117, 60, 40, 30, 20, 15):
        factor = height / 117
        size = round(512 * factor)
        small = cv2.resize(astronaut, (size, size), interpolation=cv2.INTER_AREA)
        picture = np.full((720, 1280, 3), 114, np.uint8)
        picture[: len(small), : len(small)] = small[:720]
        found = centerface(picture, 0.05)
        print(f"  an astronaut, her face {height:3} pixels of 720: {best(found, face):.2f}")
    for name in ("c/intel_asl_walk.mkv", "c/intel_asl_book.mkv"):
        told(
            f"{name}: frames with a face",
            [best(centerface(p, 0.1), face) for _, p in frames(media / name)],
        )
    for name in ("a/bgs_overhead_road.avi", "b/udacity_solidWhiteRight.mp4"):
        told(
            f"{name}, nobody: frames with a face",
            [best(centerface(p, 0.1), face) for _, p in frames(media / name)],
        )


PARTS = {"cost": cost, "road": road, "people": people, "animals": animals, "faces": faces}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--media", type=Path, default=MEDIA, metavar="DIR")
    parser.add_argument("--only", metavar="PART,PART", default=",".join(PARTS))
    given = parser.parse_args()
    if not given.media.is_dir():
        raise SystemExit(f"{given.media}: no labelled media there; name them with --media")
    print(f"  {'confidence':52}" + " ".join(f"{least:5}" for least in LEAST))
    for name in given.only.split(","):
        print(name)
        PARTS[name](given.media)
    return 0


if __name__ == "__main__":
    sys.exit(main())
