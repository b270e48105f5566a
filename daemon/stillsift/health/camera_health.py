"""Raises alarms about a camera, from the frames that are sifted anyway.

There are five: the camera shows one picture for ever, its lens is covered, somebody turned it, it
has lost its focus, or its clock jumps. No decision about a frame depends on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Image
from ..frames import SPACING_S
from .alarms import Alarm, AlarmKind, Condition
from .known_views import KnownView, edges_of, rate, structure_of


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Describes what the alarms need to know of one decided frame on the time line."""

    at_ns: int
    origin: str
    """The file or connection that it came out of."""
    pts_s: float | None
    """Presentation time in `origin`, seconds; None: a still has none."""
    thumbnail: Image | None
    """`thumbnail` of the frame. None: its file was not read, since `content` was seen before."""
    sharpness: float | None = None
    """Sharpness as the decision records it. None: it was not measured."""
    other_view: bool = False
    """Whether the frame was to be kept because no kept frame showed this view."""
    content: str | None = None
    """SHA-256 (hex) of the file that holds this one picture. None: it has no file of its own."""


# Encoders repeat a static picture exactly until the next keyframe (measured: x264 of a picture
# with sensor noise, keyframes 20 s apart: 19.8 s at the longest, and 97 % of the frames; without
# noise 100 s). Where noise is coded, as in the labelled clips, nothing is repeated.
_FROZEN_S = 60.0
_FROZEN_OFTEN_S = 600.0
"""The same for a source that repeats itself most of the time, or of which little is known. How much
it repeats itself is also a mean over about this long."""
_FROZEN_TIMES = 4.0
"""Factor on the longest repetition that ended by itself; a freeze has to last longer than that."""
_FROZEN_MOST_S = 3600.0
"""Limit of what this factor may ask for; otherwise every freeze would let the next one last four
times as long."""
_OFTEN = 0.5
"""Share of the time; above it a source repeats itself most of the time."""
_OFTEN_KNOWN_S = 60.0
"""Time after which this share is known well enough. Time and not frames are counted, so that it
means the same at every frame rate."""

_LONGEST_STEP_S = 60.0
"""Most seconds that one frame stands for: what happened in a longer pause is not known."""
_KNOWN_S = 60.0
"""Time for which a view must have been seen before a frame of it can be called empty."""
_EMPTY = 0.25
_EMPTY_MOST = 3.0
"""Share of the usual structure, and grey levels from block to block, below both of which a frame is
empty. Labelled scenes have 3.4 to 30 in their emptiest frames. Fog and dusk take minutes to come,
so the usual structure follows them."""
_NOTHING = 0.5
"""Grey levels from block to block below which a frame is empty while nothing is usual yet."""
_FULL = 0.5
_SAME_VIEW = 0.40
_OTHER_VIEW = 0.35
"""Correlation of edge maps. A scene with itself in noise, dusk and infrared light has .8 and more,
blurred over 2 % of its width .65, with a large lorry in front .2; of pairs of scenes 95 in 100 have
less than .34. A camera turned by a few per cent of its view still counts as not moved."""
_STEADY_S = 3600.0
"""Time without a move after which a camera counts as one that stands still."""
_STAYS_S = 60.0
"""Time after which another view is more than a passing lorry or a short turn aside."""
_MOST_VIEWS = 8

_SOFT = 0.3
_SHARP = 0.5
"""Shares of the best known sharpness of the view: below the first the focus is lost, above the
second it is back. Rain, dusk and infrared light leave more than half."""
_BEST_KNOWN_S = 1800.0

_BACK_NS = 10**9
_AHEAD_NS = 3600 * 10**9
_ASTRAY_NS = 30 * 10**9
_DRIFT_S = 3600.0
"""Captured minus presentation time is compared with its mean over about this long, so that clocks
that drift by some parts in a million raise no alarm."""


def _conditions() -> dict[AlarmKind, Condition]:
    made = (
        Condition(AlarmKind.FROZEN, _FROZEN_S, 5.0),
        # No view is looked for during this alarm, so it must end at some time.
        Condition(AlarmKind.COVERED, 10.0, 3.0, given_up_s=3600.0),
        Condition(AlarmKind.MOVED, _STAYS_S, 10.0),
        Condition(AlarmKind.FOCUS, 300.0, 60.0),
        Condition(AlarmKind.CLOCK, 0.0, 60.0, frames=1),
    )
    return {each.kind: each for each in made}


@dataclass(slots=True)
class _Counts:
    """Holds the plain values that are remembered beside views and conditions."""

    last_ns: int | None = None
    last_sharp: float | None = None
    """Sharpness measured last."""
    repeats: float = 0.0
    """Share of the last minutes spent in repetitions that ended by themselves."""
    usual_s: float = 0.0
    """Time from which that share is known."""
    repeated_s: float = 0.0
    """Time for which the present picture has been repeated."""
    longest_s: float = 0.0
    """Length of the longest repetition that ended by itself."""
    steady_s: float = 0.0
    """Time for which the camera has had its home view."""
    away_ns: int | None = None
    """Captured time since which another view than the home view is seen; None: it is not."""
    away_s: float = 0.0
    """Time for which one known other view has been seen."""
    other_view_ns: int | None = None
    """Captured time of the last frame that was to be kept as another view; None: there was none."""
    unmeasured_s: float = 0.0
    """Time since the sharpness was last measured."""
    content: str | None = None
    """`Sighting.content` of the frame before."""
    origin: str = ""
    """`Sighting.origin` of the frame before."""
    offset_ns: float = 0.0
    """Captured minus presentation time, as a slow mean."""


class CameraHealth:
    """Watches one source, from its decided frames in their order alone."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._conditions = _conditions()
        self._counts = _Counts()
        self._views: list[KnownView] = []
        """Views that lasted. The first is the home view, at which the camera has been lately."""
        self._stranger: KnownView | None = None
        """View of the last frame, if it is not in `_views`; None: it is."""
        self._left: Floats | None = None
        """Edge map of the view from which the camera was moved; None: it was not moved."""
        self._last: Image | None = None
        """Thumbnail of the frame before; None: there was none, or its file was not read."""

    @property
    def now(self) -> list[Alarm]:
        """Gives the alarms that have begun and are not over."""
        return [alarm for each in self._conditions.values() if (alarm := each.now) is not None]

    def silence(self, at_ns: int) -> list[Alarm]:
        """Ends all alarms, returns them, and forgets the source, as alarms are switched off.

        What happens while they are off must raise no alarm later.
        """
        ended = [each.end(at_ns) for each in self._conditions.values() if each.raised]
        self._forget()
        return ended

    def step(self, seen: Sighting) -> list[Alarm]:
        """Takes one frame; returns the alarms that begin (`to_ns` None) or end with it."""
        counts = self._counts
        apart_s = 0.0 if counts.last_ns is None else (seen.at_ns - counts.last_ns) / 1e9
        known = counts.last_ns is not None and seen.origin == counts.origin
        # No condition shows in less time. A frame without a sharpness may be skipped for twice as
        # long, since soon after it a frame is measured again.
        soon_s = SPACING_S if seen.sharpness is not None else 2 * SPACING_S
        if seen.other_view:
            counts.other_view_ns = seen.at_ns
        if known and 0 <= apart_s < soon_s:
            return []
        if seen.thumbnail is None and seen.content == counts.content:
            seen = replace(seen, thumbnail=self._last)
        step_s = min(max(apart_s, 0.0), _LONGEST_STEP_S)
        found = [self._clock(seen, step_s), self._frozen(seen, step_s), *self._look(seen, step_s)]
        counts.last_ns, counts.content = seen.at_ns, seen.content
        return [alarm for alarm in found if alarm is not None]

    # -- clock -------------------------------------------------------------------------------------

    def _clock(self, seen: Sighting, step_s: float) -> Alarm | None:
        counts, why = self._counts, ""
        offset_ns = None if seen.pts_s is None else seen.at_ns - seen.pts_s * 1e9
        if seen.origin == counts.origin and counts.last_ns is not None:
            apart_ns = seen.at_ns - counts.last_ns
            astray_ns = 0.0 if offset_ns is None else offset_ns - counts.offset_ns
            if apart_ns < -_BACK_NS:
                why = f"time went back by {-apart_ns / 1e9:.0f} s"
            elif apart_ns > _AHEAD_NS:
                why = f"time jumped ahead by {apart_ns / 1e9:.0f} s"
            elif abs(astray_ns) > _ASTRAY_NS:
                why = f"time and presentation time went {abs(astray_ns) / 1e9:.0f} s apart"
            counts.offset_ns += min(1.0, step_s / _DRIFT_S) * astray_ns
        if why or seen.origin != counts.origin:
            counts.origin, counts.offset_ns = seen.origin, offset_ns or 0.0
        return self._conditions[AlarmKind.CLOCK].step(seen.at_ns, step_s, bool(why), why)

    # -- frozen ------------------------------------------------------------------------------------

    def _frozen(self, seen: Sighting, step_s: float) -> Alarm | None:
        counts, condition = self._counts, self._conditions[AlarmKind.FROZEN]
        same = self._repeats(seen)
        if same:
            counts.repeated_s += step_s
        else:
            if not condition.raised:
                # What is usual is not learned from a repetition that may be the trouble itself.
                self._usual(1.0, counts.repeated_s)
                self._usual(0.0, step_s)
                counts.longest_s = max(counts.longest_s, condition.lasted_s)
            counts.repeated_s = 0.0
        often = counts.repeats > _OFTEN or counts.usual_s < _OFTEN_KNOWN_S
        usual_s = min(_FROZEN_TIMES * counts.longest_s, _FROZEN_MOST_S)
        limit_s = max(_FROZEN_OFTEN_S if often else _FROZEN_S, usual_s)
        why = f"the very same picture for {counts.repeated_s:.0f} s"
        return condition.step(seen.at_ns, step_s, same, why, limit_s)

    def _usual(self, repeats: float, over_s: float) -> None:
        """Updates how much the source repeats itself; `repeats`: 1 or 0, during `over_s`."""
        counts = self._counts
        share = rate(over_s, _FROZEN_OFTEN_S, counts.usual_s)
        counts.repeats += share * (repeats - counts.repeats)
        counts.usual_s += over_s

    def _repeats(self, seen: Sighting) -> bool:
        """Tells whether a frame is the one before, bit for bit.

        All pixels of the reduced luma go into the sharpness, so thumbnail and sharpness together
        are as good as a checksum.
        """
        counts, before = self._counts, self._last
        self._last = seen.thumbnail
        same = (
            before is not None
            and seen.thumbnail is not None
            and np.array_equal(before, seen.thumbnail)
        )
        if seen.sharpness is None:
            return same
        known, counts.last_sharp = counts.last_sharp, seen.sharpness
        return same and known == seen.sharpness

    # -- what the views tell -----------------------------------------------------------------------

    def _look(self, seen: Sighting, step_s: float) -> list[Alarm | None]:
        """Looks for the view of a frame; returns its alarms of the kinds covered, moved, focus."""
        if seen.thumbnail is None:
            return []
        edges, structure = edges_of(seen.thumbnail), structure_of(seen.thumbnail)
        covered, empty = self._covered(structure, seen.at_ns, step_s)
        if empty:
            return [covered]
        if not self._views:
            self._views = [KnownView(edges)]
        view = self._shown(edges)
        if view is not None:
            view.seen(edges, structure, seen.at_ns, step_s)
        moved = self._moved(view, edges, seen.at_ns, step_s)
        self._settle(view, edges, structure, seen.at_ns, step_s)
        focus = None
        if view is not None and view is self._views[0]:
            focus = self._focus(view, seen, step_s)
        return [covered, moved, focus]

    def _covered(self, structure: float, at_ns: int, step_s: float) -> tuple[Alarm | None, bool]:
        """Returns the alarm, and whether the frame shows too little to look for a view in it."""
        condition = self._conditions[AlarmKind.COVERED]
        home = self._views[0] if self._views else None
        if home is None or home.held_s < _KNOWN_S:
            return None, structure < _NOTHING
        share = structure / (home.structure + 1e-6)
        empty = share < _EMPTY and structure < _EMPTY_MOST
        if empty and condition.since_ns is None and self._counts.away_ns is not None:
            return None, True  # the usual structure is that of another view
        wrong = True if empty else False if share > _FULL else None
        why = f"{100 * share:.0f} % of the usual structure: covered, or dark"
        alarm = condition.step(at_ns, step_s, wrong, why)
        return alarm, empty or condition.since_ns is not None

    def _shown(self, edges: Floats) -> KnownView | None:
        """Returns the known view that a frame shows; None: it shows none of them."""
        if self._views[0].fits(edges) >= _SAME_VIEW:
            return self._views[0]
        best = max(self._views, key=lambda view: view.fits(edges))
        return best if best.fits(edges) >= _SAME_VIEW else None

    def _moved(
        self, view: KnownView | None, edges: Floats, at_ns: int, step_s: float
    ) -> Alarm | None:
        condition, counts, home = self._conditions[AlarmKind.MOVED], self._counts, self._views[0]
        if condition.raised:
            if condition.lasted_s >= _STAYS_S + _STEADY_S:
                self._left = None
                return condition.end(at_ns)  # by now this view is the usual one
            back = self._left is not None and KnownView(self._left).fits(edges) >= _SAME_VIEW
            alarm = condition.step(at_ns, step_s, not back, "")
            self._left = self._left if condition.raised else None
            return alarm
        wrong: bool | None = None
        if view is not None:
            wrong = False
        elif home.fits(edges) < _OTHER_VIEW:
            wrong = counts.steady_s >= _STEADY_S and self._new_to_gallery(at_ns)
        why = f"another view, after {counts.steady_s / 3600:.0f} h of the same"
        alarm = condition.step(at_ns, step_s, wrong, why)
        if alarm is not None:
            self._left = home.edges
        return alarm

    def _new_to_gallery(self, at_ns: int) -> bool:
        """Tells whether a frame was to be kept as another view since the home view was left.

        A camera that turns on a tour shows views that were kept before, so there it is false.
        """
        counts = self._counts
        since_ns = at_ns if counts.away_ns is None else counts.away_ns
        return counts.other_view_ns is not None and counts.other_view_ns >= since_ns - _BACK_NS

    def _settle(
        self, view: KnownView | None, edges: Floats, structure: float, at_ns: int, step_s: float
    ) -> None:
        """Updates which view is the home view of the camera."""
        counts, home = self._counts, self._views[0]
        if view is home:
            counts.steady_s, counts.away_ns, counts.away_s = counts.steady_s + step_s, None, 0.0
            self._stranger = None
            return
        counts.away_ns = at_ns if counts.away_ns is None else counts.away_ns
        if view is not None:
            self._stranger, counts.away_s = None, counts.away_s + step_s
        else:
            counts.away_s = 0.0
            if self._stranger is None or self._stranger.fits(edges) < _SAME_VIEW:
                self._stranger = view = KnownView(edges)
            else:
                view = self._stranger
            view.seen(edges, structure, at_ns, 0.0 if view.frames == 0 else step_s)
        moved = self._conditions[AlarmKind.MOVED]
        undecided = moved.since_ns is not None and not moved.raised
        stays_s = counts.away_s if view is not self._stranger else view.held_s
        if stays_s >= _STAYS_S and not undecided:
            self._go_home(view)

    def _go_home(self, view: KnownView) -> None:
        """Makes a view the home view; of the others, the `_MOST_VIEWS - 1` seen last stay known."""
        counts = self._counts
        others = [each for each in self._views if each is not view]
        others.sort(key=lambda each: each.last_ns, reverse=True)
        self._views = [view, *others[: _MOST_VIEWS - 1]]
        self._stranger = None
        counts.steady_s, counts.away_ns, counts.away_s = 0.0, None, 0.0

    # -- focus -------------------------------------------------------------------------------------

    def _focus(self, view: KnownView, seen: Sighting, step_s: float) -> Alarm | None:
        counts, condition = self._counts, self._conditions[AlarmKind.FOCUS]
        counts.unmeasured_s += step_s
        if seen.sharpness is None:
            return None
        step_s, counts.unmeasured_s = min(counts.unmeasured_s, _LONGEST_STEP_S), 0.0
        view.sharpened(seen.sharpness, step_s, learns=condition.since_ns is None)
        if view.sharp_s < _BEST_KNOWN_S:
            return None
        share = view.sharpness / (view.best + 1e-6)
        wrong = True if share < _SOFT else False if share > _SHARP else None
        why = f"sharpness fell to {100 * share:.0f} % of what this view had"
        return condition.step(seen.at_ns, step_s, wrong, why)

    # -- state -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Returns all that is remembered, for the state after a restart."""
        views = [*self._views, *([] if self._stranger is None else [self._stranger])]
        plain = {
            "conditions": [each.memory() for each in self._conditions.values()],
            "counts": asdict(self._counts),
            "views": [view.numbers() for view in self._views],
            "stranger": None if self._stranger is None else self._stranger.numbers(),
        }
        made: Arrays = {"alarms": np.array(json.dumps(plain))}
        if views:
            made["alarms_edges"] = np.stack([view.edges for view in views])
        if self._left is not None:
            made["alarms_left"] = self._left
        if self._last is not None:
            made["alarms_last"] = self._last
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Takes over what `arrays` gave, as far as this version knows the fields.

        A field that is new, or had another name, is learned anew. A state from before alarms
        existed holds nothing.
        """
        if "alarms" not in arrays:
            return
        plain = json.loads(str(arrays["alarms"]))
        remembered = {values.get("kind"): values for values in plain.get("conditions", ())}
        for kind, condition in self._conditions.items():
            condition.recall(remembered.get(kind.value, {}))
        for name, value in plain.get("counts", {}).items():
            if name in _Counts.__slots__:
                setattr(self._counts, name, value)
        known, stranger = plain.get("views", []), plain.get("stranger")
        numbers = [*known, *([] if stranger is None else [stranger])]
        edges = np.asarray(arrays.get("alarms_edges", ()), np.float32)
        if len(edges) == len(numbers):
            views = [
                KnownView.of(each, values) for each, values in zip(edges, numbers, strict=True)
            ]
            self._views, self._stranger = views[: len(known)], next(iter(views[len(known) :]), None)
        if "alarms_left" in arrays:
            self._left = np.asarray(arrays["alarms_left"], np.float32)
        if "alarms_last" in arrays:
            self._last = np.asarray(arrays["alarms_last"], np.uint8)
