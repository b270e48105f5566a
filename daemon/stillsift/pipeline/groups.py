"""Groups: sources that share what they have kept, each in a thread of its own.

A member hears of what the others have kept once that is recorded, so nothing is dropped for a frame
that is not there. From the moment it is about to keep a frame until that is recorded it has the
group's turn, and the others wait with theirs: no two keep the same thing at the same time. Who
comes first keeps it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..config import SourceConfig
from ..config.settings import siblings
from ..ledger import LedgerReader
from ..selection import GalleryFrame

_PATIENCE_S = 5.0
"""Longest wait for the turn. Whoever has it is at work on a failing disk then; a picture kept twice
is the lesser evil."""


class Groups:
    """Which sources belong together, and what each of them has kept last."""

    def __init__(self, ledger: LedgerReader, model: str) -> None:
        """What was kept with another model than `model` means nothing to this one."""
        self._ledger = ledger
        self._model = model
        self._lock = threading.Lock()
        self._sources: tuple[SourceConfig, ...] = ()
        self._kept: dict[str, tuple[GalleryFrame, ...]] = {}
        """By source; the others' are read from the ledger when they are first asked for."""
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """By group."""

    def define(self, sources: Iterable[SourceConfig]) -> None:
        """These are the sources, with their groups, from now on."""
        with self._lock:
            self._sources = tuple(sources)
            grouped = {source.name for source in self._sources if source.group is not None}
            self._kept = {name: kept for name, kept in self._kept.items() if name in grouped}

    def member(self, source: SourceConfig) -> Member | None:
        """The place of a source in its group; None: it has none."""
        if source.group is None:
            return None
        with self._lock:
            self._kept.pop(source.name, None)  # a line begins with what the ledger holds
            return Member(self, source.name, self._turns[source.group])

    def siblings(self, source: str) -> tuple[str, ...]:
        """The other sources of its group."""
        with self._lock:
            return siblings(source, self._sources)

    def tell(self, source: str, gallery: Iterable[GalleryFrame]) -> None:
        """What a source has kept last, as it is recorded now."""
        kept = _own(source, gallery)
        with self._lock:
            self._kept[source] = kept

    def kept_by(self, source: str) -> tuple[GalleryFrame, ...]:
        """What a source has kept last, oldest first. Raises LedgerError."""
        with self._lock:
            if source not in self._kept:
                entries = self._ledger.gallery(source, self._model)
                kept = (GalleryFrame.from_bytes(entry.id, entry.data) for entry in entries)
                self._kept[source] = _own(source, kept)
            return self._kept[source]


class Member:
    """One source in its group. For the one thread that runs its line."""

    def __init__(self, groups: Groups, source: str, turn: threading.Lock) -> None:
        self._groups = groups
        self._source = source
        self._turn = turn
        self._has_turn = False

    def siblings(self) -> tuple[str, ...]:
        """The other sources of the group as it is now."""
        return self._groups.siblings(self._source)

    def elsewhere(self) -> Sequence[GalleryFrame]:
        """What the others have kept last. Takes the turn; `end_turn` once it is recorded what came
        of it. Raises LedgerError."""
        if not self._has_turn:
            self._has_turn = self._turn.acquire(timeout=_PATIENCE_S)
        return [kept for name in self.siblings() for kept in self._groups.kept_by(name)]

    def tell(self, gallery: Iterable[GalleryFrame]) -> None:
        """What this source has kept last, as it is recorded now."""
        self._groups.tell(self._source, gallery)

    def end_turn(self) -> None:
        """Let the others keep something."""
        if self._has_turn:
            self._has_turn = False
            self._turn.release()


def _own(source: str, gallery: Iterable[GalleryFrame]) -> tuple[GalleryFrame, ...]:
    """Without what others keep; they tell of it themselves."""
    return tuple(replace(kept, by=source) for kept in gallery if kept.by is None)
