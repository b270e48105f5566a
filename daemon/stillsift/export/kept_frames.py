"""Reads what is to be exported out of a store: kept frames, with what was found in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..decisions import Detection, Reason
from ..escapes import as_utf8
from ..ledger import LedgerReader
from ..ledger.records import KeptRecord
from ..store.metadata_jsonl import columns, objects_in, upright_size
from ..store.names import instant, stem

NUMBERS = (
    *("pts_s", "sharpness", "sharpness_limit", "similarity", "distance", "novelty"),
    "novelty_limit",
)
"""Columns that a frame may lack, as not every measure is taken of every one."""
OBJECTS = "objects"
"""Column that a frame lacks in which nothing was found."""
NO_OBJECTS: dict[str, list[object]] = {"bbox": [], "label": [], "confidence": []}


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """Describes a kept frame as it is exported; its texts are valid UTF-8."""

    id: str
    source: str
    captured_at_ns: int
    decided_at_ns: int
    reason: Reason
    path: Path
    """Absolute path of its picture."""
    name: str
    """Name of its picture in every export: as in the store, also where the picture lies elsewhere
    under a name of its own."""
    size: int
    """Bytes of its picture."""
    sha256: str
    """SHA-256 (hex) of the picture; "": it is no file of its own."""
    width: int
    height: int
    """Size looked at upright, as EXIF data may tell."""
    objects: tuple[Detection, ...] | None
    """What was found in it, boxes in pixels of the picture, looked at upright. None: no detector
    has looked at it."""
    columns: dict[str, object]
    """What metadata.jsonl tells of it."""
    vector: tuple[str, bytes] | None
    """Name of a model and the vector that it made of the picture (little-endian float32). None:
    none was recorded, or none was asked for."""

    @property
    def captured_at(self) -> str:
        """Gives the time as ISO 8601 in UTC, of whole seconds: 2026-03-01T12:00:00Z."""
        return second_text(self.captured_at_ns)

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix


@dataclass(frozen=True, slots=True)
class Wanted:
    """Says which kept frames are wanted. None: all."""

    source: str | None = None
    reason: Reason | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    label: str | None = None
    """Name of an object that they show."""


class KeptFrames:
    """Reads the kept frames of a store."""

    def __init__(
        self, ledger: LedgerReader, root: Path, wanted: Wanted, *, with_vectors: bool = False
    ) -> None:
        self._ledger = ledger
        self._root = root.resolve()
        self._wanted = wanted
        self._with_vectors = with_vectors

    def records(self) -> Iterator[KeptRecord]:
        """Yields the records of those that are wanted, in the order in which they were stored."""
        wanted = self._wanted
        records = self._ledger.kept_records(
            source=wanted.source,
            reason=wanted.reason,
            since_ns=wanted.since_ns,
            until_ns=wanted.until_ns,
        )
        for record in records:
            found = record.record.decision.detections or ()
            if wanted.label is None or any(each.label == wanted.label for each in found):
                yield record

    def labels(self) -> list[str]:
        """Returns the labels of all objects in the frames that are wanted, whatever label is."""
        all_labels = KeptFrames(self._ledger, self._root, replace(self._wanted, label=None))
        found = (record.record.decision.detections or () for record in all_labels.records())
        return sorted({each.label for objects in found for each in objects})

    def frame(self, record: KeptRecord) -> KeptFrame:
        """Returns a frame as it is exported."""
        vector = self._ledger.vector(record.file.id) if self._with_vectors else None
        return _frame(record, self._root, vector)


def second_text(at_ns: int) -> str:
    """Returns UTC with seconds, as ISO 8601: 2026-03-01T12:00:00Z."""
    at = instant(at_ns)
    return f"{at.year:04d}{at:-%m-%dT%H:%M:%S}Z"


def _frame(record: KeptRecord, root: Path, vector: tuple[str, bytes] | None) -> KeptFrame:
    kept, decision = record.file, record.record.decision
    width, height = upright_size(kept, decision)
    name = f"{stem(kept.captured_at_ns, kept.id)}{kept.path.suffix.lower()}"
    found = (replace(each, label=as_utf8(each.label)) for each in objects_in(kept, decision))
    told = columns(kept, decision)
    clean = {k: as_utf8(v) if isinstance(v, str) else v for k, v in told.items()}
    return KeptFrame(
        id=kept.id,
        source=as_utf8(kept.source),
        captured_at_ns=decision.captured_at_ns,
        decided_at_ns=record.record.decided_at_ns,
        reason=decision.reason,
        path=root / kept.path,
        name=name,
        size=kept.bytes,
        sha256=kept.sha256,
        width=width,
        height=height,
        objects=None if decision.detections is None else tuple(found),
        columns={**clean, "file_name": name},
        vector=vector,
    )
