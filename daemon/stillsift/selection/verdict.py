"""Names the decision about a frame, with the frame that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from ..decisions import Decision, Outcome
from ..frames import Frame
from .measured import Measured


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, with the frame that it is about."""

    decision: Decision
    frame: Frame
    other_view: bool = False
    """Whether it was to be kept because the view itself is new: no kept frame showed it. So it is
    where another source has kept the like, and where nothing may be kept now."""

    @property
    def is_kept(self) -> bool:
        return self.decision.outcome is Outcome.KEPT


Step = tuple[list[Verdict], list[Measured]]
"""Decisions that are due, and frames to be looked at again."""
