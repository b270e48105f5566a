"""Draws a contact sheet: rows of small pictures with captions, as one JPEG or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ..escapes import escaped
from ..frames import shrink
from ..sources.files.still import Unreadable, still_at
from .pictures import SetError

_WIDTH, _HEIGHT, _GAP, _LINE = 220, 165, 10, 18
"""Pixels of a picture's place, between places, and of a line of text."""
_COLUMNS = 8
_MOST_ROWS = 60
_GROUND, _INK, _PALE, _FRAME = (24, 24, 24), (235, 235, 235), (165, 165, 165), (240, 170, 30)
_MARK = b"contact sheet of stillsift"
"""Comment in the file, by which a sheet is known that may be replaced by the next."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Describes one picture on a sheet."""

    path: Path | None
    """Absolute path; None: it is no file, and only its place is drawn."""
    caption: str
    """Name; where there is no room for it, its beginning is left out."""
    note: str = ""
    """Second line."""
    framed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Describes pictures that belong together; more than a line holds take several lines."""

    title: str
    tiles: Sequence[Tile]


def check_place(file: Path) -> None:
    """Raises SetError where a sheet cannot be written, or another file would be replaced."""
    if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise SetError(
            f"--sheet {file}: a contact sheet is a JPEG or PNG; name it so, as sheet.jpg"
        )
    if not file.absolute().parent.is_dir():
        raise SetError(f"--sheet {file}: there is no such directory")
    if not file.exists():
        return
    try:
        with Image.open(file) as image:
            own = _MARK in (image.info.get("comment"), image.info.get("Comment", "").encode())
    except (OSError, UnidentifiedImageError):
        own = False
    if not own:
        raise SetError(f"--sheet {file}: is there, and is no contact sheet; name another file")


def write_sheet(file: Path, heading: str, rows: Sequence[Row], max_pixels: int, jobs: int) -> int:
    """Draws rows below a heading; returns how many rows did not fit. Raises OSError."""
    shown = rows[:_MOST_ROWS]
    tiles = [tile for row in shown for tile in row.tiles]
    with ThreadPoolExecutor(jobs) as pool:
        pictures = iter(list(pool.map(lambda tile: _small(tile, max_pixels), tiles)))
    lines = [-(-len(row.tiles) // _COLUMNS) for row in shown]
    tall = _HEIGHT + 2 * _LINE + _GAP
    across = min(_COLUMNS, max((len(row.tiles) for row in shown), default=1))
    width = max(3, across) * (_WIDTH + _GAP) + _GAP
    font = ImageFont.load_default(14)
    head = _wrapped(escaped(heading), font, width - 2 * _GAP)
    height = (2 + len(head)) * _LINE + sum(_LINE + _GAP + count * tall for count in lines)
    sheet = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(head):
        draw.text((_GAP, _GAP + number * _LINE), line, fill=_INK, font=font)
    y = _GAP + (1 + len(head)) * _LINE
    for row, count in zip(shown, lines, strict=True):
        title, *more = _wrapped(escaped(row.title), font, width - 2 * _GAP)
        draw.text((_GAP, y), f"{title} ..." if more else title, fill=_INK, font=font)
        y += _LINE + _GAP // 2
        for number, tile in enumerate(row.tiles):
            x = _GAP + number % _COLUMNS * (_WIDTH + _GAP)
            _place(sheet, draw, font, (x, y + number // _COLUMNS * tall), tile, next(pictures))
        y += count * tall + _GAP // 2
    part = file.with_name(f".{file.name}.part")
    if file.suffix.lower() == ".png":
        note = PngInfo()
        note.add_text("Comment", _MARK.decode())
        sheet.save(part, "PNG", pnginfo=note)
    else:
        sheet.save(part, "JPEG", quality=88, comment=_MARK)
    part.replace(file)
    return len(rows) - len(shown)


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[str]:
    """Breaks a text at spaces into lines of so many pixels, one at least."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _small(tile: Tile, max_pixels: int) -> Image.Image | str:
    """Returns a picture at the size of its place, or why there is none."""
    if tile.path is None:
        return "a frame of a clip"
    try:
        pixels = still_at(tile.path, max_pixels).picture.bgr()
    except Unreadable as error:
        return str(error)
    share = min(_WIDTH / pixels.shape[1], _HEIGHT / pixels.shape[0])
    size = [max(1, round(side * share)) for side in pixels.shape[1::-1]]
    return Image.fromarray(np.ascontiguousarray(shrink(pixels, *size)[..., ::-1]))


def _place(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    at: tuple[int, int],
    tile: Tile,
    picture: Image.Image | str,
) -> None:
    x, y = at
    if isinstance(picture, str):
        draw.rectangle((x, y, x + _WIDTH, y + _HEIGHT), outline=_PALE)
        _write(draw, font, (x + 6, y + _HEIGHT // 2), picture, _PALE, _WIDTH - 12)
    else:
        left, top = x + (_WIDTH - picture.width) // 2, y + (_HEIGHT - picture.height) // 2
        sheet.paste(picture, (left, top))
        if tile.framed:
            box = (left - 3, top - 3, left + picture.width + 2, top + picture.height + 2)
            draw.rectangle(box, outline=_FRAME, width=3)
    _write(draw, font, (x, y + _HEIGHT + 4), tile.caption, _INK, _WIDTH)
    _write(draw, font, (x, y + _HEIGHT + 4 + _LINE), tile.note, _PALE, _WIDTH)


def _write(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    at: tuple[int, int],
    text: str,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    """Writes a line; of a name without room its end is shown, which tells it from others."""
    text = shown = escaped(text)
    while len(shown) > 4 and draw.textlength(shown, font=font) > width:
        text = text[1:]
        shown = f"...{text}"
    draw.text(at, shown, fill=colour, font=font)
