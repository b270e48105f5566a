"""The heart: decides which frames of one source are kept, and says why.

No disk, no clock, no thread. Time is the frame's own, so the same frames give the same decisions
live, from clips and from archives, with or without a restart in between.

A frame that is new opens a *moment*. For up to `Limits.max_wait_s` the moment waits for a sharper
picture of the same thing; then its best frame is kept and the others are dropped as its repeats.
Decisions therefore come out a little later than the frames went in, always in the frames' order.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from .decisions import Decision, Reason, about
from .embedding import Embedding
from .frames import Frame, Image, Picture
from .gallery import Gallery, Match, novelty
from .sharpness import SharpnessLevel, reduced, sharpness, thumbnail

_STILL = 2.0
"""Grey levels. Two thumbnails with no block further apart are the same picture to the embedder,
which is then not asked again."""

_SAME_VIEW = 24.0
"""Grey levels. With no block further apart, a blurred picture differs by its blur alone."""

_MOST_HELD = 250
"""Frames that one moment may hold back, whatever their times say."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decision depends on, beside the frames."""

    novelty: float
    """A frame is new if it is further than this from every frame of the gallery."""
    min_sharpness: float = 0.35
    """Share of the source's own level below which a frame is blurry; 0 switches the gate off."""
    max_wait_s: float = 1.0
    """How long a moment waits for a sharper frame, in the frames' own time; 0: not at all."""
    gallery: int = 32
    """Kept frames that a new one is compared with; 1: the previous kept frame."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, with what is needed to act on it."""

    decision: Decision
    frame: Frame | None = None
    """The frame, where it is kept; None otherwise, so that its picture can be let go."""
    embedding: Embedding | None = None
    """Where it is kept, what went into the gallery."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A frame with its measures, in the order of its arrival."""

    arrival: int
    frame: Frame | None
    """None once it cannot be kept any more: its picture is let go."""
    record: Decision
    """Complete but for the reason."""
    blurry: bool
    sharpness: float
    thumbnail: Image
    embedding: Embedding

    def without_picture(self) -> _Measured:
        return replace(self, frame=None)


@dataclass(frozen=True, slots=True)
class _View:
    """A picture seen before, and what the embedder said of it."""

    thumbnail: Image
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class SifterState:
    """All that a sifter remembers beside its gallery. Never changed in place."""

    sharpness: tuple[float, ...] = ()
    last_embedded: _View | None = None
    last_sharp: tuple[Image, str] | None = None
    """Thumbnail of the last sharp frame, and the kept frame that shows the same."""

    def to_bytes(self, model: str) -> bytes:
        """For the ledger; `from_bytes` gives the same state back, bit for bit."""
        arrays = {"model": np.asarray(model), "sharpness": np.asarray(self.sharpness, np.float64)}
        if self.last_embedded is not None:
            arrays["embedded_thumbnail"] = self.last_embedded.thumbnail
            arrays["embedded_vector"] = self.last_embedded.embedding.vector
            if self.last_embedded.embedding.grid is not None:
                arrays["embedded_grid"] = self.last_embedded.embedding.grid
        if self.last_sharp is not None:
            arrays["sharp_thumbnail"] = self.last_sharp[0]
            arrays["sharp_id"] = np.asarray(self.last_sharp[1])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle too
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, model: str) -> SifterState:
        """What another model said is forgotten: its numbers mean nothing to `model`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            embedded = sharp = None
            if "embedded_thumbnail" in arrays and str(arrays["model"]) == model:
                grid = arrays.get("embedded_grid", None)
                embedding = Embedding(arrays["embedded_vector"], grid)
                embedded = _View(arrays["embedded_thumbnail"], embedding)
            if "sharp_thumbnail" in arrays and str(arrays["model"]) == model:
                sharp = (arrays["sharp_thumbnail"], str(arrays["sharp_id"]))
            return cls(tuple(arrays["sharpness"].tolist()), embedded, sharp)


@dataclass(slots=True)
class _Moment:
    """New frames that show the same thing, waiting for the best of them."""

    opened_ns: int
    best: _Measured
    before: SifterState
    rest: list[_Measured] = field(default_factory=list)
    """New frames that repeat `best`; every one is within the limit of it."""
    settled: list[tuple[int, Verdict]] = field(default_factory=list)
    """Decided meanwhile, held back so that decisions come out in order."""

    def held(self) -> int:
        return 1 + len(self.rest) + len(self.settled)


class Sifter:
    """Decides frame by frame for one source."""

    def __init__(
        self,
        limits: Limits,
        embed: Callable[[Picture], Embedding],
        gallery: Gallery,
        state: SifterState | None = None,
    ) -> None:
        self.limits = limits
        self.gallery = gallery
        self._embed = embed
        self._now = state or SifterState()
        self._moment: _Moment | None = None
        self._arrivals = 0

    @property
    def state(self) -> SifterState:
        """The state as of the last decision given out: what a restart has to begin with."""
        return self._now if self._moment is None else self._moment.before

    @property
    def waiting(self) -> int:
        """Frames offered whose decision is not out yet."""
        return 0 if self._moment is None else self._moment.held()

    def offer(self, frame: Frame) -> list[Verdict]:
        """Take a frame; return the decisions that are due, in the order of their frames.

        Raises what the embedder raises; the frame then counts for nothing.
        """
        due = self._end_moment_unless_open_at(frame.captured_at_ns)
        before = self._now
        measured = self._measure(frame)
        if self._known(measured):
            due += self._blurred_all_along(measured)
            self._remember_sharp(measured)
            verdict = _dropped(measured, Reason.NEAR_DUPLICATE)
        elif measured.blurry and (kept := self._same_view(measured)) is not None:
            verdict = _dropped(measured, Reason.BLURRY, nearest=kept)
        else:
            return due + self._new(measured, before)
        return due + self._settle(measured.arrival, verdict)

    def flush(self) -> list[Verdict]:
        """Decide what is still waiting: nothing more will come for a while."""
        return self._end_moment()

    # -- measures, cheapest first ------------------------------------------------------------------

    def _measure(self, frame: Frame) -> _Measured:
        self._arrivals += 1
        luma = reduced(frame.picture.luma())
        sharp, thumb = sharpness(luma), thumbnail(luma)
        view = self._view(frame.picture, thumb)
        level = SharpnessLevel(self._now.sharpness)
        limit = self.limits.min_sharpness * level.value()
        level.add(sharp)
        self._now = replace(self._now, sharpness=level.recent, last_embedded=view)
        record = about(
            frame,
            Reason.NOVEL,
            sharpness=sharp,
            sharpness_limit=limit,
            novelty_limit=self.limits.novelty,
        )
        record = _compared(record, self.gallery.nearest(view.embedding))
        return _Measured(self._arrivals, frame, record, sharp < limit, sharp, thumb, view.embedding)

    def _view(self, picture: Picture, thumb: Image) -> _View:
        """What the embedder says, or what it said of the last picture if this one looks the same.

        The last picture *embedded* is compared, not the last one offered: a slow drift adds up.
        """
        last = self._now.last_embedded
        if last is not None and _difference(last.thumbnail, thumb) <= _STILL:
            return last
        return _View(thumb, self._embed(picture))

    # -- what a new frame means for the moment that is open ----------------------------------------

    def _known(self, measured: _Measured) -> bool:
        novelty_ = measured.record.novelty
        return novelty_ is not None and novelty_ <= self.limits.novelty

    def _remember_sharp(self, measured: _Measured) -> None:
        nearest = measured.record.nearest_kept
        if nearest is not None and not measured.blurry:
            self._now = replace(self._now, last_sharp=(measured.thumbnail, nearest))

    def _same_view(self, measured: _Measured) -> str | None:
        """The kept frame that the last sharp picture showed, if only blur is between the two."""
        if self._now.last_sharp is None:
            return None
        sharp, kept = self._now.last_sharp
        return kept if _difference(sharp, measured.thumbnail) <= _SAME_VIEW else None

    def _new(self, measured: _Measured, before: SifterState) -> list[Verdict]:
        moment = self._moment
        if moment is None:
            return self._open_moment(measured, before)
        best = moment.best
        if not best.blurry and not self._repeat(best, measured):
            due = self._end_moment()
            before = replace(before, last_sharp=self._now.last_sharp)
            return due + self._open_moment(measured, before)
        if self._better(moment, measured):
            moment.best, measured = measured, best
        moment.rest.append(measured.without_picture())
        return self._end_moment() if moment.held() >= _MOST_HELD else []

    def _repeat(self, a: _Measured, b: _Measured) -> bool:
        return novelty(a.embedding, b.embedding) <= self.limits.novelty

    def _better(self, moment: _Moment, measured: _Measured) -> bool:
        """Sharper than the best so far, and as close to all the sharp ones that repeat it."""
        return measured.sharpness > moment.best.sharpness and all(
            other.blurry or self._repeat(measured, other) for other in moment.rest
        )

    def _open_moment(self, measured: _Measured, before: SifterState) -> list[Verdict]:
        self._moment = _Moment(measured.record.captured_at_ns, measured, before)
        return [] if self.limits.max_wait_s > 0 else self._end_moment()

    def _end_moment_unless_open_at(self, at_ns: int) -> list[Verdict]:
        if self._moment is None:
            return []
        waited_s = (at_ns - self._moment.opened_ns) / 1e9
        return [] if 0 <= waited_s <= self.limits.max_wait_s else self._end_moment()

    def _end_moment(self) -> list[Verdict]:
        """Keep the best frame of the moment, and drop those that repeat it."""
        moment, self._moment = self._moment, None
        if moment is None:
            return []
        best = moment.best
        assert best.frame is not None
        self.gallery.add(best.record.id, best.embedding)
        self._now = replace(self._now, last_sharp=(best.thumbnail, best.record.id))
        reason = Reason.SHARPEST if best.blurry else Reason.NOVEL
        kept = Verdict(replace(best.record, reason=reason), best.frame, best.embedding)
        return _in_order(
            [(best.arrival, kept)],
            moment.settled,
            [(other.arrival, _repeats(other, best)) for other in moment.rest],
        )

    def _blurred_all_along(self, sharp: _Measured) -> list[Verdict]:
        """End a moment of blur that turns out to be a blurred view of what is kept already."""
        moment = self._moment
        if moment is None or sharp.blurry or not moment.best.blurry:
            return []
        if _difference(moment.best.thumbnail, sharp.thumbnail) > _SAME_VIEW:
            return []
        self._moment = None
        nearest = sharp.record.nearest_kept
        return _in_order(
            moment.settled,
            [
                (other.arrival, _dropped(other, Reason.BLURRY, nearest=nearest))
                for other in (moment.best, *moment.rest)
            ],
        )

    def _settle(self, arrival: int, verdict: Verdict) -> list[Verdict]:
        """Give a decision out, or hold it back behind a moment that is still open."""
        if self._moment is None:
            return [verdict]
        self._moment.settled.append((arrival, verdict))
        return self._end_moment() if self._moment.held() >= _MOST_HELD else []


def _compared(record: Decision, match: Match | None) -> Decision:
    if match is None:
        return record
    return replace(
        record, nearest_kept=match.id, novelty=match.novelty, similarity=match.similarity
    )


def _dropped(measured: _Measured, reason: Reason, *, nearest: str | None = None) -> Verdict:
    nearest = nearest or measured.record.nearest_kept
    return Verdict(replace(measured.record, reason=reason, nearest_kept=nearest))


def _repeats(measured: _Measured, best: _Measured) -> Verdict:
    """Dropped for the better frame of the same moment."""
    match = Gallery.match(best.record.id, best.embedding, measured.embedding)
    reason = Reason.BLURRY if measured.blurry else Reason.NEAR_DUPLICATE
    return Verdict(replace(_compared(measured.record, match), reason=reason))


def _in_order(*groups: list[tuple[int, Verdict]]) -> list[Verdict]:
    """Verdicts by the arrival of their frames."""
    pairs = [pair for group in groups for pair in group]
    return [verdict for _, verdict in sorted(pairs, key=lambda pair: pair[0])]


def _difference(a: Image, b: Image) -> float:
    """Largest difference of two thumbnails, grey levels, after their mean levels are made equal."""
    difference = cv2.subtract(a, b, dtype=cv2.CV_16S)
    return float(np.abs(difference - difference.mean()).max())
