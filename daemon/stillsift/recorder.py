"""The recorder: what happened to one source, in order, on its way into the ledger.

Decisions come out of the sifter later than the frames went in, while failures, gaps and ends of
files are known at once. The recorder puts them back into the order in which they happened, so that
a checkpoint never passes a frame whose decision is still open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .decisions import Decision, Outcome, Reason
from .ledger import (
    Batch,
    Checkpoint,
    FileState,
    GalleryEntry,
    GalleryNow,
    GapRecord,
    KeptFile,
    Ledger,
    Retire,
)
from .sifter import Sifter
from .sources import FileIdentity, Finished, Opened

MOST_UNRECORDED = 256


@dataclass(slots=True)
class _Entry:
    """One thing that happened."""

    decision: Decision | None = None
    kept: KeptFile | None = None
    checkpoint: Checkpoint | None = None
    gap: GapRecord | None = None
    open: bool = False
    """A frame whose decision is not out yet."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one transaction has recorded."""

    decisions: list[tuple[Decision, KeptFile | None]]
    superseded: tuple[Path, ...]
    """Files of the store that no row needs any more."""
    retiring: bool
    """Whether originals may now be retired."""


class Recorder:
    """Collects what happens to one source and commits it in one transaction at a time.

    It also answers the source's questions about the past (`sources.Known`), of which the last few
    moments are not in the ledger yet.
    """

    def __init__(
        self, source: str, ledger: Ledger, *, config_hash: str, model: str, retire: Retire
    ) -> None:
        self.source = source
        self._ledger = ledger
        self._config_hash = config_hash
        self._model = model
        self._retire = retire
        self._entries: deque[_Entry] = deque()
        self._open: deque[_Entry] = deque()
        self._file: Opened | None = None
        self._file_failed: str | None = None
        self._shown_by: dict[str, tuple[Path, str | None]] = {}
        """Content hash of files not recorded yet, to the file and the kept frame that shows it."""
        self._in_ledger = {entry.id for entry in ledger.gallery(source, model)}
        self._committed_state: object = None

    # -- sources.Known -----------------------------------------------------------------------------

    def next_frame(self, identity: FileIdentity) -> int | None:
        return self._ledger.next_frame(self.source, identity)

    def earlier(self, content_hash: str) -> Path | None:
        if content_hash in self._shown_by:
            return self._shown_by[content_hash][0]
        seen = self._ledger.seen(self.source, content_hash)
        return None if seen is None else seen.file

    # -- what happens ------------------------------------------------------------------------------

    def open_file(self, opened: Opened) -> None:
        self._file, self._file_failed = opened, None
        self._shown_by.setdefault(opened.content_hash, (opened.file, None))

    def expect(self, frame_index: int) -> None:
        """A frame was offered; `fill` follows, in the order of the frames."""
        entry = _Entry(checkpoint=self._reached(frame_index + 1), open=True)
        self._entries.append(entry)
        self._open.append(entry)

    def fill(self, decision: Decision, kept: KeptFile | None) -> None:
        """The decision about the oldest frame that has none yet."""
        entry = self._open.popleft()
        entry.decision, entry.kept, entry.open = decision, kept, False
        shown_by = decision.id if kept is not None else decision.nearest_kept
        if shown_by is not None and entry.checkpoint is not None:
            file, first = self._shown_by[entry.checkpoint.content_hash]
            self._shown_by[entry.checkpoint.content_hash] = (file, first or shown_by)

    def add(self, decision: Decision, *, gap: GapRecord | None = None) -> None:
        """A decision that was known at once: a failure, a loss, a gap."""
        checkpoint = None
        if self._file is not None and decision.outcome is Outcome.FAILED:
            self._file_failed = self._file_failed or decision.detail
            checkpoint = self._reached(decision.frame_index + 1)
        self._entries.append(_Entry(decision, checkpoint=checkpoint, gap=gap))

    def close_file(self, finished: Finished) -> None:
        """The file is done; its checkpoint is recorded once all its frames are decided."""
        failed = finished.frames == 0
        # A file that did not read cleanly stays where it is: nobody has seen all of it.
        retire = Retire.LEAVE if self._file_failed else self._retire
        checkpoint = Checkpoint(
            source=self.source,
            file=finished.file,
            identity=finished.identity,
            content_hash=finished.content_hash,
            next_frame=finished.frames,
            state=FileState.FAILED if failed else FileState.DONE,
            error=self._file_failed,
            retire=retire,
        )
        self._entries.append(_Entry(checkpoint=checkpoint))
        self._file = None

    def repeat(self, decision: Decision, identity: FileIdentity) -> None:
        """A file with the content of an earlier one: decided and done at once."""
        assert decision.file is not None
        assert decision.content_hash is not None
        checkpoint = Checkpoint(
            source=self.source,
            file=decision.file,
            identity=identity,
            content_hash=decision.content_hash,
            next_frame=1,
            state=FileState.DONE,
            retire=self._retire,
        )
        self._entries.append(_Entry(decision, checkpoint=checkpoint))

    def _reached(self, next_frame: int) -> Checkpoint | None:
        if self._file is None:
            return None
        return Checkpoint(
            source=self.source,
            file=self._file.file,
            identity=self._file.identity,
            content_hash=self._file.content_hash,
            next_frame=next_frame,
            state=FileState.READING,
            error=self._file_failed,
        )

    # -- the ledger --------------------------------------------------------------------------------

    @property
    def unrecorded(self) -> int:
        """Things that happened and are not in the ledger yet, open frames included."""
        return len(self._entries)

    @property
    def open(self) -> int:
        """Frames whose decision is not out yet."""
        return len(self._open)

    def commit(self, sifter: Sifter) -> Recorded | None:
        """Record everything up to the first open frame; None: there was nothing.

        Raises LedgerError; then nothing was recorded and the next call tries all of it again.
        """
        entries = list(self._closed())
        if not entries:
            return None
        decisions = [
            (self._named(entry.decision), entry.kept) for entry in entries if entry.decision
        ]
        checkpoints = [entry.checkpoint for entry in entries if entry.checkpoint]
        gallery = sifter.gallery.entries
        state = sifter.state
        batch = Batch(
            config_hash=self._config_hash,
            model=self._model,
            decisions=decisions,
            checkpoints=_latest(checkpoints),
            gaps=[entry.gap for entry in entries if entry.gap],
            states={}
            if state is self._committed_state
            else {self.source: state.to_bytes(self._model)},
            galleries={
                self.source: GalleryNow(
                    [id_ for id_, _ in gallery],
                    [
                        GalleryEntry(self.source, id_, embedding.vector, embedding.grid)
                        for id_, embedding in gallery
                        if id_ not in self._in_ledger
                    ],
                )
            },
        )
        superseded = self._ledger.commit(batch)
        for _ in entries:
            self._entries.popleft()
        self._in_ledger = {id_ for id_, _ in gallery}
        self._committed_state = state
        done = {c.content_hash for c in checkpoints if c.state is not FileState.READING}
        self._shown_by = {h: shown for h, shown in self._shown_by.items() if h not in done}
        retiring = any(c.retire is not Retire.LEAVE for c in checkpoints)
        return Recorded(decisions, superseded, retiring)

    def _closed(self) -> Iterator[_Entry]:
        for entry in self._entries:
            if entry.open:
                return
            yield entry

    def _named(self, decision: Decision) -> Decision:
        """An exact duplicate with the kept frame that shows the same; it is known by now."""
        if decision.reason is not Reason.EXACT_DUPLICATE or decision.content_hash is None:
            return decision
        if decision.content_hash in self._shown_by:
            return replace(decision, nearest_kept=self._shown_by[decision.content_hash][1])
        seen = self._ledger.seen(self.source, decision.content_hash)
        return replace(decision, nearest_kept=None if seen is None else seen.nearest_kept)


def _latest(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """The last checkpoint of each file."""
    return list({checkpoint.identity: checkpoint for checkpoint in checkpoints}.values())
