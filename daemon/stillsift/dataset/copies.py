"""Finds copies of pictures across splits, and under two labels, and confirms them by their pixels.

Vectors only propose: they are alike where pictures are. What is told is what `selection.likeness`,
which also tells copies among photographs for `sift`, calls the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..embedding import Embedding, EmbedError
from ..frames import ArrayPicture, Picture
from ..selection.album import MOST_ALIKE
from ..selection.cells import Cells
from ..selection.likeness import CellsApart, Likeness, Shown, likeness
from ..selection.novelty import Novelty
from ..selection.overview import overview_of
from ..sources.files.still import Unreadable, still_at
from .neighbours import nearest
from .pictures import Entry, PictureSet

LEAST = 0.80
"""Cosine from which two pictures are looked at. Of 100 pictures and their copies the lowest had, in
another size 0.85, as a JPEG of quality 40 0.88, without 10 % of each side 0.86, mirrored 0.95."""
_MIRRORED = 0.90
"""The same for mirrored ones."""
_MOST_LOOKED_AT = 5
"""Pictures whose pixels are compared with those of one picture, nearest first by cells."""
_REMEMBERED = 96
"""Pictures that stay in memory for comparison, about 1 MB each."""

Places = Sequence[int]


class Kind(StrEnum):
    """Says how two files show the same."""

    EXACT = "exact"
    """Their bytes are the same."""
    SAME = "same"
    """One is a copy of the picture: resized, recompressed, cropped, in other light or grey."""
    MIRRORED = "mirrored"
    """One is a copy of the picture, left and right exchanged."""
    NEARLY = "nearly"
    """They are two pictures that show nearly the same, as frames that follow each other."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Describes a picture that shows the same as one of an earlier split, or of another label."""

    place: int
    other: int
    """Place of the picture that is repeated: in an earlier split, or before it in the same one."""
    kind: Kind
    distance: float
    """0 the same, up to 1 they repeat each other, as in the decisions of `sift`."""
    why: str


class Comparer:
    """Compares pictures by their pixels. May be used by several threads at once."""

    def __init__(
        self, embed: Callable[[Picture], Embedding], cell_limit: float, max_pixels: int
    ) -> None:
        """`cell_limit` belongs to the embedder; larger pictures than `max_pixels` are not read."""
        self._embed = embed
        self._novelty = Novelty(cell_limit)
        self._max_pixels = max_pixels
        self._known: OrderedDict[tuple[str, bool], Shown] = OrderedDict()
        self._lock = threading.Lock()

    def first_same(
        self, entry: Entry, others: Sequence[Entry], *, mirrored: bool = False
    ) -> tuple[int, Likeness] | None:
        """Returns the place of the first of `others` that shows the same; None: none does.

        Those come first that are nearest by cells. `mirrored`: left and right of the picture are
        exchanged, and only copies count. What cannot be read is left out.
        """
        new = self._shown(entry, mirrored=mirrored)
        if new is None:
            return None
        found: list[tuple[CellsApart, int, Shown]] = []
        for place, other in enumerate(others):
            shown = self._shown(other)
            if shown is None:
                continue
            cells = shown.cells.scaled(new.cells.shape)
            (apart,) = CellsApart.of(new.cells, [cells], self._novelty)
            if not apart.is_other:
                found.append(
                    (apart, place, Shown(shown.id, shown.embedding, cells, shown.overview))
                )
        for apart, place, shown in sorted(found, key=lambda each: each[0].view)[:_MOST_LOOKED_AT]:
            alike = likeness(new, shown, self._novelty, apart)
            if alike.same and not (mirrored and alike.difference is None):
                return place, alike
        return None

    def _shown(self, entry: Entry, *, mirrored: bool = False) -> Shown | None:
        key = str(entry.path), mirrored
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        if entry.path is None:
            return None
        try:
            picture = still_at(entry.path, self._max_pixels).picture
            if mirrored:
                picture = ArrayPicture(np.ascontiguousarray(picture.bgr()[:, ::-1]))
            embedding = self._embed(picture).in_half_precision()
        except (Unreadable, EmbedError):
            return None
        overview = overview_of(picture, picture.quality)
        shown = Shown(entry.name, embedding, Cells.of(embedding), overview)
        with self._lock:
            self._known[key] = shown
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return shown


def leaks_in(
    pictures: PictureSet,
    splits: NDArray[np.intp],
    comparer: Comparer,
    jobs: int,
    tell: Callable[[int, int], None],
) -> list[Leak]:
    """Returns what of each split repeats an earlier one, and what repeats another label.

    `splits`: (n,) number of the split of each picture. A picture is told once against all earlier
    splits, and once more against other labels of its own. Raises SetError where there are too many
    to compare without the index.
    """
    labels = _codes([entry.label for entry in pictures.entries])
    found = _exact(pictures.entries, splits, labels)
    known = {(leak.place, bool(splits[leak.place] == splits[leak.other])) for leak in found}
    tasks = [
        (place, others)
        for place, others, within in _proposed(pictures, splits, labels)
        if (place, within) not in known
    ]
    similar = pictures.vectors

    def compared(task: tuple[int, Places]) -> Leak | None:
        place, others = task
        entry = pictures.entries[place]
        same = comparer.first_same(entry, [pictures.entries[other] for other in others])
        if same is not None:
            kind = Kind.NEARLY if same[1].difference is None else Kind.SAME
            return Leak(place, others[same[0]], kind, same[1].distance, same[1].why)
        near = [each for each in others if similar[place] @ similar[each] >= _MIRRORED]
        turned = [pictures.entries[other] for other in near]
        same = comparer.first_same(entry, turned, mirrored=True) if near else None
        if same is None:
            return None
        why = f"{same[1].why}, mirrored"
        return Leak(place, near[same[0]], Kind.MIRRORED, same[1].distance, why)

    with ThreadPoolExecutor(jobs, thread_name_prefix="comparing") as pool:
        for done, leak in enumerate(pool.map(compared, tasks), 1):
            if leak is not None:
                found.append(leak)
            tell(done, len(tasks))
    kinds = list(Kind)
    return sorted(found, key=lambda leak: (kinds.index(leak.kind), leak.place))


def _codes(labels: Iterable[str | None]) -> NDArray[np.intp]:
    """Returns a number for each label; -1: it has none."""
    known: dict[str, int] = {}
    return np.asarray(
        [-1 if label is None else known.setdefault(label, len(known)) for label in labels], np.intp
    )


def _exact(
    entries: Sequence[Entry], splits: NDArray[np.intp], labels: NDArray[np.intp]
) -> list[Leak]:
    """Returns the files with the bytes of one in an earlier split, or of one of another label."""
    by_content: defaultdict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        by_content[entry.digest].append(place)
    found = []
    for digest, places in by_content.items():
        if not digest:
            continue
        for index, place in enumerate(places):
            earlier = places[:index]
            across = [each for each in earlier if splits[each] < splits[place]]
            other_label = [
                each
                for each in earlier
                if splits[each] == splits[place] and _conflict(labels, each, place)
            ]
            for others in (across, other_label):
                if others:
                    found.append(Leak(place, others[0], Kind.EXACT, 0.0, "the same bytes"))
    return found


def _conflict(labels: NDArray[np.intp], a: int, b: int) -> bool:
    return bool(labels[a] != labels[b] and labels[a] >= 0 and labels[b] >= 0)


def _proposed(
    pictures: PictureSet, splits: NDArray[np.intp], labels: NDArray[np.intp]
) -> list[tuple[int, Places, bool]]:
    """Returns each picture with those it may repeat, most similar first.

    The third value tells whether these are of the same split, under another label.
    """
    proposed: list[tuple[int, Places, bool]] = []
    for split in range(int(splits.max(initial=0)) + 1):
        own = np.flatnonzero(splits == split)
        before = np.flatnonzero(splits < split)
        proposed += [(a, b, False) for a, b in _similar(pictures, own, before, None)]
        labelled = own[labels[own] >= 0]
        if len(np.unique(labels[labelled])) > 1:
            codes = labels[labelled]
            for place, others in _similar(pictures, labelled, labelled, codes):
                proposed.append((place, [other for other in others if other < place], True))
    return [each for each in proposed if each[1]]


def _similar(
    pictures: PictureSet,
    some: NDArray[np.intp],
    among: NDArray[np.intp],
    codes: NDArray[np.intp] | None,
) -> list[tuple[int, Places]]:
    vectors = pictures.vectors
    apart = None if codes is None else (codes, codes)
    found = nearest(vectors[some], vectors[among], MOST_ALIKE, apart)
    return [
        (int(place), [int(among[other]) for other in others[near]])
        for place, others, near in zip(some, found.places, found.similarity >= LEAST, strict=True)
    ]
