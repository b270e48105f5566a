"""Views: a place that a camera looks at, known again by where its edges are, whatever the light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..arrays import Floats, Image

_USUAL_S = 60.0
"""The usual structure is a mean over about this long."""

_VIEW_S = 600.0
"""The edge map of a view is a mean over about this long."""
_SHARPNESS_S = 30.0
_BEST_S = 3600.0
_BEST_FADES_S = 7 * 86400.0
"""The best known sharpness follows the present one within an hour upwards, within a week downwards:
a focus that creeps away over days must not take its own measure along. One that is lost for good is
the usual one day: at 30 % of the best after six days, at 10 % after fifteen."""
_FAINT = 4.0
"""Gradient, grey levels, that noise alone leaves in a thumbnail."""


@dataclass(slots=True, eq=False)
class KnownView:
    """One view of the source."""

    edges: Floats
    """`edges_of`, a mean over time."""
    held_s: float = 0.0
    last_ns: int = 0
    structure: float = 0.0
    """The usual of `structure_of`."""
    sharpness: float = 0.0
    """Now: a mean over half a minute."""
    best: float = 0.0
    """The best that is known of it."""
    sharp_s: float = 0.0
    """For how long the sharpness has been known."""
    frames: int = 0

    def fits(self, edges: Floats) -> float:
        """Correlation with an edge map, -1 to 1."""
        return float(edges @ self.edges) / (float(np.linalg.norm(self.edges)) + 1e-6)

    def seen(self, edges: Floats, structure: float, at_ns: int, step_s: float) -> None:
        """The view is still there."""
        self.edges = self.edges + np.float32(rate(step_s, _VIEW_S, self.held_s)) * (
            edges - self.edges
        )
        self.structure += rate(step_s, _USUAL_S, self.held_s) * (structure - self.structure)
        self.held_s, self.last_ns, self.frames = self.held_s + step_s, at_ns, self.frames + 1

    def sharpened(self, value: float, step_s: float, *, learns: bool) -> None:
        """The view was this sharp; whether the best that is known of it `learns` from that, or does
        no more than fade."""
        self.sharpness += rate(step_s, _SHARPNESS_S, self.sharp_s) * (value - self.sharpness)
        quick = learns and (self.sharpness > self.best or self.sharp_s < _BEST_S)
        share = rate(step_s, _BEST_S, self.sharp_s) if quick else step_s / _BEST_FADES_S
        self.best += share * (self.sharpness - self.best)
        self.sharp_s += step_s

    def numbers(self) -> dict[str, float]:
        """All of it but the edge map."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "edges"}

    @classmethod
    def of(cls, edges: Floats, numbers: Mapping[str, Any]) -> KnownView:
        """What `numbers` gave, as far as it is known today."""
        view = cls(edges)
        for name in view.numbers().keys() & numbers.keys():
            setattr(view, name, numbers[name])
        return view


def rate(step_s: float, over_s: float, known_s: float) -> float:
    """Share of a running mean that a frame renews; a plain mean until `over_s` are known."""
    return min(1.0, step_s / max(step_s, min(over_s, known_s + step_s), 1e-9))


def structure_of(thumbnail: Image) -> float:
    """Grey levels by which neighbouring blocks of a thumbnail differ, across plus down."""
    return _apart(thumbnail[:, 1:], thumbnail[:, :-1]) + _apart(thumbnail[1:], thumbnail[:-1])


def _apart(a: Image, b: Image) -> float:
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def edges_of(thumbnail: Image) -> Floats:
    """(576,) where the edges of a picture are, whatever the light: mean 0, norm 1."""
    across = cv2.Sobel(thumbnail, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(thumbnail, cv2.CV_32F, 0, 1)
    size = (thumbnail.shape[1] // 2, thumbnail.shape[0] // 2)
    energy = cv2.resize(cv2.magnitude(across, down), size, interpolation=cv2.INTER_AREA)
    # Each beside the usual: strong edges must not drown the others.
    edges = energy / (energy + cv2.mean(energy)[0] + _FAINT)
    edges -= cv2.mean(edges)[0]
    return np.asarray(edges / (cv2.norm(edges) + 1e-6), np.float32).ravel()
