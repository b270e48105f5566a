"""Draws a decision as one picture: the frame beside the one it was compared with, and why."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ..arrays import Floats, Image
from ..decisions import Decision, time_text
from ..escapes import escaped
from ..frames import shrink
from .pages import file_name
from .reasons import Kind, in_words, kind_of

LEAST = (480, 270)
"""Width and height, pixels, of the smallest picture that is drawn."""
_GROUND, _BAR, _LINE = (21, 22, 26), (34, 36, 42), (70, 74, 84)
_INK, _PALE, _LIT = (238, 239, 242), (164, 168, 178), (250, 214, 98)
_COLOURS = {
    Kind.KEPT: (76, 194, 107),
    Kind.SAME: (143, 155, 240),
    Kind.UNSHARP: (227, 155, 62),
    Kind.EMPTY: (160, 162, 173),
    Kind.LIMITED: (180, 140, 242),
    Kind.UNWANTED: (236, 121, 180),
    Kind.FAILED: (255, 123, 114),
    Kind.LOST: (217, 138, 138),
}
"""Those of the page, where it is dark."""
_OVER, _NEAR, _FOUND = (255, 45, 45), (255, 176, 0), (80, 220, 255)
_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")
"""Fonts that desktops have, one or another."""
_NEAR_SHARE = 0.5
"""Share of its limit from which on a cell is outlined faintly."""
_SCALE_END = 2.0
"""Distance at the end of the scale; the limit, 1, stands in its middle."""

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Holds one half of a pair."""

    decision: Decision
    picture: Image | None
    """(height, width, 3) BGR, of any size; None: there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownPair:
    """Holds what is drawn of a decision."""

    one: Side
    """The frame that was decided."""
    other: Side | None
    """The kept frame that it was compared with; None: there was none."""
    share: Floats | None = None
    """(rows, columns): by how much its cells differ, as `Heat.share`; None: it is not drawn."""


@dataclass(frozen=True, slots=True)
class Foot:
    """Holds what stands below the pair."""

    state: str
    """What happens now, as *paused*."""
    keys: str
    """The keys, in short."""
    said: str = ""
    """Answer to the last key; it takes the place of the keys."""


def pair_canvas(
    pair: ShownPair | None,
    size: tuple[int, int],
    foot: Foot,
    help: Sequence[tuple[str, str]] = (),
) -> Image:
    """Returns (height, width, 3) BGR pixels with a pair, its measures and a foot.

    `pair` None: there is none yet. `size`: (width, height), made no smaller than `LEAST`. `help`:
    keys with what they do, drawn over the rest; empty: nothing is.
    """
    width, height = max(size[0], LEAST[0]), max(size[1], LEAST[1])
    sheet = Pillow.new("RGB", (width, height), _GROUND)
    pen = _Pen(sheet, round(min(max(min(height / 30, width / 80), 10), 40)))
    top, bottom = pen.row, height - round(3.9 * pen.row)
    pen.bar(0, top)
    pen.bar(bottom, height)
    if pair is None:
        pen.centred((0, top, width, bottom), foot.state, _PALE)
    else:
        half, gap = width // 2, max(1, pen.em // 8)
        _head(pen, pair, width)
        _half(pen, pair.one, (0, top, half - gap, bottom), pair.share)
        place = (half + gap, top, width, bottom)
        if pair.other is None:
            pen.centred(place, _alone(pair.one.decision), _PALE)
        else:
            _half(pen, pair.other, place, pair.share)
        _measures(pen, pair.one.decision, bottom, width)
        _why(pen, pair.one.decision, bottom + round(1.75 * pen.row), width)
    _foot(pen, foot, height - pen.row, width)
    if help:
        _help(pen, help)
    return np.ascontiguousarray(np.asarray(sheet, np.uint8)[..., ::-1])


class _Pen:
    """Writes and draws on a sheet, in sizes that fit it."""

    def __init__(self, sheet: Pillow.Image, em: int) -> None:
        self.sheet, self.em = sheet, em
        self.row = round(1.7 * em)
        self.draw = ImageDraw.Draw(sheet)

    def bar(self, top: int, bottom: int) -> None:
        self.draw.rectangle((0, top, self.sheet.width, bottom - 1), fill=_BAR)

    def write(
        self,
        x: float,
        top: float,
        text: str,
        colour: Colour,
        *,
        room: float | None = None,
        size: float = 1.0,
    ) -> float:
        """Writes a line in a row from `top` on, cut to `room`; returns where it ends."""
        font = _font(round(self.em * size))
        text = _written(text)
        if room is not None:
            text = _cut(text, font, room)
        self.draw.text((x, top + self.row * size / 2), text, fill=colour, font=font, anchor="lm")
        return x + font.getlength(text)

    def centred(self, place: tuple[int, int, int, int], text: str, colour: Colour) -> None:
        left, top, right, bottom = place
        font = _font(self.em)
        text = _cut(_written(text), font, right - left - self.em)
        at = ((left + right) / 2, (top + bottom) / 2)
        self.draw.text(at, text, fill=colour, font=font, anchor="mm")


@lru_cache(maxsize=16)
def _font(size: int) -> Font:
    name = _font_name()
    return ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)


@cache
def _font_name() -> str | None:
    """Returns the font of the system that is used; None: Pillow's own, which has ASCII alone."""
    for name in _FONTS:
        with suppress(OSError):
            ImageFont.truetype(name)
            return name
    return None


def _written(text: str) -> str:
    """Returns a text as it can be written, on one line."""
    text = escaped(text)
    if text.isascii() or _font_name() is not None:
        return text
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c if c.isascii() else "?" for c in plain if not unicodedata.combining(c))


def _cut(text: str, font: Font, room: float) -> str:
    """Returns a text that fits into so many pixels, with an ellipsis for what is left out."""
    if font.getlength(text) <= room:
        return text
    fits, more = 0, len(text)
    while fits < more:
        middle = (fits + more + 1) // 2
        if font.getlength(f"{text[:middle]}...") <= room:
            fits = middle
        else:
            more = middle - 1
    return f"{text[:fits]}..." if fits else ""


# -- above the pictures ----------------------------------------------------------------------------


def _head(pen: _Pen, pair: ShownPair, width: int) -> None:
    """Writes outcome, reason and which frame it is on the left, the other frame on the right."""
    one, half, em = pair.one.decision, width // 2, pen.em
    colour = _COLOURS[kind_of(one.reason)]
    badge = f"{one.outcome.upper()}  {one.reason}"
    wide = round(_font(em).getlength(badge) + em)
    inset = max(1, pen.row // 10)
    box = (inset, inset, inset + wide, pen.row - inset)
    pen.draw.rounded_rectangle(box, radius=em // 3, fill=colour)
    pen.write(inset + em / 2, 0, badge, _GROUND)
    begin = inset + wide + em // 2
    pen.write(begin, 0, _named(one), _INK, room=half - begin - em // 2)
    if pair.other is not None:
        x = pen.write(half + em / 2, 0, "kept:", _PALE) + em / 3
        pen.write(x, 0, _named(pair.other.decision), _INK, room=width - x - em / 2)


def _alone(one: Decision) -> str:
    if one.nearest_kept is not None:
        return "the kept frame that it names is not at hand any more"
    return "compared with no kept frame"


def _named(one: Decision) -> str:
    """Returns which frame it is: when in its clip, or when it was taken."""
    if one.file is not None and one.pts_s is not None:
        moment = f"{int(one.pts_s // 60)}:{one.pts_s % 60:05.2f}"
    else:
        moment = f"{time_text(one.captured_at_ns)[:19].replace('T', ' ')} UTC"
    return f"{file_name(one)}   {moment}"


# -- the pictures ----------------------------------------------------------------------------------


def _half(pen: _Pen, side: Side, place: tuple[int, int, int, int], share: Floats | None) -> None:
    """Draws a picture as large as its place lets it be, with cells and objects."""
    if side.picture is None:
        pen.centred(place, "no picture", _PALE)
        return
    left, top, right, bottom = place
    tall, wide = side.picture.shape[:2]
    factor = min((right - left) / wide, (bottom - top) / tall)
    width, height = max(1, round(wide * factor)), max(1, round(tall * factor))
    x, y = left + (right - left - width) // 2, top + (bottom - top - height) // 2
    drawn = _scaled(side.picture, width, height)
    pen.sheet.paste(Pillow.fromarray(np.ascontiguousarray(drawn[..., ::-1])), (x, y))
    if share is not None:
        for least, colour, thick in ((_NEAR_SHARE, _NEAR, 1), (1.0, _OVER, max(2, pen.em // 7))):
            for line in _edges(share >= least, (x, y, width, height)):
                pen.draw.line(line, fill=colour, width=thick)
    one = side.decision
    for found in one.detections or ():
        sides = zip(found.box, (one.width or wide, one.height or tall) * 2, strict=True)
        shares = [side / whole for side, whole in sides]
        box = (
            *(x + shares[0] * width, y + shares[1] * height),
            *(x + shares[2] * width, y + shares[3] * height),
        )
        pen.draw.rectangle(box, outline=_FOUND, width=max(1, pen.em // 8))
        pen.write(box[0] + 3, max(box[1], top), str(found), _FOUND, size=0.9)


def _scaled(picture: Image, width: int, height: int) -> Image:
    tall, wide = picture.shape[:2]
    if wide >= width and tall >= height:
        return shrink(picture, width, height)
    return np.asarray(cv2.resize(picture, (width, height)), np.uint8)


def _edges(
    over: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], place: tuple[int, int, int, int]
) -> list[tuple[float, float, float, float]]:
    """Returns the lines around the cells that are True, in pixels of the sheet."""
    rows, columns = over.shape
    x, y, width, height = place
    across, down = width / columns, height / rows
    padded = np.pad(over, 1)
    upright = padded[1:-1, 1:] != padded[1:-1, :-1]
    level = padded[1:, 1:-1] != padded[:-1, 1:-1]
    lines = [
        (x + column * across, y + row * down, x + column * across, y + (row + 1) * down)
        for row, column in np.argwhere(upright)
    ]
    return lines + [
        (x + column * across, y + row * down, x + (column + 1) * across, y + row * down)
        for row, column in np.argwhere(level)
    ]


# -- below the pictures ----------------------------------------------------------------------------


def _measures(pen: _Pen, one: Decision, top: int, width: int) -> None:
    """Writes the similarity large, draws the distance on its scale, writes the other measures."""
    em, large = pen.em, 1.6
    x = float(em)
    if one.similarity is not None:
        x = pen.write(x, top, f"{one.similarity:.3f}", _INK, size=large)
        x = pen.write(x + em / 3, top + 0.45 * pen.row, "similarity", _PALE) + 1.5 * em
    line = top + 0.45 * pen.row
    if one.distance is not None:
        x = pen.write(x, line, "distance", _PALE) + em / 2
        x = _scale(pen, one.distance, x, line, max(6 * em, width // 7)) + em / 2
        told = f"{one.distance:.2f}" if one.distance < 100 else f"{one.distance:,.0f}"
        x = pen.write(x, line, told, _INK) + em / 3
        x = pen.write(x, line, "of 1", _PALE) + 1.5 * em
    others = (
        ("novelty", one.novelty, one.novelty_limit),
        ("sharpness", one.sharpness, one.sharpness_limit),
    )
    for name, value, limit in others:
        if value is None or x > width - 8 * em:
            continue
        x = pen.write(x, line, name, _PALE) + em / 3
        x = pen.write(x, line, f"{value:.3g}", _INK, room=width - x) + em / 3
        if limit is not None:
            x = pen.write(x, line, f"limit {limit:.3g}", _PALE, room=width - x) + em / 3
        x += em


def _scale(pen: _Pen, distance: float, x: float, top: float, wide: int) -> float:
    """Draws a distance on a scale with the limit in its middle; returns where the scale ends."""
    y, thick = top + pen.row / 2, max(3, pen.em // 3)
    box = (x, y - thick, x + wide, y + thick)
    pen.draw.rectangle(box, fill=_GROUND, outline=_LINE)
    end = x + wide * min(max(distance, 0.0), _SCALE_END) / _SCALE_END
    colour = _NEAR if distance > 1 else _COLOURS[Kind.SAME]
    pen.draw.rectangle((x, y - thick, max(end, x + 1), y + thick), fill=colour)
    middle, over = x + wide / 2, pen.em // 4
    tick = (middle, y - thick - over, middle, y + thick + over)
    pen.draw.line(tick, fill=_INK, width=max(2, pen.em // 8))
    return x + wide


def _why(pen: _Pen, one: Decision, top: int, width: int) -> None:
    """Writes what the reason means, and the detail of the decision."""
    x = pen.write(pen.em, top, in_words(one.reason), _INK, room=width - 2 * pen.em) + pen.em
    if one.detail is not None:
        pen.write(x, top, one.detail, _PALE, room=width - x - pen.em)


def _foot(pen: _Pen, foot: Foot, top: int, width: int) -> None:
    x = pen.write(pen.em, top, foot.state, _PALE, room=width - 2 * pen.em) + 2 * pen.em
    text, colour = (foot.said, _LIT) if foot.said else (foot.keys, _PALE)
    font = _font(pen.em)
    room = width - pen.em - x
    wide = min(font.getlength(_cut(_written(text), font, room)), room)
    pen.write(width - pen.em - wide, top, text, colour, room=room)


def _help(pen: _Pen, help: Sequence[tuple[str, str]]) -> None:
    """Draws the keys over the middle of the sheet."""
    font, em = _font(pen.em), pen.em
    first = max(font.getlength(keys) for keys, _ in help)
    second = max(font.getlength(does) for _, does in help)
    wide, tall = round(first + second + 4 * em), (len(help) + 1) * pen.row
    left, top = (pen.sheet.width - wide) // 2, max(0, (pen.sheet.height - tall) // 2)
    box = (left, top, left + wide, top + tall)
    pen.draw.rounded_rectangle(box, radius=em // 2, fill=_BAR, outline=_LINE, width=2)
    for number, (keys, does) in enumerate(help):
        y = top + pen.row / 2 + number * pen.row
        pen.write(left + em, y, keys, _LIT)
        pen.write(left + first + 2 * em, y, does, _INK, room=second + em)
