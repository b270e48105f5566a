"""Reads and mends Pascal VOC: one XML file for each picture.

Of XML only elements and their text are read. A DOCTYPE, without which there are no entities, is
refused before anything in it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from .findings import Box, Edges, Kind, Labels, Read, Wrong

_MOST_DEEP = 32
_DIGITS = 10
"""Digits from which a number is no side of a picture."""
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_WAY_OUT = "mend it by hand, or export it again"


@dataclass(slots=True)
class _Element:
    """Holds the text of an element, and where both stand in the file."""

    text: str
    line: int
    begin: int
    """Place of its text, bytes."""
    end: int


@dataclass(slots=True)
class _Object:
    line: int
    begin: int
    end: int = 0
    found: dict[str, _Element] = field(default_factory=dict)
    all: list[tuple[str, _Element]] = field(default_factory=list)
    """All elements in it with their paths, also those of its parts."""


class _Refused(Exception):
    """Says why a file is not read."""


class _Parser:
    """Collects what matters of one file."""

    def __init__(self, data: bytes) -> None:
        self.path: list[str] = []
        self.root = ""
        self.found: dict[str, _Element] = {}
        """Text of the elements that are about the picture, by their path."""
        self.objects: list[_Object] = []
        self._text: list[str] = []
        self._begin = 0
        self._data = data
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartDoctypeDeclHandler = self._doctype
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text.append
        try:
            self._expat.Parse(data, True)
        except (LookupError, ValueError) as error:  # unknown, or several bytes for a letter
            raise _Refused(f"is in an encoding that is not read: {error}; write UTF-8") from error

    def _doctype(self, *_: object) -> None:
        raise _Refused("has a DOCTYPE, which no label needs and which is not read")

    def _start(self, name: str, _attributes: object) -> None:
        at = self._expat.CurrentByteIndex
        self.root = self.root or name
        self.path.append(name)
        if len(self.path) > _MOST_DEEP:
            raise _Refused(f"has elements {_MOST_DEEP} deep, which no label has")
        if self.path == [self.root, "object"]:
            self.objects.append(_Object(self._expat.CurrentLineNumber, at))
        self._text.clear()
        self._begin = self._data.find(b">", at) + 1

    def _end(self, _name: str) -> None:
        at = self._expat.CurrentByteIndex
        where = "/".join(self.path[1:])
        begin = min(self._begin, at)
        element = _Element("".join(self._text).strip(), self._expat.CurrentLineNumber, begin, at)
        if where == "object":
            self.objects[-1].end = self._data.find(b">", at) + 1
        elif where.startswith("object/"):
            # Parts of a thing (object/part) have boxes of their own, which are not read.
            self.objects[-1].all.append((where.removeprefix("object/"), element))
            self.objects[-1].found.setdefault(where.removeprefix("object/"), element)
        else:
            self.found.setdefault(where, element)
        self._text.clear()
        self.path.pop()


def is_voc(data: bytes, path: Path) -> bool:
    """Tells whether an XML file holds, or is meant to hold, labels."""
    return b"<annotation" in data[:4096] or path.parent.name.lower() == "annotations"


def read_voc(data: bytes, path: Path) -> Read:
    """Reads the labels of one picture."""
    read = Read()
    try:
        parsed = _Parser(data)
    except expat.ExpatError as error:
        why = f"is no XML: {expat.ErrorString(error.code)}"
        read.wrong.append(Wrong(path, error.lineno, Kind.UNPARSABLE, why, _WAY_OUT))
        return read
    except _Refused as error:
        read.wrong.append(Wrong(path, None, Kind.UNPARSABLE, str(error), _WAY_OUT))
        return read
    if parsed.root != "annotation":
        return read
    boxes = []
    for index, one in enumerate(parsed.objects):
        edges = _edges(one)
        if edges is None:
            why = "an object without xmin, ymin, xmax and ymax that are numbers"
            read.wrong.append(Wrong(path, one.line, Kind.UNPARSABLE, why, _WAY_OUT))
            continue
        name = one.found.get("name")
        label = "" if name is None else name.text
        boxes.append(Box(index, one.line, "", label, edges))
    name = parsed.found.get("filename")
    read.labels.append(
        Labels(
            path,
            boxes,
            image=None if name is None or not name.text else name.text,
            line=None if name is None else name.line,
            size=_size(parsed),
        )
    )
    return read


def _edges(one: _Object) -> Edges | None:
    values = []
    for edge in _EDGES:
        element = one.found.get(f"bndbox/{edge}")
        try:
            value = math.nan if element is None else float(element.text)
        except ValueError:
            return None
        if not math.isfinite(value):
            return None
        values.append(value)
    return values[0], values[1], values[2], values[3]


def _size(parsed: _Parser) -> tuple[int, int] | None:
    sides = [parsed.found.get(f"size/{side}") for side in ("width", "height")]
    texts = [each.text for each in sides if each is not None and len(each.text) < _DIGITS]
    numbers = [int(text) for text in texts if text.isdecimal()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and all(numbers) else None


def mended_voc(data: bytes, mended: Mapping[int, Edges | None]) -> bytes | None:
    """Returns a file with these boxes changed, or without them (None); the rest byte for byte.

    None: it is written in an encoding in which digits are no single bytes.
    """
    if b"\0" in data:
        return None
    cuts: list[tuple[int, int, bytes]] = []
    for index, one in enumerate(_Parser(data).objects):
        if index not in mended:
            continue
        edges = mended[index]
        if edges is None:
            begin = len(data[: one.begin].rstrip(b" \t"))
            begin -= data[:begin].endswith(b"\n")
            cuts.append((begin - data[:begin].endswith(b"\r"), one.end, b""))
            continue
        for name, value in zip(_EDGES, edges, strict=True):
            element = one.found[f"bndbox/{name}"]
            if float(element.text) != value:
                cuts.append((element.begin, element.end, number(value).encode()))
    return _cut(data, cuts)


def _cut(data: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes | None:
    """Returns a file with bytes replaced; None: the places were not where they seemed to be."""
    for begin, end, instead in sorted(cuts, reverse=True):
        data = data[:begin] + instead + data[end:]
    try:
        _Parser(data)
    except (expat.ExpatError, _Refused):
        return None
    return data


_FLAGS = frozenset(
    {"difficult", "truncated", "occluded", "deleted", "verified", "id", "confidence", "score"}
)
"""Numbers of an object that stay when it is moved."""


def moved_voc(
    data: bytes, point: Callable[[float, float], tuple[float, float]], size: tuple[int, int]
) -> bytes | str:
    """Returns a file with each box, also of parts, where `point` puts its corners.

    `size`: (width, height) that the picture has then. The rest stays byte for byte. A sentence: why
    that cannot be done. An edge is the line between two pixels, 0 the first.
    """
    try:
        parsed = _Parser(data)
    except (expat.ExpatError, _Refused):
        return "it is no XML that is read"
    if b"\0" in data:
        return "it is in an encoding in which digits are no single bytes"
    cuts = [
        (element.begin, element.end, str(side).encode())
        for name, side in zip(("width", "height"), size, strict=True)
        if (element := parsed.found.get(f"size/{name}")) is not None and element.text
    ]
    for one in parsed.objects:
        boxes: dict[int, dict[str, _Element]] = {}
        number_of_box = 0
        for where, element in one.all:
            folder, _, name = where.rpartition("/")
            if folder.rpartition("/")[2] == "bndbox" and name in _EDGES:
                boxes.setdefault(number_of_box, {})[name] = element
            elif name == "bndbox":
                number_of_box += 1
            elif _is_number(element.text) and name not in _FLAGS and "/value" not in where:
                return f"line {element.line} has <{name}>, which is not moved along"
        for box in boxes.values():
            try:
                left, top, right, bottom = (float(box[name].text) for name in _EDGES)
            except (KeyError, ValueError):
                return f"line {one.line} has a box that is not four numbers"
            xs, ys = zip(point(left, top), point(right, bottom), strict=True)
            made = zip(_EDGES, (min(xs), min(ys), max(xs), max(ys)), strict=True)
            cuts += [(box[n].begin, box[n].end, number(value).encode()) for n, value in made]
    cut = _cut(data, cuts)
    return "it cannot be changed in its place" if cut is None else cut


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def number(value: float) -> str:
    """Returns a number as labels have it: whole where it is, else with six digits behind it."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
