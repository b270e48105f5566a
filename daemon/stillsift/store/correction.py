"""Changes a decision for a person: keeps what was dropped, takes out what was kept, and undoes it.

A picture reaches its new place, and the folder is synced, before one transaction says so; only
after that it leaves its old place. So it is always in one of the two, and nothing is overwritten.
It may run beside a daemon on the same store. Of several that correct at once, one waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..arrays import Image
from ..decisions import Decision, Outcome, Reason
from ..frames import ArrayPicture, Frame, NoPixels, Picture
from ..ledger import Ledger, LedgerError
from ..ledger.records import CorrectionKind, KeptFile, Quarantined
from ..problems import Problem
from .durable_files import move_without_overwrite, sync_folder
from .errors import StoreInUse, os_errors_about
from .lock import correcting
from .metadata_jsonl import Listing
from .names import day_folder
from .quarantine import content_of, copy_with_facts, free_name, holds_content
from .store import QUARANTINE, Store


class NotCorrected(Problem):
    """Says that a decision cannot be corrected as asked; nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Decided(Frame):
    """Is the frame of a decision, with the id that it was given then."""

    decided_id: str = ""

    @property
    def id(self) -> str:
        return self.decided_id


class Corrections:
    """Corrects decisions in a store."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def keep(self, id: str, found: Path | Image | None = None) -> int:
        """Keeps a dropped frame; returns the id of the correction.

        `found`: the file of a still with the bytes that were decided, or the pixels of a frame of a
        clip; None: it was kept before and lies in quarantine. Raises NotCorrected, StoreError and
        LedgerError.
        """
        with correcting(self._store.state):
            return self._keep(id, found)

    def drop(self, id: str) -> int:
        """Takes a kept frame out, into quarantine; returns the id of the correction.

        Raises NotCorrected, StoreError and LedgerError.
        """
        with correcting(self._store.state):
            return self._drop(id)

    def undo(self, id: int) -> None:
        """Undoes a correction. Raises NotCorrected, StoreError and LedgerError."""
        with correcting(self._store.state):
            self._undo(id)

    def _keep(self, id: str, found: Path | Image | None) -> int:
        before = self._open(id)
        if before.reason is Reason.REJECTED:
            return self._undo_last(id, CorrectionKind.DROP)
        if before.outcome is not Outcome.DROPPED:
            raise NotCorrected(f"{id}: was not dropped, but {before.outcome}")
        if found is None:
            raise NotCorrected(f"{id}: its picture is gone")
        after = replace(before, reason=Reason.PICKED, dropped_as=before.reason)
        kept = self._store.place(_frame(before, found), after)
        with self._or_removed(kept.path):
            made = self._ledger.correct(before, after, kept)
        self._list(kept)
        return made

    def _drop(self, id: str) -> int:
        before = self._open(id)
        if before.reason is Reason.PICKED:
            return self._undo_last(id, CorrectionKind.KEEP)
        if before.reason is Reason.AUDIT:
            raise NotCorrected(
                f"{id}: is in the audit sample and not among what is kept; judge it with "
                "`stillsift audit`"
            )
        kept = self._ledger.kept_file(id)
        if before.outcome is not Outcome.KEPT or kept is None:
            raise NotCorrected(f"{id}: is not in the store")
        if self._ledger.is_unfinished(kept.path):
            raise NotCorrected(f"{id}: was found after a crash and is still to be decided again")
        after = replace(before, reason=Reason.REJECTED)
        moved = self._into_quarantine(kept)
        # It may have been edited since: what comes back is what was there.
        kept = replace(kept, bytes=moved.size, sha256=moved.sha256)
        with self._or_removed(moved.path):
            made = self._ledger.correct(before, after, kept, moved=moved)
        self._remove(kept)
        return made

    def _undo(self, id: int) -> None:
        done = self._ledger.correction(id)
        if done is None:
            raise NotCorrected(f"there is no correction {id}")
        if done.undone_at is not None:
            raise NotCorrected("that is undone already")
        if done.was is None or done.kept is None:
            self._ledger.unlabel(id)
            return
        before = self._open(done.decision_id)
        after = replace(before, reason=done.was, dropped_as=None)
        if done.kind is CorrectionKind.KEEP:
            moved = self._out(before, done.kept)
            with self._or_removed(None if moved is None else moved.path):
                self._ledger.undo(done, before, after, moved)
            self._remove(done.kept)
        else:
            self._back(done.kept, done.moved_to)
            with self._or_removed(done.kept.path):
                self._ledger.undo(done, before, after)
            if done.moved_to is not None:
                self._store.discard([done.moved_to])
            self._list(done.kept)

    def take_away(self, path: Path, id: str) -> bool:
        """Takes a file without a record out of the store, if a correction that was cut off, or
        somebody after that, has left it there; returns whether it did.

        Its bytes lie in quarantine or where they came from, or are put into quarantine now, since
        a person has taken it out. `path`: relative to the store. Call it while nobody corrects.
        Raises StoreError and LedgerError.
        """
        mine = [
            (done, done.kept)
            for done in self._ledger.corrections(id)
            if done.kept is not None and done.kept.path == path
        ]
        if not mine:
            return False
        newest, kept = mine[0]
        with os_errors_about(path):
            kept = replace(kept, sha256=content_of(self._store.root / path))
        record = self._ledger.decision(id)
        lying = day_folder(QUARANTINE, kept.source, kept.captured_at_ns) / path.name
        there = holds_content(self._store.root / lying, kept.sha256)
        if not there and not (record and self._lies_elsewhere(record.decision, kept)):
            if (newest.kind is CorrectionKind.KEEP) == (newest.undone_at is None):
                return False
            self._ledger.will_move(self._into_quarantine(kept))
        self._store.discard([path])
        return True

    def _open(self, id: str) -> Decision:
        """Returns a decision that may be changed."""
        record = self._ledger.decision(id)
        if record is None:
            raise NotCorrected(f"{id}: the ledger holds this decision no longer")
        if self._ledger.may_change(record.decision.source):
            raise NotCorrected(
                f"{record.decision.source}: is still being sifted, and its decisions may change; "
                "let `stillsift sift` come to its end"
            )
        return record.decision

    def _undo_last(self, id: str, kind: CorrectionKind) -> int:
        for done in self._ledger.corrections(id):
            if done.kind is kind and done.undone_at is None:
                self._undo(done.id)
                return done.id
        raise NotCorrected(f"{id}: nobody has recorded why it is as it is")

    @contextmanager
    def _or_removed(self, made: Path | None) -> Iterator[None]:
        """Removes a second name that the ledger refuses to record, where it has no row for it."""
        try:
            yield
        except LedgerError:
            if made is not None and not self._ledger.has_row(made):
                self._store.discard([made])
            raise

    # -- files -------------------------------------------------------------------------------------

    def _out(self, decision: Decision, kept: KeptFile) -> Quarantined | None:
        """Takes the file of a picked frame into quarantine; None: it is gone already, or has the
        bytes that lie where they came from."""
        lying = self._store.root / kept.path
        if not lying.is_file():
            return None
        if holds_content(lying, kept.sha256) and self._lies_elsewhere(decision, kept):
            return None
        return self._into_quarantine(kept)

    def _into_quarantine(self, kept: KeptFile) -> Quarantined:
        """Gives a kept file a second name in quarantine, or copies it there."""
        lying = self._store.root / kept.path
        with os_errors_about(lying):
            sha256, size = content_of(lying), lying.stat().st_size
            day = day_folder(QUARANTINE, kept.source, kept.captured_at_ns)
            target = free_name(
                self._store.root / day / kept.path.name, lambda there: holds_content(there, sha256)
            )
        self._put(lying, target, QUARANTINE, sha256)
        path = target.relative_to(self._store.root)
        return Quarantined(0, kept.source, lying, path, size, sha256, 0)

    def _back(self, kept: KeptFile, moved_to: Path | None) -> None:
        """Puts a file back to where it was kept."""
        target = self._store.root / kept.path
        if holds_content(target, kept.sha256):
            with os_errors_about(target):
                sync_folder(target.parent)  # who brought it there may have been cut off before
            return
        lying = None if moved_to is None else self._store.root / moved_to
        if lying is None or not holds_content(lying, kept.sha256):
            raise NotCorrected(
                f"{kept.path.name}: is no longer in quarantine, which holds files for a time and "
                "a size only"
            )
        self._put(lying, target, Path(kept.path.parts[0]), kept.sha256)

    def _put(self, lying: Path, target: Path, area: Path, sha256: str) -> None:
        """Makes a file appear at another place too, whole and synced. Raises StoreError."""
        self._store.make_folder(target.parent)
        with os_errors_about(target):
            if target.exists():
                if not holds_content(target, sha256):
                    raise NotCorrected(f"{target}: another file is there; nothing overwritten")
                sync_folder(target.parent)  # who brought it there may have been cut off before
                return
            try:
                os.link(lying, target, follow_symlinks=False)
            except OSError:
                self._store.require_room(lying.stat().st_size)
                with self._store.temporary(area) as temporary:
                    with lying.open("rb") as data:
                        copy_with_facts(data, temporary)
                    move_without_overwrite(temporary, target)
            sync_folder(target.parent)

    def _lies_elsewhere(self, decision: Decision, kept: KeptFile) -> bool:
        """Tells whether the bytes of a frame lie where they came from, or in quarantine."""
        if decision.file is not None and holds_content(decision.file, kept.sha256):
            return True
        lying = self._ledger.quarantined_bytes(kept.source, kept.sha256)
        return lying is not None and holds_content(self._store.root / lying.path, kept.sha256)

    def _remove(self, kept: KeptFile) -> None:
        """Removes a file that no row needs any more."""
        self._store.discard([kept.path])
        with os_errors_about(kept.path):
            sync_folder((self._store.root / kept.path).parent)
        self._list(kept)

    def _list(self, kept: KeptFile) -> None:
        """Writes the metadata.jsonl of a day again; a daemon that has the store does it itself."""
        try:
            with self._store.lock():
                Listing(self._store, self._ledger).rewrite(kept.path.parent)
        except StoreInUse:
            pass


def _frame(decision: Decision, found: Path | Image) -> Frame:
    """Returns the frame of a decision, with its picture."""
    still = found if isinstance(found, Path) else None
    picture: Picture
    if isinstance(found, Path):
        picture = NoPixels(decision.width or 0, decision.height or 0)
    else:
        picture = ArrayPicture(found)
    return _Decided(
        source=decision.source,
        origin="",
        frame_index=decision.frame_index,
        captured_at_ns=decision.captured_at_ns,
        captured_at_origin=decision.captured_at_origin,
        picture=picture,
        file=still,
        pts_s=decision.pts_s,
        content_hash=None if still is None else decision.content_hash,
        decided_id=decision.id,
    )
