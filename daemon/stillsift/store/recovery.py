"""Brings disk and ledger into agreement again after a crash.

It removes no kept frame. Each step can be cut off and done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ..decisions import Decision, Outcome, Reason
from ..frames import TimeOrigin
from ..ledger import Ledger
from ..ledger.records import KeptFile
from .correction import Corrections
from .errors import StoreError, os_errors_about
from .lock import correcting
from .metadata_jsonl import Listing
from .names import folder_name, parse_name, source_name
from .quarantine import Quarantine
from .store import AUDIT, KEPT, QUARANTINE, TEMPORARY, Store


@dataclass(slots=True)
class Recovered:
    """Tells what recovery found and did."""

    adopted: list[KeptFile] = field(default_factory=list)
    """Kept files that had no row and now have one."""
    missing: list[KeptFile] = field(default_factory=list)
    """Kept frames whose file is gone; each is reported by one recovery only."""
    warnings: list[str] = field(default_factory=list)
    """Sentences for people, one for each thing that was wrong."""


def recover(store: Store, ledger: Ledger, listing: Listing, quarantine: Quarantine) -> Recovered:
    """Recovers a store and its ledger, and returns what was found.

    Call it once at start, with the store's lock held and before any frame is placed.
    """
    found = Recovered()
    with correcting(store.state):  # what is being corrected has a file whose row is still to come
        _remove_temporary(store)
        _remove_superseded(store, ledger)
        _take_in_replaced(quarantine, found)
        _compare_folders(store, ledger, listing, found)
    _finish_retiring(quarantine, found)
    _list_again(ledger, listing, found)
    return found


def _remove_temporary(store: Store) -> None:
    for area in (KEPT, AUDIT, QUARANTINE):
        folder = store.root / area / TEMPORARY
        with os_errors_about(folder):
            for leftover in folder.iterdir() if folder.is_dir() else ():
                leftover.unlink(missing_ok=True)


def _remove_superseded(store: Store, ledger: Ledger) -> None:
    if superseded := ledger.superseded():
        store.discard(superseded)
        ledger.removed(superseded)


def _take_in_replaced(quarantine: Quarantine, found: Recovered) -> None:
    try:
        quarantine.take_in()
    except StoreError as error:
        found.warnings.append(f"what better copies have replaced waits in kept/: {error}")


def _compare_folders(store: Store, ledger: Ledger, listing: Listing, found: Recovered) -> None:
    """Compares day folders with the ledger.

    It looks only into folders that changed since they were last known to be in order.
    """
    known = ledger.folders()
    there = set(_day_folders(store))
    for folder in sorted(there):
        recorded = known.get(folder)
        with os_errors_about(store.root / folder):
            changed = recorded is None or (store.root / folder).stat().st_mtime_ns != recorded
        if changed:
            _compare(store, ledger, folder, found)
            ledger.mark_in_order({folder: listing.settled_mtime(folder)})
    gone = sorted({*known, *ledger.unlisted_folders()} - there)
    for folder in gone:
        _mark_missing(
            ledger, [kept.file for kept in ledger.kept_in(folder) if not kept.missing], found
        )
    ledger.forget_folders(gone)


def _day_folders(store: Store) -> Iterator[Path]:
    root = store.root
    for area in (KEPT, AUDIT):
        with os_errors_about(root / area):
            for folder in (root / area).glob("*/[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"):
                if not folder.is_symlink() and folder.is_dir():
                    yield folder.relative_to(root)


def _compare(store: Store, ledger: Ledger, folder: Path, found: Recovered) -> None:
    """Adopts the files of a day folder that have no row, and records which files are missing."""
    with os_errors_about(store.root / folder):
        names = {path.name for path in (store.root / folder).iterdir()}
    rows = {kept.file.path.name: kept for kept in ledger.kept_in(folder)}
    waiting = {one.path for one in ledger.replaced()}
    orphans = [folder / name for name in sorted(names - rows.keys())]
    orphans = [path for path in orphans if path not in waiting]
    adopted = [one for path in orphans if (one := _adopted(store, ledger, path, found))]
    if adopted:
        ledger.adopt(adopted)
        found.adopted += [kept for _, kept in adopted]
    _mark_missing(
        ledger, [k.file for name, k in rows.items() if name not in names and not k.missing], found
    )
    if again := [k.file for name, k in rows.items() if name in names and k.missing]:
        ledger.mark_missing(again, missing=False)


def _mark_missing(ledger: Ledger, gone: list[KeptFile], found: Recovered) -> None:
    if gone:
        ledger.mark_missing(gone)
        found.missing += gone
        found.warnings += [f"{kept.path}: kept, but its file is gone" for kept in gone]


def _adopted(
    store: Store, ledger: Ledger, path: Path, found: Recovered
) -> tuple[Decision, KeptFile] | None:
    """Makes the rows for a file that has none.

    None: the file is not a kept frame, or the same frame is kept in another file.
    """
    parsed = parse_name(path.name)
    if parsed is None:
        return None
    captured_at_ns, id = parsed
    standing = ledger.kept_file(id)
    if standing is not None:
        found.warnings.append(f"{path}: left alone, the same frame is kept as {standing.path}")
        return None
    if Corrections(store, ledger).take_away(path, id):
        return None
    with os_errors_about(store.root / path):
        data = (store.root / path).read_bytes()
    width, height = _image_size(data)
    named = {folder_name(source): source for source in ledger.sources()}
    source = named.get(path.parts[1]) or source_name(path.parts[1])
    kept = KeptFile(
        id=id,
        source=source,
        path=path,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        captured_at_ns=captured_at_ns,
    )
    detail = "found in the store after a crash; what was measured is lost"
    dropped = ledger.decision(id)
    if dropped is not None and dropped.decision.outcome is Outcome.DROPPED:
        # A person had asked for it, or it was offered again: what was measured is known.
        detail = "found in the store after a crash"
        return replace(dropped.decision, reason=Reason.NOVEL, detail=detail), kept
    decision = Decision(
        id=id,
        source=source,
        reason=Reason.AUDIT if path.is_relative_to(AUDIT) else Reason.NOVEL,
        captured_at_ns=captured_at_ns,
        captured_at_origin=TimeOrigin.FILENAME,
        frame_index=0,
        width=width,
        height=height,
        detail=detail,
    )
    return decision, kept


def _image_size(data: bytes) -> tuple[int, int]:
    """Returns width and height as stored; (0, 0) where OpenCV cannot read the picture."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return 0, 0
    return (0, 0) if pixels is None else (int(pixels.shape[1]), int(pixels.shape[0]))


def _finish_retiring(quarantine: Quarantine, found: Recovered) -> None:
    try:
        retired = quarantine.retire()
    except StoreError as error:
        found.warnings.append(f"originals wait to be retired: {error}")
    else:
        told = (one.detail for one in retired if one.detail is not None)
        found.warnings += dict.fromkeys(told)  # a folder that refuses is one warning


def _list_again(ledger: Ledger, listing: Listing, found: Recovered) -> None:
    for folder in ledger.unlisted_folders():
        try:
            listing.rewrite(folder)
        except StoreError as error:
            found.warnings.append(f"{folder}/metadata.jsonl is out of date: {error}")
