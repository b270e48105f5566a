"""Reads and mends COCO: one JSON file for all pictures."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .findings import Box, Edges, Kind, Labels, Read, Wrong

MOST_BYTES = 1 << 30
"""Most bytes of a file that is read; COCO's own largest has half of that."""
_WAY_OUT = "mend it by hand, or export it again"
_MOST_SHIFT = 30
"""Least bit of the last group of a run: no picture has 2^35 pixels."""
_MASK_SLACK = 1.0
"""Pixels by which an outline may reach beyond a picture: those of tools are rounded outwards."""


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
    record = told if isinstance(told, dict) else {}
    images, annotations = _records(record, "images"), _records(record, "annotations")
    if images is None or annotations is None:
        note(Kind.UNPARSABLE, "images and annotations are not both lists of objects")
        return read
    categories = _records(record, "categories")
    if categories is not None:
        read.names = {
            each["id"]: str(each["name"])
            for each in categories
            if isinstance(each.get("id"), int) and str(each.get("name") or "").strip()
        }
    by_id: dict[str, list[Box]] = {_key(each.get("id")): [] for each in images}
    sizes = {_key(each.get("id")): _size(each.get("width"), each.get("height")) for each in images}
    unboxed: defaultdict[str, list[str | int]] = defaultdict(list)
    strays: defaultdict[str, int] = defaultdict(int)
    for index, each in enumerate(annotations):
        place = f"annotation {each.get('id', f'number {index + 1}')}"
        edges = _edges(each.get("bbox"))
        if edges is None and each.get("bbox") not in (
            None,
            [],
        ):  # keypoints and masks may have none
            note(Kind.UNPARSABLE, f"{place}: its bbox is not four numbers")
            continue
        image = _key(each.get("image_id"))
        if image not in by_id:
            strays[image] += 1
            continue
        if (odd := _odd_mask(each.get("segmentation"), sizes[image])) is not None:
            note(odd[0], f"{place}: its mask {odd[1]}", "draw it again, or take it out")
        label = each.get("category_id")
        label = label if isinstance(label, int) else str(label)
        if edges is None:
            unboxed[image].append(label)
        else:
            by_id[image].append(Box(index, None, place, label, edges))
    for image, number in strays.items():
        what = f"annotations name image {image} ({number} of them), which is not listed"
        note(Kind.NO_IMAGE, what, "list the image, or take the annotations out")
    for number, each in enumerate(images):
        name = each.get("file_name")
        read.labels.append(
            Labels(
                path,
                by_id[_key(each.get("id"))],
                image=name if isinstance(name, str) and name else f"(image {each.get('id')})",
                size=sizes[_key(each.get("id"))],
                unboxed=unboxed[_key(each.get("id"))],
                number=number,
            )
        )
    return read


def _odd_mask(mask: object, size: tuple[int, int] | None) -> tuple[Kind, str] | None:
    """Returns what is wrong with a mask: polygons or runs of pixels (RLE); None: nothing, or none.

    `size`: (width, height) of its picture; None: it is not known.
    """
    if mask in (None, []):
        return None
    if isinstance(mask, dict):
        why = _odd_runs(mask, size)
        return None if why is None else (Kind.UNPARSABLE, why)
    if not isinstance(mask, list):
        return Kind.UNPARSABLE, "is neither polygons nor runs"
    for polygon in mask:
        if not isinstance(polygon, list) or not all(map(_is_number, polygon)):
            return Kind.UNPARSABLE, "is no list of lists of numbers"
        if len(polygon) < 6 or len(polygon) % 2:
            why = f"has a polygon of {len(polygon)} numbers; three corners or more have two each"
            return Kind.UNPARSABLE, why
        xs, ys = polygon[::2], polygon[1::2]
        if min(xs) == max(xs) or min(ys) == max(ys):
            return Kind.NO_AREA, "has a polygon without area"
        beyond = size is not None and (
            max(xs) > size[0] + _MASK_SLACK or max(ys) > size[1] + _MASK_SLACK
        )
        if beyond or min(*xs, *ys) < -_MASK_SLACK:
            return Kind.OUTSIDE, "reaches beyond the picture"
    return None


def _odd_runs(mask: dict[str, Any], size: tuple[int, int] | None) -> str | None:
    """Returns what is wrong with runs of pixels, column by column, outside first."""
    told, counts = mask.get("size"), mask.get("counts")
    if not isinstance(told, list) or len(told) != 2 or not all(isinstance(n, int) for n in told):
        return "has runs without size, which is [height, width]"
    if size is not None and told != [size[1], size[0]]:
        return f"is {told[1]}x{told[0]}, and the picture is {size[0]}x{size[1]}"
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(n, int) and n >= 0 for n in runs):
        return "has runs that cannot be read"
    if (covered := sum(runs)) != told[0] * told[1]:
        return f"has runs over {covered} pixels, and the picture has {told[0] * told[1]}"
    return None


def _unpacked(text: str) -> list[int] | None:
    """Returns the runs in COCO's compressed form; None: it is none.

    Each is written in groups of 5 bits from the least, in characters from "0"; from the third on as
    the difference to the one before the last (cocoapi, maskApi.c, rleFrString).
    """
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            if at == len(text) or shift > _MOST_SHIFT:
                return None
            if not 0 <= (code := ord(text[at]) - 48) < 64:
                return None
            value |= (code & 0x1F) << shift
            more = bool(code & 0x20)
            at, shift = at + 1, shift + 5
            if not more and code & 0x10:
                value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


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
    if not all(map(_is_number, bbox)):
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
    return written_coco(told, data)


def written_coco(told: object, data: bytes) -> bytes:
    """Returns a file anew with other values; `data` is how it was, whose line breaks it gets."""
    indent = None
    for line in data.split(b"\n", 3)[1:2]:
        indent = len(line) - len(line.lstrip(b" ")) or None
    end = "\n" if data.endswith(b"\n") else ""
    return (json.dumps(told, ensure_ascii=not _has_letters(data), indent=indent) + end).encode()


def _has_letters(data: bytes) -> bool:
    """Tells whether letters beyond ASCII stand in it as they are."""
    return not data.isascii()
