"""Lets the sources of a group share what they have kept, each in a thread of its own.

A member learns what the others have kept once that is recorded, so nothing is dropped for a frame
that is not there. A member that is about to keep a frame takes the group's turn and holds it until
the frame is recorded. The others wait for the turn, so no two keep the same thing at the same time:
the first one keeps it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..arrays import Floats, Image
from ..config import SourceConfig
from ..config.settings import siblings
from ..ledger import LedgerReader
from ..selection import GalleryFrame
from .recorded_album import RecordedAlbum

_PATIENCE_S = 5.0
"""Longest wait for the turn, in seconds. A member that holds it for longer works on a failing disk;
a picture that is kept twice is the lesser evil then."""


class Groups:
    """Knows which sources belong together, and what each of them has kept last."""

    def __init__(
        self, ledger: LedgerReader, model: str, is_there: Callable[[str], bool] = lambda _id: True
    ) -> None:
        """Takes the ledger; what was kept with another model than `model` cannot be compared.

        `is_there` tells whether the file of a kept frame is in the store.
        """
        self._ledger = ledger
        self._is_there = is_there
        self._model = model
        self._lock = threading.Lock()
        self._sources: tuple[SourceConfig, ...] = ()
        self._kept: dict[str, tuple[GalleryFrame, ...]] = {}
        """Last kept frames by source; those of a sibling are read from the ledger when needed."""
        self._albums: dict[str, RecordedAlbum] = {}
        """What siblings have kept of photographs, by source."""
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """Locks by group; the member that holds one has the turn."""

    def define(self, sources: Iterable[SourceConfig]) -> None:
        """Sets the sources, with their groups, from now on."""
        with self._lock:
            self._sources = tuple(sources)
            grouped = {source.name for source in self._sources if source.group is not None}
            self._kept = {name: kept for name, kept in self._kept.items() if name in grouped}
            self._albums = {name: all_ for name, all_ in self._albums.items() if name in grouped}

    def member(self, source: SourceConfig) -> Member | None:
        """Returns the membership of a source in its group; None: it has no group."""
        if source.group is None:
            return None
        with self._lock:
            self._kept.pop(source.name, None)  # a line begins with what the ledger holds
            return Member(self, source.name, self._turns[source.group])

    def all_of(self, source: SourceConfig) -> tuple[SourceConfig, ...]:
        """Returns the sources of the source's group, itself first."""
        others = {*self.siblings(source.name)}
        with self._lock:
            return (source, *(each for each in self._sources if each.name in others))

    def siblings(self, source: str) -> tuple[str, ...]:
        """Returns the other sources of the source's group."""
        with self._lock:
            return siblings(source, self._sources)

    def tell(self, source: str, gallery: Iterable[GalleryFrame]) -> None:
        """Notes what a source has kept last, as it is recorded now."""
        kept = _own(source, gallery)
        with self._lock:
            self._kept[source] = kept

    def nearest_by(self, source: str, vector: Floats, page: Image | None) -> list[GalleryFrame]:
        """Returns the photographs that a source has kept and that are nearest to a vector and, if
        it is one, to a page.

        Raises LedgerError.
        """
        with self._lock:
            if source not in self._albums:
                self._albums[source] = RecordedAlbum(
                    self._ledger, source, self._model, self._is_there
                )
            return self._albums[source].like(vector, page)

    def kept_by(self, source: str) -> tuple[GalleryFrame, ...]:
        """Returns what a source has kept last and still is there, oldest first.

        Raises LedgerError.
        """
        with self._lock:
            if source not in self._kept:
                entries = self._ledger.gallery(source, self._model)
                kept = (GalleryFrame.from_bytes(entry.id, entry.data) for entry in entries)
                self._kept[source] = _own(source, kept)
            kept_last = self._kept[source]
        return tuple(kept for kept in kept_last if self._is_there(kept.id))


class Member:
    """Connects one source with its group. For the one thread that runs its line."""

    def __init__(self, groups: Groups, source: str, turn: threading.Lock) -> None:
        self._groups = groups
        self._source = source
        self._turn = turn
        self._has_turn = False

    def siblings(self) -> tuple[str, ...]:
        """Returns the other sources of the group as it is now."""
        return self._groups.siblings(self._source)

    def elsewhere(self) -> Sequence[GalleryFrame]:
        """Takes the turn and returns what the others have kept last.

        `end_turn` must follow once the result is recorded. After `_PATIENCE_S` it goes on without
        the turn. Raises LedgerError.
        """
        if not self._has_turn:
            self._has_turn = self._turn.acquire(timeout=_PATIENCE_S)
        return [kept for name in self.siblings() for kept in self._groups.kept_by(name)]

    def search(self, vector: Floats, page: Image | None) -> Sequence[GalleryFrame]:
        """Returns the photographs of the others that are nearest to a vector, nearest first.

        Among them are those most alike as a page, if it is one.

        Call it within the turn that `elsewhere` took. Raises LedgerError.
        """
        near = self._groups.nearest_by
        found = [kept for name in self.siblings() for kept in near(name, vector, page)]
        return sorted(found, key=lambda kept: -float(kept.embedding.vector @ vector))

    def tell(self, gallery: Iterable[GalleryFrame]) -> None:
        """Tells the group what this source has kept last, as it is recorded now."""
        self._groups.tell(self._source, gallery)

    def end_turn(self) -> None:
        """Gives the turn back, so that the others can keep something."""
        if self._has_turn:
            self._has_turn = False
            self._turn.release()


def _own(source: str, gallery: Iterable[GalleryFrame]) -> tuple[GalleryFrame, ...]:
    """Returns the source's own frames, marked with its name; the others tell theirs."""
    return tuple(replace(kept, by=source) for kept in gallery if kept.by is None)
