"""Exports as an imagefolder of Hugging Face `datasets`: pictures, and a metadata.jsonl for each
split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .folder import ExportFolder
from .kept_frames import NO_OBJECTS, OBJECTS, KeptFrame

NAME = "metadata.jsonl"


class ImageFolder:
    """Writes train/PICTURE and train/metadata.jsonl, and the same in val/.

    `datasets` 5.2 takes the types of columns from the first 10 MB of each metadata.jsonl, and
    refuses to load where two splits differ. So only columns are written that each split has, and
    the first frames to have each of them come first.
    """

    part_name = None

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], split: str, _path: Path
    ) -> list[tuple[KeptFrame, object]]:
        placed = self._folder.placed(frames, lambda frame: f"{split}/{frame.name}")
        return [(frame, frame.columns) for frame in placed]

    def finish(self) -> None:
        first = {split: self._first(split) for split in self._folder.splits()}
        columns = set.intersection(*map(set, first.values()))
        if OBJECTS not in columns and any(OBJECTS in each for each in first.values()):
            self._folder.notes.append(
                "metadata.jsonl tells no boxes, since all frames of one split have none and "
                "`datasets` would refuse to load the others; export them as parquet or coco"
            )
        for split, numbers in first.items():
            leading = {numbers[name] for name in columns}
            self._folder.rewrite(f"{split}/{NAME}", self._lines(split, columns, leading))

    def _first(self, split: str) -> Mapping[str, int]:
        """Returns the number of the first frame that has each column."""
        first: dict[str, int] = {}
        for number, told in self._folder.entries(split):
            for name in told:
                first.setdefault(name, number)
        return first

    def _lines(self, split: str, columns: set[str], leading: set[int]) -> Iterator[str]:
        for leads in (True, False):
            for number, told in self._folder.entries(split):
                if (number in leading) == leads:
                    line = {name: value for name, value in told.items() if name in columns}
                    if OBJECTS in columns:
                        line.setdefault(OBJECTS, NO_OBJECTS)
                    yield f"{json.dumps(line, allow_nan=False)}\n"
