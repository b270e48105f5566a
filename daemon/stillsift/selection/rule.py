"""The rule for time lines: the rows of docs/selection.md, in their order.

Each row looks at the evidence of one picture and says what it finds, or nothing. The first row that
holds decides: its frame is dropped for a reason, or is news of a kind. What becomes of news is said
by `moments`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..decisions import Reason
from ..frames import lapse_s
from .cells import Cells
from .comparison import Comparison, News
from .evidence import Evidence, beside_kept, beside_moved
from .gallery import Gallery
from .measured import Measured
from .moved_view import move_between
from .novelty import Novelty
from .scene import Scene

_LIGHT = "all of it differs a little, and no part of it more than the rest"
_TINGE = "a colour that has not stayed for half a second"
MOVED_ON = "the view has moved on"
TOO_LITTLE = "what is new in it weighs too little"
_UNCOVERED = "what is behind the objects that left is shown by other kept frames"


@dataclass(frozen=True, slots=True)
class Finding:
    """Says what a row has found in a picture."""

    weight: float
    limit: float
    """What `weight` has exceeded, or has not."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Describes one row of the rule."""

    name: str
    outcome: News | Reason
    """Kind of the news, or the reason for which the frame is dropped."""
    look: Callable[[Evidence], Finding | None]
    """Returns what is found; None: the row does not hold."""


def _lit(e: Evidence) -> Finding | None:
    if e.lit <= e.numbers.lit or not _same_view(e):
        return None
    return Finding(e.lit, e.numbers.lit, f"a known view with {e.lit:.1f} times the contrast")


def _sharper(e: Evidence) -> Finding | None:
    if e.sharper <= e.numbers.sharper or not _same_view(e):
        return None
    why = f"a known view, {e.sharper:.1f} times as sharp"
    return Finding(e.sharper, e.numbers.sharper, why)


def _same_view(e: Evidence) -> bool:
    """Tells whether nothing but light and focus has changed."""
    return e.distance <= 1 or not (_view(e) or e.changed.any())


def _shown(e: Evidence) -> Finding | None:
    return Finding(e.distance * e.limit, e.limit) if e.distance <= 1 else None


def _view(e: Evidence) -> Finding | None:
    limit, total = e.numbers.view * (2 if e.moves else 1), float(e.over.sum())
    if e.middle <= limit or (e.novelty.factor > 1 and total <= e.numbers.news):
        return None
    weight = max(total, float(np.nextafter(e.limit, np.inf)))
    return Finding(weight, e.limit, f"another view: median {e.middle:.2f} > {limit:.2f}")


def _arrived(e: Evidence) -> Finding | None:
    if e.fresh <= e.limit and e.largest <= _weak(e):
        return None
    limit = e.limit if e.fresh > e.limit else _weak(e)
    return Finding(e.largest, limit, f"{int(e.new.sum())} cells show something new")


def _settled(e: Evidence) -> Finding | None:
    weight = float(e.over[e.rested].sum())
    if weight <= _weak(e):
        return None
    return Finding(weight, _weak(e), f"came to rest: {int(e.rested.sum())} cells")


def _grown(e: Evidence) -> Finding | None:
    weight, times = e.grown
    if times <= e.numbers.grown:
        return None
    return Finding(weight, _weak(e), f"shows {times:.1f} times what was kept of it")


def _moved_on(e: Evidence) -> Finding | None:
    weight, for_s = float(e.over[e.moving].sum()), e.numbers.refresh_s
    if weight <= _weak(e) or lapse_s(e.scene.kept_s, e.at_s) < for_s:
        return None
    return Finding(weight, _weak(e), f"moved on for {for_s:.0f} s: {int(e.moving.sum())} cells")


def _in_parts(e: Evidence) -> Finding | None:
    # Each part is shown by some kept frame, but none shows what has become of the whole.
    unshown_s, limit = e.scene.unshown_s, _unmet(e)
    rests = float(e.still_s.min()) >= e.numbers.still_s
    clear = rests and not e.new.any() and e.distance * e.limit > _weak(e)
    if e.move is not None or unshown_s < (e.numbers.crept_s if clear else e.numbers.refresh_s):
        return None
    why = f"for {unshown_s:.0f} s no kept frame has shown all of it"
    return Finding(e.distance * limit, limit, why)


def _moved_view(e: Evidence) -> Finding | None:
    if e.move is None:
        return None
    why = f"{MOVED_ON}; {e.move.unseen:.0%} of it is not in the kept frame"
    return Finding(e.largest, _unmet(e), why)


def _same_object(e: Evidence) -> Finding | None:
    cells = int((e.known | e.matched).sum())
    if not cells:
        return None
    return Finding(e.largest, _unmet(e), f"{cells} changed cells belong to what was kept")


def _tinged(e: Evidence) -> Finding | None:
    return Finding(0.0, e.limit, _TINGE) if e.tinged and not e.changed.any() else None


def _same_background(e: Evidence) -> Finding | None:
    why = _UNCOVERED if e.background else _LIGHT
    return Finding(e.largest, _unmet(e), TOO_LITTLE if e.new.any() else why)


ROWS = (
    Row("better lit", News.VIEW, _lit),
    Row("sharper", News.VIEW, _sharper),
    Row("nearest kept frame", Reason.NEAR_DUPLICATE, _shown),
    Row("another view", News.VIEW, _view),
    Row("arrival", News.ARRIVAL, _arrived),
    Row("settled", News.SETTLED, _settled),
    Row("grown", News.GROWN, _grown),
    Row("moved on", News.REFRESH, _moved_on),
    Row("in parts", News.REFRESH, _in_parts),
    Row("moved view", Reason.SAME_BACKGROUND, _moved_view),
    Row("known object", Reason.SAME_OBJECT, _same_object),
    Row("fleeting colour", Reason.FLEETING, _tinged),
    Row("known background", Reason.SAME_BACKGROUND, _same_background),
)
"""The rows in their order; one always holds. A picture that one kept frame shows is never news. The
news come before what is explained, since a picture is explained if none of it is news."""


def compare(novelty: Novelty, gallery: Gallery, scene: Scene, measured: Measured) -> Comparison:
    """Returns what is new in a frame. The scene and the gallery learn nothing from it."""
    cells = measured.embedded.cells
    if not len(gallery):
        before, cut = novelty.before(cells, scene)
        found = Comparison(cells, limit=novelty.limit(scene), from_previous=before, cut=cut)
        return replace(found, news=News.VIEW, why="nothing was kept before")
    if len(cells.energy) == 1:
        return _pooled(novelty, gallery, scene, cells)
    evidence = beside_kept(novelty, gallery, scene, measured)
    if gallery.size == 1:
        return _beside_last(evidence)
    found = _decided(evidence)
    if found.news is not None and not found.cut:
        found = _since_a_move(evidence) or found
    return found


def _decided(e: Evidence) -> Comparison:
    """Returns what the first row finds that holds."""
    for row in ROWS:
        if (finding := row.look(e)) is not None:
            return _found(e, row.outcome, finding)
    raise AssertionError("the last row holds always")


def _found(e: Evidence, outcome: News | Reason, finding: Finding) -> Comparison:
    news = outcome if isinstance(outcome, News) else None
    explained = None if news or outcome is Reason.NEAR_DUPLICATE else Reason(outcome)
    whole = news is News.VIEW or e.gallery.size == 1  # nothing in it is explained
    return Comparison(
        e.cells,
        news=news,
        weight=finding.weight,
        limit=finding.limit,
        shown=e.shown,
        nearest=e.nearest,
        distance=e.distance,
        explained_by=explained,
        changed=e.changed,
        unexplained=None if whole else e.new,
        things=np.zeros(e.changed.shape, np.int32) if whole else e.things,
        stray=0.0 if whole else e.stray,
        distances=e.distances,
        move=e.move,
        unsettled=bool((e.still_s < e.numbers.still_s).any()),
        from_previous=e.before,
        cut=e.cut,
        why=finding.why,
    )


def _since_a_move(e: Evidence) -> Comparison | None:
    """Returns what the rows find beside a kept frame since which the view has moved on a little.

    None: the view has not moved, or it has come to rest, so that it is another one.
    """
    kept, counting = e.gallery.kept, e.novelty.regions.counting(*e.thumbnail.shape)
    for place in dict.fromkeys((e.nearest, len(kept) - 1)):
        move = move_between(kept[place].thumbnail, e.thumbnail, kept[place].id, counting)
        if move is None:
            continue
        if e.scene.rests_at(move, e.at_s):
            return None
        if (moved := beside_moved(e, place, move)) is not None:
            found = _decided(moved)
            if moved.has_moved or found.news is None:
                return found
    return None


# -- simpler comparisons ---------------------------------------------------------------------------


def _beside_last(e: Evidence) -> Comparison:
    """Compares with the previous kept frame only, for a gallery of size 1: no view is another, and
    nothing is explained."""
    total, limit = float(e.over.sum()), e.numbers.news
    if total <= limit:
        return _found(e, Reason.NEAR_DUPLICATE, Finding(total, limit))
    return _found(e, News.ARRIVAL, Finding(total, limit, f"{int(e.changed.sum())} cells changed"))


def _pooled(novelty: Novelty, gallery: Gallery, scene: Scene, cells: Cells) -> Comparison:
    """Compares by cosine distance, for embeddings without a grid.

    It tells views apart and misses small objects.
    """
    before, cut = novelty.before(cells, scene)
    distances = gallery.distances(cells)[:, 0]
    nearest = int(np.argmin(distances))
    apart = float(distances[nearest]) / 2  # |a - b|^2 of unit vectors is 2 - 2 cos
    limit = novelty.pooled_limit
    return Comparison(
        cells,
        news=News.VIEW if apart > limit else None,
        weight=apart,
        limit=limit,
        nearest=nearest,
        distance=apart / limit,
        from_previous=before,
        cut=cut,
    )


# -- limits ----------------------------------------------------------------------------------------


def _weak(e: Evidence) -> float:
    """Returns what something must weigh that crept in or came to rest, or that is known."""
    return e.numbers.weak + e.chance


def _unmet(e: Evidence) -> float:
    """Returns what the largest thing in a picture without news should have weighed."""
    return max(e.limit, _weak(e)) if e.largest > e.limit else e.limit
