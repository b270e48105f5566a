"""Asks a detector about frames that are about to be kept, and remembers what it has refused.

Only what would be kept is looked at, and what shows the same as a refused frame is refused without
another look, so that a picture at rest costs nothing. Of the frames of a moment that may be kept,
it prefers the one that shows the objects best. With `compare: object`, an object that a kept frame
shows is no news.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Image, Mask
from ..decisions import Box, Detection, Reason
from ..embedding import Embedding
from ..frames import Picture, lapse_s
from ..problems import Problem
from .best_view import Look, best_view
from .budgets import Refusal
from .gallery import Gallery, GalleryFrame
from .measured import Candidate, Measured
from .regions import Regions
from .shown_objects import ShownObject, covered, shown_objects
from .targets import MOST_TRIED, TRIGGER_RATE, Detect, Target, Targets

_REMEMBERED = 4
"""Refused views that are remembered: a day, a night, and something new in each."""
_ROWS, _COLUMNS = 36, 64
"""Fields of a picture by which it is told whether an object lies where the picture counts."""
_VIEWS = 3
"""Frames of a moment that are looked at for the best view of its objects: the one that shows most
of what is new, the last and the first, between which an object comes closer or leaves."""
_MOST_COMPARED = 16
"""Objects of a frame that are compared, the largest: each costs as much as embedding a frame."""
_RANK = {Reason.NO_TARGET: 0, Reason.SAME_OBJECT: 1, Reason.INHIBITED: 2}
"""Which refusal is told of a moment in which frames are refused for different reasons: what must
not be kept, though another frame does not show it."""
_AGAIN_S = 60.0
"""Seconds after which a refused view is looked at again: a miss must not last."""


@dataclass(frozen=True, slots=True, eq=False)
class _Refused:
    """Describes a view that was refused."""

    frame: GalleryFrame
    at_s: float
    refusal: Refusal


class TargetCheck:
    """Tells of the frames of one source whether they show what has to be in them."""

    def __init__(
        self,
        targets: Targets,
        detect: Detect,
        regions: Regions,
        apart: Callable[[Measured, GalleryFrame], float],
        changed: Callable[[Measured, GalleryFrame], Mask | None],
        gallery: Gallery,
        embed: Callable[[Picture], Embedding],
        cell_limit: float,
    ) -> None:
        """Takes what tells how far a frame lies from another one (up to 1 they show the same), and
        which (rows, columns) cells of it differ from that one (None: it is another view). Objects
        are compared with those in the `gallery`, by an embedder with this `cell_limit`."""
        self._targets = targets
        self._detect = detect
        self._regions = regions
        self._apart = apart
        self._changed = changed
        self._gallery = gallery
        self._embed = embed
        self._cell_limit = cell_limit
        self._refused: OrderedDict[str, _Refused] = OrderedDict()
        """By id, the one that was named last at the end."""
        self._looked_s = np.inf
        """Time of the last frame that was looked at for a trigger; infinite: there was none."""
        self._beat_s = np.inf
        """The same for a heartbeat."""
        self._kept_s: dict[str, float] = {}
        """Time of the last frame kept that shows an object for which frames are kept, by label."""

    @property
    def _key(self) -> str:
        """Gives a text that differs if other objects are asked for, or elsewhere."""
        return repr((self._targets, self._regions.key))

    @property
    def on(self) -> bool:
        return bool(self._targets)

    # -- what is about to be kept ------------------------------------------------------------------

    def refusal(self, new: Candidate, instead: Collection[str] = ()) -> Refusal | None:
        """Returns why a frame may not be kept, by what is in it; None: it may.

        `instead`: ids of kept frames that it would replace.
        """
        asked = self._targets.require or self._targets.inhibit or self._targets.compared
        if not self.on or not (asked or new.measured.timed):  # photographs have no trigger
            return None
        cells = new.found.unexplained
        if cells is None and new.measured.timed and self._refused:
            # Nothing is kept yet, or not of this view: what has come in since it was refused?
            cells = self._changed(new.measured, next(reversed(self._refused.values())).frame)
        found = self._found(new.measured, cells)
        if found is None:
            return self._unknown()
        picture = new.measured.frame.picture
        seen = self._targets.inhibited(found, picture.width, picture.height)
        seen = seen or self._targets.missing(
            self._counting(found, picture), picture.width, picture.height
        )
        return seen or (self._known_objects(new, instead) if self._targets.compared else None)

    def chosen(
        self, able: Sequence[Candidate], best: Candidate, least_sharp: float | None
    ) -> Candidate | Refusal:
        """Returns the frame of a moment that may be kept and shows the wanted objects best.

        Of equal ones it is the `best` one. A refusal: none of those that were tried may be kept.
        `least_sharp`: share of the sharpest view's sharpness below which an object is blurred;
        None: the first that may be kept is returned, since all frames are blurred.
        """
        if not self.on:
            return best
        seen = least_sharp is not None and (self._targets.require or self._targets.trigger)
        views = _VIEWS if seen else 1
        allowed: list[Candidate] = []
        refused = None
        for number, each in enumerate(_spread(best, able)):
            known = refused is not None and refused.reason is Reason.SAME_OBJECT
            if number >= views and (allowed or known):
                break
            refusal = self.refusal(each)
            if refusal is None:
                allowed.append(each)
            elif refused is None or _RANK[refusal.reason] > _RANK[refused.reason]:
                refused = refusal
        if not allowed:
            assert refused is not None
            return refused
        shown = [each for each in allowed if each.measured.detections]
        if len(allowed) == 1 or least_sharp is None or not shown:
            return allowed[0]
        looks = [
            Look(_pixels(each.measured), self._wanted(each.measured), each.found.changed)
            for each in shown
        ]
        return shown[best_view(looks, least_sharp)]

    def told(self, each: Candidate, refusal: Refusal) -> Refusal:
        """Returns the refusal of a moment as it is told of one of its frames."""
        if each.measured.detections is None:
            why = f"in another frame of its moment, {refusal.why}"
            return Refusal(refusal.reason, why, refusal.shown_by)
        if refusal.reason is Reason.SAME_OBJECT:  # each frame shows objects of its own
            return self.refusal(each) or refusal
        return refusal

    def first(self, able: Sequence[Candidate]) -> tuple[Candidate | None, dict[int, Refusal]]:
        """Returns the first of these frames that may be kept, and why those before it may not.

        The refusals are by `id` of the embedded picture. None: none of those that were tried.
        """
        refused: dict[int, Refusal] = {}
        for each in able:
            look = id(each.measured.embedded)
            if look in refused:
                continue
            if len(refused) >= MOST_TRIED:
                break
            if (refusal := self.refusal(each)) is None:
                return each, refused
            refused[look] = refusal
        return None, refused

    def known(self, measured: Measured) -> Refusal | None:
        """Returns why a frame is refused that shows what a refused one has shown; None: none has,
        or that is long ago."""
        for id_, one in reversed(self._refused.items()):
            if not 0 <= lapse_s(one.at_s, measured.at_s) < _AGAIN_S:
                continue
            refusal, shown_by = one.refusal, one.refusal.shown_by
            if shown_by is not None and shown_by.id not in {kept.id for kept in self._gallery.kept}:
                continue  # it is not compared with that one any more
            if self._apart(measured, one.frame) <= 1:
                self._refused.move_to_end(id_)
                why = f"as in a frame that shows the same, {refusal.why}"
                return Refusal(refusal.reason, why, shown_by)
        return None

    def remember(self, measured: Measured, frame: GalleryFrame, refusal: Refusal) -> None:
        """Remembers a view that was refused.

        Not so where an object in a part that does not count may be the reason: nobody would see it
        leave.
        """
        if self._regions and refusal.reason is Reason.INHIBITED:
            return
        self._refused[frame.id] = _Refused(frame, measured.at_s, refusal)
        while len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)

    def kept(self, measured: Measured) -> None:
        """Notes a kept frame: it shows that objects are there, so no trigger has to."""
        for label in {each.label for each in measured.detections or ()}:
            self._kept_s[label] = measured.at_s

    def _known_objects(self, new: Candidate, instead: Collection[str]) -> Refusal | None:
        """Returns the refusal of a frame of which kept frames show each object; None: not all.

        Where some stand in cells that are new, only those count.
        """
        objects = self._objects(new.measured)
        if not objects:  # they cannot be embedded
            return None
        cells = new.found.unexplained
        if cells is not None:
            there = [each for each in objects if (cells & covered(each.box, cells.shape)).any()]
            objects = tuple(there) or objects
        nearest = self._gallery.nearest_object
        found = [nearest(each, self._cell_limit, instead) for each in objects]
        known = [each for each in found if each is not None and each[1] <= 1]
        if len(known) < len(found):
            return None
        kept, apart = max(known, key=lambda each: each[1])
        wanted = "its object" if len(known) == 1 else f"each of its {len(known)} objects"
        why = f"a kept frame shows {wanted}, compared by itself"
        return Refusal(Reason.SAME_OBJECT, why, kept, apart)

    def _objects(self, measured: Measured) -> tuple[ShownObject, ...]:
        """Returns what the wanted objects of a frame look like, largest first; empty: there are
        none, or they cannot be embedded."""
        if measured.objects is None:
            boxes = self._wanted(measured)[:_MOST_COMPARED]
            try:
                measured.objects = shown_objects(_pixels(measured), boxes, self._embed)
            except Problem:
                measured.objects = ()
        return measured.objects

    def _wanted(self, measured: Measured) -> list[Box]:
        """Returns the boxes of the wanted objects that count, in shares of the picture, largest
        first."""
        picture = measured.frame.picture
        found = self._counting(measured.detections or (), picture)
        some = self._targets.wanted(found, picture.width, picture.height)
        return [_shares(each.box, picture) for each in some]

    # -- what would be dropped ---------------------------------------------------------------------

    def inhibits(self, measured: Measured) -> bool:
        """Tells whether a frame must not be kept as a heartbeat; one a second is looked at."""
        if not self._targets.inhibit:
            return False
        soon = 0 <= lapse_s(self._beat_s, measured.at_s) < 1 / TRIGGER_RATE
        if soon and measured.detections is None:
            return True
        self._beat_s = measured.at_s
        found = self._found(measured)
        picture = measured.frame.picture
        seen = found is None or self._targets.inhibited(found, picture.width, picture.height)
        return bool(seen)

    def looks(self, at_s: float) -> bool:
        """Tells whether a frame of this time is to be looked at for a trigger."""
        if not self._targets.trigger:
            return False
        return not 0 <= lapse_s(self._looked_s, at_s) < 1 / TRIGGER_RATE

    def triggered(self, measured: Measured, new: Mask | None) -> str | None:
        """Returns why a frame without news is kept; None: nothing in it asks for that.

        `new`: (rows, columns) cells that have changed, which are looked at closely; None: none.
        """
        self._looked_s = measured.at_s
        found = self._found(measured, new)
        picture = measured.frame.picture
        if not found or self._targets.inhibited(found, picture.width, picture.height) is not None:
            return None
        due = tuple(each for each in self._targets.trigger if self._due(each, measured.at_s))
        counting = self._counting(found, picture)
        return Targets(trigger=due).triggered(counting, picture.width, picture.height)

    def _due(self, trigger: Target, at_s: float) -> bool:
        last_s = self._kept_s.get(trigger.label)
        return last_s is None or not 0 <= lapse_s(last_s, at_s) < trigger.every_s

    # -- looking -----------------------------------------------------------------------------------

    def _found(self, measured: Measured, new: Mask | None = None) -> Sequence[Detection] | None:
        """Returns the objects in a frame; None: it cannot be looked at.

        A frame is looked at once. `new`: cells that are looked at closely.
        """
        if measured.detections is None:
            picture = measured.frame.picture
            try:
                pixels = _pixels(measured)
                found = self._detect(pixels, _boxes(new, pixels), self._targets)
            except Problem:  # it cannot be converted, or no detector takes it
                return None
            scale = picture.width / pixels.shape[1], picture.height / pixels.shape[0]
            measured.detections = self._targets.counting(_scaled(one, *scale) for one in found)
        return measured.detections

    def _counting(self, found: Sequence[Detection], picture: Picture) -> list[Detection]:
        """Returns the objects whose middle lies where the picture counts."""
        counts = self._regions.counting(_ROWS, _COLUMNS)
        if counts is None:
            return list(found)
        inside = []
        for each in found:
            left, top, right, bottom = each.box
            row = int((top + bottom) / 2 / picture.height * _ROWS)
            column = int((left + right) / 2 / picture.width * _COLUMNS)
            if counts[min(row, _ROWS - 1), min(column, _COLUMNS - 1)]:
                inside.append(each)
        return inside

    def _unknown(self) -> Refusal | None:
        """Returns what becomes of a frame that cannot be looked at: it is kept, unless something
        must not be in it."""
        if not self._targets.inhibit:
            return None
        return Refusal(Reason.INHIBITED, "no detector can look at it, and inhibit must be sure")

    # -- state -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Returns what is remembered, for the state; empty if nothing is looked for."""
        if not self.on:
            return {}
        arrays: Arrays = {
            "targets_key": np.array(self._key),
            "targets_looked_s": np.array(self._looked_s),
            "targets_beat_s": np.array(self._beat_s),
            "targets_labels": np.array(list(self._kept_s) or [""]),
            "targets_kept_s": np.array(list(self._kept_s.values())),
        }
        for number, one in enumerate(self._refused.values()):
            shown_by = one.refusal.shown_by
            told = (
                *(one.frame.id, one.refusal.reason.value, one.refusal.why),
                "" if shown_by is None else shown_by.id,
            )
            arrays[f"targets_refused_{number}"] = np.frombuffer(one.frame.to_bytes(), np.uint8)
            arrays[f"targets_refused_{number}_told"] = np.array(told)
            arrays[f"targets_refused_{number}_s"] = np.array(one.at_s)
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Takes over what `arrays` gave."""
        if not self.on or "targets_looked_s" not in arrays:
            return
        self._looked_s = float(arrays["targets_looked_s"])
        self._beat_s = float(arrays.get("targets_beat_s", np.inf))
        labels, kept_s = arrays["targets_labels"], arrays["targets_kept_s"]
        self._kept_s = {str(a): float(b) for a, b in zip(labels, kept_s, strict=False)}
        if str(arrays.get("targets_key", "")) != self._key:
            return  # what was refused then may be asked for now
        for number in range(_REMEMBERED):
            if f"targets_refused_{number}" not in arrays:
                break
            # A state from before objects were compared names no kept frame.
            id_, reason, why, *names = map(str, arrays[f"targets_refused_{number}_told"])
            shown_by = next((each for each in self._gallery.kept if each.id in names), None)
            if shown_by is None and reason == Reason.SAME_OBJECT:
                continue
            frame = GalleryFrame.from_bytes(id_, arrays[f"targets_refused_{number}"].tobytes())
            at_s = float(arrays[f"targets_refused_{number}_s"])
            refusal = Refusal(Reason(reason), why, shown_by)
            self._refused[id_] = _Refused(frame, at_s, refusal)


def _pixels(measured: Measured) -> Image:
    """Returns the (height, width, 3) BGR picture that detectors see of a frame."""
    return measured.frame.picture.bgr() if measured.shown is None else measured.shown


def _shares(box: Box, picture: Picture) -> Box:
    """Returns a box in pixels of a picture in shares of its width and height."""
    across, down = picture.width, picture.height
    return box[0] / across, box[1] / down, box[2] / across, box[3] / down


def _spread(best: Candidate, able: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yields the best frame, then others spread over all, no two of which were looked at as one."""
    last = len(able) - 1
    places = dict.fromkeys((last, 0, last // 2, last // 4, 3 * last // 4))
    looks: set[int] = set()
    for each in (best, *(able[place] for place in places)):
        if id(each.measured.embedded) not in looks and len(looks) < MOST_TRIED:
            looks.add(id(each.measured.embedded))
            yield each


def _scaled(found: Detection, across: float, down: float) -> Detection:
    left, top, right, bottom = found.box
    box = (left * across, top * down, right * across, bottom * down)
    return Detection(found.label, found.confidence, box)


def _boxes(new: Mask | None, picture: Image) -> list[Box]:
    """Returns the box around (rows, columns) cells in pixels of a picture; none without cells."""
    if new is None or not new.any():
        return []
    height, width = picture.shape[:2]
    rows, columns = np.flatnonzero(new.any(1)), np.flatnonzero(new.any(0))
    down, across = height / new.shape[0], width / new.shape[1]
    low, right = (float(each[-1] + 1) for each in (rows, columns))
    return [(float(columns[0]) * across, float(rows[0]) * down, right * across, low * down)]
