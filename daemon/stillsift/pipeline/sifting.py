"""Knows which photographs of a folder may still give way to better ones, and what names them.

Those that were kept since the sifting of the folder began may, until it has come to its end; also
where it was stopped and goes on. What an earlier sifting or a daemon has kept stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..decisions import Decision, Outcome, Reason
from ..frames import ArrayPicture
from ..ledger import LedgerReader
from ..ledger.records import Retire
from ..selection.replacement import Records
from ..sources.files import DecodeError, picture_of
from ..sources.files.opening import opened
from .persistence import Storage

log = logging.getLogger(__name__)


class Sifting:
    """Follows the decisions about one source. Implements `selection.replacement.Earlier`."""

    def __init__(
        self,
        ledger: LedgerReader,
        source: str,
        storage: Storage | None,
        retire: Retire,
        max_pixels: int,
    ) -> None:
        """Goes on with what is recorded since the sifting began. Raises LedgerError.

        `storage` None: a dry run. `retire`: what becomes of originals.
        """
        self._ledger = ledger
        self._storage = storage
        self._deletes = retire is Retire.DELETE
        self._max_pixels = max_pixels
        self._kept: set[str] = set()
        """Ids of the kept photographs that may give way."""
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        """Ids of what names each of them."""
        self._unrecorded: dict[str, Decision] = {}
        """Decisions that the ledger does not have yet, by id."""
        for record in ledger.sifted(source):
            self._count(record)
        for record in ledger.sifted(source):  # also those that name what was kept after them
            self._follow(record)

    def note(self, decision: Decision, changes: Records | None) -> None:
        """Follows a decision, and the earlier records that it changes, before it is recorded."""
        self._unrecorded[decision.id] = decision
        self._count(decision)
        self._follow(decision)
        if changes is None:
            return
        changed = (*changes.replaced, *changes.renamed)
        self._unrecorded |= {each.id: each for each in changed}
        self._names[decision.id] = [each.id for each in changed]
        for each in changes.replaced:
            self._kept.discard(each.id)
            self._names.pop(each.id, None)

    def settle(self) -> None:
        """Notes that all decisions so far are recorded."""
        self._unrecorded.clear()

    def _count(self, decision: Decision) -> None:
        """Notes what is kept."""
        kept = decision.outcome is Outcome.KEPT and decision.reason is not Reason.AUDIT
        if kept and decision.content_hash is not None:
            self._kept.add(decision.id)

    def _follow(self, decision: Decision) -> None:
        """Notes what names another."""
        name = decision.nearest_kept
        # The ledger finds a copy of a file by its bytes.
        if name not in self._kept or decision.reason is Reason.EXACT_DUPLICATE:
            return
        if self._is_lost(decision):
            self._kept.discard(name)
        else:
            self._names[name].append(decision.id)

    def _is_lost(self, decision: Decision) -> bool:
        """Tells whether a picture cannot be had again, now or later: whether its original is still
        there at the moment must make no difference."""
        if decision.content_hash is None:  # a frame of a clip
            return True
        if not self._deletes or decision.outcome is Outcome.KEPT:
            return False
        return not any(path.exists() for path in self._stored(decision))

    # -- selection.replacement.Earlier -------------------------------------------------------------

    def replaceable(self, id_: str) -> Decision | None:
        return self._record(id_) if id_ in self._kept else None

    def naming(self, id_: str) -> Sequence[Decision]:
        # What named it may name another one by now, or be forgotten.
        records = map(self._record, self._names.get(id_, ()))
        return [each for each in records if each is not None and each.nearest_kept == id_]

    def picture(self, record: Decision) -> ArrayPicture | None:
        """Reads a dropped photograph again: its original, or what lies in the store of it."""
        for path in self._places(record):
            try:
                with opened(path) as file:
                    data = file.read()
                if hashlib.sha256(data).hexdigest() == record.content_hash:
                    return picture_of(data, path, self._max_pixels)
            except (OSError, DecodeError) as error:
                log.debug("%s: not compared again: %s", path, error)
        return None

    def _places(self, record: Decision) -> Iterator[Path]:
        if record.file is not None:
            yield record.file
        yield from self._stored(record)

    def _stored(self, record: Decision) -> Iterator[Path]:
        """Yields where a dropped photograph may lie in the store."""
        if self._storage is None:
            return
        kept = self._ledger.kept_file(record.id)
        if kept is not None:  # until it is recorded that it was replaced
            yield (self._storage.store.root / kept.path).resolve()
        quarantined = self._storage.quarantine.place_of(record)
        if quarantined is not None:
            yield quarantined.resolve()

    def _record(self, id_: str) -> Decision | None:
        unrecorded = self._unrecorded.get(id_)
        if unrecorded is not None:
            return unrecorded
        record = self._ledger.decision(id_)
        return None if record is None else record.decision
