"""Retires originals after the commit (leave, move into quarantine, delete) and restores them.

One transaction of the ledger records what was decided about a file and that it is to be retired.
`Quarantine.retire` then retires it, at once or after a crash.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from ..decisions import Decision
from ..ledger import Ledger
from ..ledger.records import FileRecord, KeptFile, Quarantined, Replaced, Retire
from ..sources import FileIdentity
from ..sources.files.opening import open_beneath, opened_folder
from .durable_files import (
    copy_data,
    exchange,
    move_without_overwrite,
    sync_folder,
    sync_open_folder,
)
from .errors import StoreError, StoreFull, os_errors_about
from .lock import correcting
from .names import day_folder
from .original import (
    NAME_BYTES,
    ClaimedOriginal,
    OriginalDiffers,
    OriginalInUse,
    Quiet,
    claimed,
)
from .rights import LEAVE, refusal
from .store import QUARANTINE, Store

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_PLACE = _NO_ROOM | {errno.EROFS, errno.EACCES, errno.EPERM}
_NOT_TO_BE_HAD = frozenset(
    {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EINVAL, errno.EISDIR}
    | {errno.ENAMETOOLONG, errno.EBUSY, errno.ETXTBSY}
)
"""What is wrong with one original, such as that it is another's or a link: it is left for good. All
else (full, read-only, EIO, a network that is away) is wrong with the disk, and passes."""
_PAGE = 500
AGAIN_S = 30.0
"""Seconds between two looks at an original that somebody may still write to."""


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
    WAITS = "waits"
    """Still where it was, and to be retired later; `Retired.detail` says why."""


@dataclass(frozen=True, slots=True)
class Retired:
    """Tells what became of one original that was to be retired."""

    file: FileRecord
    fate: Fate
    detail: str | None = None
    """Why it was left or waits, as a sentence for people; None: it did not."""
    missing: tuple[str, ...] = ()
    """Ids of kept frames that show it and are no longer in the store. It is read again."""
    sidecars: int = 0
    """Files that were moved since they belong to it."""


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

    instead = LEAVE
    """What to do where a folder lets no file go."""

    def __init__(self, store: Store, ledger: Ledger, *, patient: bool = False) -> None:
        """Takes the store and its ledger.

        `patient`: where nobody can tell whether an original is open for writing, it is retired once
        it has been seen unchanged for minutes; else the time of its last change alone counts.
        """
        self._quiet = Quiet() if patient else None
        self._store = store
        self._ledger = ledger
        self._waiting: dict[tuple[str, Path], float] = {}
        """Monotonic times at which originals that may be in use are tried again."""

    def retire(self, source: str | None = None) -> list[Retired]:
        """Retires what the ledger lists, of one source or of all, and tells what became of each.

        An original that somebody may still write to is told as such, and then not looked at again
        for `AGAIN_S`.

        Call it after the commit. It records what was retired before it returns or raises. First it
        removes the superseded files of the store.

        Raises:
            StoreFull: no room to copy into quarantine; the rest stays listed for the next call.
            StoreError: the store cannot be written; the rest stays listed as well.
        """
        if superseded := self._ledger.superseded():
            self._store.discard(superseded)
            self._ledger.removed(superseded)
        now = time.monotonic()
        files = [
            file
            for file in self._ledger.retiring(source)
            if self._waiting.get((file.source, file.file), now) <= now
        ]
        return self._retire_all(files) if files else []

    def _retire_all(self, files: list[FileRecord]) -> list[Retired]:
        """Retires these, records it, and tells what became of each. Raises as `retire`."""
        done: list[tuple[Retired, Quarantined | None]] = []
        folders = {file.file.parent for file in files}
        refusals = {folder: refusal(folder, self.instead) for folder in folders}
        refused = [
            Retired(file, Fate.REFUSED, why)
            for file in files
            if (why := refusals[file.file.parent]) is not None
        ]
        wrong: StoreError | None = None
        try:
            for file in files:
                if refusals[file.file.parent] is not None:
                    continue
                try:
                    done.append(self._retire(file))
                except StoreError as error:  # it may be about this one alone
                    full = isinstance(error, StoreFull) and not isinstance(wrong, StoreFull)
                    wrong = error if wrong is None or full else wrong
        finally:
            # The removal of names must be on the disk before the ledger records it. The new folder
            # of a moved file was synced already.
            stays = (Fate.LEFT, Fate.WAITS)
            for folder in {one.file.file.parent for one, _ in done if one.fate not in stays}:
                with suppress(OSError):
                    sync_folder(folder)
            self._ledger.retired(
                (one.file, moved) for one, moved in done if one.fate is not Fate.WAITS
            )
            self._reopen([one for one, _ in done if one.missing])
            for one, _ in done:
                key = (one.file.source, one.file.file)
                if one.fate is Fate.WAITS:
                    self._waiting[key] = time.monotonic() + AGAIN_S
                else:
                    self._waiting.pop(key, None)
                    if self._quiet is not None:
                        self._quiet.forget(one.file.file)
        if wrong is not None:
            raise wrong
        return [*(one for one, _ in done), *refused]

    def take_in(self) -> None:
        """Takes out of kept/ what better copies have replaced.

        It goes into quarantine, unless its original lies where it did. Raises StoreError; what was
        done by then is recorded, and the rest stays listed for the next call.
        """
        done: list[tuple[Replaced, Quarantined | None]] = []
        try:
            for one in self._ledger.replaced():
                done.append((one, self._take_in(one)))
        finally:
            if done:
                self._ledger.taken_away(done)

    def _take_in(self, one: Replaced) -> Quarantined | None:
        """Returns what lies in quarantine then; None: its original lies where it did."""
        lying, original = self._store.root / one.path, one.original
        target = free_name(self._place(original), lambda there: holds_data(there, original))
        with os_errors_about(target):
            there = _is_at(original.file, original.content_hash)
            stays = original.retire is Retire.LEAVE and there
            if not stays and self._is_repaired(one):
                return self._take_in_repaired(one, there=there)
            if not stays and lying.exists() and not target.exists():
                self._store.make_folder(target.parent)
                self._move_in(original, lying, target)
            if lying.parent.is_dir():
                lying.unlink(missing_ok=True)
                sync_folder(lying.parent)
            return moved_to(original, target, self._store) if target.exists() else None

    def _is_repaired(self, one: Replaced) -> bool:
        """Tells whether what was kept of an original has, or had, other bytes than it."""
        lying = self._store.root / one.path
        if lying.exists():
            return content_of(lying) != one.original.content_hash
        return self._place_of_repaired(one).exists()

    def _place_of_repaired(self, one: Replaced) -> Path:
        place = self._place(one.original)
        return place.with_name(f"{place.name.partition('_')[0]}_repaired{one.path.suffix}")

    def _take_in_repaired(self, one: Replaced, *, there: bool) -> Quarantined | None:
        """Takes in what was kept of a still, repaired; None: its original can be had itself.

        `there`: the original lies where it did. Else what was kept is all that is left of it, and
        is restored beside where it was.
        """
        lying, original = self._store.root / one.path, one.original
        target = self._place_of_repaired(one)
        moves = there and original.retire is Retire.MOVE
        if lying.exists() and not moves and self._ledger.moved_from(original) is None:
            self._store.make_folder(target.parent)
            self._move_in(original, lying, target)
        if lying.parent.is_dir():
            lying.unlink(missing_ok=True)
            sync_folder(lying.parent)
        if not target.exists():
            return None
        beside = original.file.with_name(f"{original.file.stem}_repaired{one.path.suffix}")
        moved = moved_to(original, target, self._store)
        size, sha256 = target.stat().st_size, content_of(target)
        return replace(moved, original=beside, size=size, sha256=sha256)

    def _move_in(self, original: FileRecord, lying: Path, target: Path) -> None:
        """Moves what was kept of an original to its place in quarantine."""
        mtime_ns = original.identity.mtime_ns
        os.utime(lying, ns=(mtime_ns, mtime_ns))
        try:
            move_without_overwrite(lying, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._store.require_room(original.identity.size)
            with self._store.temporary(QUARANTINE) as temporary:
                with lying.open("rb") as data:
                    copy_with_facts(data, temporary)
                move_without_overwrite(temporary, target)
        sync_folder(target.parent)

    def place_of(self, record: Decision) -> Path | None:
        """Returns where the original of a still lies if it is in quarantine; None: never there."""
        if record.file is None or record.content_hash is None:
            return None
        file = self._ledger.file_with(record.source, record.content_hash, record.file)
        return None if file is None else self._place(file)

    def _place(self, file: FileRecord) -> Path:
        """Returns the place of a file in quarantine.

        It follows from path, size and time of change, so that recovery finds the file there again.
        """
        identity = file.identity
        key = os.fsencode(f"{file.file}\0{identity.size}\0{identity.mtime_ns}")
        mark = hashlib.blake2b(key, digest_size=6).hexdigest()
        name = os.fsencode(file.file.name)
        if len(name) > NAME_BYTES - len(mark) - 4:
            name = name[-(NAME_BYTES - len(mark) - 4) :]
        folder = self._store.root / day_folder(QUARANTINE, file.source, identity.mtime_ns)
        return folder / f"{mark}_{os.fsdecode(name)}"

    def waits(self, source: str) -> bool:
        """Tells whether originals of a source wait until nobody writes to them."""
        return any(name == source for name, _ in list(self._waiting))

    def _reopen(self, shown_by_none: Iterable[Retired]) -> None:
        """Records kept frames that are gone, and that what they showed is to be read again."""
        for one in shown_by_none:
            gone = [kept for id in one.missing if (kept := self._ledger.kept_file(id)) is not None]
            self._ledger.mark_missing(gone)
            self._ledger.reopen(one.file)

    def _retire(self, file: FileRecord) -> tuple[Retired, Quarantined | None]:
        target = self._place(file)
        try:
            with ExitStack() as opened:
                try:
                    original = opened.enter_context(claimed(file, self._quiet))
                except FileNotFoundError:
                    if file.retire is Retire.MOVE and holds_data(target, file):
                        return Retired(file, Fate.MOVED), moved_to(file, target, self._store)
                    return Retired(file, Fate.GONE), None
                return self._retire_claimed(file, original, target)
        except OriginalInUse as error:
            return Retired(file, Fate.WAITS, _told(file, str(error))), None
        except OriginalDiffers as error:
            return _left(file, str(error)), None
        except OSError as error:
            if error.errno in _NOT_TO_BE_HAD:
                return _left(file, error.strerror), None
            with os_errors_about(target):
                raise

    def _retire_claimed(
        self, file: FileRecord, original: ClaimedOriginal, target: Path
    ) -> tuple[Retired, Quarantined | None]:
        named = dict.fromkeys(file.named)
        if file.first_kept is not None:
            named[file.first_kept] = None
        missing = [id for id in named if not self._is_there(id)]
        if missing:
            why = "a kept frame that shows it is no longer in the store; it will be read again"
            return replace(_left(file, why), missing=tuple(missing)), None
        # Its bytes tell whether it is the same if its device or inode number is another, as after a
        # restart, and before it is deleted: what was uploaded in its place may have its name, its
        # size and its time.
        itself = self._kept_itself(file)
        same = FileIdentity.from_stat(os.fstat(original.data.fileno())) == file.identity
        deletes = itself is not None or file.retire is Retire.DELETE
        if (deletes or not same) and not original.has_the_content():
            raise OriginalDiffers("it changed after it was read")
        if itself is not None:
            if not self._is_whole(itself):
                return _left(file, "what is kept of it is damaged"), None
            original.delete()
            return Retired(file, Fate.KEPT), None
        if file.retire is Retire.DELETE:
            original.delete()
            return Retired(file, Fate.DELETED), None
        return self._move(file, original, target)

    def _kept_itself(self, file: FileRecord) -> KeptFile | None:
        """Returns the kept frame if it is this very still; None: what shows it is something else.

        A copy of a kept still has the same bytes under another name.
        """
        if file.first_kept is None or file.first_kept != file.id_of_still:
            return None
        kept = self._ledger.kept_file(file.first_kept)
        return kept if kept is not None and kept.sha256 == file.content_hash else None

    def _is_there(self, id: str) -> bool:
        """Tells whether the file of a kept frame is in the store with its size."""
        kept = self._ledger.kept_file(id)
        return kept is not None and self._store.holds(kept)

    def _is_whole(self, kept: KeptFile) -> bool:
        """Tells whether the file of a kept frame has the bytes that it had."""
        try:
            return kept.sha256 == content_of(self._store.root / kept.path)
        except OSError:
            return False

    def _move(
        self, file: FileRecord, original: ClaimedOriginal, target: Path
    ) -> tuple[Retired, Quarantined | None]:
        self._store.make_folder(target.parent)
        target = free_name(target, lambda there: holds_data(there, file))
        if target.exists():  # an attempt that was cut off had brought it there
            original.delete()
        else:
            self._bring_in(file, original, target)
        return Retired(file, Fate.MOVED), moved_to(file, target, self._store)

    def _bring_in(self, file: FileRecord, original: ClaimedOriginal, target: Path) -> None:
        """Moves an original to `target`.

        It is copied where that is on another file system, and where the original has other names,
        since who has those may still write to it.
        """
        copies = os.fstat(original.data.fileno()).st_nlink > 1
        if not copies:
            try:
                original.move(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                copies = True
        if copies:
            self._store.require_room(file.identity.size)
            with self._store.temporary(QUARANTINE) as temporary:
                copy_with_facts(original.data, temporary)
                if content_of(temporary) != file.content_hash:
                    raise OriginalDiffers("it changed while it was copied")
                original.check()
                move_without_overwrite(temporary, target)
        sync_folder(target.parent)
        if copies:
            original.delete()

    def enforce(self, max_size: int, max_age_ns: int) -> list[Quarantined]:
        """Deletes what is too old from quarantine, and the oldest until the rest is small enough.

        Ages are told from the ledger's lifetime, not from the clock on the wall. Returns what was
        deleted. It adds up the sizes of all files in quarantine, so once a minute is often enough.

        While somebody corrects a decision, nothing is: what lies there may be all that is left of a
        frame then, before the ledger says so.
        """
        with correcting(self._store.state, waits=False) as alone:
            return self._enforced(max_size, max_age_ns) if alone else []

    def _enforced(self, max_size: int, max_age_ns: int) -> list[Quarantined]:
        before_ns = self._ledger.lifetime_ns() - max_age_ns
        total = self._ledger.quarantine_total()
        removed: list[Quarantined] = []
        while oldest := self._ledger.oldest_quarantined(_PAGE):
            over = []
            for one in oldest:
                if total <= max_size and one.lifetime_ns >= before_ns:
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
        # Where it came from, no link is followed: others may write there. `to` is the operator's.
        target = one.original if to is None else self._target_in(to.resolve(), one)
        if not lying.is_file():
            self._ledger.left_quarantine([one.key])
            # An attempt that was cut off had brought it back, all but the record of that.
            for place in (target, target.with_name(one.path.name)):
                if _is_at(place, one.sha256):
                    return Restored(one, place)
            return Restored(one, None, f"{lying}: no longer in quarantine")
        try:
            if content_of(lying) != one.sha256:
                why = "not the bytes that were put there any more; take it from there by hand"
                return Restored(one, None, f"{lying}: {why}")
            with opened_folder(target.parent, make=True) as folder:
                with suppress(OSError):
                    _discard(_temporary(one), folder)  # of an attempt that was cut off
                if to is not None and _hash_in(folder, target.name) not in (None, one.sha256):
                    target = target.with_name(one.path.name)
                there = _hash_in(folder, target.name)
                instead = None if to is not None else self._instead_of(one)
                if there not in (None, one.sha256, instead):
                    why = (
                        "another file is there; nothing overwritten. --output DIR puts it elsewhere"
                    )
                    return Restored(one, None, f"{target}: {why}")
                if there != one.sha256:
                    self._bring_out(one, lying, target, folder, there)
                sync_open_folder(folder)
            if to is None:
                self._came_back(one)
            lying.unlink(missing_ok=True)
        except OSError as error:
            told = "the disk is full" if error.errno in _NO_ROOM else error.strerror
            way_out = "; choose another place with --output" if error.errno in _NO_PLACE else ""
            return Restored(one, None, f"{target}: {told}{way_out}")
        self._ledger.left_quarantine([one.key])
        return Restored(one, target)

    def _target_in(self, to: Path, one: Quarantined) -> Path:
        """Returns where a file is put that goes into another directory."""
        return to / one.original.name

    def _instead_of(self, one: Quarantined) -> str | None:  # noqa: ARG002 - other folders do
        """Returns the SHA-256 of what has its place and gives it back; None: nothing does."""
        return None

    def _came_back(self, one: Quarantined) -> None:
        """Is called when a file is where it was, durably, and before it leaves quarantine."""

    def _bring_out(
        self, one: Quarantined, lying: Path, target: Path, folder: int, there: str | None
    ) -> None:
        """Puts a file at `target`, and records it as done before a watching source can see it.

        `there`: SHA-256 of the file whose place it takes in one step; None: there is none.
        """
        temporary = _temporary(one)
        try:
            if there is None and self._linked(one, lying, target, target.name, folder):
                return
            if there is None or not self._linked(one, lying, target, temporary, folder):
                with lying.open("rb") as read, _created(folder, temporary) as written:
                    copy_data(read, written)
                    _copy_facts(read, written)
                    self._register(one, target, os.fstat(written.fileno()))
                if _hash_in(folder, temporary) != one.sha256:
                    raise OSError(errno.EIO, "the copy differs from what lies in quarantine")
            if there is None:
                move_without_overwrite(
                    temporary, target.name, source_folder=folder, target_folder=folder
                )
            else:
                _replace(target.name, there, temporary, folder)
        finally:
            _discard(temporary, folder)

    def _linked(self, one: Quarantined, lying: Path, target: Path, name: str, folder: int) -> bool:
        """Gives a file a second name in an open folder; returns False where that cannot be."""
        if lying.stat().st_dev != os.fstat(folder).st_dev:
            return False
        self._register(one, target, lying.stat())
        try:
            os.link(lying, name, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            return False
        return True

    def _register(self, one: Quarantined, target: Path, facts: os.stat_result) -> None:
        self._ledger.register_done(one.source, target, FileIdentity.from_stat(facts), one.sha256)


def free_name(target: Path, holds: Callable[[Path], bool]) -> Path:
    """Returns `target`, or a name beside it where a file has that name and does not hold the same.

    `holds` tells whether a file does.
    """
    candidate, number = target, 1
    while candidate.exists() and not holds(candidate):
        number += 1
        candidate = target.with_name(f"{number}_{target.name}")
    return candidate


def holds_content(path: Path, sha256: str) -> bool:
    """Tells whether a file has this content; False where it is not there or cannot be read."""
    try:
        return content_of(path) == sha256
    except OSError:
        return False


def holds_data(path: Path, file: FileRecord) -> bool:
    """Tells whether a file has the content of one that was decided."""
    try:
        return path.stat().st_size == file.identity.size and content_of(path) == file.content_hash
    except OSError:
        return False


def content_of(path: Path) -> str:
    """Returns the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_with_facts(source: BinaryIO, target: Path) -> None:
    """Copies data, times and mode, and syncs the data to the disk."""
    source.seek(0)
    with target.open("xb") as written:
        copy_data(source, written)
        _copy_facts(source, written)


def write_with_facts(data: bytes, target: BinaryIO, facts: os.stat_result) -> None:
    """Writes data to an open file, with the times and the mode of another, and syncs it.

    Raises OSError.
    """
    target.write(data)
    target.flush()
    os.fchmod(target.fileno(), stat.S_IMODE(facts.st_mode))
    os.utime(target.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.fsync(target.fileno())


def _copy_facts(source: BinaryIO, target: BinaryIO) -> None:
    """Gives a copy the times and the mode of its source."""
    facts = os.fstat(source.fileno())
    os.fchmod(target.fileno(), stat.S_IMODE(facts.st_mode))
    os.utime(target.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _created(folder: int, name: str) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")


def _hash_in(folder: int, name: str) -> str | None:
    """Returns the SHA-256 (hex) of a file in an open folder; None: there is none.

    Raises OSError, also for what is no regular file.
    """
    try:
        descriptor = open_beneath(folder, name)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(one: Quarantined) -> str:
    """Returns the name of a file beside its place while it is brought back."""
    return f".stillsift-{one.key}.tmp"


def _discard(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _replace(name: str, sha256: str, by: str, folder: int) -> None:
    """Gives the file `by` the name of one with these bytes, both in an open folder, in one step.

    Raises OSError; FileExistsError, with both as they were, where that has other bytes by now.
    """
    exchanged = exchange(by, name, folder)
    try:
        same = _hash_in(folder, by if exchanged else name) == sha256
    except OSError:
        same = False
    if same and not exchanged:
        os.rename(by, name, src_dir_fd=folder, dst_dir_fd=folder)
    elif not same:
        if exchanged:
            exchange(by, name, folder)
        raise FileExistsError(errno.EEXIST, "another file was put there meanwhile", name)


def _is_at(path: Path, sha256: str) -> bool:
    """Tells whether a file with these bytes is there; no link is followed."""
    try:
        with opened_folder(path.parent) as folder:
            return _hash_in(folder, path.name) == sha256
    except OSError:
        return False


def _left(file: FileRecord, reason: str | None) -> Retired:
    return Retired(file, Fate.LEFT, _told(file, reason))


def _told(file: FileRecord, reason: str | None) -> str:
    return f"{file.file}: not {_PAST[file.retire]}: {reason}"


_PAST = {Retire.MOVE: "moved", Retire.DELETE: "deleted", Retire.LEAVE: "touched"}


def moved_to(file: FileRecord, target: Path, store: Store) -> Quarantined:
    """Returns the record of a file that lies at `target` now."""
    return Quarantined(
        key=0,
        source=file.source,
        original=file.file,
        path=target.relative_to(store.root),
        size=file.identity.size,
        sha256=file.content_hash,
        at_ns=0,
    )
