"""What travels through the sifter: a frame with its measures, and what is decided about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Image
from ..decisions import Decision, Outcome, Reason, about
from ..embedding import Embedding
from ..frames import Frame, TimeOrigin
from .budgets import NO_LIMITS, Allowance, Allowed, KeepRatio, Refusal
from .comparison import Finding
from .gallery import Cells, Gallery, Kept, similarity
from .gates import OPEN, SHUT, Gates
from .novelty import Novelty
from .regions import EVERYTHING, Regions
from .scene import Scene
from .sensitivity import Sensitivity
from .sharpness import Sharpness, sharpness


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decision depends on, beside the frames."""

    novelty: float
    """Distance of a cell that is no noise; it belongs to the embedder."""
    min_sharpness: float = 0.6
    """Share of the scene's own level below which a frame is blurry; 0 switches the gate off."""
    max_wait_s: float = 1.0
    """How long a moment waits for a better frame, in the frames' own time; 0: not at all."""
    gates: Gates = OPEN
    """What is dropped before anything else is asked about it."""
    sensitivity: Sensitivity = Sensitivity.NORMAL
    """How little must be new for a frame to be kept."""
    regions: Regions = EVERYTHING
    """Which parts of a picture count."""
    allowed: Allowed = NO_LIMITS
    """How much may be kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, with the frame that it is about."""

    decision: Decision
    frame: Frame
    other_view: bool = False
    """Whether it was to be kept because the view itself is new: no kept frame showed it. So it is
    where another source has kept the like, and where nothing may be kept now."""

    @property
    def kept(self) -> bool:
        return self.decision.outcome is Outcome.KEPT


def on_time_line(frame: Frame) -> bool:
    """Whether a frame is one of a time line; a photograph among others is not."""
    still = frame.content_hash is not None
    return not still or frame.captured_at_origin is TimeOrigin.FILENAME


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture as the embedder saw it; shared by all that look the same."""

    thumbnail: Image
    embedding: Embedding
    cells: Cells
    at_s: float
    """When it was looked at, in the frames' own time."""


@dataclass(slots=True, eq=False)
class Measured:
    """A frame with its measures."""

    frame: Frame
    timed: bool
    """Whether the frame lies on a time line; a photograph among others does not."""
    at_s: float
    thumbnail: Image
    sharpness: Sharpness | None
    """None: it was not measured, because nobody has asked yet."""
    view: View
    """The picture itself, or one so near to it that it stands for both."""
    luma: Image | None = None
    """Of the frame, while it is at hand; None: its picture has to be asked."""

    @property
    def sharp(self) -> Sharpness:
        """Measured now at the latest; the frame must still hold its pixels then."""
        self.measure()
        assert self.sharpness is not None
        return self.sharpness

    def measure(self) -> None:
        if self.sharpness is None:
            self.sharpness = sharpness(
                self.frame.picture.luma() if self.luma is None else self.luma
            )

    def again(self) -> Measured:
        """The same as it was offered: what is recorded of a frame must not depend on whether it is
        looked at again or, after a restart, offered again."""
        if self.frame.content_hash is None:  # a still has let its pixels go
            self.sharpness = None
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A frame whose decision is open."""

    measured: Measured
    found: Finding


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """A frame kept by another source of the group that shows what a picture shows."""

    kept: Kept
    apart: float
    """`Novelty.between` the two."""
    limit: float
    """Up to which they repeat each other."""


@dataclass(slots=True, eq=False)
class Past:
    """All that decisions depend on beside the frame itself."""

    gallery: Gallery
    novelty: Novelty
    scene: Scene
    allowance: Allowance
    keep_ratio: KeepRatio
    elsewhere: Callable[[], Sequence[Kept]] = tuple
    """The frames that the other sources of the group have kept last, each with its `by`."""
    decided: View | None = None
    """What the last frame decided showed."""
    last: Finding | None = None
    """About that frame, if it was no news; the next may show the same."""

    def find(self, cells: Cells, at_s: float) -> Finding:
        """What is new in a picture on the time line."""
        return self.novelty.find(cells, self.gallery, self.scene, at_s)

    def refusal(self, measured: Measured) -> Refusal | None:
        """Why this frame may not be kept, new as it is; None: it may."""
        return self.allowance.refusal(measured.frame.captured_at_ns, timed=measured.timed)

    def take(self, measured: Measured) -> None:
        """Count a kept frame."""
        frame = measured.frame
        self.allowance.take(frame.id, frame.captured_at_ns, timed=measured.timed)

    def decide(self, verdicts: list[Verdict]) -> None:
        """Count what was decided, in the order of the frames."""
        if not self.allowance.counts and not self.keep_ratio.on:
            return
        for verdict in verdicts:
            at_ns, kept = verdict.frame.captured_at_ns, verdict.kept
            if on_time_line(verdict.frame):
                self.allowance.decided(at_ns, kept=kept)
            # Behind a closed gate or an empty budget nothing is kept at any limit, so that the
            # limit learns nothing.
            shut = verdict.decision.reason in SHUT or self.allowance.exhausted(at_ns) is not None
            if kept or not shut:
                self.keep_ratio.decided(kept=kept)
        if self.keep_ratio.on:
            self.novelty.tune(self.keep_ratio.factor)

    def give_back(self, id_: str) -> None:
        """A frame kept since the last was offered could not be written: it counts for nothing."""
        self.allowance.give_back(id_)
        if self.keep_ratio.on:
            self.keep_ratio.give_back()
            self.novelty.tune(self.keep_ratio.factor)

    def keep(self, waiting: Waiting, record: Decision) -> Verdict:
        """Take a frame into the gallery."""
        self.take(waiting.measured)
        self.gallery.add(self.as_kept(waiting.measured))
        self.last = None
        return Verdict(record, waiting.measured.frame, waiting.found.other_view)

    @staticmethod
    def as_kept(measured: Measured) -> Kept:
        """A frame as the gallery holds it once it is kept."""
        view = measured.view
        return Kept(measured.frame.id, view.embedding, measured.thumbnail, view.cells)

    def twins(self, able: Sequence[Waiting]) -> list[tuple[Waiting, Twin]]:
        """Those of these frames that another source has kept, with the nearest it kept.

        Only what is about to be kept is worth the question: it looks at every such frame.
        """
        kept = self.elsewhere()
        if not kept:
            return []
        others = Gallery(len(kept), kept)
        twins = []
        for each in able:
            apart = self.novelty.apart(each.found.cells, others)
            nearest = int(np.argmin(apart))
            twin = Twin(
                kept[nearest], float(apart[nearest]), self.novelty.picture_limit(each.found.cells)
            )
            if twin.apart <= twin.limit:
                twins.append((each, twin))
        return twins

    def repeat(
        self, waiting: Waiting, twin: Twin, *, sharpness_limit: float | None = None
    ) -> Verdict:
        """Drop a frame that another source has kept. The gallery takes that one in its place, so
        that what comes next is compared with it and names it."""
        found = replace(
            waiting.found, weight=twin.apart, limit=twin.limit, why=f"kept by {twin.kept.by}"
        )
        record = self.record(
            waiting.measured,
            found,
            Reason.NEAR_DUPLICATE,
            instead=twin.kept,
            sharpness_limit=sharpness_limit,
        )
        self.gallery.remove(twin.kept.id)
        self.gallery.add(twin.kept)
        self.last = None
        return Verdict(record, waiting.measured.frame, waiting.found.other_view)

    def record(
        self,
        measured: Measured,
        found: Finding,
        reason: Reason,
        *,
        instead: Kept | None = None,
        sharpness_limit: float | None = None,
    ) -> Decision:
        """What is written down. `instead`: the frame kept in its place; None: the nearest kept."""
        nearest, embedding = None, None
        if instead is not None:
            nearest, embedding = instead.id, instead.embedding
        elif found.nearest is not None:
            kept = self.gallery.kept[found.nearest]
            nearest, embedding = kept.id, kept.embedding
        close = None if embedding is None else similarity(measured.view.embedding, embedding)
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
