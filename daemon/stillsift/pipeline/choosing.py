"""Lets go of kept frames until as many are left as were asked for: the most different ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..decisions import Decision, Outcome, Reason
from ..ledger import Ledger
from ..ledger.records import AlbumChanges, Batch, DecisionRecord, KeptVector
from ..selection.farthest_first import farthest_first
from ..store.in_place import Mode
from .persistence import Storage

_AT_ONCE = 64
"""Frames that are let go in one transaction, with all that names them."""
_SHOWN_BY = frozenset(
    {
        *(Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE, Reason.BLURRY),
        *(Reason.SAME_BACKGROUND, Reason.SAME_OBJECT),
    }
)
"""Reasons that say of the frame that is named that it was kept instead."""


Changed = Callable[[DecisionRecord, Decision], None]
"""Is told each decision that has changed: its record as it was, and what it is now."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tells what was chosen."""

    most: int
    """Number of frames that was asked for."""
    before: int
    """Frames that were kept of all these sources."""
    kept: int
    """Frames that still are; more than `most` only where earlier runs have kept them."""


def choose(
    ledger: Ledger,
    storage: Storage | None,
    sources: Sequence[str],
    most: int,
    *,
    model: str,
    config_hash: str,
    is_there: Callable[[str], bool],
    in_place: Mode | None,
    on_change: Changed,
) -> Chosen:
    """Keeps `most` frames of these sources, those that are most different by their embeddings.

    Only what was kept since `Ledger.begin_choosing` is let go. It becomes `budget`, names the
    nearest of those that stay, and leaves the store as what a better copy replaces does. Where it
    is cut off, the next call goes on, and comes to the same frames. `storage` None: a dry run.
    `is_there` tells whether a kept frame is in the store. Where stills are removed in place, frames
    of clips do not count, since clips stay. Raises LedgerError and StoreError.
    """
    elsewhere = ledger.kept_files(sources) if in_place is Mode.REMOVE else set()
    kept: list[tuple[str, KeptVector, bool]] = []
    for source in sources:
        after = ledger.chosen_after(source)
        for each in ledger.kept_vectors(source, model):
            if not is_there(each.id) or (in_place is Mode.REMOVE and each.content_hash is None):
                continue
            stays = after is None or each.seq <= after or each.vector is None
            kept.append((source, each, stays or each.file in elsewhere))
    gone: dict[str, tuple[str, str, float]] = {}
    known = [entry for entry in kept if entry[1].vector is not None]
    if len(kept) > most and not all(stays for _, _, stays in known):
        vectors = np.stack([np.frombuffer(each.vector or b"", "<f4") for _, each, _ in known])
        fixed = [place for place, (_, _, stays) in enumerate(known) if stays]
        # What has no vector stays. Something has to, or nothing would be named.
        choice = farthest_first(vectors, max(1, most - (len(kept) - len(known))), fixed)
        stays_now = set(choice.chosen)
        gone = {
            each.id: (source, known[choice.nearest[place]][1].id, float(choice.cosine[place]))
            for place, (source, each, _) in enumerate(known)
            if place not in stays_now
        }
        earlier = sum(stays for _, _, stays in kept)
        why = f"none of the {most} most different"
        if earlier >= most:
            why = f"one too many, as {earlier} were kept before and --keep is {most}"
        _let_go(ledger, gone, why, Batch(config_hash, model), on_change)
    ledger.end_choosing(sources)
    if storage is not None:
        storage.listing.append([])
        storage.quarantine.take_in()
        for source in sources:
            storage.quarantine.retire(source)
    return Chosen(most, len(kept), len(kept) - len(gone))


def _let_go(
    ledger: Ledger,
    gone: dict[str, tuple[str, str, float]],
    why: str,
    batch: Batch,
    on_change: Changed,
) -> None:
    """Records that frames are let go; `gone` has source, the nearest one that stays, and cosine."""
    naming: defaultdict[str, list[str]] = defaultdict(list)
    for id_, named in ledger.naming(gone.keys()):
        if id_ not in gone:
            naming[named].append(id_)
    ids = list(gone)
    for begin in range(0, len(ids), _AT_ONCE):
        pairs: list[tuple[DecisionRecord, Decision]] = []
        removed: defaultdict[str, list[str]] = defaultdict(list)
        for id_ in ids[begin : begin + _AT_ONCE]:
            source, instead, cosine = gone[id_]
            removed[source].append(id_)
            record = _record(ledger, id_)
            before = record.decision
            stays = _place(_record(ledger, instead).decision)
            near = f"the nearest that stays is {stays}, cosine {cosine:.3f}"
            detail = f"{before.detail or 'new'}, but it is {why}; {near}"
            now = replace(
                before,
                reason=Reason.BUDGET,
                detail=detail,
                nearest_kept=instead,
                similarity=cosine,
                distance=None,
                novelty=None,
            )
            pairs.append((record, now))
            shown = f"{_place(before)}, which is {why}"
            for naming_it in (_record(ledger, each) for each in naming[id_]):
                pairs.append((naming_it, _renamed(naming_it.decision, instead, shown)))
        changed = [now for _, now in pairs]
        albums = {source: AlbumChanges([], names) for source, names in removed.items()}
        ledger.commit(replace(batch, changed=changed, albums=albums))
        for record, now in pairs:
            on_change(record, now)


def _record(ledger: Ledger, id_: str) -> DecisionRecord:
    record = ledger.decision(id_)
    assert record is not None
    return record


def _renamed(record: Decision, instead: str, shown: str) -> Decision:
    """Returns the record of a frame that named one that is let go.

    A frame that was dropped for it is let go with it. Nothing was compared with the one that it
    names now, so there are no measures of that.
    """
    unmeasured = replace(record, similarity=None, distance=None, novelty=None)
    aside = record.reason is Reason.AUDIT
    if record.outcome is Outcome.KEPT and not aside:
        return replace(unmeasured, nearest_kept=None)
    now = replace(unmeasured, nearest_kept=instead)
    if (record.dropped_as or record.reason) not in _SHOWN_BY:
        return now
    same = "has the bytes of" if record.reason is Reason.EXACT_DUPLICATE else "shows what is in"
    now = replace(now, detail=f"{same} {shown}")
    return replace(now, dropped_as=Reason.BUDGET) if aside else replace(now, reason=Reason.BUDGET)


def _place(record: Decision) -> str:
    """Returns where a frame is, for people."""
    if record.content_hash is not None or record.file is None:
        return str(record.file or record.id)
    return f"frame {record.frame_index} of {record.file}"
