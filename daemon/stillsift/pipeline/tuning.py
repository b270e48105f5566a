"""Tuning: what may change of a source while it is being read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ledger.records import Retire
from ..selection import GalleryFrame, Limits
from .groups import Member


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """The settings of a line that `reload.LIVE_KEYS` reach."""

    limits: Limits
    gallery: int
    """Frames it holds."""
    alarms: bool
    """Whether the source is watched for troubles of its own."""
    audit: float
    """Share of the dropped frames that is laid aside, 0 to 1."""
    retire: Retire
    config_hash: str
    """Of the configuration that says so."""
    member: Member | None
    """Hears of what was kept once that is recorded; None: the source has no group."""

    @property
    def elsewhere(self) -> Callable[[], Sequence[GalleryFrame]]:
        """Gives what the other sources of the group have kept last."""
        return tuple if self.member is None else self.member.elsewhere

    @property
    def siblings(self) -> Callable[[], Sequence[str]]:
        """Gives the other sources of the group."""
        return tuple if self.member is None else self.member.siblings
