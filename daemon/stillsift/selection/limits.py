"""Names what a decision depends on beside the frames: how sharp, how new, how much may be kept."""

from __future__ import annotations

from dataclasses import dataclass

from .budgets import UNLIMITED, Amounts
from .examples import Examples
from .gates import NO_GATES, Gates
from .regions import EVERYTHING, Regions
from .sensitivity import Sensitivity
from .targets import NO_TARGETS, Targets


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds what the decisions about one source depend on, beside its frames."""

    novelty: float
    """Cell distance from which a change is more than noise; it belongs to the embedder."""
    asked: float = 1.0
    """Factor on how much must be new: `novelty_limit`."""
    min_sharpness: float = 0.6
    """Share of the scene's own sharpness level below which a frame is blurry; 0: off."""
    max_wait_s: float = 1.0
    """Seconds that a moment waits for a better frame, in the frames' own time; 0: not at all."""
    gates: Gates = NO_GATES
    """Limits of exposure by which a frame is dropped before it is compared."""
    sensitivity: Sensitivity = Sensitivity.NORMAL
    """How little must be new for a frame to be kept."""
    every_change: bool = False
    """Whether every visible change is news, instead of each new thing once."""
    regions: Regions = EVERYTHING
    """Which parts of a picture count."""
    targets: Targets = NO_TARGETS
    """Objects that have to be seen in what is kept, or must not be."""
    amounts: Amounts = UNLIMITED
    """How much may be kept."""
    examples: Examples | None = None
    """Pictures that a frame has to resemble to be kept; None: it need not."""
