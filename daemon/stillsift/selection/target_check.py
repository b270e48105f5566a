"""Asks a detector about frames that are about to be kept, and remembers what it has refused.

Only what would be kept is looked at, and what shows the same as a refused frame is refused without
another look, so that a picture at rest costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Image, Mask
from ..decisions import Box, Detection, Reason
from ..frames import Picture, lapse_s
from ..problems import Problem
from .budgets import Refusal
from .gallery import GalleryFrame
from .measured import Candidate, Measured
from .regions import Regions
from .targets import MOST_TRIED, TRIGGER_RATE, Detect, Target, Targets

_REMEMBERED = 4
"""Refused views that are remembered: a day, a night, and something new in each."""
_ROWS, _COLUMNS = 36, 64
"""Fields of a picture by which it is told whether an object lies where the picture counts."""
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
    ) -> None:
        """Takes what tells how far a frame lies from another one (up to 1 they show the same), and
        which (rows, columns) cells of it differ from that one (None: it is another view)."""
        self._targets = targets
        self._detect = detect
        self._regions = regions
        self._apart = apart
        self._changed = changed
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

    def refusal(self, new: Candidate) -> Refusal | None:
        """Returns why a frame may not be kept, by what is in it; None: it may."""
        asked = self._targets.require or self._targets.inhibit
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
        return seen or self._targets.missing(
            self._counting(found, picture), picture.width, picture.height
        )

    def chosen(self, able: Sequence[Candidate], best: Candidate) -> Candidate | Refusal:
        """Returns the frame of a moment that may be kept, the best one if it may.

        Else it is one of those with news. A refusal: none of those that were tried may be kept.
        """
        if not self.on:
            return best
        refused = None
        for each in _spread(best, able):
            refusal = self.refusal(each)
            if refusal is None:
                return each
            # What must not be kept is told, though another frame does not show it.
            if refused is None or refusal.reason is Reason.INHIBITED:
                refused = refusal
        assert refused is not None
        return refused

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
            if self._apart(measured, one.frame) <= 1:
                self._refused.move_to_end(id_)
                refusal = one.refusal
                return Refusal(refusal.reason, f"as in a frame that shows the same, {refusal.why}")
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
                pixels = picture.bgr() if measured.shown is None else measured.shown
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
            told = (one.frame.id, one.refusal.reason.value, one.refusal.why)
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
            id_, reason, why = map(str, arrays[f"targets_refused_{number}_told"])
            frame = GalleryFrame.from_bytes(id_, arrays[f"targets_refused_{number}"].tobytes())
            at_s = float(arrays[f"targets_refused_{number}_s"])
            self._refused[id_] = _Refused(frame, at_s, Refusal(Reason(reason), why))


def for_others(each: Candidate, refusal: Refusal) -> Refusal:
    """Returns the refusal of a moment as it is told of one of its frames."""
    if each.measured.detections is not None:
        return refusal
    return Refusal(refusal.reason, f"in another frame of its moment, {refusal.why}")


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
