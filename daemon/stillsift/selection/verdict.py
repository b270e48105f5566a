"""Defines the verdict: the decision about a frame, together with the frame."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..decisions import Decision, Outcome
from ..embedding import Embedding
from ..frames import Frame
from .measured import Measured
from .replacement import Records


@dataclass(frozen=True, slots=True)
class Verdict:
    """Joins a decision with the frame that it is about."""

    decision: Decision
    frame: Frame
    other_view: bool = False
    """Whether the frame was to be kept because its view is new: no kept frame shows it. Also true
    where another source has kept the like, and where nothing may be kept now."""
    changes: Records | None = None
    """Earlier records that the frame has changed, as it replaces kept ones; None: it does not."""

    embedding: Embedding | None = field(default=None, compare=False)
    """What the embedder makes of a frame that is kept; None: the frame is dropped."""

    @property
    def is_kept(self) -> bool:
        return self.decision.outcome is Outcome.KEPT

    @property
    def replaced(self) -> tuple[Decision, ...]:
        """Gives the records of what was kept and is dropped for this frame."""
        return () if self.changes is None else self.changes.replaced


Step = tuple[list[Verdict], list[Measured]]
"""Decisions that are due, and frames that must be looked at again."""
