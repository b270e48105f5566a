"""Repairs stills where they lie, once their originals are safe in another folder.

That folder is made as by `sift --remove-to`, and `restore` undoes it all. No name is ever without a
whole file: the original is in the folder and recorded before the repaired still takes its name.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from ..ledger import Ledger
from ..ledger.records import InPlaceRepairRecord, Quarantined
from ..sources import FileIdentity
from ..sources.files.opening import being_written, open_beneath, opened_folder
from .durable_files import exchange, move_without_overwrite, sync_folder, sync_open_folder
from .errors import os_errors_about
from .in_place import InPlaceStore, write_table
from .quarantine import (
    Quarantine,
    Restored,
    content_of,
    copy_with_facts,
    holds_content,
    write_with_facts,
)
from .repair import Repaired, repaired_names
from .store import KEPT

LIST = "repaired.csv"
"""Name of the list of what was repaired."""
COLUMNS = ("file", "now", "original", "repairs", "bytes", "sha256")
"""Columns of the list: where the original was, the still now, where the original lies, what was
done, and size and SHA-256 of the original."""
_SOURCE = "repair"
"""Name of the source of all originals in the ledger of such a folder."""
_CANNOT_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
)


class NotRepaired(Exception):
    """Says why a still was left as it is, as words for people."""


@dataclass(frozen=True, slots=True)
class OpenStill:
    """Holds a still that is read for its repair."""

    path: Path
    file: BinaryIO
    folder: int
    """Descriptor of its open folder."""
    identity: FileIdentity
    data: bytes
    """All of its bytes."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def check(self) -> None:
        """Raises NotRepaired unless its name still means this file, as it was when it was read."""
        facts = os.fstat(self.file.fileno())
        named = os.stat(self.path.name, dir_fd=self.folder, follow_symlinks=False)
        if FileIdentity.from_stat(facts) != self.identity or not os.path.samestat(facts, named):
            raise NotRepaired("it changed after it was read")
        if being_written(self.file.fileno()):
            raise NotRepaired("somebody has it open for writing")


def read_still(path: Path, folder: int) -> OpenStill:
    """Opens and reads a still in an open folder; close its `file`. Raises OSError."""
    file = os.fdopen(open_beneath(folder, path.name), "rb")
    try:
        identity = FileIdentity.from_stat(os.fstat(file.fileno()))
        return OpenStill(path, file, folder, identity, file.read())
    except BaseException:
        file.close()
        raise


class InPlaceRepair(Quarantine):
    """Puts repaired stills in the place of originals, and originals back in theirs."""

    def __init__(self, store: InPlaceStore, ledger: Ledger) -> None:
        super().__init__(store, ledger)
        self._store_in = store

    def sweep(self) -> None:
        """Removes what a run that was cut off has left beside stills. Raises LedgerError."""
        for one in self._ledger.quarantined():
            for name in (one.original, self._now(one)):
                if name is not None:
                    with suppress(OSError), opened_folder(name.parent) as folder:
                        os.unlink(_temporary(name), dir_fd=folder)

    def was_undone(self, still: OpenStill) -> bool:
        """Tells whether this file was repaired before, and brought back."""
        return self._ledger.is_restored(still.path, still.identity)

    def before(self, file: Path, sha256: str, what: str) -> bytes | None:
        """Returns what a file was before an earlier run made it the bytes with this SHA-256.

        None: none did, or what was done does not begin with `what`. Raises OSError.
        """
        path, done = self._made_before.get((file, sha256), (None, ""))
        if path is None or not done.startswith(what):
            return None
        return (self._store_in.root / path).read_bytes()

    @cached_property
    def _made_before(self) -> dict[tuple[Path, str], tuple[Path, str]]:
        """Where the original lies and what was done, by the repaired file and its SHA-256.

        It is what earlier runs have done, if it is asked for before anything is repaired.
        """
        found = {}
        for one in self._ledger.quarantined(_SOURCE):
            if (record := self._ledger.in_place_repair(one.path)) is not None:
                found[record.now, record.sha256] = one.path, record.repairs
        return found

    def replace(self, still: OpenStill, made: Repaired, below: Path) -> tuple[Path, Path]:
        """Backs a still up and puts what it is repaired to in its place.

        `below`: its path in the folder of originals, relative to that. Returns where the repaired
        still is, and where the original lies. Raises NotRepaired, StoreError, LedgerError and
        OSError; the still is whole then, under its name.
        """
        data = still.data if made.data is None else made.data
        sha256 = hashlib.sha256(data).hexdigest()
        backup = self._backup_place(still, below)
        now = self._free(repaired_names(still.path, made.suffix), sha256, backup)
        temporary = _temporary(now)
        try:
            _write(still, temporary, data)
            still.check()
            self._ledger.will_repair(
                Quarantined(
                    key=0,
                    source=_SOURCE,
                    original=still.path,
                    path=backup.relative_to(self._store_in.root),
                    size=still.identity.size,
                    sha256=still.sha256,
                    at_ns=0,
                ),
                InPlaceRepairRecord(now, sha256, made.done),
            )
            self._back_up(still, backup)
            still.check()
            self._put(still, temporary, now)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=still.folder)
        sync_open_folder(still.folder)
        return now, backup

    def _free(self, names: tuple[Path, ...], sha256: str, backup: Path) -> Path:
        """Returns the name that the repaired still gets, of its `names`. Raises NotRepaired.

        A file that is there by that name was put there by an attempt that was cut off.
        """
        if len(names) == 1:
            return names[0]
        record = self._ledger.in_place_repair(backup.relative_to(self._store_in.root))
        for name in names:
            ours = record is not None and (record.now, record.sha256) == (name, sha256)
            if not os.path.lexists(name) or (ours and holds_content(name, sha256)):
                return name
        raise NotRepaired("other files have the names that it could get")

    def _put(self, still: OpenStill, temporary: str, now: Path) -> None:
        """Gives the repaired still its name; the original has lost its own then."""
        if now.name != still.path.name:
            if not _same_in(still.folder, now.name, temporary):
                _named(still.folder, temporary, now.name)
            sync_open_folder(still.folder)
            still.check()
            os.unlink(still.path.name, dir_fd=still.folder)
            return
        if not exchange(temporary, still.path.name, still.folder):
            os.rename(temporary, still.path.name, src_dir_fd=still.folder, dst_dir_fd=still.folder)
            return
        # The temporary name means the original now, unless another file was put in its place.
        was = os.stat(temporary, dir_fd=still.folder, follow_symlinks=False)
        if not os.path.samestat(was, os.fstat(still.file.fileno())):
            exchange(temporary, still.path.name, still.folder)
            raise NotRepaired("another file was put in its place")

    def _backup_place(self, still: OpenStill, below: Path) -> Path:
        """Returns where the original goes: where nothing lies, or the very same bytes do.

        A place that is recorded for another file is left to that, whatever its bytes.
        """
        target = candidate = self._store_in.root / below
        number = 1
        while not self._is_free(candidate, still):
            number += 1
            candidate = target.with_name(f"{number}_{target.name}")
        return candidate

    def _is_free(self, candidate: Path, still: OpenStill) -> bool:
        if candidate.exists() and not holds_content(candidate, still.sha256):
            return False
        recorded = self._ledger.has_moved_to(candidate.relative_to(self._store_in.root))
        return not recorded or self._is_for(candidate, still)  # of an attempt that was cut off

    def _is_for(self, candidate: Path, still: OpenStill) -> bool:
        path = candidate.relative_to(self._store_in.root)
        return any(
            one.path == path and (one.original, one.sha256) == (still.path, still.sha256)
            for one in self._ledger.quarantined(_SOURCE)
        )

    def _back_up(self, still: OpenStill, backup: Path) -> None:
        """Brings the original to its place, durably; what lies there has its bytes already."""
        store = self._store_in
        with os_errors_about(backup):
            store.make_folder(backup.parent)
            if not backup.exists() and not _linked(still, backup):
                store.require_room(still.identity.size)
                with store.temporary(KEPT) as temporary:
                    copy_with_facts(still.file, temporary)
                    if content_of(temporary) != still.sha256:
                        raise NotRepaired("it changed while it was copied")
                    move_without_overwrite(temporary, backup)
            if not holds_content(backup, still.sha256):
                raise NotRepaired(f"{backup} has not its bytes")
            sync_folder(backup.parent)

    def _now(self, one: Quarantined) -> Path | None:
        record = self._ledger.in_place_repair(one.path)
        return None if record is None else record.now

    def restore(self, wanted: Iterable[Quarantined], to: Path | None = None) -> list[Restored]:
        """Brings originals back; what they were repaired to goes, where nobody has changed it.

        An original takes the name of what it was repaired to in one step; what has another name
        goes once it is there. With `to` they go there, and repaired stills stay. Nothing else is
        overwritten.
        """
        # The last repair of a still is undone first.
        return super().restore(reversed(list(wanted)), to)[::-1]

    def _instead_of(self, one: Quarantined) -> str | None:
        record = self._ledger.in_place_repair(one.path)
        return record.sha256 if record is not None and record.now == one.original else None

    def _came_back(self, one: Quarantined) -> None:
        """Removes what a still was repaired to under another name."""
        record = self._ledger.in_place_repair(one.path)
        if record is None or record.now == one.original:
            return
        if holds_content(record.now, record.sha256):
            with suppress(OSError), opened_folder(record.now.parent) as folder:
                os.unlink(record.now.name, dir_fd=folder)
                sync_open_folder(folder)

    def write_list(self) -> None:
        """Writes the list of what was repaired and not brought back; whole or not at all.

        Raises StoreError and LedgerError.
        """
        write_table(self._store_in, LIST, COLUMNS, self.rows())

    def rows(self) -> Iterator[dict[str, object]]:
        """Yields a row of `COLUMNS` for each original that lies in the folder."""
        for one in self._ledger.quarantined(_SOURCE):
            record = self._ledger.in_place_repair(one.path)
            if record is None or not (self._store_in.root / one.path).is_file():
                continue
            yield {
                "file": str(one.original),
                "now": str(record.now),
                "original": str(self._store_in.root / one.path),
                "repairs": record.repairs,
                "bytes": one.size,
                "sha256": one.sha256,
            }


def _temporary(now: Path) -> str:
    """Returns the name of a repaired still while it is written; nobody takes it for footage."""
    mark = hashlib.blake2b(os.fsencode(now.name), digest_size=8).hexdigest()
    return f".stillsift-{mark}.new"


def _write(still: OpenStill, name: str, data: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=still.folder)  # of a run that was cut off
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=still.folder), "wb") as written:
        facts = os.fstat(still.file.fileno())
        with suppress(PermissionError):
            os.fchown(written.fileno(), facts.st_uid, facts.st_gid)
        write_with_facts(data, written, facts)


def _named(folder: int, temporary: str, name: str) -> None:
    try:
        move_without_overwrite(temporary, name, source_folder=folder, target_folder=folder)
    except FileExistsError as error:
        raise NotRepaired(f"{name} was put there meanwhile") from error


def _same_in(folder: int, name: str, other: str) -> bool:
    """Tells whether two files of an open folder have the same bytes; False: one is missing."""
    try:
        with (
            os.fdopen(open_beneath(folder, name), "rb") as one,
            os.fdopen(open_beneath(folder, other), "rb") as two,
        ):
            return one.read() == two.read()
    except OSError:
        return False


def _linked(still: OpenStill, backup: Path) -> bool:
    """Gives the original a second name where that is possible; it has then but this one soon.

    A file of several names is not linked, since who has those may still write to it.
    """
    if os.fstat(still.file.fileno()).st_nlink > 1:
        return False
    try:
        os.link(still.path.name, backup, src_dir_fd=still.folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    return True
