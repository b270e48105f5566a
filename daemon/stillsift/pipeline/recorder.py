"""Puts what happened to one source in order and commits it to the ledger.

Decisions come out of the sifter later than the frames went in, while failures, gaps and ends of
files are known at once. The recorder restores the order in which they happened, so that a
checkpoint never passes a frame whose decision is still open.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..decisions import Decision, Outcome
from ..embedding import Embedding
from ..health import Alarm
from ..ledger import Ledger, LedgerError
from ..ledger.records import (
    AlarmRecord,
    AlbumChanges,
    AlbumEntry,
    Batch,
    Checkpoint,
    FileState,
    GalleryEntry,
    GalleryNow,
    GapRecord,
    KeptFile,
    Retire,
)
from ..selection import GalleryFrame, Sifter
from ..selection.replacement import Records
from ..sources import FileIdentity, Finished, Numbering, Opened, Shorter
from .reading_mark import ReadingMark

log = logging.getLogger(__name__)

MOST_UNRECORDED = 256
_STATE_EVERY_S = 30.0


@dataclass(slots=True)
class _Content:
    """Holds what is known of a content: one that is being decided, or one in the ledger."""

    file: Path | None
    """The first file that held the content."""
    shown_by: str | None = None
    """The first kept frame that shows it; None: none does so far."""
    failed: bool = False
    elsewhere: bool = False
    """Whether another source of the group has decided it."""


@dataclass(slots=True)
class _File:
    """Describes one file that is being decided, shared by all that happens to it."""

    opened: Opened
    failed: str | None = None
    """The first thing that went wrong with the file; None: nothing did."""
    shown_by: str | None = None
    """The kept frame that its first dropped frame repeats; None: none was named."""
    named: dict[str, None] = field(default_factory=dict)
    """Ids of the kept frames that show its frames so far, in the order in which they were named."""
    away: bool = False
    """Whether it had another name, or was gone, when it was to be kept. It is read again."""
    repeats: _Content | None = None
    """What was known of its content when it was taken for a copy; None: it is none, or nothing."""


@dataclass(slots=True)
class _Entry:
    """Describes one thing that happened."""

    decision: Decision | None = None
    kept: KeptFile | None = None
    changes: Records | None = None
    """Earlier records that the frame has changed; None: it has not."""
    vector: bytes | None = None
    """Pooled vector of a kept frame, as in `Batch`; None: it is not kept."""
    gap: GapRecord | None = None
    file: _File | None = None
    """The file; None: a camera, which cannot be asked again and so needs no checkpoint."""
    next_frame: int = 0
    """Index of the frame at which the file is taken up again once this is recorded."""
    state: FileState = FileState.READING
    repeated: bool = False
    """Whether the file is a copy, of which nothing is read."""
    open: bool = False
    """Whether it is a frame whose decision is not out yet."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Describes what one transaction has recorded."""

    decisions: list[tuple[Decision, KeptFile | None]]
    superseded: tuple[Path, ...]
    """Files of the store that no row needs any more."""
    retiring: bool
    """Whether originals may now be retired."""
    replaced: list[Decision]
    """Records of frames that were kept, until others took their places."""


class Recorder:
    """Collects what happens to one source and commits it in one transaction at a time.

    It also answers the source's questions about earlier frames and files (`sources.Known`), since
    the latest of them are not in the ledger yet.
    """

    def __init__(
        self,
        source: str,
        ledger: Ledger,
        *,
        config_hash: str,
        model: str,
        retire: Retire,
        siblings: Callable[[], Sequence[str]] = tuple,
        is_there: Callable[[str], bool] = lambda _id: True,
        mark: ReadingMark | None = None,
    ) -> None:
        """Takes the source, and the ledger to record in.

        `siblings` returns the other sources of the group: a file that one of them has decided is
        not new here. `is_there` tells whether the file of a kept frame is in the store. `mark`
        notes what is being read; None: it is not noted.
        """
        self.source = source
        self._siblings = siblings
        self._is_there = is_there
        self._mark = mark or ReadingMark(None)
        self._ledger = ledger
        self._config_hash = config_hash
        self._model = model
        self._retire = retire
        self._entries: deque[_Entry] = deque()
        self._open: deque[_Entry] = deque()
        self._file: _File | None = None
        self._alarms: list[AlarmRecord] = []
        self._contents: dict[str, _Content] = {}
        """Contents by their hash, of files that are not all recorded yet."""
        self._answer: tuple[str, _Content] | None = None
        """The last content that was known, by its hash. The copy that it was asked for names what
        the answer named: by the time it is recorded, the group may be another one."""
        self._away: list[tuple[Path, FileIdentity]] = []
        self._instead: dict[str, str] = {}
        """Ids of kept frames that others have replaced, each with the id of that one."""
        self._state_at = -_STATE_EVERY_S
        self._ending = False
        self._in_ledger = {
            entry.id: ledger.kept_file(entry.id) for entry in ledger.gallery(source, model)
        }
        """The files of the frames in the recorded gallery; None: it was missing before."""

    # -- sources.Known -----------------------------------------------------------------------------

    def begin(self, file: Path, identity: FileIdentity, next_frame: int) -> str | None:
        return self._mark.begin(file, identity, next_frame)

    def next_frame(self, file: Path, identity: FileIdentity) -> int | None:
        return self._ledger.next_frame(self.source, identity, file)

    def grown_from(self, file: Path, identity: FileIdentity) -> Shorter | None:
        record = self._ledger.grown_from(self.source, identity, file)
        if record is None:
            return None
        return Shorter(record.identity.size, record.content_hash, record.next_frame)

    def earlier(self, content_hash: str) -> Path | None:
        content = self._known(content_hash)
        self._answer = None if content is None else (content_hash, content)
        return None if content is None else content.file

    def numbering(self, folder: Path) -> Numbering | None:
        return self._ledger.sequence(self.source, folder)

    def begin_numbering(self, folder: Path, numbering: Numbering) -> None:
        try:
            self._ledger.begin_sequence(self.source, folder, numbering)
        except LedgerError as error:  # the line waits when it records the first of its frames
            log.debug("%s: %s: its numbers are not recorded: %s", self.source, folder, error)

    def _known(self, content_hash: str) -> _Content | None:
        """Returns what is known of a content that was decided, here or else by a sibling.

        A sibling's file that is not recorded yet does not count: its record may never come, and a
        record here must not rest on it.
        """
        content = self._contents.get(content_hash)
        if content is not None and not content.failed:
            return content
        for source in (self.source, *self._siblings()):
            while (seen := self._ledger.seen(source, content_hash)) is not None:
                if seen.nearest_kept is None or self._is_there(seen.nearest_kept):
                    return _Content(seen.file, seen.nearest_kept, elsewhere=source != self.source)
                # Somebody removed it while we ran: it shows nothing any more.
                if (gone := self._ledger.kept_file(seen.nearest_kept)) is None:
                    break
                self._ledger.mark_missing([gone])
        return None

    def retune(
        self, config_hash: str, retire: Retire, siblings: Callable[[], Sequence[str]]
    ) -> None:
        """Records under another configuration from now on, also what is not recorded yet."""
        self._config_hash, self._retire, self._siblings = config_hash, retire, siblings

    # -- what happens ------------------------------------------------------------------------------

    def open_file(self, opened: Opened) -> None:
        # A failure before a restart still counts: the file was not read as a whole.
        record = self._ledger.file(self.source, opened.identity, opened.file)
        if record is not None:  # under another device number it goes on as what it was
            opened = replace(opened, identity=record.identity)
        else:
            record = self._ledger.grown_from(self.source, opened.identity, opened.file)
        self._file = _File(opened, None if record is None else record.error)
        if record is not None:
            self._file.named = dict.fromkeys(record.named)
        content = self._contents.get(opened.content_hash)
        if content is None or content.failed:
            self._contents[opened.content_hash] = _Content(opened.file)

    def expect(self, frame_index: int) -> None:
        """Notes that a frame was offered; `fill` follows, in the order of the frames."""
        if self._file is not None:
            self._mark.reach(frame_index + 1)
        entry = _Entry(file=self._file, next_frame=frame_index + 1, open=True)
        self._entries.append(entry)
        self._open.append(entry)

    def go_on(self) -> None:
        """Notes that the source is asked for what comes next."""
        self._mark.go_on()

    def fill(
        self,
        decision: Decision,
        kept: KeptFile | None,
        changes: Records | None = None,
        embedding: Embedding | None = None,
        *,
        away: bool = False,
    ) -> None:
        """Fills in the decision about the oldest frame that has none yet.

        `changes`: earlier records that it changes; None: none. `embedding`: that of a frame that
        was to be kept. `away`: it failed because a still was not at its path any more. That still
        is read again where it turns up, also after a restart.
        """
        entry = self._open.popleft()
        entry.decision, entry.kept, entry.open = decision, kept, False
        if embedding is not None and decision.outcome is Outcome.KEPT:
            entry.vector = vector_bytes(embedding)
        if changes is not None:
            entry.changes = changes
            self._instead |= dict.fromkeys((each.id for each in changes.replaced), decision.id)
        if entry.file is None:
            return
        if decision.outcome is Outcome.FAILED:
            self._fail(entry.file, decision, whole=decision.content_hash is not None)
            if away:
                entry.file.away = True
                self._away.append((entry.file.opened.file, entry.file.opened.identity))
            return
        if decision.shown_by is not None:
            entry.file.named[decision.shown_by] = None
        # A frame of the audit sample lies in the store as well, but another frame shows it.
        if entry.file.shown_by is None and decision.shown_by != decision.id:
            entry.file.shown_by = decision.shown_by
        content = self._contents.get(entry.file.opened.content_hash)
        if content is not None and content.shown_by is None:
            content.shown_by = decision.shown_by

    def refuse(self, decision: Decision) -> None:
        """Notes a frame that was offered and failed at once."""
        if self._file is not None:
            self._fail(self._file, decision, whole=decision.content_hash is not None)
        self._entries.append(_Entry(decision, file=self._file, next_frame=decision.frame_index + 1))

    def gap(self, gap: GapRecord) -> None:
        """Notes a time in which a camera gave no frames."""
        self._entries.append(_Entry(gap=gap))

    def add(self, decision: Decision) -> None:
        """Notes something that is no frame: a damaged stretch, a loss."""
        file = self._file
        if file is not None and file.opened.file != decision.file:
            file = None  # it is about another file, or about none
        if file is not None:
            self._fail(file, decision, whole=False)
        # Not one more: a damaged stretch has the index of the frame that comes next.
        self._entries.append(_Entry(decision, file=file, next_frame=decision.frame_index))

    def alarm(self, alarm: Alarm) -> None:
        """Notes an alarm that began or ended with the last filled decision, or stands already.

        An alarm of an earlier run may have been ended because no frames came. If frames come again,
        it is not over.
        """
        self._alarms.append(
            AlarmRecord(self.source, alarm.kind, alarm.from_ns, alarm.to_ns, alarm.detail)
        )

    def close_file(self, finished: Finished) -> None:
        """Notes that the file is done; that is recorded once all its frames are decided."""
        assert self._file is not None
        self._mark.passed()
        failed = finished.frames == 0
        content = self._contents.get(finished.content_hash)
        if failed and content is not None:
            content.failed = True
        self._entries.append(
            _Entry(
                file=self._file,
                next_frame=finished.frames if finished.undecided is None else finished.undecided,
                state=FileState.FAILED if failed else FileState.DONE,
            )
        )
        self._file = None

    def repeat(self, decision: Decision, identity: FileIdentity) -> None:
        """Notes a file with the content of an earlier one; it is decided and done at once."""
        assert decision.file is not None
        assert decision.content_hash is not None
        self._mark.passed()
        file = _File(Opened(decision.file, identity, decision.content_hash))
        answered, self._answer = self._answer, None
        if answered is not None and answered[0] == decision.content_hash:
            file.repeats = answered[1]
        else:
            file.repeats = self._known(decision.content_hash)
        self._entries.append(
            _Entry(decision, file=file, next_frame=1, state=FileState.DONE, repeated=True)
        )

    def left_alone(self, kinds: Mapping[str, int]) -> None:
        """Records at once what is not read. Raises LedgerError."""
        self._ledger.left_alone(self.source, kinds)

    def _fail(self, file: _File, decision: Decision, *, whole: bool) -> None:
        """Marks the file as failed; `whole`: its content too, as the frame was all there is."""
        file.failed = file.failed or decision.detail or decision.reason.value
        if whole and file.opened.content_hash in self._contents:
            self._contents[file.opened.content_hash].failed = True

    # -- the ledger --------------------------------------------------------------------------------

    @property
    def unrecorded(self) -> int:
        """Gives the number of things that are not in the ledger yet, open frames included."""
        return len(self._entries)

    @property
    def open(self) -> int:
        """Gives the number of frames whose decision is not out yet."""
        return len(self._open)

    def commit(self, sifter: Sifter) -> Recorded | None:
        """Records everything up to the first open frame; None: there was nothing.

        Raises LedgerError; then nothing was recorded, and the next call tries all of it again.
        """
        entries = list(self._closed())
        if not entries:
            return None
        for entry in entries:
            self._name(entry)
        decisions = [(entry.decision, entry.kept) for entry in entries if entry.decision]
        checkpoints = [self._checkpoint(entry) for entry in entries if entry.file]
        changes = [entry.changes for entry in entries if entry.changes]
        gallery = sifter.gallery.kept
        known = self._in_ledger | {decision.id: file for decision, file in decisions}
        files = {  # a sibling of the group has kept what is not known here
            kept.id: known[kept.id] if kept.id in known else self._ledger.kept_file(kept.id)
            for kept in gallery
        }
        batch = Batch(
            config_hash=self._config_hash,
            model=self._model,
            decisions=decisions,
            checkpoints=_latest(checkpoints),
            gaps=[entry.gap for entry in entries if entry.gap],
            alarms=self._alarms,
            changed=[each for one in changes for each in (*one.replaced, *one.renamed)],
            states={self.source: sifter.state()} if self._wants_state(entries) else {},
            galleries={
                self.source: GalleryNow(
                    [kept.id for kept in gallery],
                    [
                        GalleryEntry(self.source, kept.id, kept.to_bytes())
                        for kept in gallery
                        if kept.id not in self._in_ledger
                    ],
                )
            },
            albums={self.source: _album_changes(sifter)} if sifter.album.changed else {},
            vectors={
                entry.decision.id: entry.vector
                for entry in entries
                if entry.decision is not None
                and entry.vector is not None
                and entry.decision.id not in sifter.album.added
            },
        )
        try:
            superseded = self._ledger.commit(batch)
        except LedgerError:
            self._state_at = -_STATE_EVERY_S
            raise
        sifter.album.settle()
        self._alarms = []
        for _ in entries:
            self._entries.popleft()
        self._in_ledger = files
        # A copy of a failed file is read for itself; its own entry stays until it is recorded.
        done = {
            (entry.file.opened.content_hash, entry.file.opened.file)
            for entry in entries
            if entry.file is not None and entry.state is not FileState.READING
        }
        self._contents = {
            hash_: content
            for hash_, content in self._contents.items()
            if (hash_, content.file) not in done
        }
        retiring = any(c.retire is not Retire.LEAVE for c in checkpoints)
        replaced = [each for one in changes for each in one.replaced]
        return Recorded(decisions, superseded, retiring, replaced)

    @property
    def compared_with(self) -> list[KeptFile]:
        """Gives the files of the recorded frames that new frames are compared with."""
        return [file for file in self._in_ledger.values() if file is not None]

    def take_away(self) -> list[tuple[Path, FileIdentity]]:
        """Returns the stills that were not at their path, since the last call; to be read again."""
        away, self._away = self._away, []
        return away

    def lose(self, gone: Sequence[KeptFile]) -> None:
        """Records that files of kept frames are gone. Raises LedgerError."""
        self._in_ledger |= dict.fromkeys(kept.id for kept in gone)
        self._ledger.mark_missing(gone)

    def find(self, back: Sequence[KeptFile]) -> None:
        """Records that files that were gone are there again. Raises LedgerError."""
        if back:
            self._ledger.mark_missing(back, missing=False)

    def _wants_state(self, entries: list[_Entry]) -> bool:
        """Tells whether to record the sifter's state too.

        A file is taken up again with exactly what was known at its checkpoint. A camera is not:
        what it has learned in half a minute is worth less than 500 MB an hour.
        """
        now = time.monotonic()
        wanted = (
            now - self._state_at >= _STATE_EVERY_S
            or bool(self._alarms)  # or an alarm that is recorded as begun would never end
            or any(entry.file is not None or entry.kept is not None for entry in entries)
            or self._ending
        )
        self._state_at = now if wanted else self._state_at
        return wanted

    def leave(self) -> None:
        """Notes that the file being read is left for an expected reason: a stop, a full disk."""
        self._mark.leave()
        if self._file is not None:
            # It is not known by its content yet: it would be a copy of itself when it is read on.
            left, self._file = self._file.opened, None
            content = self._contents.get(left.content_hash)
            if content is not None and content.file == left.file:
                del self._contents[left.content_hash]

    def close(self) -> None:
        """Closes the mark; a file that was not left by then counts as one that ended the line."""
        self._mark.close()

    def end(self) -> None:
        """Announces that the next commit is the last one: the source is at its end, or stops."""
        self._ending = True

    def _closed(self) -> Iterator[_Entry]:
        """Yields the entries before the first open one."""
        for entry in self._entries:
            if entry.open:
                return
            yield entry

    def _checkpoint(self, entry: _Entry) -> Checkpoint:
        assert entry.file is not None
        file, done = entry.file, entry.state is FileState.DONE
        return Checkpoint(
            source=self.source,
            file=file.opened.file,
            identity=file.opened.identity,
            content_hash=file.opened.content_hash,
            next_frame=0 if file.away else entry.next_frame,
            state=FileState.READING if file.away else entry.state,
            error=None if file.away else file.failed,
            retire=self._retire if self._may_go(entry) else Retire.LEAVE,
            shown_by=file.shown_by if done and self._grouped(file) else None,
            named=tuple(file.named),
        )

    def _may_go(self, entry: _Entry) -> bool:
        """Tells whether an original is needed no more.

        An original that was not read or written completely stays where it is. So does its copy, of
        which no more is known. In a group, a copy also stays if no kept frame is known to show it.
        If one is known, `Quarantine` checks that it is there.
        """
        assert entry.file is not None
        if entry.state is not FileState.DONE or entry.file.failed is not None:
            return False
        if not entry.repeated:
            return True
        if self._grouped(entry.file) and entry.file.shown_by is None:
            return False
        return entry.file.repeats is not None and not entry.file.repeats.failed

    def _grouped(self, file: _File) -> bool:
        """Tells whether what shows a file may be another source's; also one of an earlier group."""
        return bool(self._siblings()) or (file.repeats is not None and file.repeats.elsewhere)

    def _name(self, entry: _Entry) -> None:
        """Gives an exact duplicate the kept frame that shows the same, which is known by now."""
        decision, file = entry.decision, entry.file
        if not entry.repeated or decision is None or file is None:
            return
        if file.repeats is not None:
            file.shown_by = self._in_place_of(file.repeats.shown_by)
        if file.shown_by is not None:
            file.named[file.shown_by] = None
        entry.decision = replace(decision, nearest_kept=file.shown_by)

    def _in_place_of(self, id_: str | None) -> str | None:
        """Returns the kept frame that shows what this one showed: itself, or what replaced it."""
        while id_ in self._instead:
            id_ = self._instead[id_]
        return id_


def vector_bytes(embedding: Embedding) -> bytes:
    """Returns a pooled vector as the ledger holds it: little-endian float32."""
    return embedding.vector.astype("<f4").tobytes()


def album_entry(kept: GalleryFrame) -> AlbumEntry:
    """Returns a kept photograph as the album of its source holds it."""
    page = None if kept.page is None else kept.page.tobytes()
    return AlbumEntry(kept.id, vector_bytes(kept.embedding), kept.to_bytes(), page)


def _album_changes(sifter: Sifter) -> AlbumChanges:
    """Returns which photographs were kept since the last commit, and which are gone."""
    added = [album_entry(kept) for kept in sifter.album.added.values()]
    return AlbumChanges(added, sorted(sifter.album.removed))


def _latest(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Returns the last checkpoint of each file."""
    return list({checkpoint.identity: checkpoint for checkpoint in checkpoints}.values())
