"""Follows objects that move through the picture, and remembers what was kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Labels, Mask, floats
from ..frames import lapse_s
from .cells import Cells, across, energy_of, steps_apart
from .numbers import Numbers

_MOST_THINGS = 256
"""Things of one event that are remembered: on a busy road, those of some minutes."""
_MOST_NAMED = 4
"""Kept frames that the record of one frame names: a busy road shows dozens of things at once."""
_ENOUGH = 0.4
"""Share of a group of changed cells that must follow an object for all of it to belong to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Describes the cells of one frame that belong to things."""

    mask: Mask
    """(rows, columns) cells that belong to things."""
    cells: Cells
    """These cells, as a row."""
    things: Labels
    """(these cells,) number of the kept thing that each belongs to; 0: to none that was kept."""
    at_s: float

    @classmethod
    def of(cls, mask: Mask, things: Labels, cells: Cells, at_s: float) -> Foreground:
        """Takes the cells of a (rows, columns) mask, with the (rows, columns) numbers of things."""
        return cls(mask, cells.chosen(np.flatnonzero(mask)), things[mask], at_s)


class Tracking:
    """Follows things from frame to frame while an event lasts.

    An event begins with its first kept frame and ends when nothing has changed for a while.
    """

    _MEMORY_S = 10.0
    """Seconds after which something kept counts as another thing, even if it looks the same."""
    _CALM_S = 1.5
    """Seconds without a change after which an event is over."""
    _PAUSE_S = 1.0
    """Longest time between two frames over which things are followed, seconds."""

    def __init__(self) -> None:
        self.followed: Foreground | None = None
        """Foreground of the last frame: all that moves, kept or not; None: nothing does."""
        self.kept: tuple[Foreground, ...] = ()
        """Foregrounds of the frames kept in this event."""
        self.sizes: dict[int, float] = {}
        """By the number of a thing: how much the kept frame shows that shows most of it."""
        self.shown_by: dict[int, str] = {}
        """By the number of a thing: the id of that kept frame."""
        self.became: dict[int, int] = {}
        """By the number of a thing that was kept again: the number that it has had since."""
        self.last = 0
        """The last number given; none is given twice, since frames that wait hold numbers."""
        self.active_s = -np.inf
        """Time when something was last followed, seconds; -inf: never."""

    def end_event(self) -> None:
        """Ends the event: forgets what was followed and what was kept of it."""
        self.followed, self.kept = None, ()
        self.sizes, self.shown_by, self.became = {}, {}, {}

    def is_active(self, at_s: float) -> bool:
        """Tells whether things are being followed now."""
        return self.followed is not None and 0 <= lapse_s(self.followed.at_s, at_s) <= self._PAUSE_S

    def recent(self, at_s: float) -> tuple[Foreground, ...]:
        """Returns what was kept in this event at most `_MEMORY_S` ago, so may be the same thing."""
        return tuple(each for each in self.kept if abs(lapse_s(each.at_s, at_s)) <= self._MEMORY_S)

    def follow(self, mask: Mask, things: Labels, cells: Cells, at_s: float) -> None:
        """Remembers that these cells of the last frame move, and to which things they belong."""
        self.followed = Foreground.of(mask, things, cells, at_s)
        self.active_s = at_s

    def keep(
        self, id_: str, changed: Mask, shown: Floats, things: Labels, cells: Cells, at_s: float
    ) -> None:
        """Remembers that the kept frame `id_` shows these changed cells, each group a thing.

        `shown`: (rows, columns) how much of the change each cell shows. `things`: the numbers so
        far; what a thing showed in an earlier kept frame still counts.
        """
        numbers = np.zeros_like(things)
        for group in connected(changed):
            before = self.sizes.keys() & set(things[group].tolist())
            self.last += 1
            numbers[group] = self.last
            self.became.update(dict.fromkeys(before, self.last))
            sizes = [(self.sizes[each], self.shown_by.get(each, id_)) for each in sorted(before)]
            size, frame = max([(float(shown[group].sum()), id_), *sizes], key=lambda each: each[0])
            self.sizes[self.last], self.shown_by[self.last] = size, frame
        self.kept = (*self.kept, Foreground.of(changed, numbers, cells, at_s))

    def kept_size(self, things: Labels) -> float:
        """Returns how much kept frames show of the things of these cells; 0: none was kept."""
        return sum(self.sizes.get(number, 0.0) for number in set(things.tolist()))

    def frames_of(self, things: Labels, weights: Floats) -> tuple[str, ...]:
        """Returns the ids of the kept frames that show most of these things, at most `_MOST_NAMED`.

        `weights`: (rows, columns) what each cell of `things` weighs; what weighs most comes first.
        """
        weighs: dict[str, float] = {}
        numbers = things[things > 0]
        for number, weight in zip(self.latest(numbers).tolist(), weights[things > 0], strict=True):
            if (frame := self.shown_by.get(number)) is not None:
                weighs[frame] = weighs.get(frame, 0.0) + float(weight)
        return tuple(sorted(weighs, key=lambda each: -weighs[each])[:_MOST_NAMED])

    def latest(self, things: Labels) -> Labels:
        """Returns the numbers that things have now."""
        now = {number: number for number in set(things.tolist())}
        for number in now:
            while now[number] in self.became:
                now[number] = self.became[now[number]]
        return np.array([now[number] for number in things.tolist()], np.int32)

    def rest(self, at_s: float) -> None:
        """Ends the event if nothing has changed for long enough; this frame shows no change."""
        if lapse_s(self.active_s, at_s) > self._CALM_S:
            self.end_event()

    def forget(self, at_s: float) -> None:
        """Forgets what was kept too long ago to be the same thing."""
        self.kept = self.recent(at_s)
        for number in list(self.sizes)[:-_MOST_THINGS]:
            del self.sizes[number]
            self.shown_by.pop(number, None)
            self.became.pop(number, None)

    def arrays(self) -> Arrays:
        """Returns all but `active_s`. Features hold values that half precision holds exactly."""
        fronts = [*self.kept, *([] if self.followed is None else [self.followed])]
        made: Arrays = {
            "things": np.array([self.last, *self.sizes]),
            "sizes": np.array(list(self.sizes.values()), np.float64),
            "shown_by": np.array([self.shown_by.get(each, "") for each in self.sizes], np.str_),
            "became": np.array(list(self.became.items()), np.int64).reshape(-1, 2),
            "fronts": np.array([each.at_s for each in fronts], np.float64),
            "remembered": np.array(len(self.kept)),
        }
        for number, each in enumerate(fronts):
            made[f"front{number}_mask"] = each.mask
            made[f"front{number}_things"] = each.things
            made[f"front{number}"] = each.cells.features.astype(np.float16)
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], active_s: float) -> None:
        """Takes over what `arrays` returned, and `active_s`."""
        fronts = []
        for number, at_s in enumerate(arrays["fronts"]):
            features = floats(arrays[f"front{number}"])
            mask = np.asarray(arrays[f"front{number}_mask"], np.bool_)
            cells = Cells(1, len(features), features, energy_of(features))
            things = np.asarray(arrays[f"front{number}_things"], np.int32)
            fronts.append(Foreground(mask, cells, things, float(at_s)))
        kept = int(arrays["remembered"])
        self.kept = tuple(fronts[:kept])
        self.followed = fronts[kept] if len(fronts) > kept else None
        self.last, *numbers = (int(number) for number in arrays["things"])
        self.sizes = dict(zip(numbers, map(float, arrays["sizes"]), strict=True))
        if "shown_by" in arrays:  # it is not in the state of older versions
            named = zip(numbers, map(str, arrays["shown_by"]), strict=True)
            self.shown_by = {number: id_ for number, id_ in named if id_}
        self.became = {int(old): int(new) for old, new in arrays["became"]}
        self.active_s = active_s


def carried(
    cells: Cells, changed: Mask, groups: Iterable[Mask], before: Foreground, numbers: Numbers
) -> tuple[Mask, Labels]:
    """Returns the changed cells of a picture that carry on things `before`, moved on a little.

    `groups`: those of the changed cells. With the cells come the (rows, columns) numbers of the
    kept things that they belong to. All of a group is carried where enough of it is.
    """
    followed, things = np.zeros_like(changed), np.zeros(changed.shape, np.int32)
    if before.mask.shape != changed.shape or not before.mask.any() or not changed.any():
        return followed, things
    flat = np.flatnonzero(changed)
    apart = across(cells, flat, before.cells)
    steps = steps_apart(*changed.shape)[flat].take(np.flatnonzero(before.mask), 1)
    apart[steps > numbers.reach] = np.inf
    hits = np.zeros_like(changed)
    hits.flat[flat] = apart.min(1) <= numbers.followed
    known = before.things > 0
    if known.any():
        apart = apart[:, known]
        nearest = apart.argmin(1)
        near = apart[np.arange(len(flat)), nearest] <= numbers.followed
        things.flat[flat] = np.where(near, before.things[known][nearest], 0)
    for group in groups:
        size = group.sum()
        mine = hits & group
        followed |= group if mine.sum() >= _ENOUGH * size else mine
        mine = group & (things > 0)
        if mine.any() and mine.sum() >= _ENOUGH * size:
            most = np.bincount(things[mine]).argmax()
            things[group & ~mine] = most
    return followed, things


def connected(mask: Mask) -> Iterator[Mask]:
    """Returns a mask for each group of cells that touch at a side or a corner."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (labels == number for number in range(1, count))
