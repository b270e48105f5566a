"""Slides and pages of text: each function draws one instance of a kind."""

from __future__ import annotations

import cv2
import numpy as np
from days import Image
from stage import NEARLY, Draw, Instance, Stage, Timed, progress
from unseen import WORDS

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)


class Slides:
    """Pages of one template, and what they are shown through: clean, noisy, badly coded, webcam."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        dark = stage.rng.integers(3) == 0
        self.ground = (40, 34, 30) if dark else (250, 248, 245)
        self.ink = (225, 225, 225) if dark else (35, 30, 30)
        self.mark = (90, 80, 20) if dark else (120, 240, 250)
        self.face = _FONTS[stage.any(0, 1, 2)]
        self.webcam = stage.rng.integers(4) == 0
        clean, noisy, poor = (0.0, 20), (stage.between(2, 4), 26), (0.0, stage.any(34, 37))
        stage.noise, stage.crf = (clean, noisy, poor)[stage.any(0, 1, 2)]
        self.size = stage.height / 360 * (0.75 if stage.crf >= 34 else stage.between(0.5, 0.75))
        self.row = round(46 * self.size + 4)

    def sentence(self, words: int) -> str:
        return " ".join(str(word) for word in self.stage.rng.choice(WORDS, words))

    def blank(self, height: int = 0) -> Image:
        tall = max(height, self.stage.height)
        return np.full((tall, self.stage.width, 3), self.ground, np.uint8)

    def write(self, page: Image, text: str, x: int, y: int, size: float = 1.0) -> None:
        thick = 2 if size * self.size > 0.9 else 1
        cv2.putText(page, text, (x, y), self.face, size * self.size, self.ink, thick, cv2.LINE_AA)

    def line(self, page: Image, number: int, text: str) -> None:
        self.write(page, f"- {text}", self.stage.width // 14, self.top(number))

    def top(self, number: int) -> int:
        return round(self.stage.height * 0.28) + number * self.row

    @property
    def lines(self) -> int:
        return min(6, (self.stage.height - self.top(0) - 10) // self.row)

    def page(self, lines: int, title: str = "") -> Image:
        page = self.blank()
        self.write(page, title or self.sentence(2), self.stage.width // 16, self.top(-1) - 8, 1.6)
        for number in range(lines):
            self.line(page, number, self.sentence(3))
        return page

    def shown(
        self, pages: list[Image], stays: list[float], states: list[Timed], most: int
    ) -> Instance:
        """Shows pages one after the other, each for its time in seconds."""
        ends = np.cumsum(stays)

        def draw(t: float) -> Image:
            return pages[min(int(np.searchsorted(ends, t, side="right")), len(pages) - 1)]

        return self.through(draw, float(ends[-1]), states, most)

    def through(
        self,
        draw: Draw,
        seconds: float,
        states: list[Timed],
        most: int,
        nothing: list[Timed] | None = None,
    ) -> Instance:
        stage = self.stage
        wide, tall = stage.width // 5, stage.height // 5

        def with_webcam(t: float) -> Image:
            image = draw(t).copy()
            some = stage.places.webcam
            step = int(t * 5) % (2 * len(some) - 2)
            face = some[step if step < len(some) else 2 * len(some) - 2 - step]
            image[-tall:, -wide:] = cv2.resize(face, (wide, tall), interpolation=cv2.INTER_AREA)
            return image

        most += 2 if self.webcam else 0
        seen = with_webcam if self.webcam else draw
        return stage.made(seen, seconds, states, most, nothing, 5.0)


def in_turn(stays: list[float], names: list[str]) -> list[Timed]:
    ends = np.cumsum(stays).tolist()
    return [
        (end - stay, end - 0.01, name) for end, stay, name in zip(ends, stays, names, strict=True)
    ]


def text(stage: Stage) -> Instance:
    """Slides of one layout, other text on each."""
    slides, count = Slides(stage), stage.any(5, 6, 8)
    pages = [slides.page(slides.lines) for _ in range(count)]
    stays = [stage.between(3, 6) for _ in pages]
    names = [f"slide {n + 1}" for n in range(count)]
    return slides.shown(pages, stays, in_turn(stays, names), count + 1)


def build(stage: Stage) -> Instance:
    """Slides whose lines come one by one; a slide is a state when it is full."""
    slides = Slides(stage)
    pages: list[Image] = []
    stays: list[float] = []
    states: list[Timed] = []
    for number in range(3):
        page = slides.page(0)
        for line in range(slides.lines):
            slides.line(page, line, slides.sentence(3))
            pages.append(page.copy())
            stays.append(stage.between(1.5, 3))
        stays[-1] += 2
        full = sum(stays)
        states.append((full - stays[-1], full - 0.01, f"slide {number + 1}, full"))
    return slides.shown(pages, stays, states, len(pages) + 1)


def word(stage: Stage) -> Instance:
    """One digit or one word of a page changes."""
    slides, count, line = Slides(stage), stage.any(4, 5, 6), stage.any(0, 1, 2)
    base = slides.page(0)
    for number in range(slides.lines):
        if number != line:
            slides.line(base, number, slides.sentence(3))
    digit, first = bool(stage.rng.integers(2)), int(stage.rng.integers(1000, 8000))
    words = [str(w) for w in stage.rng.permutation(WORDS)[:count]]
    pages = []
    for number in range(count):
        page = base.copy()
        told = f"{10 * first + number}" if digit else words[number]
        slides.line(page, line, f"total {told}" if digit else f"the {told} is open")
        pages.append(page)
    stays = [stage.between(3, 6) for _ in pages]
    names = [f"{'digit' if digit else 'word'} {n + 1}" for n in range(count)]
    return slides.shown(pages, stays, in_turn(stays, names), count + 1)


def highlight(stage: Stage) -> Instance:
    """A bar of colour goes from line to line."""
    slides = Slides(stage)
    page, pages = slides.page(slides.lines), []
    for number in range(min(slides.lines, 5)):
        marked = page.copy()
        low, high = slides.top(number) - slides.row + 12, slides.top(number) + 8
        rows = slice(low, high)
        lit = np.abs(page[rows].astype(np.int16) - slides.ground).max(2) > 60
        marked[rows, stage.width // 16 : -stage.width // 16] = slides.mark
        marked[rows][lit] = page[rows][lit]
        pages.append(marked)
    stays = [stage.between(3, 5) for _ in pages]
    names = [f"line {n + 1}" for n in range(len(pages))]
    return slides.shown(pages, stays, in_turn(stays, names), len(pages) + 1)


def cursor(stage: Stage) -> Instance:
    """The arrow of a mouse wanders over a page, and rests: no news."""
    slides = Slides(stage)
    page = slides.page(slides.lines)
    stops = stage.rng.uniform(0.15, 0.85, (8, 2)) * (stage.width, stage.height)
    arrow = np.array([(0, 0), (0, 14), (4, 11), (7, 17), (9, 16), (6, 10), (10, 10)])

    def draw(t: float) -> Image:
        image, leg = page.copy(), min(int(t / 4), 6)
        share = progress(t, 4 * leg + 1.5, 1.5)
        tip = stops[leg] * (1 - share) + stops[leg + 1] * share
        shape = np.asarray(arrow * stage.height / 360 + tip, np.int32)
        cv2.fillPoly(image, [shape], (255, 255, 255), cv2.LINE_AA)
        cv2.polylines(image, [shape], True, (0, 0, 0), 1, cv2.LINE_AA)
        return image

    return slides.through(draw, 30, [(0, 30, "the page")], 2, [(2, 30, "a cursor")])


def scroll(stage: Stage) -> Instance:
    """A long page scrolls by most of its height, and rests."""
    slides, count, by = Slides(stage), stage.any(4, 5), stage.between(0.6, 1.0)
    long = slides.blank(round(stage.height * (1 + by * count)))
    for y in range(slides.row, len(long), slides.row):
        slides.write(long, slides.sentence(stage.any(2, 3, 4)), stage.width // 20, y)
    takes = stage.between(0.3, 3)
    each = takes + stage.between(3, 5)

    def draw(t: float) -> Image:
        page, since = divmod(t, each)
        top = by * stage.height * (page + progress(since, each - takes, takes))
        return long[round(top) : round(top) + stage.height]

    near = NEARLY * takes / by
    states = [
        (max(0.0, n * each - near), (n + 1) * each - takes + near, f"page {n + 1}")
        for n in range(count)
    ]
    return slides.through(draw, count * each - takes, states, 2 * count)
