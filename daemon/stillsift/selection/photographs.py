"""Finds the kept picture that shows what a photograph shows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Floats, Image
from .album import MOST_ALIKE, Album
from .cells import Cells
from .gallery import Gallery, GalleryFrame
from .likeness import CellsApart, Likeness, Shown, likeness, same_but_blurred
from .measured import Measured
from .novelty import Novelty
from .overview import Overviews
from .pages import alike, page_of

_MOST_LOOKED_AT = 5
"""Kept pictures, most alike first, whose pixels are looked at: that costs 25 ms each."""
_CLOSE = 0.54
"""`Novelty.view_apart` up to which several are looked at. All but crops are nearer than that; of
farther ones, only the nearest can be the picture that this one was cropped from."""
_REMEMBERED = 64
"""Comparisons that are remembered: a picture that ends a burst is looked at twice."""

_PAGES_LOOKED_AT = 2
"""Of documents and drawings, those looked at first that are most alike in where their lines are."""

Search = Callable[[Floats, Image | None], Sequence[GalleryFrame]]
"""Returns the kept photographs nearest to a pooled vector and, if it is one, to a page."""


def none_elsewhere(_vector: Floats, _page: Image | None) -> Sequence[GalleryFrame]:
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

    @property
    def limit(self) -> float:
        """Gives the factor on distances up to which two repeat each other."""
        return self._novelty.picture_factor

    @staticmethod
    def shown(measured: Measured) -> Shown:
        """Returns what is compared of a photograph that was offered."""
        embedded = measured.embedded
        overview = measured.overview
        page = page_of(overview, measured.thumbnail)
        return Shown(measured.frame.id, embedded.embedding, embedded.cells, overview, page)

    def nearest(self, measured: Measured, without: Collection[str] = ()) -> Match | None:
        """Returns the kept picture nearest to a photograph, or one that it repeats.

        None: nothing was kept. `without`: ids of kept pictures that do not count.
        """
        shown = self.shown(measured)
        album = self.album.like(shown.embedding.vector, shown.page)
        known = {frame.id for frame in album}
        last = [frame for frame in self._gallery.kept if frame.id not in known]
        kept = [*album, *self._most_alike(shown, last)]
        return self.nearest_of(shown, [frame for frame in kept if frame.id not in without])

    def nearest_elsewhere(
        self, measured: Measured, kept: Sequence[GalleryFrame], search: Search
    ) -> Match | None:
        """Returns the same among what other sources have kept: their last frames, and `search`."""
        shown = self.shown(measured)
        found = search(shown.embedding.vector, shown.page)
        known = {frame.id for frame in found}
        last = [frame for frame in kept if frame.id not in known]
        return self.nearest_of(shown, [*found, *self._most_alike(shown, last)])

    def nearest_of(self, shown: Shown, kept: Sequence[GalleryFrame]) -> Match | None:
        """Returns the first of these that shows the same, else the nearest; None: there is none.

        Those that the embedder takes for other pictures are not read.
        """
        nearest: Match | None = None
        looked_at = 0
        # Pictures of other shapes are brought to the grid of this one once.
        scaled = [(frame, frame.cells.scaled(shown.cells.shape)) for frame in kept]
        apart = CellsApart.of(shown.cells, [cells for _, cells in scaled], self._novelty)
        order = sorted(range(len(kept)), key=lambda place: apart[place].view)
        for place in dict.fromkeys([*_pages_alike(shown, kept), *order]):
            (frame, cells), far = scaled[place], apart[place]
            most = _MOST_LOOKED_AT if far.view <= _CLOSE else 1
            if far.is_other or looked_at >= most:
                found = far.other()
            else:
                looked_at += 1
                found = self.compare(shown, frame, cells, far)
                if found.same:
                    return Match(frame, found)
            if nearest is None or found.distance < nearest.likeness.distance:
                nearest = Match(frame, found)
        return nearest

    def compare(
        self,
        shown: Shown,
        frame: GalleryFrame,
        cells: Cells | None = None,
        apart: CellsApart | None = None,
    ) -> Likeness:
        """Compares a photograph with one kept picture, at its pixels too.

        `cells`: those of the frame on the grid of the photograph; None: they are its own. `apart`:
        what these tell; None: not compared yet.
        """
        overview = self.overviews.of(frame.id)
        cells = frame.cells if cells is None else cells
        return self.likeness(shown, Shown(frame.id, frame.embedding, cells, overview), apart)

    def likeness(self, a: Shown, b: Shown, apart: CellsApart | None = None) -> Likeness:
        """Compares two photographs; the last comparisons are remembered."""
        pair = a.id, b.id, self._novelty.picture_factor
        found = self._found.get(pair)
        if found is None:
            found = likeness(a, b, self._novelty, apart)
            if a.overview is not None and b.overview is not None:
                self._found[pair] = found
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)
        return found

    def repeats(
        self, a: Shown, b: Shown, sharp: tuple[float, float], min_sharpness: float
    ) -> Likeness:
        """Compares two photographs of which one may be blurred.

        `sharp`: sharpness of each; below `min_sharpness` of the other's, one is blurred.
        """
        found = self.likeness(a, b)
        blurred = min(sharp) < min_sharpness * max(sharp)
        if found.same or a.overview is None or b.overview is None or not blurred:
            return found
        coarse = same_but_blurred(a.overview, b.overview)
        return coarse if coarse.same else found

    @staticmethod
    def _most_alike(shown: Shown, kept: Sequence[GalleryFrame]) -> Sequence[GalleryFrame]:
        """Returns the frames whose vectors have the highest cosine, nearest first."""
        vector = shown.embedding.vector
        nearest = sorted(kept, key=lambda frame: -float(frame.embedding.vector @ vector))
        return nearest[:MOST_ALIKE]


def _pages_alike(shown: Shown, kept: Sequence[GalleryFrame]) -> list[int]:
    """Returns the places of the pages that are most alike; none for what is no page."""
    page = shown.page
    pages = [(place, frame.page) for place, frame in enumerate(kept) if frame.page is not None]
    if page is None or not pages:
        return []
    found = alike(np.stack([each.reshape(-1) for _, each in pages]), page)
    return [pages[n][0] for n in np.argsort(-found, kind="stable")[:_PAGES_LOOKED_AT]]
