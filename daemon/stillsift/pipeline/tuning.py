"""Defines the settings of a source that may change while it is being read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..embedding.tagger import Tagger
from ..ledger.records import Retire
from ..selection import GalleryFrame, Limits
from ..selection.photographs import Search, none_elsewhere
from ..store.repair import Repair
from .groups import Member


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """Holds the settings of a line that the keys in `reload.LIVE_KEYS` change."""

    limits: Limits
    gallery: int
    """Number of kept frames that the gallery holds."""
    max_silence_s: float
    """Seconds beyond `Limits.max_wait_s` that a moment waits for the next file."""
    alarms: bool
    """Whether the source is watched for alarms."""
    audit: float
    """Share of the dropped frames that is laid aside, 0 to 1."""
    retire: Retire
    repair: Repair
    """What is put right in stills that are kept."""
    tagger: Tagger | None
    """What tags what is kept; None: it is not tagged."""
    config_hash: str
    """Hash of the configuration that these settings come from."""
    member: Member | None
    """Member that is told what was kept once that is recorded; None: the source has no group."""

    @property
    def elsewhere(self) -> Callable[[], Sequence[GalleryFrame]]:
        """Gives the function that returns what the other sources of the group have kept last."""
        return tuple if self.member is None else self.member.elsewhere

    @property
    def search_elsewhere(self) -> Search:
        """Gives the function that searches all photographs that they have kept."""
        return none_elsewhere if self.member is None else self.member.search

    @property
    def siblings(self) -> Callable[[], Sequence[str]]:
        """Gives the function that returns the other sources of the group."""
        return tuple if self.member is None else self.member.siblings
