"""Defines a set of pictures: what is known of each, and its vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..arrays import Floats
from ..problems import Problem
from ..sources import LeftAlone


class SetError(Problem):
    """Says that a set of pictures cannot be looked at, and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Describes one picture of a set."""

    name: str
    """How it is shown: its path as it was named, or its path below the store."""
    path: Path | None
    """Absolute path of its file; None: it is no file of its own, but a frame of a clip."""
    digest: str = ""
    """SHA-256 (hex) of the file; "": not known."""
    label: str | None = None
    """Name of its class folder; None: it lies in none."""
    source: str | None = None
    """Source of a kept frame; None: it is of a folder."""
    id: str | None = None
    """Id of a kept frame; None: it is of a folder."""

    @property
    def caption(self) -> str:
        """Gives a short name: that of the file, or of a kept frame its source and id."""
        return self.name if self.id is None else f"{self.source} {self.id[:12]}"


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
    """Holds the pictures of a set that could be read, with their vectors."""

    entries: Sequence[Entry]
    vectors: Floats
    """(n, D) float32, each of length 1: the pooled vectors of one model."""
    model: str
    """Name of that model."""
    unread: Sequence[tuple[str, str]] = ()
    """Name of each picture that could not be read, and why."""
    embedded: int = 0
    """Kept frames without a vector of this model in the ledger, embedded now."""
    clips: int = 0
    """Clips that lie in the folders and are not looked at."""
    left_alone: LeftAlone = field(default_factory=lambda: LeftAlone({}))
    """What else lies there and is not read."""

    def __post_init__(self) -> None:
        if len(self.entries) != len(self.vectors):
            raise ValueError(f"{len(self.entries)} pictures, but {len(self.vectors)} vectors")

    def __len__(self) -> int:
        return len(self.entries)


def stacked(vectors: Sequence[Floats]) -> Floats:
    """Returns vectors of one size as (n, D); of none, (0, 1)."""
    return np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)
