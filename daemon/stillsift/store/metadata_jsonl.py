"""Writes a metadata.jsonl beside the kept frames of each day, one line for each frame.

Hugging Face `datasets` reads such a folder as it is: `load_dataset("imagefolder", data_dir=...)`.
Where they differ, the ledger is right: these files can be written again from it at any time.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..decisions import Decision, Detection, Reason, told_measure
from ..ledger import Ledger
from ..ledger.records import KeptFile
from .durable_files import sync_folder
from .errors import StoreError, os_errors_about
from .names import instant
from .store import Store

NAME = "metadata.jsonl"

_MOST_UNSAFE = 64
_SETTLED_NS = 1_000_000_000
_SLOW_S, _REST = 0.1, 20
"""Seconds from which a rewrite is slow, and how many times as long the next one waits then. 20,000
frames take 1.3 s, and where better copies replace kept ones, a rewrite is due every second."""


class Listing:
    """Keeps the metadata.jsonl of every day folder up to date with the ledger.

    Lines are appended at once and synced many together, because each sync costs an fsync and a
    transaction. Recovery writes again what was not synced yet at a power cut.
    """

    def __init__(
        self, store: Store, ledger: Ledger, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Takes a `clock` that gives nanoseconds since 1970, as the file system does."""
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._unsafe: dict[str, dict[Path, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._torn: set[Path] = set()
        """Folders whose metadata.jsonl may lack a line, or end in a part of one."""
        self._ahead: set[str] = set()
        """Ids of frames whose line a rewrite has written before their own thread appended it."""
        self._rests: dict[Path, float] = {}
        """Monotonic times before which folders that take long are not rewritten again."""

    def append(self, decisions: Iterable[tuple[Decision, KeptFile | None]]) -> None:
        """Adds the lines of frames that were just committed.

        Call it from the thread that placed them, before it places the next ones. Lines that are no
        longer right go at once, from large folders now and then. Raises `StoreFull` or
        `StoreError`; the frames stay kept, and a later call adds the lines.
        """
        lines: dict[Path, list[tuple[KeptFile, bytes]]] = defaultdict(list)
        with self._lock:
            for decision, kept in decisions:
                if kept is None:
                    continue
                if kept.id in self._ahead:
                    self._ahead.discard(kept.id)
                else:
                    lines[kept.path.parent].append((kept, line(kept, decision)))
            begun = time.monotonic()
            stale = self._ledger.stale_folders()
            again = {*(each for each in stale if self._rests.get(each, 0) <= begun), *self._torn}
            self._torn.update(lines)
            for folder in again:
                self._rewrite(folder, quiet=False)
                self._ahead.difference_update(kept.id for kept, _ in lines.pop(folder, ()))
            for folder, added in lines.items():
                self._append(folder, added)
            for source in {kept.source for added in lines.values() for kept, _ in added}:
                if sum(map(len, self._unsafe[source].values())) >= _MOST_UNSAFE:
                    self._make_safe(source)

    def rewrite(self, folder: Path) -> None:
        """Rewrites the metadata.jsonl of one day folder. No frame may be placed there meanwhile."""
        with self._lock:
            self._rewrite(folder, quiet=True)

    def close(self) -> None:
        """Brings all lines to the disk. No frame may be placed in the store meanwhile."""
        with self._lock:
            for folder in self._ledger.stale_folders():
                self._rewrite(folder, quiet=True)
            for source in list(self._unsafe):
                self._make_safe(source)

    def _append(self, folder: Path, added: Sequence[tuple[KeptFile, bytes]]) -> None:
        path = self._store.root / folder / NAME
        data = b"".join(text for _, text in added)
        with os_errors_about(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                written = os.write(descriptor, data)
            finally:
                os.close(descriptor)
        if written < len(data):
            raise StoreError(f"{path}: only a part of a line could be written; is the disk full?")
        self._torn.discard(folder)
        for kept, _ in added:
            self._unsafe[kept.source][folder].append(kept.id)

    def _make_safe(self, source: str) -> None:
        """Syncs the appended lines of a source to the disk and records them as listed."""
        folders = self._unsafe.pop(source, {})
        stale = self._ledger.stale_folders()
        mtimes: dict[Path, int | None] = {}
        for folder in folders:
            path = self._store.root / folder / NAME
            with os_errors_about(path):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                sync_folder(path.parent)
            if folder not in stale:
                mtimes[folder] = self.settled_mtime(folder)
        self._ledger.mark_listed((id for ids in folders.values() for id in ids), mtimes)

    def settled_mtime(self, folder: Path) -> int | None:
        """Returns a folder's time of change (ns); None while a new change could get the same."""
        with os_errors_about(self._store.root / folder):
            mtime = (self._store.root / folder).stat().st_mtime_ns
        return mtime if abs(self._clock() - mtime) > _SETTLED_NS else None

    def _rewrite(self, folder: Path, *, quiet: bool) -> None:
        """Rewrites the metadata.jsonl of one day folder from the ledger.

        `quiet`: no other thread is placing frames or has committed frames that it has yet to list.
        """
        begun = time.monotonic()
        records = [kept for kept in self._ledger.kept_in(folder) if not kept.missing]
        path = self._store.root / folder / NAME
        if not path.parent.is_dir():
            self._ledger.forget_folders([folder])
            self._torn.discard(folder)
            return
        with self._store.temporary(Path(folder.parts[0])) as temporary, os_errors_about(path):
            with temporary.open("xb") as file:
                file.writelines(line(kept.file, kept.record.decision) for kept in records)
                file.flush()
                os.fsync(file.fileno())
            if records:
                temporary.replace(path)
            else:  # a listing of nothing
                path.unlink(missing_ok=True)
            sync_folder(path.parent)
        took_s = time.monotonic() - begun
        if took_s > _SLOW_S:
            self._rests[folder] = time.monotonic() + _REST * took_s
        self._torn.discard(folder)
        unsafe = {id for folders in self._unsafe.values() for id in folders.pop(folder, ())}
        if not quiet:
            unlisted = {kept.file.id for kept in records if not kept.listed}
            self._ahead |= unlisted - unsafe
        mtime = self.settled_mtime(folder) if quiet else None
        self._ledger.mark_listed((kept.file.id for kept in records), {folder: mtime})


def line(kept: KeptFile, decision: Decision) -> bytes:
    """Returns one line of metadata.jsonl, with its `columns`."""
    return json.dumps(columns(kept, decision), allow_nan=False).encode() + b"\n"


def columns(kept: KeptFile, decision: Decision) -> dict[str, object]:
    """Returns what metadata.jsonl tells of a kept frame.

    It is strict JSON without null: a measure that was not taken is left out, and a missing text is
    empty. `datasets` 5.2 reads a missing column of a line as None, but refuses to load where a
    column is null in the whole folder that it reads first. Where that folder lacks a column
    altogether, `datasets` drops the column, unless it is told the `features`. Texts are in every
    line, so only numbers can be lost.
    """
    at = instant(decision.captured_at_ns)
    told: dict[str, object] = {
        "file_name": kept.path.name,
        "id": kept.id,
        "source": kept.source,
        "captured_at": f"{at.year:04d}{at:-%m-%dT%H:%M:%S.%f}Z",
        "captured_at_origin": str(decision.captured_at_origin),
        "reason": str(decision.reason),
        **_measures(decision, "sharpness", "sharpness_limit"),
        **_measures(decision, "similarity", "distance", "novelty", "novelty_limit"),
        "nearest_kept": decision.nearest_kept or "",
        "file": _readable(decision.file),
        "frame_index": decision.frame_index,
        **({} if decision.pts_s is None else {"pts_s": round(float(decision.pts_s), 6)}),
        "width": kept.width,
        "height": kept.height,
        "bytes": kept.bytes,
        "sha256": kept.sha256,
        "repairs": kept.repairs or "",
        "original_sha256": decision.content_hash or "",
    }
    if decision.detections:
        told["objects"] = _objects(objects_in(kept, decision))
    if decision.tags:
        told["tags"] = {
            "label": [each.label for each in decision.tags],
            "confidence": [round(each.confidence, 3) for each in decision.tags],
        }
    if decision.reason is Reason.AUDIT:  # only in audit/, where every line has it
        told["dropped_as"] = str(decision.dropped_as or "")
    return told


def upright_size(kept: KeptFile, decision: Decision) -> tuple[int, int]:
    """Returns width and height of a kept file, looked at upright.

    A repair may have left it as it was stored: on its side.
    """
    width, height = kept.width, kept.height
    if decision.width and decision.height:
        on_its_side = (width > height) != (decision.width > decision.height)
        return (height, width) if on_its_side else (width, height)
    return width, height


def objects_in(kept: KeptFile, decision: Decision) -> tuple[Detection, ...]:
    """Returns what was found, with boxes in pixels of the kept file, looked at upright.

    A repair may have made it smaller than what was decided about.
    """
    width, height = upright_size(kept, decision)
    across = width / decision.width if width and decision.width else 1.0
    down = height / decision.height if height and decision.height else 1.0
    return tuple(
        replace(each, box=(x1 * across, y1 * down, x2 * across, y2 * down))
        for each in decision.detections or ()
        for x1, y1, x2, y2 in (each.box,)
    )


def _objects(found: Iterable[Detection]) -> dict[str, list[object]]:
    """Returns objects as `datasets` has them: boxes as left, top, width and height."""
    told: dict[str, list[object]] = {"bbox": [], "label": [], "confidence": []}
    for each in found:
        left, top, right, bottom = (round(side, 1) for side in each.box)
        told["bbox"].append([left, top, round(right - left, 1), round(bottom - top, 1)])
        told["label"].append(each.label)
        told["confidence"].append(round(each.confidence, 3))
    return told


def _measures(decision: Decision, *names: str) -> dict[str, float]:
    """Returns the named measures that were taken and are finite."""
    values = ((name, told_measure(getattr(decision, name))) for name in names)
    return {name: value for name, value in values if value is not None and math.isfinite(value)}


def _readable(path: Path | None) -> str:
    """Returns a path as valid Unicode, also where its name is not; None gives an empty text."""
    return "" if path is None else os.fsencode(path).decode(errors="backslashreplace")
