"""The keeper: what one line keeps goes to the disk, and what depends on it follows.

A disk that is full or failing is waited for where the frame can wait, as those of a file can. A
camera's frames fail meanwhile, as does what cannot be written in any case, and with them what was
to be dropped for one of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from ..decisions import Decision, Reason
from ..frames import Frame
from ..ledger import LedgerError
from ..ledger.records import KeptFile, Retire
from ..problems import Problem
from ..selection import Verdict
from ..selection.audit_sample import is_chosen, set_aside
from ..service import Metrics
from ..sources.picture import ConversionError
from ..store import Quarantine, Store, StoreError
from ..store.errors import StoreUnavailable
from ..store.metadata_jsonl import Listing
from .recorder import Recorded
from .troubles import Troubles
from .tuning import Tuning

log = logging.getLogger(__name__)

RETRY_S = 5.0
_ROOM = 4_000_000
"""Bytes: of a large picture."""
_NOTHING_KEPT = "nothing can be kept"
_FOLLOWING_UP = "originals wait to be retired"

Ended = list[tuple[Decision, KeptFile | None]]


@dataclass(frozen=True, slots=True)
class Storage:
    """Where kept frames go, and originals after them."""

    store: Store
    listing: Listing
    quarantine: Quarantine


class Persistence:
    """Of the frames of one source."""

    def __init__(
        self,
        source: str,
        storage: Storage | None,
        metrics: Metrics,
        troubles: Troubles,
        wait: Callable[[str, Problem], None],
        *,
        live: bool,
    ) -> None:
        """`storage` None: a dry run, of which nothing reaches the disk. `live`: a camera, which
        cannot be asked again. `wait` is told what does not work and why; it returns when that may
        be tried again, else it raises."""
        self._source = source
        self._storage = storage
        self._metrics = metrics
        self._troubles = troubles
        self._wait = wait
        self._live = live
        self._tried = time.monotonic()

    # -- persist -----------------------------------------------------------------------------------

    def keep(self, verdicts: list[Verdict], tuning: Tuning, forget: Callable[[str], None]) -> Ended:
        """Put on the disk what is kept, and what the audit wants of the rest; the decisions as they
        ended. `forget` is told the ids of frames that were to be kept and could not be written.

        Raises what `wait` raises: the frames are read again then.
        """
        if self._storage is None:
            # What would be laid aside is told, as what would be kept is.
            return [(_audited(verdict.decision, tuning), None) for verdict in verdicts]
        store = self._storage.store
        placed: dict[str, KeptFile] = {}
        failed: dict[str, str] = {}
        # An original that goes afterwards may share its data with the kept still.
        link = tuning.retire is not Retire.LEAVE
        for verdict in verdicts:
            if not verdict.is_kept:
                continue
            decision = verdict.decision
            try:
                placed[decision.id] = self._placed(store, verdict.frame, decision, link=link)
            except (StoreError, ConversionError) as error:
                self._fail(error, "not kept", logging.ERROR)
                forget(decision.id)
                failed[decision.id] = str(error)
        ended: Ended = []
        for verdict in verdicts:
            decision = _without(verdict.decision, failed)
            aside = _audited(decision, tuning)
            if aside is not decision:
                ended.append(self._set_aside(store, verdict.frame, decision, aside))
            else:
                ended.append((decision, placed.get(decision.id)))
        return ended

    def _set_aside(
        self, store: Store, frame: Frame, dropped: Decision, aside: Decision
    ) -> tuple[Decision, KeptFile | None]:
        """A frame of the audit sample. One that cannot be written is dropped, as it was to be."""
        try:
            # Never linked: a dropped original lies in quarantine and may go back to where it was.
            return aside, self._placed(store, frame, aside, link=False)
        except (StoreError, ConversionError) as error:
            self._fail(error, "not laid aside for the audit", logging.WARNING)
            return dropped, None

    def _fail(self, error: StoreError | ConversionError, what: str, level: int) -> None:
        """Go on without the frame, unless it can be read again once the disk is there."""
        if not isinstance(error, StoreUnavailable):
            log.log(level, "%s: %s: %s", self._source, what, error)
        elif not self._live:
            raise error

    def _placed(self, store: Store, frame: Frame, decision: Decision, *, link: bool) -> KeptFile:
        while True:
            try:
                with self._metrics.stage("persist"):
                    kept = store.place(frame, decision, link=link)
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
        """What may happen only now that the record is safe."""
        if self._storage is not None:
            self._follow(
                self._storage,
                recorded.decisions,
                retire=recorded.retiring or bool(recorded.superseded),
            )

    def try_again(self) -> None:
        """See whether the disk has room for what it had none for, every few seconds: the next frame
        to be kept may be hours away."""
        stands = _NOTHING_KEPT in self._troubles or _FOLLOWING_UP in self._troubles
        if self._storage is None or not stands or time.monotonic() - self._tried < RETRY_S:
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
        """Whether it could be done."""
        try:
            storage.listing.append(decisions)
            if retire:
                for retired in storage.quarantine.retire(self._source):
                    if retired.detail is not None:
                        log.warning("%s: %s", self._source, retired.detail)
        except (StoreError, LedgerError) as error:
            # Nothing is lost: the ledger knows what is still to be listed and retired.
            self._troubles.begin(_FOLLOWING_UP, str(error))
            return False
        return True


def _audited(decision: Decision, tuning: Tuning) -> Decision:
    """The same decision, or that the frame is one of the audit sample."""
    return set_aside(decision) if is_chosen(decision, tuning.audit) else decision


def _without(decision: Decision, failed: dict[str, str]) -> Decision:
    """A decision once frames `failed` to be written: what was to be dropped for a frame that is
    not there now is as little to be had."""
    why = failed.get(decision.id) or failed.get(decision.nearest_kept or "")
    if why is None:
        return decision
    shown = None if decision.nearest_kept in failed else decision.nearest_kept
    return replace(decision, reason=Reason.WRITE_ERROR, detail=why, nearest_kept=shown)
