"""Reads and mends COCO: one JSON file for all pictures."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .findings import Box, Edges, Kind, Labels, Read, Wrong

_WAY_OUT = "mend it by hand, or export it again"


def is_coco(data: bytes) -> bool:
    """Tells whether a JSON file holds, or is meant to hold, labels."""
    return b'"annotations"' in data and b'"images"' in data


def read_coco(data: bytes, path: Path) -> Read:
    """Reads the labels of all pictures of a file."""
    read = Read()

    def note(kind: Kind, what: str, way_out: str = _WAY_OUT, line: int | None = None) -> None:
        read.wrong.append(Wrong(path, line, kind, what, way_out))

    try:
        told = json.loads(data)
    except json.JSONDecodeError as error:
        note(Kind.UNPARSABLE, f"is no JSON: {error.msg}", line=error.lineno)
        return read
    except (ValueError, RecursionError) as error:  # no UTF-8; thousands of digits; too deep
        note(Kind.UNPARSABLE, f"is no JSON: {error}")
        return read
    if not isinstance(told, dict):
        return read
    images, annotations = _records(told, "images"), _records(told, "annotations")
    if images is None or annotations is None:
        note(Kind.UNPARSABLE, "images and annotations are not both lists of objects")
        return read
    categories = _records(told, "categories")
    if categories is not None:
        read.names = frozenset(
            each["id"]
            for each in categories
            if isinstance(each.get("id"), int) and str(each.get("name") or "").strip()
        )
    by_id: dict[Any, list[Box]] = {_key(each.get("id")): [] for each in images}
    strays: defaultdict[str, int] = defaultdict(int)
    for index, each in enumerate(annotations):
        place = f"annotation {each.get('id', f'number {index + 1}')}"
        edges = _edges(each.get("bbox"))
        if edges is None:
            if each.get("bbox") not in (None, []):  # keypoints and masks may have none
                note(Kind.UNPARSABLE, f"{place}: its bbox is not four numbers")
            continue
        image = _key(each.get("image_id"))
        if image not in by_id:
            strays[image] += 1
            continue
        label = each.get("category_id")
        box = Box(index, None, place, label if isinstance(label, int) else str(label), edges)
        by_id[image].append(box)
    for image, number in strays.items():
        what = f"annotations name image {image} ({number} of them), which is not listed"
        note(Kind.NO_IMAGE, what, "list the image, or take the annotations out")
    for each in images:
        name = each.get("file_name")
        read.labels.append(
            Labels(
                path,
                by_id[_key(each.get("id"))],
                image=name if isinstance(name, str) and name else f"(image {each.get('id')})",
                size=_size(each.get("width"), each.get("height")),
            )
        )
    return read


def _size(width: object, height: object) -> tuple[int, int] | None:
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _key(id_: object) -> str:
    return json.dumps(id_)


def _records(told: dict[str, Any], key: str) -> list[dict[str, Any]] | None:
    """Returns a list of objects; None: it is none."""
    found = told.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return None
    return found


def _edges(bbox: object) -> Edges | None:
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in bbox):
        return None
    try:
        left, top, width, height = map(float, bbox)
    except OverflowError:  # hundreds of digits
        return None
    if not all(map(math.isfinite, (left, top, width, height))):
        return None
    return left, top, left + width, top + height


def mended_coco(data: bytes, mended: Mapping[int, Edges | None]) -> bytes:
    """Returns a file with these annotations changed, or without them (None).

    It is written anew, with the same values and line breaks where it had any. An area that was that
    of the box is that of the new one.
    """
    told = json.loads(data)
    kept = []
    for index, each in enumerate(told["annotations"]):
        if index not in mended:
            kept.append(each)
            continue
        edges = mended[index]
        if edges is None:
            continue
        left, top, right, bottom = (round(edge, 6) for edge in edges)
        was, now = each["bbox"], [left, top, right - left, bottom - top]
        now = [int(value) if value == int(value) else round(value, 6) for value in now]
        if each.get("area") == was[2] * was[3]:
            each["area"] = now[2] * now[3]
        each["bbox"] = now
        kept.append(each)
    told["annotations"] = kept
    indent = None
    for line in data.split(b"\n", 3)[1:2]:
        indent = len(line) - len(line.lstrip(b" ")) or None
    end = "\n" if data.endswith(b"\n") else ""
    return (json.dumps(told, ensure_ascii=not _has_letters(data), indent=indent) + end).encode()


def _has_letters(data: bytes) -> bool:
    """Tells whether letters beyond ASCII stand in it as they are."""
    return not data.isascii()
