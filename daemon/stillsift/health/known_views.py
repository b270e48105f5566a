"""Recognises the views of a camera by where their edges are, in any light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..arrays import Floats, Image

_USUAL_S = 60.0
"""Time over which the usual structure is a mean, about."""

_VIEW_S = 600.0
"""Time over which the edge map of a view is a mean, about."""
_SHARPNESS_S = 30.0
_BEST_S = 3600.0
_BEST_FADES_S = 7 * 86400.0
"""The best known sharpness follows the present one within an hour upwards and within a week
downwards. So a focus that is lost slowly over days still shows against the best. A focus that is
lost for good becomes the usual one: at 30 % of the best after six days, at 10 % after fifteen."""
_FAINT = 4.0
"""Gradient, grey levels, that noise alone gives in a thumbnail."""


@dataclass(slots=True, eq=False)
class KnownView:
    """Remembers one view of a source: its edges, its usual structure and its sharpness."""

    edges: Floats
    """`edges_of` its frames, as a mean over time."""
    held_s: float = 0.0
    """Time for which the view has been seen."""
    last_ns: int = 0
    """Captured time of the frame that showed it last."""
    structure: float = 0.0
    """Usual `structure_of` its frames."""
    sharpness: float = 0.0
    """Present sharpness, as a mean over half a minute."""
    best: float = 0.0
    """Best known sharpness."""
    sharp_s: float = 0.0
    """Time for which the sharpness has been known."""
    frames: int = 0

    def fits(self, edges: Floats) -> float:
        """Returns the correlation with an edge map, -1 to 1."""
        return float(edges @ self.edges) / (float(np.linalg.norm(self.edges)) + 1e-6)

    def seen(self, edges: Floats, structure: float, at_ns: int, step_s: float) -> None:
        """Learns from a frame that shows this view."""
        self.edges = self.edges + np.float32(rate(step_s, _VIEW_S, self.held_s)) * (
            edges - self.edges
        )
        self.structure += rate(step_s, _USUAL_S, self.held_s) * (structure - self.structure)
        self.held_s, self.last_ns, self.frames = self.held_s + step_s, at_ns, self.frames + 1

    def sharpened(self, value: float, step_s: float, *, learns: bool) -> None:
        """Learns how sharp a frame of this view is.

        `learns`: whether the best known sharpness may follow within an hour; otherwise it changes
        only as slowly as it fades.
        """
        self.sharpness += rate(step_s, _SHARPNESS_S, self.sharp_s) * (value - self.sharpness)
        quick = learns and (self.sharpness > self.best or self.sharp_s < _BEST_S)
        share = rate(step_s, _BEST_S, self.sharp_s) if quick else step_s / _BEST_FADES_S
        self.best += share * (self.sharpness - self.best)
        self.sharp_s += step_s

    def numbers(self) -> dict[str, float]:
        """Returns all fields but the edge map."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "edges"}

    @classmethod
    def of(cls, edges: Floats, numbers: Mapping[str, Any]) -> KnownView:
        """Restores a view from what `numbers` gave, as far as this version knows the fields."""
        view = cls(edges)
        for name in view.numbers().keys() & numbers.keys():
            setattr(view, name, numbers[name])
        return view


def rate(step_s: float, over_s: float, known_s: float) -> float:
    """Returns the share of a running mean that a frame renews.

    Until `over_s` seconds are known, this gives a plain mean.
    """
    return min(1.0, step_s / max(step_s, min(over_s, known_s + step_s), 1e-9))


def structure_of(thumbnail: Image) -> float:
    """Returns how much neighbouring blocks of a thumbnail differ, grey levels, across plus down."""
    return _apart(thumbnail[:, 1:], thumbnail[:, :-1]) + _apart(thumbnail[1:], thumbnail[:-1])


def _apart(a: Image, b: Image) -> float:
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def edges_of(thumbnail: Image) -> Floats:
    """Returns (576,): where the edges of a picture are, in any light; mean 0, norm 1."""
    across = cv2.Sobel(thumbnail, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(thumbnail, cv2.CV_32F, 0, 1)
    size = (thumbnail.shape[1] // 2, thumbnail.shape[0] // 2)
    # Not cv2.magnitude: its last bit depends on where in memory a picture lies (measured).
    gradient = np.sqrt(across * across + down * down)
    energy = cv2.resize(gradient, size, interpolation=cv2.INTER_AREA)
    # Each edge is taken against the mean, so that a strong one does not hide the others.
    edges = energy / (energy + cv2.mean(energy)[0] + _FAINT)
    edges -= cv2.mean(edges)[0]
    return np.asarray(edges / (cv2.norm(edges) + 1e-6), np.float32).ravel()
