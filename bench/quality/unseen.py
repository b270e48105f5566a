"""Footage that nobody tuned on: nine kinds of clip that the labelled media do not hold.

Composed of pictures that the packages scikit-image and scikit-learn carry (CC0, public domain, and
two of CC BY 2.0: danielbuechele, vultilion) and of drawn parts, under sensor noise, drifting
exposure and H.264. Labels come from the composition: an event lasts while what it names is whole
in the picture. Kept apart: the clips and labels were written before the rule ran over them; only
totals are printed, and neither the clips nor the rule were changed for what they showed. Where
a single clip has to be looked at, it belongs to the tuned ones from then on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import plots
from bench import Bench
from days import HEIGHT, WIDTH, Image, Weather, filled, made, read_still
from methods import engine, look, spread, uniform
from people import Cutout, paste
from scores import HEAD, Score, line, score, total

from labels import Labelled, Span
from stillsift.selection.sensitivity import Sensitivity

RATE = 10
VERSION = 1
Draw = Callable[[float], Image]
"""The picture at a time in seconds."""
Timed = tuple[float, float, str]
"""From, to, what."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One clip before noise and coding."""

    name: str
    seconds: float
    draw: Draw
    events: list[Timed]
    nothing: list[Timed]
    noise: float = 2.5
    drift: float = 0.04
    """Share by which the exposure drifts to and fro within a minute."""


class Pictures:
    """Pictures that installed packages carry."""

    def __init__(self) -> None:
        """Raises SystemExit where a package is missing."""
        self._folders = []
        for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
            found = importlib.util.find_spec(package)
            if found is None or found.origin is None:
                raise SystemExit("unseen: needs the pictures of `pip install 'stillsift[bench]'`")
            self._folders.append(Path(found.origin).parent / folder)

    def read(self, name: str, width: int, height: int) -> Image:
        """A picture cut to the shape asked for, in the middle, and resized."""
        paths = [folder / name for folder in self._folders if (folder / name).is_file()]
        return filled(read_still(paths[0]), width, height)


def _oval(picture: Image) -> Cutout:
    alpha = np.zeros(picture.shape[:2], np.float32)
    centre = (picture.shape[1] // 2, picture.shape[0] // 2)
    cv2.ellipse(alpha, centre, (centre[0] - 2, centre[1] - 2), 0, 0, 360, 1.0, -1)
    return Cutout(picture, np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.0), np.float32))


def _plain(picture: Image) -> Cutout:
    return Cutout(picture, np.ones(picture.shape[:2], np.float32))


def _tinted(picture: Image, colour: tuple[float, float, float]) -> Image:
    """A grey texture in a colour, BGR shares."""
    return np.asarray(np.clip(picture * np.array(colour, np.float32), 0, 255), np.uint8)


def _ground(colour: tuple[int, int, int]) -> Image:
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def _written(image: Image, text: str, x: int, y: int, size: float = 0.5, level: int = 30) -> None:
    where, face = (x, y), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, text, where, face, size, (level, level, level), 1, cv2.LINE_AA)


WORDS = [
    "river",
    "stone",
    "window",
    "market",
    "paper",
    "silver",
    "engine",
    "morning",
    "letter",
    "yellow",
    "garden",
    "bridge",
]


def _sentence(rng: np.random.Generator, words: int) -> str:
    return " ".join(str(word) for word in rng.choice(WORDS, words))


def _person(pictures: Pictures, shirt: str, colour: tuple[float, float, float]) -> Cutout:
    """Somebody drawn from the front, 60 x 150, with the texture of a picture as clothes."""
    body = np.full((150, 60, 3), 60, np.uint8)
    alpha = np.zeros((150, 60), np.float32)
    body[32:95] = _tinted(pictures.read(shirt, 60, 63), colour)
    cv2.ellipse(alpha, (30, 62), (24, 34), 0, 0, 360, 1.0, -1)
    for left in (14, 33):
        cv2.rectangle(alpha, (left, 88), (left + 13, 148), 1.0, -1)
    cv2.circle(alpha, (30, 18), 14, 1.0, -1)
    cv2.circle(body, (30, 18), 15, (140, 170, 215), -1)
    cv2.ellipse(body, (30, 11), (15, 9), 0, 180, 360, (30, 40, 60), -1)
    return Cutout(body, np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.8), np.float32))


def lecture(pictures: Pictures, rng: np.random.Generator) -> Scene:
    """A presenter beside slides; each slide is an event."""
    names = ("rocket.jpg", "retina.jpg", "moon.png", "china.jpg", "cell.png", "coffee.png")
    presenter, slides = _person(pictures, "brick.png", (0.9, 0.6, 0.5)).sized(210), []
    for number, name in enumerate(names):
        slide = np.full((260, 400, 3), 240, np.uint8)
        _written(slide, f"{number + 1}. {_sentence(rng, 3)}", 20, 34, 0.8)
        for row in range(5):
            _written(slide, f"- {_sentence(rng, 3)}", 20, 80 + 32 * row, 0.45)
        slide[70:230, 210:385] = pictures.read(name, 175, 160)
        slides.append(slide)
    wall = _ground((95, 105, 110))

    def draw(t: float) -> Image:
        image = wall.copy()
        image[30:290, 40:440] = slides[min(int(t / 12), len(slides) - 1)]
        x = 500 + 45 * np.sin(t / 3.1) + 12 * np.sin(t * 1.3)
        paste(image, presenter, round(x), round(140 + 3 * np.sin(t * 2.2)))
        return image

    events = [(12 * i + 0.2, 12 * i + 11.8, f"slide {i + 1}") for i in range(len(slides))]
    return Scene("lecture", 72, draw, events, [])


def screencast(pictures: Pictures, rng: np.random.Generator) -> Scene:
    """Windows that open and close on a desktop, and a page of text that scrolls on."""
    desk = np.asarray(pictures.read("hubble_deep_field.jpg", WIDTH, HEIGHT) // 2 + 20, np.uint8)
    cv2.rectangle(desk, (0, HEIGHT - 22), (WIDTH, HEIGHT), (70, 70, 70), -1)
    text = np.full((1200, 300, 3), 250, np.uint8)
    for row in range(66):
        _written(text, _sentence(rng, 4), 12, 20 + 18 * row, 0.42)
    shown = ("chelsea.png", "flower.jpg", "ihc.png", "astronaut.png")
    windows = [pictures.read(name, 240, 180) for name in shown]
    opened = [(5 + 14 * i, 5 + 14 * i + 9.0, name) for i, name in enumerate(shown)]

    def draw(t: float) -> Image:
        image = desk.copy()
        if t >= 60:
            page = int(min((t - 60) // 8, 3))
            cv2.rectangle(image, (38, 18), (342, 322), (160, 120, 60), -1)
            image[40:320, 40:340] = text[280 * page : 280 * page + 280]
        for number, (began, ended, name) in enumerate(opened):
            if began <= t < ended:
                x, y = 60 + 70 * number, 30 + 25 * number
                cv2.rectangle(image, (x - 2, y - 20), (x + 242, y + 182), (170, 130, 70), -1)
                _written(image, name, x + 4, y - 6, 0.45, 255)
                image[y : y + 180, x : x + 240] = windows[number]
        mouse = (int(320 + 200 * np.sin(t / 2.7)), int(180 + 110 * np.sin(t / 3.9)))
        cv2.circle(image, mouse, 4, (255, 255, 255), -1)
        return image

    events = [(began, ended - 0.2, f"window {name}") for began, ended, name in opened]
    events += [(60 + 8 * page, 67.8 + 8 * page, f"page {page + 1}") for page in range(4)]
    return Scene("screencast", 92, draw, events, [(0.3, 4.8, "desktop")], 0.0, 0.0)


def shelf(pictures: Pictures, _: np.random.Generator) -> Scene:
    """Things put on a table by a hand, and taken again, seen from above."""
    table = _tinted(pictures.read("brick.png", WIDTH, HEIGHT), (0.35, 0.55, 0.8))
    table = np.asarray(cv2.GaussianBlur(table, (0, 0), 2), np.uint8)
    names = ("coffee.png", "coins.png", "chelsea.png", "flower.jpg", "color.png", "text.png")
    places = [(60, 60), (250, 40), (450, 70), (90, 220), (280, 210), (470, 220)]
    things = [_plain(pictures.read(name, 90, 75)) for name in names]
    for thing in things:
        cv2.rectangle(thing.picture, (0, 0), (89, 74), (40, 40, 40), 2)
    put = [8.0 + 12 * i for i in range(len(names))]
    taken = [began + 30 for began in put]

    def draw(t: float) -> Image:
        image = table.copy()
        for thing, (x, y), began, ended in zip(things, places, put, taken, strict=True):
            if began <= t < ended:
                paste(image, thing, x, y)
        for (x, y), at_s in [*zip(places, put, strict=True), *zip(places, taken, strict=True)]:
            share = 1 - abs(t - at_s) / 1.2
            if share > 0:
                tip = (x + 45, round(HEIGHT + 40 - (HEIGHT - y) * share))
                elbow = (x + 70, HEIGHT + 60)
                cv2.line(image, elbow, tip, (60, 70, 130), 40, cv2.LINE_AA)
                cv2.circle(image, tip, 26, (150, 175, 220), -1, cv2.LINE_AA)
        return image

    events = [
        (at_s + 1.2, at_s + 10.6, f"{name} put") for name, at_s in zip(names, put, strict=True)
    ]
    return Scene("shelf", 112, draw, events, [(0.3, 6.6, "empty table")])


def night(pictures: Pictures, rng: np.random.Generator) -> Scene:
    """A street with lamps at night; cars pass behind their headlights."""
    street = np.asarray(pictures.read("china.jpg", WIDTH, HEIGHT) * 0.12, np.uint8)
    street[230:] = pictures.read("gravel.png", WIDTH, 130) // 6
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)

    def glow(x: float, y: float, radius: float) -> np.ndarray:
        return np.exp(-((across - x) ** 2 + (down - y) ** 2) / radius**2)[..., None]

    warm, white = np.array((90, 170, 220), np.float32), np.array((230, 240, 250), np.float32)
    lamps = sum(glow(x, 70, 46) for x in (90, 320, 560)) * warm
    passes = [(9.0 + 13 * i + float(rng.uniform(-2, 2)), bool(i % 2)) for i in range(6)]
    colours = [(0.9, 0.4, 0.3), (0.3, 0.4, 0.9), (0.8, 0.8, 0.8), (0.3, 0.7, 0.4)] * 2
    cars = [_tinted(pictures.read("motorcycle_left.png", 130, 50), c) for c in colours]

    def draw(t: float) -> Image:
        flicker = 1 + 0.05 * np.sin(t * 9)
        light = lamps * flicker
        image = street.copy()
        for number, (began, to_right) in enumerate(passes):
            share = (t - began) / 4.0
            if 0 <= share <= 1:
                x = -150 + (WIDTH + 300) * (share if to_right else 1 - share)
                paste(image, _oval(np.asarray(cars[number] * 0.45, np.uint8)), round(x), 235)
                front = x + (135 if to_right else -5)
                light = light + glow(front, 262, 26) * white
                light = light + glow(front + (70 if to_right else -70), 285, 75) * white * 0.3
        return np.asarray(np.clip(image + light, 0, 255), np.uint8)

    events = [(began + 0.9, began + 3.1, "a car") for began, _ in passes]
    return Scene("night street", 90, draw, events, [(0.3, 6.5, "empty street")], 7.0, 0.02)


def growth(pictures: Pictures, _: np.random.Generator) -> Scene:
    """Time lapse of a plant: it grows leaf by leaf, and flowers, while days and nights pass."""
    soil = np.asarray(cv2.GaussianBlur(_ground((150, 140, 120)), (0, 0), 3), np.uint8)
    soil[280:] = _tinted(pictures.read("gravel.png", WIDTH, 80), (0.35, 0.45, 0.6))
    leaf = _tinted(pictures.read("grass.png", 110, 46), (0.5, 1.2, 0.6))
    blossom = _oval(pictures.read("flower.jpg", 110, 110))
    began = [8.0 + 12 * i for i in range(5)]

    def draw(t: float) -> Image:
        image = soil.copy()
        tall = 210 * min(t / 60, 1.0)
        cv2.line(image, (320, 290), (320, round(290 - tall)), (50, 120, 70), 8, cv2.LINE_AA)
        for number, at_s in enumerate(began):
            share = float(np.clip((t - at_s) / 6, 0, 1))
            if share > 0.05:
                y = round(270 - 38 * number)
                grown = _oval(leaf).sized(46 * share)
                x = 322 if number % 2 else 318 - grown.alpha.shape[1]
                paste(image, grown, x, y - grown.alpha.shape[0] // 2)
        share = float(np.clip((t - 68) / 6, 0, 1))
        if share > 0.05:
            opened = blossom.sized(110 * share)
            half = opened.alpha.shape[0] // 2
            paste(image, opened, 320 - half, 82 - half)
        day = 0.8 + 0.2 * np.sin(t / 2.2)
        return np.asarray(image * day, np.uint8)

    events = [(at_s + 4.5, at_s + 12, f"leaf {i + 1}") for i, at_s in enumerate(began)]
    events.append((72.0, 84.9, "the flower is open"))
    return Scene("growth", 85, draw, events, [(0.3, 6.0, "soil")])


def zoom(pictures: Pictures, _: np.random.Generator) -> Scene:
    """A PTZ camera that goes to six views of one place, zooms in, and comes back to them."""
    place = pictures.read("motorcycle_right.png", 1480, 1000)
    views = [(740, 500, 1.0), (330, 300, 0.45), (1000, 420, 0.35), (700, 700, 0.3)]
    views += [(1200, 760, 0.42), (420, 760, 0.33)]
    order = [0, 1, 2, 3, 4, 5, 0, 2, 4]

    def draw(t: float) -> Image:
        number = min(int(t / 9), len(order) - 1)
        now, before = views[order[number]], views[order[max(number - 1, 0)]]
        share = float(np.clip((t - 9 * number) / 1.5, 0, 1))
        x, y, size = (b + (n - b) * share for n, b in zip(now, before, strict=True))
        wide = 1480 * size
        high = wide * HEIGHT / WIDTH
        left, top = np.clip(x - wide / 2, 0, 1480 - wide), np.clip(y - high / 2, 0, 1000 - high)
        cut = place[round(top) : round(top + high), round(left) : round(left + wide)]
        return np.asarray(cv2.resize(cut, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)

    events = [(9 * i + 1.6 * (i > 0), 9 * i + 8.8, f"view {i + 1}") for i in range(6)]
    again = [(9 * i + 1.7, 9 * i + 8.8, "seen before") for i in range(6, 9)]
    return Scene("zoom", 81, draw, events, again)


def room(pictures: Pictures, _: np.random.Generator) -> Scene:
    """People who enter a room one by one, stand about and leave."""
    wall = _ground((165, 170, 160))
    wall[250:] = _tinted(pictures.read("brick.png", WIDTH, 110), (0.5, 0.65, 0.8))
    cv2.rectangle(wall, (40, 90), (110, 270), (70, 90, 120), -1)
    wall[60:150, 260:380] = pictures.read("rocket.jpg", 120, 90)
    clothes = [("grass.png", (0.4, 0.9, 0.5)), ("brick.png", (0.4, 0.4, 1.2))]
    clothes += [("gravel.png", (1.2, 0.6, 0.4)), ("color.png", (1.0, 1.0, 1.0))]
    clothes += [("chessboard_GRAY.png", (0.8, 0.8, 0.8)), ("coins.png", (0.4, 0.8, 1.0))]
    people = [_person(pictures, *each).sized(175) for each in clothes]
    came = [8.0 + 14 * i for i in range(6)]
    stands = [230, 330, 430, 520, 280, 470]

    def draw(t: float) -> Image:
        image = wall.copy()
        for somebody, began, to in zip(people, came, stands, strict=True):
            there = t - began
            if 0 <= there <= 26:
                share = min(there / 4, 1.0, (26 - there) / 4)
                x = 45 + (to - 45) * share + 2 * np.sin(t * 1.7 + to)
                paste(image, somebody, round(x), round(130 + 2 * np.sin(t * 7) * (share < 1)))
        return image

    events = [(began + 0.6, began + 10, f"person {i + 1}") for i, began in enumerate(came)]
    return Scene("room", 108, draw, events, [(0.3, 7.6, "empty room")])


def feeder(pictures: Pictures, _: np.random.Generator) -> Scene:
    """Animals that come to a feeder on grass, in changing light and wind."""
    meadow = _tinted(pictures.read("grass.png", WIDTH + 20, HEIGHT), (0.45, 0.85, 0.6))
    cat = _oval(pictures.read("chelsea.png", 190, 150))
    other = _oval(_tinted(pictures.read("chelsea.png", 150, 130), (0.7, 0.6, 0.55)))
    horse = pictures.read("horse.png", 210, 180)
    dark = Cutout(np.full_like(horse, (45, 60, 85)), (horse[..., 0] < 128).astype(np.float32))
    bird = Cutout(np.full((50, 80, 3), (50, 50, 160), np.uint8), np.zeros((50, 80), np.float32))
    cv2.ellipse(bird.alpha, (36, 30), (30, 15), 0, 0, 360, 1.0, -1)
    cv2.circle(bird.alpha, (66, 18), 11, 1.0, -1)
    order = [cat, bird, dark, other, bird.flipped(), dark.flipped().sized(130)]
    came = [10.0 + 13 * i for i in range(6)]
    lefts = [330, 300, 200, 120, 360, 260]

    def draw(t: float) -> Image:
        gust = max(0.0, float(np.sin(t / 7)))
        shift = round(10 + 2 * gust * np.sin(t * 1.9))
        image = meadow[:, shift : shift + WIDTH].copy()
        cv2.rectangle(image, (270, 250), (370, 300), (60, 80, 110), -1)
        cv2.rectangle(image, (270, 250), (370, 262), (90, 120, 160), -1)
        for animal, began, left in zip(order, came, lefts, strict=True):
            there = t - began
            if 0 <= there <= 8:
                share = min(there / 1.5, 1.0, (8 - there) / 1.5)
                y = 300 - animal.alpha.shape[0] + round(3 * np.sin(t * 5))
                paste(image, animal, round(-220 + (left + 220) * share), y)
        return image

    events = [(began + 1.3, began + 6.7, f"animal {i + 1}") for i, began in enumerate(came)]
    return Scene("feeder", 92, draw, events, [(0.3, 9.8, "nobody")], 3.5, 0.12)


def belt(pictures: Pictures, _: np.random.Generator) -> Scene:
    """Parts of several kinds that pass on a belt, each kind three times; its first is an event."""
    rubber = np.asarray(pictures.read("gravel.png", WIDTH, 180) // 5 + 25, np.uint8)
    hall = np.asarray(pictures.read("camera.png", WIDTH, HEIGHT) // 3 + 40, np.uint8)
    coins = pictures.read("coins.png", 384, 303)
    parts = [
        _oval(cv2.resize(coins[265:303, 3:60], (90, 90))),
        _oval(pictures.read("color.png", 90, 90)),
    ]
    parts += [
        _plain(pictures.read("chessboard_RGB.png", 90, 60)),
        _oval(pictures.read("coffee.png", 110, 90)),
    ]
    parts += [
        _plain(pictures.read("page.png", 130, 70)),
        _oval(pictures.read("retina.jpg", 100, 100)),
    ]
    came = [6.0 + 5 * i for i in range(18)]

    def draw(t: float) -> Image:
        image = hall.copy()
        image[150:330] = np.roll(rubber, round(160 * t), 1)
        for number, began in enumerate(came):
            x = -140 + 160 * (t - began)
            if -140 < x < WIDTH:
                part = parts[number // 3]
                paste(image, part, round(x), 240 - part.alpha.shape[0] // 2)
        return image

    events = [(came[3 * i] + 0.9, came[3 * i] + 4.0, f"kind {i + 1}") for i in range(6)]
    return Scene("belt", 100, draw, events, [])


def door(pictures: Pictures, _: np.random.Generator) -> Scene:
    """A camera in a door: visitors come close, a parcel is left, and a shadow moves over all."""
    yard = pictures.read("brick.png", WIDTH, HEIGHT) // 2 + 70
    yard = _tinted(np.asarray(yard, np.uint8), (0.85, 0.95, 1.0))
    yard[:150] = pictures.read("china.jpg", WIDTH, 150)
    visitors = [
        _person(pictures, "astronaut.png", (1, 1, 1)),
        _oval(pictures.read("chelsea.png", 60, 60)),
    ]
    visitors += [
        _person(pictures, "gravel.png", (1.1, 0.9, 0.4)),
        _person(pictures, "coins.png", (0.5, 1, 0.5)),
    ]
    came, sizes = [8.0, 28.0, 48.0, 76.0], [300, 90, 310, 280]
    parcel = _plain(_tinted(pictures.read("text.png", 110, 70), (0.5, 0.7, 0.9)))
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)

    def draw(t: float) -> Image:
        image = yard.copy()
        if t >= 52:
            paste(image, parcel, 420, 270)
        for visitor, began, size in zip(visitors, came, sizes, strict=True):
            there = t - began
            if 0 <= there <= 12:
                share = min(there / 4, 1.0, (12 - there) / 4)
                somebody = visitor.sized(size * (0.25 + 0.75 * share))
                x = 250 + 60 * (1 - share)
                paste(
                    image,
                    somebody,
                    round(x),
                    round(130 + 220 * share - somebody.alpha.shape[0] / 2),
                )
        edge = 120 + 2.2 * t + 25 * np.sin(down / 40)
        shade = 1 - 0.25 / (1 + np.exp((across - edge) / 12))
        return np.asarray(image * shade[..., None], np.uint8)

    events = [(began + 2, began + 10, f"visitor {i + 1}") for i, began in enumerate(came)]
    events.append((60.5, 75.5, "a parcel lies there"))
    return Scene("door camera", 100, draw, events, [(0.3, 7.8, "nobody")], 3.0, 0.1)


SCENES = (lecture, screencast, shelf, night, growth, zoom, room, feeder, belt, door)


def clips(folder: Path) -> list[Labelled]:
    """Raises SystemExit where the packages with the pictures are missing."""
    pictures = Pictures()
    return [
        _clip(make(pictures, np.random.default_rng(seed)), folder, seed)
        for seed, make in enumerate(SCENES, 1)
    ]


def _clip(scene: Scene, folder: Path, seed: int) -> Labelled:
    def spans(some: list[Timed]) -> tuple[Span, ...]:
        return tuple(Span(round(a * RATE), round(b * RATE), what) for a, b, what in some)

    def compose(write: Callable[[Image], None], weather: Weather) -> list[Span]:
        for number in range(round(scene.seconds * RATE)):
            t = number / RATE
            gain = 1 + scene.drift * float(np.sin(t / 9.5))
            write(weather.noise(scene.draw(t), scene.noise, gain))
        return list(spans(scene.events))

    name = f"unseen_{scene.name.replace(' ', '_')}"
    clip = made(folder, name, seed, compose, rate=RATE, version=VERSION)
    return replace(clip, kind="unseen", nothing=spans(scene.nothing))


def measure(bench: Bench) -> None:
    """Prints totals only, for each sensitivity; the table by clip goes to a file, for after the
    rule is fixed."""
    try:
        some = clips(bench.cache / "unseen")
    except SystemExit as error:
        print(error)
        return
    rows: list[str] = [HEAD]
    ours: dict[Sensitivity, list[Score]] = {word: [] for word in Sensitivity}
    evenly: dict[float, list[Score]] = {factor: [] for factor in (0.5, 1.0, 2.0, 4.0)}
    for clip in some:
        looks = look(clip.path, closely=False)
        for word, scores in ours.items():
            kept = engine(clip.path, f"{bench.engine} --set sensitivity={word}")
            scores.append(score(clip, kept, looks))
        rows.append(line(clip.name, ours[Sensitivity.NORMAL][-1]))
        as_many = ours[Sensitivity.NORMAL][-1].kept
        for factor, scores in evenly.items():
            count = min(round(factor * as_many), len(looks.frames))
            scores.append(score(clip, spread(uniform(looks, count)), looks))
    print(f"\nfootage that nobody tuned on, {len(some)} clips\n{HEAD}")
    told = [line(f"stillsift, {word}", total(each)) for word, each in ours.items()]
    told += [line(f"uniform, {factor:g} times", total(each)) for factor, each in evenly.items()]
    print("\n".join(told))
    (bench.out / "unseen.txt").write_text("\n".join([*rows, *told, ""]), "utf-8")
    points = {
        "stillsift, each sensitivity": [total(each) for each in ours.values()],
        "uniform": [total(each) for each in evenly.values()],
    }
    plots.lines(
        bench.out / "unseen.png",
        {name: [(s.kept, s.hit / s.events) for s in each] for name, each in points.items()},
        "frames kept",
        "events with a kept frame",
    )
