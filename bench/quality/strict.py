"""Strict misses: frames of a static camera that no kept frame shows, with `news: changes`.

    python bench/quality/strict.py [--media DIR]

A frame is missed if more than 0.5 % of its pixels (80 x 45, grey) differ by more than 20 levels
from each kept frame. Every frame of the clip counts, looked at or not. Beside stillsift stand
ffmpeg's mpdecimate, as many frames at even distances, and what no method can do without: a greedy
cover that knows all frames beforehand, and the frames that only they themselves show.

Three clips of 10 frames/s. `crowd` are real pedestrians. `walkers` are the same people cut out and
sent one or two at a time over the same place, and `room` lets them enter a drawn room, stop, turn
and leave; both have sensor noise, and are coded as a camera would.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import methods
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench" / "strict"
MEDIA = ROOT.parent / "shared" / "media"
SIZE, LEVELS, SHARE = (80, 45), 20, 0.005
RATE = 10
CROWD, ROOM = 795, 1392
SENSITIVITIES = ("lowest", "low", "normal", "high", "highest")
DECIMATE = ("hi=768:lo=320:frac=0.33", "hi=3072:lo=1280:frac=0.33", "hi=6144:lo=2560:frac=0.01")
DECIMATE += ("hi=6144:lo=3200:frac=0.01", "hi=6144:lo=3840:frac=0.01", "hi=6144:lo=4500:frac=0.01")

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


# -- the clips -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Somebody who walks, cut out of real frames: (height, width, 3) and (height, width) each."""

    pictures: list[Image]
    cutouts: list[Floats]


def frames_of(clip: Path) -> list[Image]:
    capture, frames = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        frames.append(np.asarray(read[1], np.uint8))
    return frames


def walks(frames: list[Image], empty: Image) -> list[Walk]:
    """People who walk by themselves for four seconds or more, the longest walk first."""
    going: list[tuple[tuple[float, float], Walk]] = []
    done: list[Walk] = []
    for frame in frames:
        apart = cv2.absdiff(frame, empty).max(2)
        mask = (cv2.GaussianBlur(apart, (0, 0), 1.5) > 22).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 3))), np.uint8)
        _, marks, boxes, centres = cv2.connectedComponentsWithStats(mask)
        next_going = []
        for mark, (left, top, width, height, area) in enumerate(boxes.tolist()):
            inside = left > 2 and top > 2 and left + width < 766 and top + height < 574
            if mark == 0 or not inside or not 600 < area < 4000 or height < 1.6 * width:
                continue
            rows, columns = slice(top - 2, top + height + 2), slice(left - 2, left + width + 2)
            cutout = (marks[rows, columns] == mark).astype(np.float32)
            picture, soft = frame[rows, columns].copy(), cv2.GaussianBlur(cutout, (0, 0), 1.0)
            x, y = centres[mark]
            near = [g for g in going if abs(g[0][0] - x) < 14 and abs(g[0][1] - y) < 10]
            walk = near[0][1] if len(near) == 1 else Walk([], [])
            going = [g for g in going if g[1] is not walk]
            walk.pictures.append(picture)
            walk.cutouts.append(np.asarray(soft, np.float32))
            next_going.append(((x, y), walk))
        done += [walk for _, walk in going]
        going = next_going
    done += [walk for _, walk in going]
    return sorted((w for w in done if len(w.pictures) >= 40), key=lambda w: -len(w.pictures))


def put(
    scene: Image, walk: Walk, step: int, foot: tuple[float, float], tall: float, flip: bool
) -> None:
    """Draws somebody `tall` pixels high into the scene, feet at `foot` (x, y)."""
    steps = len(walk.pictures)
    place = step % (2 * steps - 2)
    place = place if place < steps else 2 * steps - 2 - place
    picture, cutout = walk.pictures[place], walk.cutouts[place]
    usual = float(np.median([len(each) for each in walk.pictures]))
    scale = tall / usual
    size = (max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale)))
    picture, cutout = cv2.resize(picture, size), cv2.resize(cutout, size)
    if flip:
        picture, cutout = picture[:, ::-1], cutout[:, ::-1]
    left, top = round(foot[0] - size[0] / 2), round(foot[1] - size[1])
    height, width = scene.shape[:2]
    x0, x1 = max(left, 0), min(left + size[0], width)
    y0, y1 = max(top, 0), min(top + size[1], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    share = cutout[part][..., None]
    under = scene[y0:y1, x0:x1]
    scene[y0:y1, x0:x1] = (picture[part] * share + under * (1 - share)).astype(np.uint8)


def drawn_room(rng: np.random.Generator) -> Image:
    """A wall with a window, a picture and a door, a floor with boards, a table and a shelf."""
    height, width = 480, 640
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    room = np.empty((height, width, 3), np.float32)
    room[:] = np.array([150, 165, 172], np.float32) - across[..., None] / width * 30
    boards = 90 + 14 * (np.floor(across / 46 + (down - 330) / 90) % 2) + (down - 330) / 6
    room[330:] = (boards[..., None] * np.array([0.62, 0.8, 1.0], np.float32))[330:]
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 2)
    room += grain[..., None] * 22
    cv2.rectangle(room, (40, 120), (130, 400), (52, 70, 96), -1)  # the door
    cv2.circle(room, (118, 265), 5, (120, 190, 210), -1)
    cv2.rectangle(room, (260, 60), (400, 190), (225, 228, 220), -1)  # the window
    cv2.line(room, (330, 60), (330, 190), (90, 90, 90), 5)
    cv2.rectangle(room, (260, 60), (400, 190), (90, 90, 90), 5)
    cv2.rectangle(room, (470, 150), (600, 340), (70, 88, 104), -1)  # the shelf
    for row in range(4):
        for book in range(8):
            colour = rng.integers(40, 220, 3).tolist()
            left, top = 476 + 15 * book, 156 + 46 * row
            cv2.rectangle(room, (left, top), (left + 12, top + 38), colour, -1)
    cv2.rectangle(room, (300, 350), (460, 366), (60, 98, 140), -1)  # the table
    for leg in (308, 446):
        cv2.rectangle(room, (leg, 366), (leg + 8, 440), (50, 80, 120), -1)
    return np.asarray(np.clip(cv2.GaussianBlur(room, (0, 0), 0.8), 0, 255), np.uint8)


def encoded(path: Path, frames: list[Image], rng: np.random.Generator) -> Path:
    """An H.264 clip with sensor noise that appears at `path` when it is whole."""
    height, width = frames[0].shape[:2]
    part = path.with_suffix(".part.mp4")
    asked = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    asked += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-", "-c:v", "libx264"]
    asked += [
        "-preset",
        "veryfast",
        "-crf",
        "26",
        "-pix_fmt",
        "yuv420p",
        "-threads",
        "1",
        str(part),
    ]
    noise = rng.normal(0, 3, (8, height, width, 1)).astype(np.float32)
    with subprocess.Popen(asked, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for frame in frames:
            field = np.roll(noise[rng.integers(8)], tuple(rng.integers(0, height, 2)), (0, 1))
            noisy = np.clip(frame + field, 0, 255).astype(np.uint8)
            process.stdin.write(noisy.tobytes())
    if process.returncode != 0:
        raise SystemExit(f"ffmpeg ended with {process.returncode}")
    part.rename(path)
    return path


def room(path: Path, people: list[Walk]) -> Path:
    """People enter a room, one to three at a time, stop for some seconds, turn, and leave."""
    rng = np.random.default_rng(11)
    empty = drawn_room(rng)
    frames = [empty.copy() for _ in range(ROOM)]
    start = 40
    while start < ROOM - 150:
        last = start
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            walk = people[rng.integers(len(people))]
            at, x, step = start + int(rng.integers(0, 15)), 85.0, 0
            # A step of 10 to 16 pixels is 1.0 to 1.6 m/s where somebody is 190 pixels high.
            pace, deep = float(rng.uniform(10, 16)), float(rng.uniform(400, 470))
            tall = 190 * deep / 430
            stops = [*rng.uniform(180, 560, rng.integers(1, 3)).tolist(), 60.0]
            for stop in stops:
                left = stop < x
                while abs(stop - x) > pace and at < ROOM:
                    x += -pace if left else pace
                    step, at = step + 1, at + 1
                    put(frames[at - 1], walk, step, (x, deep), tall, left)
                if stop == stops[-1]:
                    break
                for waited in range(int(rng.integers(90, 220))):
                    if at < ROOM:
                        shift = 2.5 * np.sin(waited / 9)  # nobody stands like a statue
                        turned = left != (waited % 70 > 50)
                        put(frames[at], walk, step, (x + shift, deep), tall, turned)
                        at += 1
            last = max(last, at)
        start = last + int(rng.integers(30, 100))
    return encoded(path, frames, rng)


def walkers(path: Path, people: list[Walk], empty: Image) -> Path:
    """Pedestrians cross a place, one or two at a time, with pauses between."""
    rng = np.random.default_rng(12)
    frames = [empty.copy() for _ in range(CROWD)]
    start = 20
    while start < CROWD - 60:
        last = start
        for _ in range(rng.choice([1, 1, 2])):
            walk = people[rng.integers(len(people))]
            left, pace = bool(rng.integers(2)), float(rng.uniform(5, 9))
            deep, at = float(rng.uniform(220, 500)), start
            x, step = (780.0 if left else -12.0), 0
            until = float(rng.uniform(200, 560)) if rng.integers(2) else (-12.0 if left else 780.0)
            while abs(until - x) > pace and at < CROWD:
                x += -pace if left else pace
                put(frames[at], walk, step, (x, deep), 40 + deep / 7, left)
                step, at = step + 1, at + 1
            last = max(last, at)
        start = last + int(rng.integers(50, 110))
    return encoded(path, frames, rng)


def clips(media: Path) -> dict[str, Path]:
    crowd = media / "a/opencv_vtest_pets09s2l1.avi"
    if not crowd.is_file():
        raise SystemExit(f"{crowd}: not there; name the labelled media with --media")
    made = {"crowd": crowd, "walkers": CACHE / "walkers.mp4", "room": CACHE / "room.mp4"}
    if not all(path.is_file() for path in made.values()):
        CACHE.mkdir(parents=True, exist_ok=True)
        frames = frames_of(crowd)
        empty = np.median(np.stack(frames[::12]), 0).astype(np.uint8)
        people = walks(frames, empty)[:12]
        walkers(made["walkers"], people, empty)
        room(made["room"], people)
    return made


# -- the measure -----------------------------------------------------------------------------------


def small(clip: Path) -> Image:
    """(n, 45 * 80) grey, every frame of the clip."""
    grey = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames_of(clip))
    sized = [cv2.resize(each, SIZE, interpolation=cv2.INTER_AREA).reshape(-1) for each in grey]
    return np.asarray(np.stack(sized), np.uint8)


def changed(pictures: Image) -> Floats:
    """(n, n) share of the pixels that differ between any two frames."""
    wide = pictures.astype(np.int16)
    rows = [(np.abs(wide - each) > LEVELS).mean(1) for each in wide]
    return np.asarray(np.stack(rows), np.float32)


def missed(apart: Floats, kept: list[int]) -> int:
    """Frames further than `SHARE` from every kept one."""
    return int((apart[:, kept].min(1) > SHARE).sum()) if kept else len(apart)


def cover(apart: Floats, most: int) -> list[int]:
    """Frames that leave `most` missed, each the one that shows most of what is left."""
    shows = apart <= SHARE
    left, kept = np.ones(len(apart), np.bool_), []
    while left.sum() > most:
        kept.append(int((shows & left).sum(1).argmax()))
        left &= ~shows[kept[-1]]
    return kept


def alone(apart: Floats) -> int:
    """Frames that no other frame shows: each is kept or missed, whatever the method."""
    return int(((apart <= SHARE).sum(1) == 1).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The clips that are judged together."""

    clips: list[Path]
    apart: list[Floats]

    @property
    def frames(self) -> int:
        return sum(len(each) for each in self.apart)

    def line(self, name: str, kept: list[list[int]]) -> None:
        count = sum(len(each) for each in kept)
        lost = sum(missed(apart, some) for apart, some in zip(self.apart, kept, strict=True))
        print(f"| {name} | {count} | {lost / self.frames:.1%} |", flush=True)

    def floors(self) -> None:
        """Prints what the clips allow at best."""
        everything = np.ones((self.frames, self.frames), np.float32)
        at = 0
        for apart in self.apart:
            everything[at : at + len(apart), at : at + len(apart)] = apart
            at += len(apart)
        few = int(0.02 * self.frames)
        print(f"| frames that no other shows, less 2 % | {alone(everything) - few} | 2.0% |")
        for name, most in (("all frames known, 2 % missed", few), ("all frames known", 0)):
            kept = cover(everything, most)
            print(f"| {name} | {len(kept)} | {missed(everything, kept) / self.frames:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    parser.add_argument("--engine", default=f"{methods.ENGINE} --set news=changes")
    arguments = parser.parse_args()
    made = clips(arguments.media)
    apart = {name: changed(small(path)) for name, path in made.items()}
    for names in (("walkers", "room"), ("crowd", "room")):
        judged = Judged([made[name] for name in names], [apart[name] for name in names])
        print(f"\n{' and '.join(names)}, {judged.frames} frames")
        print("| | kept | missed |\n|---|---|---|")
        judged.floors()
        for word in SENSITIVITIES:
            command = f"{arguments.engine} --set sensitivity={word}"
            kept = [[k.frame for k in methods.engine(path, command)] for path in judged.clips]
            judged.line(f"stillsift, {word}", kept)
        for options in DECIMATE:
            kept = [methods.mpdecimate(path, options) for path in judged.clips]
            judged.line(f"mpdecimate {options}", kept)
        for every in (2, 3, 4, 5, 8):
            kept = [list(range(0, len(each), every)) for each in judged.apart]
            judged.line(f"every {every}th frame", kept)


if __name__ == "__main__":
    main()
