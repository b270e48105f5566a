"""Leaves stills where they are, and moves or copies them into another folder once all is decided.

With `Mode.REMOVE` that folder takes what is dropped, with `Mode.COPY` what is kept, each at its
path below the folder that was sifted. All state lies in its subfolder .stillsift.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from ..decisions import Decision, Outcome, Reason
from ..escapes import escaped
from ..frames import Frame
from ..labels.yolo import label_of
from ..ledger import Ledger, LedgerReader
from ..ledger.records import (
    DecisionRecord,
    FileRecord,
    FileState,
    KeptFile,
    Quarantined,
    Retire,
)
from ..sources import FileIdentity
from ..sources.files.contents import RAW_SUFFIXES
from ..sources.files.opening import open_beneath, opened, opened_folder
from ..sources.files.tree import STATE
from .durable_files import move_without_overwrite, sync_folder
from .errors import OriginalChanged, StoreError, StoreUnavailable, os_errors_about
from .metadata_jsonl import Listing
from .original import ClaimedOriginal, OriginalDiffers, OriginalInUse, claimed
from .quarantine import (
    Fate,
    Quarantine,
    Restored,
    Retired,
    content_of,
    copy_with_facts,
    holds_content,
    holds_data,
    moved_to,
    write_with_facts,
)
from .repair import ANONYMOUS, NOTHING, ImageFormat, Repair, Repaired, repaired_names
from .sidecars import SUFFIXES as SIDECARS
from .sidecars import Sidecars
from .store import KEPT, Store, kept_as

LIST = "removed.csv"
"""Name of the list of what was moved."""
COLUMNS = ("file", "now", "reason", "shown_by", "distance", "bytes", "sha256", "detail")
"""Columns of the list: the file, where it lies now, why, and the file that shows the same."""


class Mode(StrEnum):
    """Says what the folder takes."""

    REMOVE = "remove"
    COPY = "copy"
    REPAIR = "repair"
    """Originals of stills that were repaired where they lie."""

    @property
    def made_by(self) -> str:
        """Names the option that makes such a folder."""
        return "repair --backup-to" if self is Mode.REPAIR else f"--{self}-to"


def mode_of(root: Path) -> Mode | None:
    """Returns what a folder takes; None: it was made by none of `Mode.made_by`."""
    try:
        return Mode((root / STATE / "mode").read_text().strip())
    except (OSError, ValueError):
        return None


def ledger_of(root: Path) -> Path:
    """Returns the path of the ledger of a store, or of a folder that takes files."""
    inside = root / STATE / "ledger.sqlite"
    return inside if inside.is_file() else root / "ledger.sqlite"


class InPlaceStore(Store):
    """Keeps stills by leaving them where they are; frames of clips are not kept, or become files.

    `bases` names for each source the folder from which the paths of its files are told, `repairs`
    what is put right in its stills when they are copied.
    """

    def __init__(
        self,
        root: Path,
        mode: Mode,
        image_format: ImageFormat = "jpeg",
        jpeg_quality: int = 95,
    ) -> None:
        super().__init__(root, 0, image_format, jpeg_quality)
        self.mode = mode
        self.bases: dict[str, Path] = {}
        self.repairs: dict[str, Repair] = {}

    @property
    def state(self) -> Path:
        return self.root / STATE

    def prepare(self) -> None:
        with self.temporary(KEPT) as temporary, os_errors_about(temporary):
            temporary.write_text(f"{self.mode}\n")
            temporary.replace(self.state / "mode")

    def temporary_folder(self, area: Path) -> Path:  # noqa: ARG002 - one for all
        return self.state / "placing"

    def below(self, source: str, file: Path) -> Path:
        """Returns the path of a file, relative to the folder that takes files.

        A label beside the folder of pictures (images/b.jpg, labels/b.txt) is at labels/b.txt.
        """
        base = self.bases[source]
        if file.is_relative_to(base):
            return file.relative_to(base)
        return Path(*(part for part in Path(os.path.relpath(file, base)).parts if part != ".."))

    def path_of(self, frame: Frame, suffix: str, area: Path = KEPT) -> Path:  # noqa: ARG002
        assert frame.file is not None
        clip = self.below(frame.source, frame.file)
        return clip.with_name(f"{clip.name}_{frame.frame_index:06d}{suffix}")

    def place(self, frame: Frame, decision: Decision, repair: Repair = NOTHING) -> KeptFile:
        """Returns what is kept: the still itself, or the frame of a clip.

        `repair` is for what is copied at the end of the source, see `Removal.finish`.

        Raises OriginalChanged where the still is gone, and what `Store.place` raises.
        """
        assert frame.file is not None
        if frame.content_hash is None and self.mode is Mode.COPY:
            return super().place(frame, decision, repair)
        path, size, sha256 = frame.file, 0, frame.content_hash
        if sha256 is None:  # no file of its own
            path, sha256 = path / f"#{frame.frame_index}", ""
        else:
            try:
                size = path.stat().st_size
            except OSError as error:
                raise OriginalChanged(f"{path}: {error.strerror} after it was read") from error
        return kept_as(frame, decision, path, size, sha256)

    def holds(self, kept: KeptFile) -> bool:
        return kept.path.parent.is_file() if _in_clip(kept) else super().holds(kept)

    def lacks(self, kept: KeptFile) -> bool:
        path = self.root / (kept.path.parent if _in_clip(kept) else kept.path)
        return not self.holds(kept) and path.parent.is_dir()

    def discard(self, paths: Iterable[Path]) -> None:
        # What is kept in place is not ours to remove.
        super().discard(path for path in paths if not path.is_absolute())


def _in_clip(kept: KeptFile) -> bool:
    return kept.path.is_absolute() and not kept.sha256


class NoListing(Listing):
    """Writes no metadata.jsonl, since the folders are another's."""

    def append(self, decisions: object) -> None:
        pass

    def rewrite(self, folder: Path) -> None:
        pass

    def close(self) -> None:
        pass


SHOWN = frozenset(
    {Reason.NEAR_DUPLICATE, Reason.EXACT_DUPLICATE, Reason.SAME_BACKGROUND, Reason.SAME_OBJECT}
)
"""Reasons for which a kept file shows what is dropped; it goes only while that one is there."""


class Removal(Quarantine):
    """Moves what is dropped, or copies what is kept, once all of a source is decided."""

    instead = "copy what is kept with --copy-to"

    def __init__(self, store: InPlaceStore, ledger: Ledger) -> None:
        super().__init__(store, ledger)
        self._place_in = store
        self._sidecars = Sidecars()

    def define(self, bases: dict[str, Path], repairs: dict[str, Repair] | None = None) -> None:
        """Sets for each source the folder from which the paths of its files are told.

        `repairs`: what is put right in the stills of each source when they are copied.
        """
        self._place_in.bases = bases
        self._place_in.repairs = repairs or {}

    def _target_in(self, to: Path, one: Quarantined) -> Path:
        return to / one.path  # two files of one name come from two folders

    def restore(self, wanted: Iterable[Quarantined], to: Path | None = None) -> list[Restored]:
        """Restores files as `Quarantine.restore` does, stills first.

        What belongs to a still that could not be restored stays with it: beside the file that has
        the still's place it would pass for that one's.
        """
        wanted = list(wanted)
        back = super().restore([one for one in wanted if not _is_sidecar(one.original)], to)
        came = with_sidecars(wanted, {e.quarantined.key for e in back if e.target is not None})
        stay = with_sidecars(wanted, {e.quarantined.key for e in back if e.target is None}) - came
        its = [one for one in wanted if _is_sidecar(one.original)]
        back += super().restore([one for one in its if one.key not in stay], to)
        why = "stays with its picture, which could not be restored"
        back += [Restored(one, None, f"{one.original}: {why}") for one in its if one.key in stay]
        places = {one.key: place for place, one in enumerate(wanted)}
        return sorted(back, key=lambda each: places[each.quarantined.key])

    def retire(self, source: str | None = None) -> list[Retired]:  # noqa: ARG002
        """Does nothing yet: until the end of a source a better copy may take the place of one."""
        return []

    def take_in(self) -> None:
        """Notes that what is kept no longer lies where it was, and removes frames of clips."""
        if replaced := self._ledger.replaced():
            self._ledger.taken_away((one, None) for one in replaced)
        if superseded := self._ledger.superseded():
            self._place_in.discard(superseded)
            self._ledger.removed(superseded)

    def finish(self, source: str, go_on: Callable[[], bool]) -> Finished:
        """Moves or copies what a source has to, as it is decided now; what was done stays done.

        `go_on` tells whether to do the next. What cannot be moved is told and stays. Raises
        LedgerError, and StoreError where the list cannot be written.
        """
        done = Finished()
        self._sidecars = Sidecars()
        try:
            if self._place_in.mode is Mode.COPY:
                self._copy_kept(source, go_on, done)
            files = self._ledger.retiring(source)
            dropped = [file for file in files if self._dropped(file) is not None]
            going = [file for file in dropped if not self._ledger.was_restored(file)]
            done.restored = len(dropped) - len(going)
            staying = {*files} - {*going}
            self._ledger.retired((file, None) for file in staying)
            for file in going:
                if not go_on():
                    break
                try:
                    for one in self._retire_all([file]):
                        done.note(one)
                except StoreError as error:
                    done.told.append(f"{file.file}: not moved: {error}")
        finally:
            write_list(self._place_in, self._ledger)
        return done

    def _retire(self, file: FileRecord) -> tuple[Retired, Quarantined | None]:
        retired, moved = self._retire_still(file)
        if retired.fate is Fate.MOVED:
            retired = self._with_sidecars(retired)
        return retired, moved

    def _with_sidecars(self, retired: Retired) -> Retired:
        """Moves what belongs to a still that has left, before the ledger says that it has."""
        source, still = retired.file.source, retired.file.file
        moved, told = 0, []
        try:
            its = self._sidecars.going_with(still)
        except OSError as error:
            its, told = [], [f"{still}: moved without what is beside it: {error.strerror}"]
        for path in its:
            try:
                moved += self._move_sidecar(source, path)
            except FileNotFoundError:
                pass  # somebody has taken it
            except (OriginalInUse, OriginalDiffers) as error:
                told.append(f"{path}: not moved: {error}")
            except OSError as error:
                told.append(f"{path}: not moved: {error.strerror}")
        return replace(retired, sidecars=moved, detail="; ".join(told) or None)

    def _move_sidecar(self, source: str, path: Path) -> bool:
        """Moves one file; returns False where somebody has brought it back before."""
        with (
            opened_folder(path.parent) as folder,
            os.fdopen(open_beneath(folder, path.name), "rb") as data,
        ):
            identity = FileIdentity.from_stat(os.fstat(data.fileno()))
            if self._ledger.is_restored(path, identity):
                return False
            sha256 = hashlib.file_digest(data, "sha256").hexdigest()
            file = FileRecord(
                *(source, path, identity, sha256, 0, FileState.DONE),
                error=None,
                first_kept=None,
                retire=Retire.MOVE,
            )
            # It has no other name meanwhile: by that nobody would know it after a crash.
            self._bring_away(file, ClaimedOriginal(file, folder, path.name, data))
        return True

    def _retire_still(self, file: FileRecord) -> tuple[Retired, Quarantined | None]:
        decision = self._dropped(file)
        if decision is None:
            return Retired(file, Fate.LEFT), None
        target = self._intended(file)
        try:
            with ExitStack() as opened:
                try:
                    original = opened.enter_context(claimed(file))
                except FileNotFoundError:
                    # An attempt that was cut off has moved it, or somebody has taken it.
                    there = target is not None and holds_data(target, file)
                    return Retired(file, Fate.MOVED if there else Fate.GONE), None
                return self._move_away(file, decision, original)
        except OriginalInUse as error:
            return Retired(file, Fate.WAITS, f"{file.file}: not moved: {error}"), None
        except OriginalDiffers as error:
            return Retired(file, Fate.LEFT, f"{file.file}: not moved: {error}"), None
        except OSError as error:
            return Retired(file, Fate.LEFT, f"{file.file}: not moved: {error.strerror}"), None

    def _move_away(
        self,
        file: FileRecord,
        decision: Decision,
        original: ClaimedOriginal,
    ) -> tuple[Retired, Quarantined | None]:
        repeats = decision.reason in SHOWN and _is_repeat(self._ledger, decision)
        if repeats and not self._is_shown(decision):
            why = "the file that shows it is no longer there as it was; it is looked at again"
            missing = () if decision.nearest_kept is None else (decision.nearest_kept,)
            return Retired(file, Fate.LEFT, f"{file.file}: not moved: {why}", missing), None
        same = FileIdentity.from_stat(os.fstat(original.data.fileno())) == file.identity
        if not same and not original.has_the_content():
            raise OriginalDiffers("it changed after it was read")
        self._bring_away(file, original)
        return Retired(file, Fate.MOVED), None

    def _intended(self, file: FileRecord) -> Path | None:
        """Returns where a file is to lie by an attempt that was cut off; None: there was none."""
        intended = self._ledger.moved_from(file)
        return None if intended is None else self._place_in.root / intended.path

    def _bring_away(self, file: FileRecord, original: ClaimedOriginal) -> None:
        """Moves a file to its path below the folder; that place is recorded first."""
        intended = self._intended(file)
        if intended is not None and holds_data(intended, file):
            original.delete()  # an attempt that was cut off had copied it there
            return
        target = intended if intended is not None and not intended.exists() else None
        if target is None:
            target = self._free(self._place_in.root / self._place_in.below(file.source, file.file))
            self._ledger.will_move(moved_to(file, target, self._place_in))
        self._place_in.make_folder(target.parent)
        self._bring_in(file, original, target)

    def _free(self, target: Path) -> Path:
        """Returns a path where nothing lies and nothing is about to; a number before its name."""
        root, candidate, number = self._place_in.root, target, 1
        while candidate.exists() or self._ledger.has_moved_to(candidate.relative_to(root)):
            number += 1
            candidate = target.with_name(f"{number}_{target.name}")
        return candidate

    def _is_shown(self, decision: Decision) -> bool:
        """Tells whether the kept still that shows a file is there as it was when it was decided."""
        id_ = decision.nearest_kept
        kept = None if id_ is None else self._ledger.kept_file(id_)
        if kept is None or not self._place_in.holds(kept) or kept.path == decision.file:
            return False
        path = self._place_in.root / kept.path
        file = self._ledger.file_with(kept.source, kept.sha256, kept.path)
        same = file is not None and path.stat().st_mtime_ns == file.identity.mtime_ns
        return same or content_of(path) == kept.sha256

    def _dropped(self, file: FileRecord) -> Decision | None:
        """Returns the decision about a still that was dropped and may go.

        None: it is kept, or a clip, or what shows it is a part of a clip or a page of a file.
        """
        record = self._ledger.decision(file.id_of_still)
        if record is None or record.decision.outcome is not Outcome.DROPPED:
            return None
        return record.decision if goes(self._ledger, record.decision) else None

    def _copy_kept(self, source: str, go_on: Callable[[], bool], done: Finished) -> None:
        for record in self._ledger.decisions(source=source, outcome=Outcome.KEPT):
            if not go_on():
                return
            decision = record.decision
            if decision.content_hash is None or decision.file is None:
                done.moved += 1  # a frame of a clip became a file when it was kept
                continue
            try:
                why = self._copy(decision.file, decision.content_hash, record)
            except StoreUnavailable:  # no other can be copied either
                raise
            except StoreError as error:
                why = str(error).removeprefix(f"{decision.file}: ")
            if why is None:
                done.moved += 1
            else:
                done.told.append(f"{decision.file}: not copied: {why}")

    def _copy(self, file: Path, content_hash: str, record: DecisionRecord) -> str | None:
        """Copies a kept file; returns why it could not be done, None: the copy is there.

        A still that is repaired gets the suffix that fits, behind its own where the shorter name is
        taken.
        """
        decision = record.decision
        target = self._place_in.root / self._place_in.below(decision.source, file)
        repair = self._place_in.repairs.get(decision.source, NOTHING)
        copied = self._ledger.repaired_copy(decision.id)
        repaired = copied is not None and holds_content(self._place_in.root / copied[0], copied[1])
        as_it_is = holds_content(target, content_hash)
        covered = not as_it_is and (record.repairs or "").startswith(ANONYMOUS)
        if (repaired or as_it_is) and repair.cover is not None and not covered:
            return (
                "another file is there: its copy of an earlier run, which is not anonymous; move "
                "that away"
            )
        if repaired or as_it_is:
            return None
        with ExitStack() as stack, os_errors_about(target):
            try:
                read = stack.enter_context(opened(file))
            except OSError as error:
                return error.strerror
            made, done = None, None
            if repair.asked:
                try:
                    made, done = self._place_in.repaired(read, file, content_hash, repair)
                except OriginalChanged:
                    return "it changed after it was read"
            names = (target,) if made is None else repaired_names(target, made.suffix)
            placed = self._placed_copy(read, names, content_hash, made)
            if isinstance(placed, str):
                return placed
            if done is not None:
                path, sha256 = placed
                self._ledger.copied(
                    decision.id, done, path.relative_to(self._place_in.root), sha256
                )
        return None

    def _placed_copy(
        self, read: BinaryIO, names: Iterable[Path], content_hash: str, made: Repaired | None
    ) -> tuple[Path, str] | str:
        """Writes a copy under the first name that is free; returns its path and SHA-256 (hex).

        A sentence: why it could not be done. Raises OSError and StoreError.
        """
        data = None if made is None else made.data
        sha256 = content_hash if data is None else hashlib.sha256(data).hexdigest()
        for target in names:
            if holds_content(target, sha256):
                return target, sha256
            if target.exists():
                continue
            facts = os.fstat(read.fileno())
            self._place_in.require_room(facts.st_size if data is None else len(data))
            self._place_in.make_folder(target.parent)
            with self._place_in.temporary(KEPT) as temporary:
                if data is None:
                    copy_with_facts(read, temporary)
                    if content_of(temporary) != content_hash:
                        return "it changed after it was read"
                else:
                    with temporary.open("xb") as written:
                        write_with_facts(data, written, facts)
                move_without_overwrite(temporary, target)
            sync_folder(target.parent)
            return target, sha256
        return "another file is there"


@dataclass(slots=True)
class Finished:
    """Tells what became of the files of one source."""

    moved: int = 0
    """Stills moved or copied."""
    bytes: int = 0
    sidecars: int = 0
    """Files that were moved since they belong to those."""
    restored: int = 0
    """Files that stay, since they were moved before and somebody has brought them back."""
    told: list[str] = field(default_factory=list)
    """Sentences for people, one for each file that was to go and stays."""

    def plus(self, other: Finished | None) -> Finished:
        """Returns the sum of two; None is nothing."""
        if other is None:
            return self
        return Finished(
            self.moved + other.moved,
            self.bytes + other.bytes,
            self.sidecars + other.sidecars,
            self.restored + other.restored,
            [*other.told, *self.told],
        )

    def note(self, one: Retired) -> None:
        """Counts what became of one file."""
        if one.fate is Fate.MOVED:
            self.moved += 1
            self.bytes += one.file.identity.size
            self.sidecars += one.sidecars
        again = one.fate is Fate.REFUSED and one.detail in self.told  # it is about the folder
        if one.detail is not None and not again:
            self.told.append(one.detail)


def removed_rows(ledger: LedgerReader, root: Path) -> Iterator[dict[str, object]]:
    """Yields a row of `COLUMNS` for each file that lies below `root` instead of where it was."""
    lying = [one for one in ledger.quarantined() if (root / one.path).is_file()]
    by_name = {name: one.original.name for one in lying for name in _names(one.original)}
    for one in lying:
        file = ledger.file_with(one.source, one.sha256, one.original)
        record = None if file is None else ledger.decision(file.id_of_still)
        why = why_dropped(ledger, None if record is None else record.decision)
        if _is_sidecar(one.original):
            its = by_name.get((one.original.parent, one.original.stem))
            why["detail"] = "" if its is None else f"belongs to {its}"
        yield {
            "file": str(one.original),
            "now": str(root / one.path),
            **why,
            "bytes": one.size,
            "sha256": one.sha256,
        }


def with_sidecars(lying: Iterable[Quarantined], keys: Collection[int]) -> set[int]:
    """Returns the keys of what belongs to these stills, among all that lies in such a folder."""
    lying = list(lying)
    names = {name for one in lying if one.key in keys for name in _names(one.original)}
    return {
        one.key
        for one in lying
        if _is_sidecar(one.original) and (one.original.parent, one.original.stem) in names
    }


def _is_sidecar(file: Path) -> bool:
    return file.suffix.lower() in SIDECARS


def _names(still: Path) -> tuple[tuple[Path, str], ...]:
    """Returns the folder and the names, without their suffix, of what belongs to a still."""
    if _is_sidecar(still):
        return ()
    label = label_of(still)
    beside = () if label is None else ((label.parent, label.stem),)
    return (still.parent, still.stem), (still.parent, still.name), *beside


def goes(ledger: LedgerReader, decision: Decision) -> bool:
    """Tells whether a dropped frame is a file that may go.

    A clip is none, nor is a repeat of a part of a clip, of a page, or of the file itself. A RAW of
    a camera goes for another one only: what shows the same was made of it.
    """
    if decision.content_hash is None or decision.file is None:
        return False
    if decision.reason not in SHOWN or not _is_repeat(ledger, decision):
        return True
    named = decision.nearest_kept
    shown = None if named is None else ledger.decision(named)
    if shown is None or shown.decision.content_hash is None:
        return False
    if shown.decision.file is None or shown.decision.file == decision.file:
        return False
    return _is_raw(shown.decision.file) or not _is_raw(decision.file)


def _is_repeat(ledger: LedgerReader, decision: Decision) -> bool:
    """Tells whether what a decision of `SHOWN` names shows the file.

    It does not where the file has the bytes of one that was dropped for its own sake, as blurred.
    """
    if decision.reason is not Reason.EXACT_DUPLICATE or decision.content_hash is None:
        return True
    first = ledger.first_with(decision.content_hash, decision.source)
    return first is None or first.outcome is Outcome.KEPT or first.reason in SHOWN


def _is_raw(file: Path) -> bool:
    return file.suffix.lower() in RAW_SUFFIXES


def why_dropped(ledger: LedgerReader, decision: Decision | None) -> dict[str, object]:
    """Returns the columns that tell why a file was dropped; None: that was forgotten."""
    if decision is None:
        return {"reason": None, "shown_by": None, "distance": None, "detail": ""}
    repeats = decision.reason in SHOWN and _is_repeat(ledger, decision)
    named = decision.nearest_kept if repeats else None
    shown = None if named is None else ledger.decision(named)
    return {
        "reason": decision.reason.value,
        "shown_by": None if shown is None else str(shown.decision.file),
        "distance": None if decision.distance is None else round(decision.distance, 4),
        "detail": decision.detail,
    }


def write_list(store: InPlaceStore, ledger: LedgerReader) -> None:
    """Writes the list of what lies below the folder instead of where it was; whole or not at all.

    Raises StoreError.
    """
    if store.mode is Mode.REMOVE:
        write_table(store, LIST, COLUMNS, removed_rows(ledger, store.root))


def write_table(
    store: Store, name: str, columns: Sequence[str], rows: Iterable[dict[str, object]]
) -> None:
    """Writes rows as CSV into the folder of a store; whole or not at all. Raises StoreError."""
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, columns, lineterminator="\n")
    out.writeheader()
    for row in rows:
        out.writerow({key: shown_in_csv(value) for key, value in row.items()})
    path = store.root / name
    with store.temporary(KEPT) as temporary, os_errors_about(path):
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(store.root)


def remove_empty(store: InPlaceStore, files: Iterable[Path]) -> None:
    """Removes the folders that these files (relative to the store) have left empty."""
    for folder in sorted({parent for file in files for parent in file.parents}, reverse=True):
        if folder != Path():
            with suppress(OSError):  # others still lie in it
                (store.root / folder).rmdir()


def shown_in_csv(value: object) -> object:
    """Returns a value for a table, with escapes for what forges a line."""
    return escaped(value) if isinstance(value, str) else value
