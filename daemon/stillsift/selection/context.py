"""What travels through the sifter: a frame with its measures, and what is decided about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..decisions import Decision, Reason, about
from ..embedding import similarity
from .budgets import Budgets, Refusal
from .cells import Cells
from .comparison import Comparison
from .gallery import Gallery, GalleryFrame
from .gates import GATE_REASONS
from .keep_ratio import KeepRatio
from .measured import Candidate, EmbeddedPicture, Measured, on_time_line
from .novelty import Novelty
from .scene import Scene
from .verdict import Verdict


@dataclass(frozen=True, slots=True, eq=False)
class SiblingMatch:
    """A frame kept by another source of the group that shows what a picture shows."""

    frame: GalleryFrame
    apart: float
    """`Novelty.between` the two."""
    limit: float
    """Up to which they repeat each other."""


@dataclass(slots=True, eq=False)
class Context:
    """All that decisions depend on beside the frame itself."""

    gallery: Gallery
    novelty: Novelty
    scene: Scene
    budgets: Budgets
    keep_ratio: KeepRatio
    elsewhere: Callable[[], Sequence[GalleryFrame]] = tuple
    """The frames that the other sources of the group have kept last, each with its `by`."""
    decided: EmbeddedPicture | None = None
    """What the last frame decided showed."""
    last: Comparison | None = None
    """About that frame, if it was no news; the next may show the same."""

    def compare(self, cells: Cells, at_s: float) -> Comparison:
        """What is new in a picture on the time line."""
        return self.novelty.compare(cells, self.gallery, self.scene, at_s)

    def refusal(self, measured: Measured) -> Refusal | None:
        """Why this frame may not be kept, new as it is; None: it may."""
        return self.budgets.refusal(measured.frame.captured_at_ns, timed=measured.timed)

    def take(self, measured: Measured) -> None:
        """Count a kept frame."""
        frame = measured.frame
        self.budgets.take(frame.id, frame.captured_at_ns, timed=measured.timed)

    def decide(self, verdicts: list[Verdict]) -> None:
        """Count what was decided, in the order of the frames."""
        if not self.budgets.counts and not self.keep_ratio.on:
            return
        for verdict in verdicts:
            at_ns, kept = verdict.frame.captured_at_ns, verdict.is_kept
            if on_time_line(verdict.frame):
                self.budgets.decided(at_ns, kept=kept)
            # Behind a closed gate or an empty budget nothing is kept at any limit, so that the
            # limit learns nothing.
            shut = (
                verdict.decision.reason in GATE_REASONS or self.budgets.exhausted(at_ns) is not None
            )
            if kept or not shut:
                self.keep_ratio.decided(kept=kept)
        if self.keep_ratio.on:
            self.novelty.tune(self.keep_ratio.factor)

    def give_back(self, id_: str) -> None:
        """A frame kept since the last was offered could not be written: it counts for nothing."""
        self.budgets.give_back(id_)
        if self.keep_ratio.on:
            self.keep_ratio.give_back()
            self.novelty.tune(self.keep_ratio.factor)

    def keep(self, waiting: Candidate, record: Decision) -> Verdict:
        """Take a frame into the gallery."""
        self.take(waiting.measured)
        self.gallery.add(self.as_kept(waiting.measured))
        self.last = None
        return Verdict(record, waiting.measured.frame, waiting.found.other_view)

    @staticmethod
    def as_kept(measured: Measured) -> GalleryFrame:
        """A frame as the gallery holds it once it is kept."""
        embedded = measured.embedded
        return GalleryFrame(
            measured.frame.id, embedded.embedding, measured.thumbnail, embedded.cells
        )

    def sibling_matches(self, able: Sequence[Candidate]) -> list[tuple[Candidate, SiblingMatch]]:
        """Those of these frames that another source has kept, with the nearest it kept.

        Only what is about to be kept is worth the question: it looks at every such frame.
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
        """Drop a frame that another source has kept. The gallery takes that one in its place, so
        that what comes next is compared with it and names it."""
        found = replace(
            waiting.found,
            weight=sibling.apart,
            limit=sibling.limit,
            why=f"kept by {sibling.frame.by}",
        )
        record = self.record(
            waiting.measured,
            found,
            Reason.NEAR_DUPLICATE,
            instead=sibling.frame,
            sharpness_limit=sharpness_limit,
        )
        self.gallery.remove(sibling.frame.id)
        self.gallery.add(sibling.frame)
        self.last = None
        return Verdict(record, waiting.measured.frame, waiting.found.other_view)

    def record(
        self,
        measured: Measured,
        found: Comparison,
        reason: Reason,
        *,
        instead: GalleryFrame | None = None,
        sharpness_limit: float | None = None,
    ) -> Decision:
        """What is written down. `instead`: the frame kept in its place; None: the nearest kept."""
        nearest, embedding = None, None
        if instead is not None:
            nearest, embedding = instead.id, instead.embedding
        elif found.nearest is not None:
            kept = self.gallery.kept[found.nearest]
            nearest, embedding = kept.id, kept.embedding
        close = None if embedding is None else similarity(measured.embedded.embedding, embedding)
        return about(
            measured.frame,
            reason,
            sharpness=None if measured.sharpness is None else measured.sharpness.value,
            sharpness_limit=None if measured.sharpness is None else sharpness_limit,
            similarity=close,
            novelty=None if nearest is None else found.weight,
            novelty_limit=found.limit,
            nearest_kept=nearest,
            detail=found.why or None,
        )
