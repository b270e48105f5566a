"""Tells from the names of a folder's stills whether they may be the frames of one clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...frame_numbers import last_number

_FEWEST = 16
"""Fewest stills that can be told from photographs."""
_ALIKE = 0.98
"""Least share of a folder's stills whose names are alike."""
_STEADY = 0.8
"""Least share of neighbours whose numbers are the commonest step apart."""
_BLOCK, _BLOCKS = 8, 8
"""Neighbours in one block of a sample, and most blocks: so the cost of a sample is bounded."""


@dataclass(frozen=True, slots=True)
class NumberedFolder:
    """Describes the stills of a folder that are numbered one after the other."""

    names: str
    """Their names with # in place of the number."""
    stills: tuple[Path, ...]
    """In the order of their numbers."""
    step: int
    """The commonest difference of the numbers of two neighbours, 1 and up."""

    @property
    def sample(self) -> list[tuple[Path, ...]]:
        """Gives blocks of neighbours from all over the folder, `_BLOCKS` of `_BLOCK` at most."""
        most = _BLOCK * _BLOCKS
        if len(self.stills) <= most:
            return [self.stills]
        last = len(self.stills) - _BLOCK
        starts = (last * block // (_BLOCKS - 1) for block in range(_BLOCKS))
        return [self.stills[start : start + _BLOCK] for start in starts]


def numbered(stills: Sequence[Path]) -> NumberedFolder | None:
    """Returns how the stills of one folder, in natural order, are numbered; None: they are not.

    One number changes in their names, mostly by one step.
    """
    found = [(path, last_number(path)) for path in stills]
    alike = Counter(number.names for _, number in found if number is not None)
    if not alike:
        return None
    names, most = alike.most_common(1)[0]
    if most < max(_FEWEST, _ALIKE * len(stills)):
        return None
    kept = [(number.number, path) for path, number in found if number and number.names == names]
    kept.sort(key=lambda each: each[0])
    steps = Counter(after[0] - before[0] for before, after in pairwise(kept))
    step, times = steps.most_common(1)[0]
    if step < 1 or times < _STEADY * (len(kept) - 1):
        return None
    return NumberedFolder(names, tuple(path for _, path in kept), step)
