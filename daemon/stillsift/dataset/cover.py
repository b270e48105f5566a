"""Says how many pictures it takes to show a share of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .groups import Group

SHARES = (0.5, 0.8, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Step:
    """Says that so many pictures, one of each of the largest groups, are alike to such a share."""

    share: float
    """Of all pictures, 0 to 1: what was asked for."""
    pictures: int


def cover(groups: Sequence[Group]) -> list[Step]:
    """Returns how many representatives cover each of `SHARES`; `groups` come largest first."""
    total = sum(len(group.members) for group in groups)
    steps, covered, shares = [], 0, list(SHARES)
    for number, group in enumerate(groups, 1):
        covered += len(group.members)
        while shares and covered >= shares[0] * total:
            steps.append(Step(shares.pop(0), number))
    return steps
