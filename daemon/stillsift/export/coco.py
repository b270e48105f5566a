"""Exports as COCO: pictures, and one JSON of all boxes for each split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from ..decisions import Detection
from .folder import ExportFolder
from .kept_frames import KeptFrame


class Coco:
    """Writes images/train/PICTURE and annotations/instances_train.json, and the same of val."""

    part_name = None

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], split: str, _path: Path
    ) -> list[tuple[KeptFrame, object]]:
        classes = self._folder.classes()
        placed = self._folder.placed(frames, lambda frame: f"images/{split}/{frame.name}")
        return [(frame, _entry(frame, classes)) for frame in placed]

    def finish(self) -> None:
        for split in self._folder.splits():
            self._folder.rewrite(f"annotations/instances_{split}.json", self._json(split))

    def _json(self, split: str) -> Iterator[str]:
        categories = [
            {"id": number + 1, "name": label, "supercategory": ""}
            for label, number in self._folder.classes().items()
        ]
        head = {"info": {"description": "exported by stillsift"}, "licenses": []}
        yield json.dumps({**head, "categories": categories})[:-1]
        yield ', "images": ['
        images = ({"id": n, **entry["image"]} for n, entry in self._folder.entries(split))
        yield from _listed(images)
        yield '], "annotations": ['
        numbers = count(1)
        boxes = (
            {"id": next(numbers), "image_id": n, **box}
            for n, entry in self._folder.entries(split)
            for box in entry["boxes"]
        )
        yield from _listed(boxes)
        yield "]}\n"


def _listed(values: Iterator[dict[str, object]]) -> Iterator[str]:
    """Yields the elements of a list in JSON, a line for each."""
    for place, value in enumerate(values):
        yield f"{',' if place else ''}\n{json.dumps(value, allow_nan=False)}"


def _entry(frame: KeptFrame, classes: dict[str, int]) -> dict[str, object]:
    image = {
        "file_name": frame.name,
        "width": frame.width,
        "height": frame.height,
        "date_captured": frame.captured_at,
        "source": frame.source,
        "frame_id": frame.id,
    }
    return {"image": image, "boxes": [_box(each, classes) for each in frame.objects or ()]}


def _box(found: Detection, classes: dict[str, int]) -> dict[str, object]:
    left, top, right, bottom = found.box
    width, height = right - left, bottom - top
    return {
        "category_id": classes[found.label] + 1,
        "bbox": [round(each, 2) for each in (left, top, width, height)],
        "segmentation": [],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "score": round(found.confidence, 4),
    }
