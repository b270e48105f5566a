"""Exports as an imagefolder of Hugging Face `datasets`: pictures, and a metadata.jsonl for each
split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .folder import ExportFolder
from .kept_frames import KeptFrame

NAME = "metadata.jsonl"


class ImageFolder:
    """Writes train/PICTURE and train/metadata.jsonl, and the same in val/."""

    has_splits = True
    part_name = None

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], split: str, _path: Path
    ) -> list[tuple[KeptFrame, object]]:
        return [
            (frame, frame.columns)
            for frame in frames
            if self._folder.place(frame, f"{split}/{frame.name}")
        ]

    def finish(self) -> None:
        for split in self._folder.splits():
            entries = self._folder.entries(split)
            lines = (f"{json.dumps(columns, allow_nan=False)}\n" for _, columns in entries)
            self._folder.rewrite(f"{split}/{NAME}", lines)
