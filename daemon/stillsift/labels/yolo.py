"""Reads and mends YOLO: one text file for each picture, a line for each box, in shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from .class_names import CLASSES
from .findings import Box, Edges, Kind, Labels, Read, Wrong

_OTHER_TEXTS = frozenset({*CLASSES, "train.txt", "val.txt", "test.txt", "trainval.txt"})
"""Text files beside labels that are none."""
_WAY_OUT = "mend the line by hand, or export the labels again"
_COLUMNS = "a label has class, x, y, width and height, or class and the corners of an outline"


def read_yolo(data: bytes, path: Path, *, keypoints: bool = False) -> Read:
    """Reads the labels of one picture. `keypoints`: points of a pose stand behind each box."""
    read = Read(keypoints=keypoints)
    boxes: list[Box] = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        words = line.split()
        if not words:
            continue
        values = _numbers(words)
        if values is None or values[0] != int(values[0]):
            why = "is no label: class and numbers are wanted"
            read.wrong.append(Wrong(path, number, Kind.UNPARSABLE, why, _WAY_OUT))
            continue
        box = _edges(values, keypoints=keypoints)
        if box is None:
            why = f"has {len(values)} numbers; {_COLUMNS}"
            read.wrong.append(Wrong(path, number, Kind.UNPARSABLE, why, _WAY_OUT))
            continue
        corners = () if len(values) == 5 else tuple(values[1:])
        boxes.append(Box(number - 1, number, "", int(values[0]), box, corners))
    read.labels.append(Labels(path, boxes, shares=True))
    return read


def _numbers(words: list[str]) -> list[float] | None:
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _edges(values: list[float], *, keypoints: bool) -> Edges | None:
    if len(values) == 5 or (keypoints and len(values) > 5):
        x, y, width, height = values[1:5]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 7 and len(values) % 2:
        return min(values[1::2]), min(values[2::2]), max(values[1::2]), max(values[2::2])
    return None


def label_of(picture: Path) -> Path | None:
    """Returns where YOLO has the label of a picture in images/, beside it in labels/; None: it lies
    in no such folder."""
    folders = picture.parent.parts
    if "images" not in folders:
        return None
    last = len(folders) - 1 - folders[::-1].index("images")
    return Path(*folders[:last], "labels", *folders[last + 1 :], f"{picture.stem}.txt")


def is_yolo(data: bytes, path: Path, *, beside: bool) -> bool:
    """Tells whether a text file holds labels; `beside`: it belongs to a picture by its name.

    An empty one does, of a picture that shows nothing.
    """
    if path.name in _OTHER_TEXTS:
        return False
    in_labels = any(part.lower() == "labels" for part in path.parent.parts)
    return in_labels or (beside and _may_be_yolo(data)) or _looks_like_yolo(data)


def _may_be_yolo(data: bytes) -> bool:
    """Tells whether a text beside a picture may be labels: empty, or it begins with a number.

    What describes a picture in words is none.
    """
    words = data[:4096].decode("utf-8", "replace").split(maxsplit=1)
    return not words or _numbers(words[:1]) is not None


def _looks_like_yolo(data: bytes) -> bool:
    """Tells whether a text is nothing but lines of labels, one at least."""
    lines = [line.split() for line in data[:65536].decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    return bool(lines) and all(len(line) >= 5 and _numbers(line) is not None for line in lines)


def mended_yolo(
    data: bytes, mended: Mapping[int, Edges | None], *, keypoints: bool = False
) -> bytes:
    """Returns a file with these lines changed, or without them (None); the rest byte for byte.

    `keypoints`: points of a pose stand behind each box, as in `read_yolo`; they stay as they are.
    """
    lines = data.split(b"\n")
    kept: list[bytes] = []
    for index, line in enumerate(lines):
        if index not in mended:
            kept.append(line)
            continue
        edges = mended[index]
        if edges is None:
            continue
        words = line.split()
        outline = not keypoints and len(words) >= 7 and len(words) % 2
        if outline:  # each corner on its own
            values = [f"{min(1.0, max(0.0, float(word))):.6g}".encode() for word in words[1:]]
        else:
            left, top, right, bottom = edges
            box = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
            values = [f"{value:.6f}".encode() for value in box] + words[5:]
        kept.append(b" ".join([words[0], *values]) + (b"\r" if line.endswith(b"\r") else b""))
    return b"\n".join(kept)
