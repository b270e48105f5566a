"""Retires originals after the commit (leave, move into quarantine, delete) and restores them.

One transaction of the ledger records what was decided about a file and that it is to be retired.
`Quarantine.retire` then retires it, at once or after a crash.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..frames import frame_id
from ..ledger import Ledger
from ..ledger.records import FileRecord, Quarantined, Retire
from ..sources import FileIdentity, origin_of
from .durable_files import copy_data, move_without_overwrite, sync_folder
from .errors import os_errors_about
from .names import day_folder
from .rights import refusal
from .store import QUARANTINE, Store

_NAME_BYTES = 255
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_PAGE = 500


class Fate(StrEnum):
    """Tells what became of an original."""

    KEPT = "kept"
    """Removed from its folder, because the store holds it as a kept frame, byte for byte."""
    MOVED = "moved"
    DELETED = "deleted"
    LEFT = "left"
    """Still where it was; `Retired.detail` says why."""
    REFUSED = "refused"
    """Still where it was and to be retired later, since this user may take no file out of its
    folder; `Retired.detail` says why, once more for each file."""
    GONE = "gone"
    """Already removed by another program or person."""


@dataclass(frozen=True, slots=True)
class Retired:
    """Tells what became of one original that was to be retired."""

    file: FileRecord
    fate: Fate
    detail: str | None = None
    """Why it was left, as a sentence for people; None: it was not left."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Tells what became of one file that was to be restored from quarantine."""

    quarantined: Quarantined
    target: Path | None
    """Where it is now; None: it was not restored."""
    detail: str | None = None
    """Why it could not be restored; None: it was."""


class Quarantine:
    """Moves originals out of their folders, deletes them, and restores them."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def retire(self, source: str | None = None) -> list[Retired]:
        """Retires what the ledger lists, of one source or of all, and tells what became of each.

        Call it after the commit. It records what was retired before it returns or raises. First it
        removes the superseded files of the store.

        Raises:
            StoreFull: no room to copy into quarantine; the rest stays listed for the next call.
            StoreError: the store cannot be written; the rest stays listed as well.
        """
        if superseded := self._ledger.superseded():
            self._store.discard(superseded)
            self._ledger.removed(superseded)
        files = self._ledger.retiring(source)
        if not files:
            return []
        done: list[tuple[Retired, Quarantined | None]] = []
        refusals = {folder: refusal(folder) for folder in {file.file.parent for file in files}}
        refused = [
            Retired(file, Fate.REFUSED, why)
            for file in files
            if (why := refusals[file.file.parent]) is not None
        ]
        try:
            for file in files:
                if refusals[file.file.parent] is None:
                    done.append(self._retire(file))
        finally:
            # The removal of names must be on the disk before the ledger records it. The new folder
            # of a moved file was synced already.
            for folder in {one.file.file.parent for one, _ in done if one.fate is not Fate.LEFT}:
                with suppress(OSError):
                    sync_folder(folder)
            self._ledger.retired((one.file, moved) for one, moved in done)
        return [*(one for one, _ in done), *refused]

    def _retire(self, file: FileRecord) -> tuple[Retired, Quarantined | None]:
        target = self._store.root / _place(file)
        try:
            stat = file.file.lstat()
        except FileNotFoundError:
            if file.retire is Retire.MOVE and _same_data(target, file):
                return Retired(file, Fate.MOVED), _moved(file, target, self._store)
            return Retired(file, Fate.GONE), None
        except OSError as error:
            return _left(file, error.strerror), None
        if FileIdentity.from_stat(stat) != file.identity:
            return _left(file, "it changed after it was read"), None
        if file.first_kept is not None:
            kept = self._ledger.kept_file(file.first_kept)
            if kept is None or not (self._store.root / kept.path).is_file():
                return _left(file, "the frame that shows it is no longer in the store"), None
            # A copy has the same bytes, but under another name. Only the still that was kept itself
            # counts as being in the store.
            if kept.sha256 == file.content_hash and file.first_kept == _id_of_still(file):
                return _removed(file, Fate.KEPT), None
        if file.retire is Retire.DELETE:
            return _removed(file, Fate.DELETED), None
        return self._move(file, target)

    def _move(self, file: FileRecord, target: Path) -> tuple[Retired, Quarantined | None]:
        self._store.make_folder(target.parent)
        target = _free_name(target, file)
        try:
            if not target.exists():
                self._bring_in(file, target)
            file.file.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in _NO_ROOM or error.errno == errno.EIO:
                with os_errors_about(target):
                    raise
            return _left(file, error.strerror), None
        return Retired(file, Fate.MOVED), _moved(file, target, self._store)

    def _bring_in(self, file: FileRecord, target: Path) -> None:
        """Moves an original to `target`, or copies it where that is on another file system."""
        try:
            move_without_overwrite(file.file, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._store.require_room(file.identity.size)
            with self._store.temporary(QUARANTINE) as temporary:
                _copy(file.file, temporary)
                if _sha256(temporary) != file.content_hash:
                    raise OSError(errno.ESTALE, "it changed while it was copied") from error
                move_without_overwrite(temporary, target)
        sync_folder(target.parent)

    def enforce(self, max_size: int, max_age_ns: int, now_ns: int) -> list[Quarantined]:
        """Deletes what is too old from quarantine, and the oldest until the rest is small enough.

        Returns what was deleted. It adds up the sizes of all files in quarantine, so once a minute
        is often enough.
        """
        total = self._ledger.quarantine_total()
        removed: list[Quarantined] = []
        while oldest := self._ledger.oldest_quarantined(_PAGE):
            over = []
            for one in oldest:
                if total <= max_size and one.at_ns >= now_ns - max_age_ns:
                    break
                self._store.discard([one.path])
                total -= one.size
                over.append(one)
            self._ledger.left_quarantine(one.key for one in over)
            removed += over
            if len(over) < len(oldest):
                break
        return removed

    def restore(self, wanted: Iterable[Quarantined], to: Path | None = None) -> list[Restored]:
        """Restores files to where they came from, or into the directory `to`.

        No file is overwritten. A restored file counts as done for its source, so that a watching
        daemon does not read it again. It may run beside a daemon.
        """
        return [self._restore(one, to) for one in wanted]

    def _restore(self, one: Quarantined, to: Path | None) -> Restored:
        lying = self._store.root / one.path
        if not lying.is_file():
            self._ledger.left_quarantine([one.key])
            return Restored(one, None, f"{lying}: no longer in quarantine")
        target = one.original if to is None else to / one.original.name
        if to is not None and target.exists() and _sha256(target) != one.sha256:
            target = to / one.path.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                self._bring_out(one, lying, target)
            elif _sha256(target) != one.sha256:
                return Restored(one, None, f"{target}: another file is there; nothing overwritten")
            sync_folder(target.parent)
            lying.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in _NO_ROOM:
                return Restored(one, None, f"{target}: the disk is full")
            return Restored(one, None, f"{target}: {error.strerror}")
        self._ledger.left_quarantine([one.key])
        return Restored(one, target)

    def _bring_out(self, one: Quarantined, lying: Path, target: Path) -> None:
        """Puts a file at `target`, and records it as done before a watching source can see it."""
        if lying.stat().st_dev == target.parent.stat().st_dev:
            self._register(one, target, lying)
            with suppress(OSError):
                os.link(lying, target)
                return
            if target.exists():
                raise FileExistsError(errno.EEXIST, "another file is there", str(target))
        temporary = target.parent / f".stillsift-{one.key}.tmp"
        temporary.unlink(missing_ok=True)
        try:
            _copy(lying, temporary)
            if _sha256(temporary) != _sha256(lying):
                raise OSError(errno.EIO, "the copy differs from what lies in quarantine")
            self._register(one, target, temporary)
            move_without_overwrite(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _register(self, one: Quarantined, target: Path, file: Path) -> None:
        self._ledger.register_done(one.source, target, FileIdentity.of(file), one.sha256)


def _id_of_still(file: FileRecord) -> str:
    """Returns the id that the frame of the file has if the file is a still."""
    return frame_id(file.source, origin_of(file.file, file.identity), 0)


def _place(file: FileRecord) -> Path:
    """Returns the place of a file in quarantine, relative to the store.

    It follows from path, size and time of change, so that recovery finds the file there again.
    """
    identity = file.identity
    key = os.fsencode(f"{file.file}\0{identity.size}\0{identity.mtime_ns}")
    mark = hashlib.blake2b(key, digest_size=6).hexdigest()
    name = os.fsencode(file.file.name)
    if len(name) > _NAME_BYTES - len(mark) - 4:
        name = name[-(_NAME_BYTES - len(mark) - 4) :]
    folder = day_folder(QUARANTINE, file.source, identity.mtime_ns)
    return folder / f"{mark}_{os.fsdecode(name)}"


def _free_name(target: Path, file: FileRecord) -> Path:
    """Returns `target`, or a name beside it where a file with other bytes has that name."""
    candidate, number = target, 1
    while candidate.exists() and not _same_data(candidate, file):
        number += 1
        candidate = target.with_name(f"{number}_{target.name}")
    return candidate


def _same_data(path: Path, file: FileRecord) -> bool:
    try:
        return path.stat().st_size == file.identity.size and _sha256(path) == file.content_hash
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copies data, times and mode, and syncs the data to the disk."""
    with source.open("rb") as read, target.open("xb") as written:
        copy_data(read, written)
    shutil.copystat(source, target)


def _removed(file: FileRecord, fate: Fate) -> Retired:
    try:
        file.file.unlink(missing_ok=True)
    except OSError as error:
        return _left(file, error.strerror)
    return Retired(file, fate)


def _left(file: FileRecord, reason: str | None) -> Retired:
    return Retired(file, Fate.LEFT, f"{file.file}: not {_PAST[file.retire]}: {reason}")


_PAST = {Retire.MOVE: "moved", Retire.DELETE: "deleted", Retire.LEAVE: "touched"}


def _moved(file: FileRecord, target: Path, store: Store) -> Quarantined:
    return Quarantined(
        key=0,
        source=file.source,
        original=file.file,
        path=target.relative_to(store.root),
        size=file.identity.size,
        sha256=file.content_hash,
        at_ns=0,
    )
