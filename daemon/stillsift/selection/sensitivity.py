"""Names the sensitivities, and gives the factors that each one puts on the rule of novelty.

A sensitivity changes how much news must weigh and how soon it may follow the last news. What counts
as noise stays: that belongs to the model and the scene. bench/README.md has what each one keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sensitivity(StrEnum):
    """Says how little must be new for a frame to be kept."""

    LOWEST = "lowest"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class SensitivityFactors:
    """Holds what a sensitivity asks of news."""

    weight: float
    """Factor on all weights that news must have; the rule was found with 1."""
    gap_s: float
    """Least time between two news of one view that are not urgent, seconds."""
    refresh_s: float
    """Time for which something known has to move on before it is news again, seconds."""
    picture_share: float
    """Factor on the distance up to which pictures in no order repeat each other."""


FACTORS = {
    Sensitivity.LOWEST: SensitivityFactors(6.0, 4.0, 20.0, 1.2),
    Sensitivity.LOW: SensitivityFactors(2.5, 2.0, 10.0, 1.1),
    Sensitivity.NORMAL: SensitivityFactors(1.0, 1.0, 5.0, 1.0),
    Sensitivity.HIGH: SensitivityFactors(0.5, 0.5, 2.5, 0.9),
    Sensitivity.HIGHEST: SensitivityFactors(0.2, 0.25, 1.25, 0.8),
}
"""Each word asks for half the time of the one below, since of a busy view the times decide how much
is kept: where two words shared a gap, they kept nearly the same."""
