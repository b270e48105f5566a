"""Puts on the disk what one line keeps, then does what depends on it.

While a disk is full or failing, a frame of a file waits, since it can be read again. A frame of a
camera fails, and so does one that cannot be written in any case. What was to be dropped for a
failed frame fails with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from ..decisions import Decision, Outcome, Reason
from ..frames import Frame, NoPixels, Picture
from ..ledger import LedgerError
from ..ledger.records import KeptFile
from ..problems import Problem
from ..selection import Verdict
from ..selection.audit_sample import is_chosen, set_aside
from ..service import Metrics
from ..sources.picture import ConversionError
from ..store import Quarantine, Store, StoreError
from ..store.errors import OriginalChanged, StoreUnavailable
from ..store.metadata_jsonl import Listing
from ..store.quarantine import AGAIN_S, Fate, Retired
from ..store.repair import Repair
from ..store.thumbnails import Thumbnails
from .move_rights import MoveRights
from .recorder import Recorded
from .troubles import Troubles
from .tuning import Tuning

log = logging.getLogger(__name__)

RETRY_S = 5.0
_ROOM = 4_000_000
"""Bytes of a large picture; with room for them, keeping works again."""
_NOTHING_KEPT = "nothing can be kept"
_FOLLOWING_UP = "originals wait to be retired"

Ended = list[tuple[Decision, KeptFile | None]]


@dataclass(frozen=True, slots=True)
class Storage:
    """Holds the places for kept frames and, after them, originals."""

    store: Store
    listing: Listing
    quarantine: Quarantine
    thumbnails: Thumbnails | None = None
    """None: there are none."""


class Persistence:
    """Puts the frames of one source on the disk, and retires their originals."""

    def __init__(
        self,
        source: str,
        storage: Storage | None,
        metrics: Metrics,
        troubles: Troubles,
        rights: MoveRights,
        wait: Callable[[str, Problem], None],
        *,
        live: bool,
    ) -> None:
        """Takes the storage, and the function that waits for it.

        `storage` None: a dry run, in which nothing reaches the disk. `live`: a camera, which cannot
        be asked again. `wait` is called with what does not work and why; it returns when that may
        be tried again, else it raises.
        """
        self._source = source
        self._storage = storage
        self._metrics = metrics
        self._troubles = troubles
        self._rights = rights
        self._wait = wait
        self._live = live
        self._tried = self._looked = time.monotonic()
        self._in_use = True
        """Whether originals wait until nobody writes to them; at first some may, since before."""
        self._told_in_use = False
        self._unshown: list[Retired] = []
        self._away: set[str] = set()

    def take_unshown(self) -> list[Retired]:
        """Returns the originals that no kept frame shows any more, found since the last call."""
        unshown, self._unshown = self._unshown, []
        return unshown

    def gone(self, kept: Iterable[KeptFile]) -> list[KeptFile]:
        """Returns the kept frames whose files are gone from the store."""
        return [] if self._storage is None else list(filter(self._storage.store.lacks, kept))

    def take_away(self) -> set[str]:
        """Returns the ids of stills that failed since the last call for not being at their path.

        Those that were to be dropped for one of them are among them.
        """
        away, self._away = self._away, set()
        return away

    # -- persist -----------------------------------------------------------------------------------

    def keep(self, verdicts: list[Verdict], tuning: Tuning, forget: Callable[[str], None]) -> Ended:
        """Puts kept frames and the audit sample on the disk; returns the decisions as they ended.

        `forget` is called with the id of each frame that was to be kept and could not be written.
        Raises what `wait` raises: the frames are read again then.
        """
        if self._storage is None:
            # A dry run reports what would be laid aside, as it reports what would be kept.
            return [(_audited(verdict.decision, tuning), None) for verdict in verdicts]
        store = self._storage.store
        placed: dict[str, KeptFile] = {}
        failed: dict[str, str] = {}
        away: set[str] = set()
        for verdict in verdicts:
            if not verdict.is_kept:
                continue
            decision = verdict.decision
            try:
                placed[decision.id] = self._placed(store, verdict.frame, decision, tuning.repair)
            except (StoreError, ConversionError) as error:
                self._fail(error, "not kept", logging.ERROR)
                forget(decision.id)
                failed[decision.id] = str(error)
                if isinstance(error, OriginalChanged):
                    away.add(decision.id)
        ended: Ended = []
        for verdict in verdicts:
            if verdict.frame.content_hash is not None and away & {
                verdict.decision.id,
                verdict.decision.nearest_kept,
            }:
                self._away.add(verdict.decision.id)
            decision = _without(verdict.decision, failed)
            aside = _audited(decision, tuning)
            if aside is not decision:
                ended.append(self._set_aside(store, verdict.frame, decision, aside, tuning.repair))
            else:
                ended.append((decision, placed.get(decision.id)))
        if self._storage.thumbnails is not None and _may_be_shown(tuning):
            with self._metrics.stage("persist"):
                self._storage.thumbnails.put(_dropped(verdicts, ended))
        return ended

    def _set_aside(
        self, store: Store, frame: Frame, dropped: Decision, aside: Decision, repair: Repair
    ) -> tuple[Decision, KeptFile | None]:
        """Writes a frame of the audit sample. One that cannot be written is dropped, as planned."""
        try:
            return aside, self._placed(store, frame, aside, repair)
        except (StoreError, ConversionError) as error:
            self._fail(error, "not laid aside for the audit", logging.WARNING)
            return dropped, None

    def _fail(self, error: StoreError | ConversionError, what: str, level: int) -> None:
        """Goes on without a frame that could not be written.

        Raises `error` where the frame can be read again once the disk works.
        """
        if not isinstance(error, StoreUnavailable):
            log.log(level, "%s: %s: %s", self._source, what, error)
        elif not self._live:
            raise error

    def _placed(self, store: Store, frame: Frame, decision: Decision, repair: Repair) -> KeptFile:
        """Puts a frame into the store. While the disk takes nothing, a file's frame waits.

        Raises StoreUnavailable for a camera then, and any other StoreError for both.
        """
        while True:
            try:
                with self._metrics.stage("persist"):
                    kept = store.place(frame, decision, repair)
            except StoreUnavailable as error:
                if self._live:
                    self._troubles.begin(_NOTHING_KEPT, str(error))
                    raise
                self._wait(_NOTHING_KEPT, error)
            else:
                self._troubles.end(_NOTHING_KEPT)
                return kept

    # -- retire ------------------------------------------------------------------------------------

    def follow_up(self, recorded: Recorded) -> None:
        """Does what may happen only once the record is safe."""
        if self._storage is not None:
            self._follow(
                self._storage,
                recorded.decisions,
                retire=recorded.retiring or bool(recorded.superseded or recorded.replaced),
            )

    def try_again(self) -> None:
        """Tries again now and then what could not be done; the next frame may be hours away."""
        if self._storage is None:
            return
        again = self._in_use and time.monotonic() - self._looked >= AGAIN_S
        if self._rights.regained() or again:
            self._follow(self._storage, [], retire=True)
        stands = _NOTHING_KEPT in self._troubles or _FOLLOWING_UP in self._troubles
        if not stands or time.monotonic() - self._tried < RETRY_S:
            return
        self._tried = time.monotonic()
        if _NOTHING_KEPT in self._troubles:
            with suppress(StoreError):
                self._storage.store.prepare()
                self._storage.store.require_room(_ROOM)
                self._troubles.end(_NOTHING_KEPT)
        if _FOLLOWING_UP in self._troubles and self._follow(self._storage, [], retire=True):
            self._troubles.end(_FOLLOWING_UP)

    def _follow(self, storage: Storage, decisions: Ended, *, retire: bool) -> bool:
        """Lists kept frames and retires originals; returns whether it could be done."""
        try:
            storage.listing.append(decisions)
            if retire:
                storage.quarantine.take_in()
            if retire and self._rights.granted:
                self._looked = time.monotonic()
                self._tell(storage.quarantine.retire(self._source))
                self._in_use = storage.quarantine.waits(self._source)
        except (StoreError, LedgerError) as error:
            # Nothing is lost: the ledger knows what is still to be listed and retired.
            self._troubles.begin(_FOLLOWING_UP, str(error))
            return False
        return True

    def _tell(self, retired: list[Retired]) -> None:
        """Tells of originals that stay; of those that wait, only of the first."""
        for one in retired:
            if one.missing:
                self._unshown.append(one)
            if one.detail is None or self._rights.refused(one):
                continue
            if one.fate is not Fate.WAITS:
                log.warning("%s: %s", self._source, one.detail)
            elif not self._told_in_use:
                self._told_in_use = True
                log.warning(
                    "%s: %s; this one, and others like it, will be tried again",
                    self._source,
                    one.detail,
                )


def _may_be_shown(tuning: Tuning) -> bool:
    """Tells whether a source leaves nothing out of what is stored."""
    return tuning.repair.cover is None and not tuning.limits.targets.inhibit


def _dropped(verdicts: list[Verdict], ended: Ended) -> Iterator[tuple[Decision, Picture]]:
    """Yields dropped frames that are no file of their own, with their pictures."""
    for verdict, (decision, kept) in zip(verdicts, ended, strict=True):
        frame = verdict.frame
        dropped = decision.outcome is Outcome.DROPPED and kept is None
        if dropped and frame.content_hash is None and not isinstance(frame.picture, NoPixels):
            yield decision, frame.picture


def _audited(decision: Decision, tuning: Tuning) -> Decision:
    """Returns the same decision, or one that takes the frame into the audit sample.

    Where some objects must not be kept, only what a detector has looked at is set aside.
    """
    targets = tuning.limits.targets
    if targets.inhibit:
        found, size = decision.detections, (decision.width or 1, decision.height or 1)
        if found is None or targets.inhibited(found, *size) is not None:
            return decision
    return set_aside(decision) if is_chosen(decision, tuning.audit) else decision


def _without(decision: Decision, failed: dict[str, str]) -> Decision:
    """Returns a decision as it is after frames `failed` to be written.

    A frame that was to be dropped for one of them fails too, since no kept frame shows it now. One
    that is kept names it no longer.
    """
    named = tuple(each for each in decision.objects_shown_by if each not in failed)
    if len(named) < len(decision.objects_shown_by):
        decision = replace(decision, objects_shown_by=named)
    if decision.outcome is Outcome.KEPT and decision.id not in failed:
        if decision.nearest_kept not in failed:
            return decision
        return replace(decision, nearest_kept=None, similarity=None, distance=None, novelty=None)
    why = failed.get(decision.id) or failed.get(decision.nearest_kept or "")
    if why is None:
        return decision
    shown = None if decision.nearest_kept in failed else decision.nearest_kept
    return replace(decision, reason=Reason.WRITE_ERROR, detail=why, nearest_kept=shown)
