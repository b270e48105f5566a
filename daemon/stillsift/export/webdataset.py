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
from .kept_frames import KeptFrame


class WebDataset:
    """Writes train-000001.tar and so on, and the same of val. A key is the id of a frame, since a
    key ends at the first dot of a name."""

    has_splits = True
    part_name = "{split}-{number:06d}.tar"

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], split: str, path: Path
    ) -> list[tuple[KeptFrame, object]]:
        written: list[tuple[KeptFrame, object]] = []
        with path.open("xb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for frame in frames:
                    with self._folder.opened(frame) as source:
                        if source is None:
                            continue
                        _add(tar, frame, frame.suffix, source, frame.size)
                    text = json.dumps({**frame.columns, "split": split}, allow_nan=False).encode()
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
