"""Exports for Label Studio: tasks with predictions, and pictures that it serves as local files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from ..decisions import Detection
from ..escapes import escaped
from .folder import ExportFolder
from .kept_frames import KeptFrame

_FROM, _TO = "label", "image"
"""Names of the two tags of the labelling interface."""


class LabelStudio:
    """Writes images/PICTURE, tasks-000001.json and so on, and labels.xml, the interface.

    Tasks that are imported once more are there twice, so each file holds new ones only. Their
    pictures are named from the folder of the export, which is to be the root of local files.
    """

    part_name = "tasks-{number:06d}.json"

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], _split: str, path: Path
    ) -> list[tuple[KeptFrame, object]]:
        placed = self._folder.placed(frames, lambda frame: f"images/{frame.name}")
        with path.open("x", encoding="utf-8") as out:
            out.write("[")
            for place, frame in enumerate(placed):
                out.write(f"{',' if place else ''}\n{json.dumps(_task(frame), allow_nan=False)}")
            out.write("\n]\n")
            out.flush()
            os.fsync(out.fileno())
        return [(frame, None) for frame in placed]

    def finish(self) -> None:
        self._folder.rewrite("labels.xml", _interface(list(self._folder.classes())))


def _interface(labels: Sequence[str]) -> Iterator[str]:
    yield f'<View>\n  <Image name="{_TO}" value="$image"/>\n'
    yield f'  <RectangleLabels name="{_FROM}" toName="{_TO}">\n'
    for label in labels:
        yield f"    <Label value={quoteattr(escaped(label))}/>\n"
    yield "  </RectangleLabels>\n</View>\n"


def _task(frame: KeptFrame) -> dict[str, object]:
    task: dict[str, object] = {
        "data": {
            "image": f"/data/local-files/?d={quote(f'images/{frame.name}')}",
            "frame_id": frame.id,
            "source": frame.source,
            "captured_at": frame.captured_at,
        }
    }
    if frame.objects is not None:
        score = sum(each.confidence for each in frame.objects) / max(1, len(frame.objects))
        result = [_region(each, place, frame) for place, each in enumerate(frame.objects)]
        told = {"model_version": "stillsift", "score": round(score, 4), "result": result}
        task["predictions"] = [told]
    return task


def _region(found: Detection, place: int, frame: KeptFrame) -> dict[str, object]:
    left, top, right, bottom = found.box
    value = {
        "x": 100 * left / frame.width,
        "y": 100 * top / frame.height,
        "width": 100 * (right - left) / frame.width,
        "height": 100 * (bottom - top) / frame.height,
        "rotation": 0,
    }
    return {
        "id": f"{frame.id[:8]}-{place}",
        "type": "rectanglelabels",
        "from_name": _FROM,
        "to_name": _TO,
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "value": {
            **{name: round(number, 4) for name, number in value.items()},
            "rectanglelabels": [escaped(found.label)],
        },
        "score": round(found.confidence, 4),
    }
