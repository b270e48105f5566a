"""Holds what the decisions about one source share, and makes verdicts and records from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..decisions import Decision, Reason, about
from ..embedding import similarity
from .budgets import Budgets, Refusal
from .comparison import Comparison
from .examples import Examples
from .gallery import Gallery, GalleryFrame
from .gates import GATE_REASONS
from .keep_ratio import KeepRatio
from .learning import Learning
from .measured import Candidate, EmbeddedPicture, Measured, on_time_line
from .novelty import Novelty
from .numbers import Numbers
from .pages import page_of
from .photographs import Match, Photographs, Search, none_elsewhere
from .replacement import Replacement, Replacements
from .rule import compare
from .scene import Scene
from .target_check import TargetCheck
from .verdict import Verdict

_SHUT_OUT = GATE_REASONS | {Reason.UNLIKE_EXAMPLES, Reason.NO_TARGET, Reason.INHIBITED}
"""Reasons for which a frame is not kept at any limit of novelty."""


@dataclass(frozen=True, slots=True, eq=False)
class SiblingMatch:
    """Describes a frame kept by another source of the group that shows what a picture shows."""

    frame: GalleryFrame
    apart: float
    """Distance of the two, as `Novelty.between` gives it."""
    limit: float
    """Distance up to which the two repeat each other."""
    why: str = ""
    """How the two differ, for people."""


@dataclass(slots=True, eq=False)
class Context:
    """Holds all that decisions depend on, except the frame itself."""

    gallery: Gallery
    novelty: Novelty
    scene: Scene
    learning: Learning
    budgets: Budgets
    keep_ratio: KeepRatio
    photographs: Photographs
    replacements: Replacements
    target_check: TargetCheck
    elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple
    """Returns the last frames kept by the other sources of the group, each with its `by`."""
    search_elsewhere: Search = none_elsewhere
    """Returns the nearest of all photographs that they have kept, each with its `by`."""
    examples: Examples | None = None
    """Pictures that a kept frame has to resemble; None: it need not."""
    decided: EmbeddedPicture | None = None
    """What the last decided frame showed; None: no frame was decided."""
    last: Comparison | None = None
    """What was found in that frame if it was no news, since the next may show the same. None: the
    next frame is compared anew."""
    replaced: dict[str, Sequence[Replacement]] = field(default_factory=dict)
    """What the frames kept since the last offer have replaced, by their ids."""
    last_decided: list[Decision] = field(default_factory=list)
    """The decisions since the last offer, which nobody else knows of yet."""

    def compare(self, measured: Measured) -> Comparison:
        """Returns what is new in a frame of the time line."""
        return compare(self.novelty, self.gallery, self.scene, measured)

    @property
    def numbers(self) -> Numbers:
        """Gives the numbers of the rule, as they are in force now."""
        return self.novelty.numbers

    def apart(self, measured: Measured, kept: GalleryFrame) -> float:
        """Returns the distance of a picture to a kept frame, compared as on a time line."""
        return self.novelty.direct(measured.embedded.cells, kept.cells, self.scene)

    def refusal(self, measured: Measured, freed: Sequence[int] = ()) -> Refusal | None:
        """Returns why this frame may not be kept although it is new; None: it may be kept.

        `freed`: times (ns) of kept photographs that it would replace.
        """
        at_ns = measured.frame.captured_at_ns
        refusal = self.budgets.refusal(at_ns, timed=measured.timed, freed=freed)
        return self._unwanted(measured) if refusal is None else refusal

    def overdue_s(self, measured: Measured) -> float | None:
        """Returns for how long a heartbeat has been due; None: none is, or not with this frame."""
        overdue_s = self.budgets.overdue_s(measured.frame.captured_at_ns)
        return None if overdue_s is None or self._unwanted(measured) is not None else overdue_s

    def _unwanted(self, measured: Measured) -> Refusal | None:
        """Returns why a frame may never be kept, by what it shows; None: it may be.

        What is asked here is the same for a frame whenever it is asked.
        """
        if self.examples is None:
            return None
        if measured.unlike is None:
            measured.unlike = self.examples.unlike(measured.embedded.embedding) or ""
        return Refusal(Reason.UNLIKE_EXAMPLES, measured.unlike) if measured.unlike else None

    def take(self, measured: Measured) -> None:
        """Counts a kept frame in the budgets."""
        frame = measured.frame
        self.budgets.take(frame.id, frame.captured_at_ns, timed=measured.timed)

    def decide(self, verdicts: list[Verdict]) -> None:
        """Counts decided frames. Expects their verdicts in the order of the frames."""
        self.last_decided += [verdict.decision for verdict in verdicts]
        if not self.budgets.counts and not self.keep_ratio.on:
            return
        for verdict in verdicts:
            at_ns, kept = verdict.frame.captured_at_ns, verdict.is_kept
            if on_time_line(verdict.frame):
                self.budgets.decided(at_ns, kept=kept)
            # A frame that a gate drops, or that is refused for what it shows or by a spent budget,
            # would not be kept at any limit of novelty: the keep ratio must not learn from it.
            shut = verdict.decision.reason in _SHUT_OUT or self.budgets.exhausted(at_ns) is not None
            if kept or not shut:
                self.keep_ratio.decided(kept=kept - len(verdict.replaced))
        if self.keep_ratio.on:
            self.novelty.tune(self.keep_ratio.factor)

    def give_back(self, id_: str) -> None:
        """Takes back the count of a frame kept since the last offer that could not be written.

        What it has replaced stays kept.
        """
        self.budgets.give_back(id_)
        replaced = self.replaced.pop(id_, ())
        if replaced:
            self.gallery.remove(id_)
        for each in replaced:
            self.budgets.take(each.frame.id, each.record.captured_at_ns, timed=False)
            self._hold(each.frame)
        if self.keep_ratio.on:
            self.keep_ratio.give_back(1 - len(replaced))
            self.novelty.tune(self.keep_ratio.factor)

    def settle(self) -> None:
        """Notes that all frames kept so far are written, since the next one comes."""
        self.budgets.settle()
        self.replaced.clear()
        self.last_decided.clear()

    def keep(self, waiting: Candidate, record: Decision, *, soft: bool = False) -> Verdict:
        """Counts a frame as kept, adds it to the gallery, and returns its verdict.

        `soft`: whether it may be blurred.
        """
        self.take(waiting.measured)
        self.target_check.kept(waiting.measured)
        kept = self.as_kept(waiting.measured)
        self.gallery.add(replace(kept, soft=waiting.measured.sharp.value) if soft else kept)
        self.last = None
        other_view = waiting.found.other_view
        return Verdict(record, waiting.measured.frame, other_view, embedding=kept.embedding)

    def keep_photograph(self, waiting: Candidate, replaced: Sequence[Replacement] = ()) -> None:
        """Counts a photograph as kept, and adds it to what all later ones are compared with.

        It takes the places of those that it has `replaced`.
        """
        for each in replaced:
            self.budgets.free(each.record.captured_at_ns)
            self.release(each.frame.id)
        kept = self.as_kept(waiting.measured)
        self.take(waiting.measured)
        self._hold(kept)
        if waiting.measured.overview is not None:
            self.photographs.overviews.add(kept.id, waiting.measured.overview)
        if replaced:
            self.replaced[kept.id] = replaced

    def _hold(self, kept: GalleryFrame) -> None:
        """Adds a photograph to what all later ones are compared with."""
        self.gallery.add(kept)
        self.photographs.album.add(kept)

    def release(self, id_: str) -> None:
        """Removes a frame from what all later ones are compared with."""
        self.gallery.remove(id_)
        self.photographs.album.remove(id_)
        self.photographs.overviews.forget(id_)
        self.last = None

    def nearest_elsewhere(self, measured: Measured) -> Match | None:
        """Returns what another source has kept that is nearest to a photograph; None: nothing.

        Ask only for one that is about to be kept: it takes the group's turn.
        """
        kept = self.elsewhere()
        return self.photographs.nearest_elsewhere(measured, kept, self.search_elsewhere)

    @staticmethod
    def as_kept(measured: Measured) -> GalleryFrame:
        """Returns a frame as the gallery holds it when it is kept."""
        embedded = measured.embedded
        return GalleryFrame(
            measured.frame.id,
            embedded.embedding,
            measured.thumbnail,
            embedded.cells,
            small=measured.small,
            objects=measured.objects or (),
            page=page_of(measured.overview, measured.thumbnail),
        )

    def sibling_matches(self, able: Sequence[Candidate]) -> list[tuple[Candidate, SiblingMatch]]:
        """Returns those of these frames that another source has kept, each with the nearest.

        Ask only for frames that are about to be kept: this compares with every frame of others.
        """
        kept = self.elsewhere()
        if not kept:
            return []
        others = Gallery(len(kept), kept)
        matches = []
        for each in able:
            apart = self.novelty.apart(each.found.cells, others)
            nearest = int(np.argmin(apart))
            sibling = SiblingMatch(
                kept[nearest], float(apart[nearest]), self.novelty.picture_limit(each.found.cells)
            )
            if sibling.apart <= sibling.limit:
                matches.append((each, sibling))
        return matches

    def repeat(
        self, waiting: Candidate, sibling: SiblingMatch, *, sharpness_limit: float | None = None
    ) -> Verdict:
        """Drops a frame that another source has kept, and returns its verdict.

        The gallery takes the sibling's frame instead, as the newest. So the next frames are
        compared with it, and their records name it.
        """
        found = replace(
            waiting.found,
            weight=sibling.apart,
            limit=sibling.limit,
            why=f"{sibling.why}; kept by {sibling.frame.by}".removeprefix("; "),
        )
        record = self.record(
            waiting.measured,
            found,
            Reason.NEAR_DUPLICATE,
            instead=sibling.frame,
            distance=sibling.apart / sibling.limit,
            sharpness_limit=sharpness_limit,
        )
        self.gallery.remove(sibling.frame.id)
        objects = waiting.measured.objects or sibling.frame.objects
        self.gallery.add(replace(sibling.frame, objects=objects))
        self.last = None
        return Verdict(record, waiting.measured.frame, waiting.found.other_view)

    def record(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        *,
        instead: GalleryFrame | None = None,
        distance: float | None = None,
        sharpness_limit: float | None = None,
    ) -> Decision:
        """Returns the decision to record.

        It names `instead`, the frame kept in place of this one, at this `distance`; None: the
        nearest kept frame. Without a distance the two are compared as on a time line.
        """
        nearest, embedding = None, None
        if instead is not None:
            nearest, embedding = instead.id, instead.embedding
            distance = self.apart(measured, instead) if distance is None else distance
        elif found.nearest is not None:
            kept = self.gallery.kept[found.nearest]
            nearest, embedding, distance = kept.id, kept.embedding, found.distance
        limit = self.novelty.in_force(timed=measured.timed)
        close = None if embedding is None else similarity(measured.embedded.embedding, embedding)
        return about(
            measured.frame,
            reason,
            sharpness=None if measured.sharpness is None else measured.sharpness.value,
            sharpness_limit=None if measured.sharpness is None else sharpness_limit,
            similarity=close,
            distance=distance,
            novelty=None if nearest is None else _on_scale(found, limit),
            novelty_limit=limit,
            nearest_kept=nearest,
            detail=found.why or None,
            detections=measured.detections,
            objects_shown_by=self._objects_shown_by(found, instead)
            if reason is Reason.SAME_OBJECT
            else (),
            **({} if measured.exposure is None else measured.exposure.told()),
        )

    def _objects_shown_by(self, found: Comparison, instead: GalleryFrame | None) -> tuple[str, ...]:
        """Returns the ids of the kept frames that show the objects that explain a frame."""
        if instead is not None:
            return (instead.id,)
        if found.things is None or found.distances is None:
            return ()
        return self.scene.tracking.frames_of(found.things, found.distances)


def _on_scale(found: Comparison, limit: float) -> float:
    """Returns a weight on the scale on which what it has to exceed is `limit`, in every row."""
    if found.limit <= 0:
        return found.weight
    novelty = found.weight / found.limit * limit
    is_news = found.weight > found.limit
    return max(novelty, float(np.nextafter(limit, np.inf))) if is_news else novelty
