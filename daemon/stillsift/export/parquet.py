"""Exports as Parquet: a row for each frame, with its picture and its embedding."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..decisions import Detection
from ..escapes import as_utf8
from .folder import ExportFolder
from .kept_frames import NUMBERS, KeptFrame

_TEXTS = (
    *("file_name", "id", "source", "captured_at_origin", "reason", "nearest_kept", "file"),
    *("sha256", "repairs", "original_sha256"),
)
_WHOLE = ("frame_index", "width", "height", "bytes")
_ROW_GROUP = 16 << 20
"""Bytes of pictures in a row group. A reader takes one into memory at once, and so does the writer,
several times over."""


class Parquet:
    """Writes train-000001.parquet and so on, and the same of val.

    `image` is a picture to Hugging Face `datasets`; readers of other columns do not read it.
    Without `datasets` it is a struct of the bytes and the name.
    """

    part_name = "{split}-{number:06d}.parquet"

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder
        self._arrow: Any = importlib.import_module("pyarrow")
        self._parquet: Any = importlib.import_module("pyarrow.parquet")

    def write(
        self, frames: Sequence[KeptFrame], _split: str, path: Path
    ) -> list[tuple[KeptFrame, object]]:
        written: list[tuple[KeptFrame, object]] = []
        rows: list[dict[str, object]] = []
        gathered = 0
        schema = self._schema()
        with path.open("xb") as out:
            with self._parquet.ParquetWriter(out, schema) as writer:
                for frame in frames:
                    with self._folder.opened(frame) as source:
                        if source is None:
                            continue
                        rows.append(self._row(frame, source.read()))
                    written.append((frame, None))
                    gathered += frame.size
                    if gathered >= _ROW_GROUP:
                        writer.write_table(self._arrow.Table.from_pylist(rows, schema=schema))
                        rows, gathered = [], 0
                writer.write_table(self._arrow.Table.from_pylist(rows, schema=schema))
            out.flush()
            os.fsync(out.fileno())
        return written

    def finish(self) -> None:
        """Does nothing: no file tells of all frames."""

    def _schema(self) -> Any:
        arrow = self._arrow
        image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        box = arrow.list_(arrow.float64())
        found = [("label", arrow.string()), ("confidence", arrow.float64()), ("bbox", box)]
        schema = arrow.schema(
            [
                ("image", image),
                *((name, arrow.string()) for name in _TEXTS),
                ("captured_at", arrow.timestamp("us", tz="UTC")),
                *((name, arrow.int64()) for name in _WHOLE),
                *((name, arrow.float64()) for name in NUMBERS),
                ("objects", arrow.list_(arrow.struct(found))),
                ("tags", arrow.list_(arrow.struct(found[:2]))),
                ("model", arrow.string()),
                ("embedding", arrow.list_(arrow.float32())),
            ]
        )
        told = {"info": {"features": {"image": {"_type": "Image"}}}}
        return schema.with_metadata({"huggingface": json.dumps(told)})

    def _row(self, frame: KeptFrame, data: bytes) -> dict[str, object]:
        columns = frame.columns
        found = frame.objects
        objects = found if found is None else [_object(each) for each in found]
        return {
            "image": {"bytes": data, "path": frame.name},
            **{name: columns.get(name) for name in (*_TEXTS, *_WHOLE, *NUMBERS)},
            "captured_at": datetime.fromisoformat(str(columns["captured_at"])),
            "objects": objects,
            "tags": _tags(columns.get("tags")),
            "model": None if frame.vector is None else frame.vector[0],
            "embedding": None if frame.vector is None else np.frombuffer(frame.vector[1], "<f4"),
        }


def _tags(told: object) -> list[dict[str, object]] | None:
    """Returns the tags of metadata.jsonl as rows; None: it tells none."""
    if not isinstance(told, dict):
        return None
    pairs = zip(told["label"], told["confidence"], strict=True)
    return [{"label": as_utf8(label), "confidence": confidence} for label, confidence in pairs]


def _object(found: Detection) -> dict[str, object]:
    left, top, right, bottom = found.box
    box = [round(side, 2) for side in (left, top, right - left, bottom - top)]
    return {"label": found.label, "confidence": found.confidence, "bbox": box}
