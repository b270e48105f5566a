"""Exports as WebDataset: tar files in which each picture is followed by what is told of it."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from .folder import ExportFolder
from .kept_frames import NO_OBJECTS, NUMBERS, OBJECTS, KeptFrame


class WebDataset:
    """Writes train-000001.tar and so on, and the same of val.

    A key is the id of a frame, since a key ends at the first dot of a name. What is told has all
    columns in every frame, and a frame that lacks none comes first, if there is one: `datasets` 5.2
    takes the types from the first five.
    """

    part_name = "{split}-{number:06d}.tar"

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], _split: str, path: Path
    ) -> list[tuple[KeptFrame, object]]:
        written: list[tuple[KeptFrame, object]] = []
        fullest = max(frames, key=lambda frame: len(frame.columns))
        ordered = [fullest, *(frame for frame in frames if frame is not fullest)]
        with path.open("xb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for frame in ordered:
                    with self._folder.opened(frame) as source:
                        if source is None:
                            continue
                        _add(tar, frame, frame.suffix, source, frame.size)
                    told = {**dict.fromkeys(NUMBERS), OBJECTS: NO_OBJECTS, **frame.columns}
                    text = json.dumps(told, allow_nan=False).encode()
                    _add(tar, frame, ".json", BytesIO(text), len(text))
                    written.append((frame, None))
            out.flush()
            os.fsync(out.fileno())
        return written

    def finish(self) -> None:
        """Does nothing: no file tells of all frames."""


def _add(
    tar: tarfile.TarFile, frame: KeptFrame, suffix: str, source: BinaryIO | BytesIO, size: int
) -> None:
    member = tarfile.TarInfo(f"{frame.id}{suffix}")
    member.size = size
    member.mtime = max(0, frame.captured_at_ns // 1_000_000_000)
    tar.addfile(member, source)
