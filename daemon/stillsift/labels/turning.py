"""Moves labels along with their picture when its pixels are turned upright or made smaller.

Boxes, outlines and the points of poses are moved as the pixels under them; all else in a file stays
as it is. What nobody can move for sure is refused, and the file stays.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .class_names import ClassNames, Pose
from .coco import written_coco
from .findings import Labels
from .voc import moved_voc

_MIRRORED = frozenset({2, 4, 5, 7})
"""EXIF orientations in which a picture is stored mirrored."""
_SWAPPED = frozenset({5, 6, 7, 8})
"""EXIF orientations in which width and height change places."""
_POSE = "points of a pose change sides in a mirror, and nothing says which are left and right"


class NotMoved(Exception):
    """Says why labels cannot be moved along, as words for people."""


@dataclass(frozen=True, slots=True)
class Move:
    """Moves points of a picture to where its pixels go."""

    orientation: int
    """EXIF orientation that is applied, 1 to 8; 1: it is not turned."""
    size: tuple[int, int]
    """(width, height) of the picture that the labels were drawn on, pixels."""
    made: tuple[int, int]
    """(width, height) that it gets."""

    @property
    def mirrors(self) -> bool:
        return self.orientation in _MIRRORED

    @property
    def factors(self) -> tuple[float, float]:
        """Gives how much larger width and height of the turned picture become."""
        width, height = self.size[::-1] if self.orientation in _SWAPPED else self.size
        return self.made[0] / width, self.made[1] / height

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Returns where a point goes, pixels from the top left corner."""
        x, y = _turned(self.orientation, x, y, *self.size)
        across, down = self.factors
        return x * across, y * down

    def share(self, x: float, y: float) -> tuple[float, float]:
        """Returns where a point goes, in shares of width and height."""
        return _turned(self.orientation, x, y, 1.0, 1.0)


def _turned(
    orientation: int, x: float, y: float, width: float, height: float
) -> tuple[float, float]:
    """Returns where EXIF's orientation puts a point of a picture as it is stored (TIFF 6, 274)."""
    if orientation in (2, 3, 7, 8):
        x = width - x
    if orientation in (3, 4, 6, 7):
        y = height - y
    return (y, x) if orientation in _SWAPPED else (x, y)


def moved(data: bytes, path: Path, moves: Sequence[tuple[Labels, Move]]) -> bytes:
    """Returns a label file with the labels of these pictures moved. Raises NotMoved."""
    match path.suffix.lower():
        case ".json":
            return _moved_coco(data, {labels.number: move for labels, move in moves})
        case ".xml":
            ((_, move),) = moves
            made = moved_voc(data, move.point, move.made)
            if isinstance(made, str):
                raise NotMoved(made)
            return made
        case _:
            ((labels, move),) = moves
            return _moved_yolo(data, move, labels.known)


# -- YOLO ------------------------------------------------------------------------------------------


def _moved_yolo(data: bytes, move: Move, known: ClassNames) -> bytes:
    if known.wrong is not None:
        raise NotMoved(f"{known.file} cannot be read, and tells what follows a box")
    lines = data.split(b"\n")
    for index, line in enumerate(lines):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words[1:]]
        except ValueError as error:
            raise NotMoved(f"line {index + 1} is no label") from error
        if len(values) != 4 and not known.tells_shape:
            raise NotMoved(
                f"line {index + 1} is an outline or a pose, and no data.yaml tells which"
            )
        made = [f"{value:.10f}".rstrip("0").rstrip(".") for value in _of_line(values, move, known)]
        end = b"\r" if line.endswith(b"\r") else b""
        lines[index] = b" ".join([words[0], *(value.encode() for value in made)]) + end
    return b"\n".join(lines)


def _of_line(values: list[float], move: Move, known: ClassNames) -> list[float]:
    pose = known.pose
    if len(values) == 4 or pose is not None:
        expected = 4 if pose is None else 4 + pose.points * pose.numbers
        if len(values) not in (4, expected):
            raise NotMoved(f"a line has {len(values) + 1} numbers, which fit no label")
        x, y = move.share(*values[:2])
        width, height = values[2:4][::-1] if move.orientation in _SWAPPED else values[2:4]
        return [x, y, width, height, *_pose_of(values[4:], move, pose)]
    if len(values) < 6 or len(values) % 2:
        raise NotMoved(f"a line has {len(values) + 1} numbers, which fit no label")
    corners = zip(values[::2], values[1::2], strict=True)
    return [each for x, y in corners for each in move.share(x, y)]


def _pose_of(values: list[float], move: Move, pose: Pose | None) -> list[float]:
    if pose is None or not values:
        return values
    if move.mirrors and pose.mirrored is None:
        raise NotMoved(f"{_POSE}: flip_idx is missing in data.yaml")
    points = [
        values[at : at + pose.numbers] for at in range(0, pose.points * pose.numbers, pose.numbers)
    ]
    # A point that is not labelled is at 0, 0.
    made = [[*(move.share(*each[:2]) if any(each) else each[:2]), *each[2:]] for each in points]
    order = pose.mirrored if move.mirrors and pose.mirrored else range(pose.points)
    return [value for at in order for value in made[at]]


# -- COCO ------------------------------------------------------------------------------------------


def _moved_coco(data: bytes, moves: Mapping[int, Move]) -> bytes:
    told = json.loads(data)
    by_id: dict[str, Move] = {}
    listed = [json.dumps(each.get("id")) for each in told["images"]]
    for number, move in moves.items():
        by_id[listed[number]] = move
        image = told["images"][number]
        if "width" in image or "height" in image:
            image["width"], image["height"] = move.made
    categories = {json.dumps(each.get("id")): each for each in told.get("categories") or () if each}
    for each in told["annotations"]:
        found = by_id.get(json.dumps(each.get("image_id")))
        if found is not None:
            category = categories.get(json.dumps(each.get("category_id")), {})
            _move_annotation(each, found, category.get("keypoints"))
    return written_coco(told, data)


def odd_annotations(told: Mapping[str, Any]) -> Mapping[str, str]:
    """Returns why annotations of a COCO file cannot be moved, by their image (its id as JSON)."""
    found: dict[str, str] = {}
    names: defaultdict[str, int] = defaultdict(int)
    for image in told["images"]:
        names[json.dumps(image.get("id"))] += 1
    found |= {id_: "several images have its id" for id_, count in names.items() if count > 1}
    for each in told["annotations"]:
        id_ = json.dumps(each.get("image_id"))
        if isinstance(each.get("segmentation"), dict):
            place = f"annotation {each.get('id')}"
            found.setdefault(id_, f"{place} has a mask of runs (RLE), which is not moved along")
        elif (each.get("attributes") or {}).get("rotation"):
            found.setdefault(id_, f"annotation {each.get('id')} has a turned box")
    return found


def _move_annotation(each: dict[str, Any], move: Move, names: object) -> None:
    across, down = move.factors
    try:
        if box := each.get("bbox"):
            left, top, width, height = box
            corners = move.point(left, top), move.point(left + width, top + height)
            xs, ys = zip(*corners, strict=True)
            made = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
            each["bbox"] = [_short(value) for value in made]
        if isinstance(each.get("segmentation"), dict):
            raise NotMoved("a mask of runs (RLE) is not moved along")
        if polygons := each.get("segmentation"):
            each["segmentation"] = [_points(polygon, move) for polygon in polygons]
        if points := each.get("keypoints"):
            threes = [points[at : at + 3] for at in range(0, len(points), 3)]
            made_points = [
                [*map(_short, move.point(x, y) if x or y or v else (x, y)), v] for x, y, v in threes
            ]
            order = _sides(names, len(threes)) if move.mirrors else range(len(threes))
            each["keypoints"] = [value for at in order for value in made_points[at]]
        if isinstance(each.get("area"), int | float) and across * down != 1:
            each["area"] = _short(each["area"] * across * down)
    except (ValueError, TypeError) as error:
        raise NotMoved(f"annotation {each.get('id')} is not as COCO has them") from error


def _points(polygon: list[float], move: Move) -> list[float]:
    pairs = zip(polygon[::2], polygon[1::2], strict=True)
    return [_short(value) for x, y in pairs for value in move.point(x, y)]


def _sides(names: object, count: int) -> list[int]:
    """Returns which point each is in a mirror, by `left` and `right` in their names."""
    if not isinstance(names, list) or len(names) != count:
        raise NotMoved(_POSE)
    swapped = {"left": "right", "right": "left"}
    order = []
    for name in names:
        other = str(name)
        for side, instead in swapped.items():
            if side in other:
                other = other.replace(side, instead)
                break
        if other not in names:
            raise NotMoved(_POSE)
        order.append(names.index(other))
    return order


def _short(value: float) -> float:
    return int(value) if value == int(value) else round(value, 6)
