"""Exports what is new of a store into a folder, in one of the formats."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from ..escapes import as_utf8
from ..ledger.records import KeptRecord
from .camtrap_dp import CamtrapDp
from .coco import Coco
from .cvat import Cvat
from .folder import ExportError, ExportFolder
from .imagefolder import ImageFolder
from .kept_frames import KeptFrame, KeptFrames
from .label_studio import LabelStudio
from .parquet import Parquet
from .splits import TRAIN, Whole, divided, group_of
from .webdataset import WebDataset
from .yolo import Yolo

_PART_FRAMES, _PART_BYTES = 10_000, 1 << 30
"""Most frames and bytes of a part. Loaders give each worker whole parts, and so want more than a
few; and an export that is cut off writes its last part again."""
_BATCH_FRAMES = 100
"""Frames that are recorded together where there are no parts: a transaction costs as much as
placing a picture or two."""


class Format(Protocol):
    """Writes frames into a folder as one format wants them."""

    @property
    def part_name(self) -> str | None:
        """Gives the name of a part, with its split and number; None: its files lie in the folder
        one by one."""

    def write(
        self, frames: Sequence[KeptFrame], split: str, path: Path, /
    ) -> list[tuple[KeptFrame, object]]:
        """Writes frames; as a part, synced, to `path`.

        Returns those that have a picture, each with what `finish` needs to know of it.
        """

    def finish(self) -> None:
        """Writes the files again that tell of all frames."""


FORMATS: dict[str, Callable[[ExportFolder], Format]] = {
    "imagefolder": ImageFolder,
    "coco": Coco,
    "yolo": Yolo,
    "cvat": Cvat,
    "label-studio": LabelStudio,
    "webdataset": WebDataset,
    "camtrap-dp": CamtrapDp,
    "parquet": Parquet,
}
WITH_SPLITS = ("imagefolder", "coco", "yolo", "webdataset", "parquet")
"""Formats in which pictures to train with and those to validate with lie apart."""
WITH_VECTORS = ("parquet",)

_USUAL = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Suffixes of pictures that trainers mostly read: Pillow does without further libraries."""


@dataclass(frozen=True, slots=True)
class Division:
    """Says how frames are divided, see `splits`. None: as in the last export, or not at all."""

    share: float | None = None
    whole: Whole | None = None


@dataclass(slots=True)
class Exported:
    """Tells what an export has done."""

    added: int = 0
    already: int = 0
    """Frames that were exported before."""
    without_objects: int = 0
    """Frames added in which no detector has looked for objects."""
    unusual: int = 0
    """Pictures added of a kind that few trainers read."""


Tell = Callable[[int, int], None]
"""Is told how many frames are done, and how many there are."""


def export(
    kept: KeptFrames, folder: ExportFolder, format: Format, division: Division, tell: Tell
) -> Exported:
    """Exports the kept frames that are not in the folder yet.

    To divide them, it has to be known how many there are, so their records are read twice. Raises
    ExportError and OSError; what was recorded until then stays, and the next export goes on.
    """
    share, whole = _division(folder, division)
    done = Exported()
    sizes = Counter[str]()
    for record in kept.records():
        if folder.has(record.file.id):
            done.already += 1
        else:
            sizes[_group(record, whole)] += 1
    groups = divided(sizes, folder.setting("groups") or {}, folder.splits(), share)
    folder.remember("groups", groups)
    total = sizes.total()
    new = (record for record in kept.records() if not folder.has(record.file.id))
    batches: dict[str, list[KeptFrame]] = defaultdict(list)
    gathered = Counter[str]()
    # What was stored since they were counted is for the next export.
    for number, record in enumerate(islice(new, total), 1):
        split = groups.get(_group(record, whole), TRAIN)
        batches[split].append(kept.frame(record))
        gathered[split] += record.file.bytes
        if _is_full(len(batches[split]), gathered[split], format):
            _write(batches.pop(split), split, folder, format, done)
            gathered[split] = 0
        tell(number, total)
    for split, batch in batches.items():
        _write(batch, split, folder, format, done)
    if folder.splits():
        format.finish()
    return done


def _group(record: KeptRecord, whole: Whole) -> str:
    return group_of(as_utf8(record.file.source), record.file.captured_at_ns, whole)


def _division(folder: ExportFolder, asked: Division) -> tuple[float, Whole]:
    """Returns the share to set apart and what stays together; asked for once, it goes on so.

    Raises ExportError where frames were divided by something else: what is in one split as of one
    day would be in the other as of one source.
    """
    share = folder.setting("share") if asked.share is None else asked.share
    before: Whole = folder.setting("whole") or "day"
    whole = before if asked.whole is None else asked.whole
    if whole != before and folder.setting("groups"):
        raise ExportError(
            f"{folder.root}: was divided by {before}; by {whole}, frames that look alike would get "
            "into both splits. Leave out --val-by, or name another folder"
        )
    folder.remember("share", share)
    folder.remember("whole", whole)
    return share or 0.0, whole


def _is_full(frames: int, size: int, format: Format) -> bool:
    if format.part_name is None:
        return frames >= _BATCH_FRAMES
    return frames >= _PART_FRAMES or size >= _PART_BYTES


def _write(
    batch: Sequence[KeptFrame], split: str, folder: ExportFolder, format: Format, done: Exported
) -> None:
    folder.number_classes(batch)
    part = None
    if format.part_name is not None:
        part = format.part_name.format(split=split, number=folder.next_part(split))
    path = folder.new_file(part or "")
    written = format.write(batch, split, path)
    if written:
        folder.record(split, written, part)
    elif part is not None:
        path.unlink()
    done.added += len(written)
    done.without_objects += sum(frame.objects is None for frame, _ in written)
    done.unusual += sum(frame.suffix not in _USUAL for frame, _ in written)
