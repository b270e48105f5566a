"""Finds the kept picture that shows what a photograph shows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..arrays import Floats
from .album import MOST_ALIKE, Album
from .gallery import Gallery, GalleryFrame
from .likeness import Likeness, Shown, likeness, plainly_other
from .measured import Measured
from .novelty import Novelty
from .overview import Overviews

_MOST_LOOKED_AT = 5
"""Kept pictures, most alike first, whose pixels are looked at: that costs 25 ms each."""
_CLOSE = 0.54
"""`Novelty.view_apart` up to which several are looked at. All but crops are nearer than that; of
farther ones, only the nearest can be the picture that this one was cropped from."""
_REMEMBERED = 64
"""Comparisons that are remembered: a picture that ends a burst is looked at twice."""

Search = Callable[[Floats], Sequence[GalleryFrame]]
"""Returns the kept photographs nearest to a pooled vector, nearest first."""


def none_elsewhere(_vector: Floats) -> Sequence[GalleryFrame]:
    """Finds nothing, for a source without a group."""
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Names the kept picture that is nearest to a photograph."""

    frame: GalleryFrame
    likeness: Likeness


class Photographs:
    """Compares photographs with all that their source and its group have kept."""

    def __init__(
        self, album: Album, gallery: Gallery, novelty: Novelty, overviews: Overviews
    ) -> None:
        self.album = album
        self.overviews = overviews
        self._gallery = gallery
        self._novelty = novelty
        self._found: OrderedDict[tuple[str, str, float], Likeness] = OrderedDict()

    @staticmethod
    def shown(measured: Measured) -> Shown:
        """Returns what is compared of a photograph that was offered."""
        embedded = measured.embedded
        return Shown(measured.frame.id, embedded.embedding, embedded.cells, measured.overview)

    def nearest(self, measured: Measured) -> Match | None:
        """Returns the kept picture nearest to a photograph, or one that it repeats.

        None: nothing was kept.
        """
        shown = self.shown(measured)
        album = self.album.like(shown.embedding.vector)
        known = {frame.id for frame in album}
        last = [frame for frame in self._gallery.kept if frame.id not in known]
        return self.nearest_of(shown, [*album, *self._most_alike(shown, last)])

    def nearest_elsewhere(
        self, measured: Measured, kept: Sequence[GalleryFrame], search: Search
    ) -> Match | None:
        """Returns the same among what other sources have kept: their last frames, and `search`."""
        shown = self.shown(measured)
        found = search(shown.embedding.vector)
        known = {frame.id for frame in found}
        last = [frame for frame in kept if frame.id not in known]
        return self.nearest_of(shown, [*found, *self._most_alike(shown, last)])

    def nearest_of(self, shown: Shown, kept: Sequence[GalleryFrame]) -> Match | None:
        """Returns the first of these that shows the same, else the nearest; None: there is none.

        Those that the embedder takes for other pictures are not read.
        """
        nearest: Match | None = None
        looked_at = 0
        apart = {frame.id: self._novelty.view_apart(shown.cells, frame.cells) for frame in kept}
        for frame in sorted(kept, key=lambda frame: apart[frame.id]):
            most = _MOST_LOOKED_AT if apart[frame.id] <= _CLOSE else 1
            look = looked_at < most
            look = look and plainly_other(shown.cells, frame.cells, self._novelty) is None
            looked_at += look
            found = self.compare(shown, frame, look=look)
            if found.same and look:
                return Match(frame, found)
            if nearest is None or found.distance < nearest.likeness.distance:
                nearest = Match(frame, found)
        return nearest

    def compare(self, shown: Shown, frame: GalleryFrame, *, look: bool = True) -> Likeness:
        """Compares a photograph with one kept picture. `look`: at its pixels too."""
        if look:
            kept = Shown(frame.id, frame.embedding, frame.cells, self.overviews.of(frame.id))
            return self.likeness(shown, kept)
        found = likeness(shown, Shown(frame.id, frame.embedding, frame.cells, None), self._novelty)
        # What was not looked at is never taken for the same.
        return Likeness(max(found.distance, 1.01), "another picture")

    def likeness(self, a: Shown, b: Shown) -> Likeness:
        """Compares two photographs; the last comparisons are remembered."""
        pair = a.id, b.id, self._novelty.picture_factor
        found = self._found.get(pair)
        if found is None:
            found = likeness(a, b, self._novelty)
            if a.overview is not None and b.overview is not None:
                self._found[pair] = found
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)
        return found

    def _most_alike(self, shown: Shown, kept: Sequence[GalleryFrame]) -> Sequence[GalleryFrame]:
        return self._in_order(shown, kept)[:MOST_ALIKE]

    @staticmethod
    def _in_order(shown: Shown, kept: Sequence[GalleryFrame]) -> list[GalleryFrame]:
        """Returns frames by the cosine of their vectors, nearest first."""
        vector = shown.embedding.vector
        return sorted(kept, key=lambda frame: -float(frame.embedding.vector @ vector))
