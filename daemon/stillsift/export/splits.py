"""Divides frames into those to train with and those to validate with, by whole days or sources.

Frames of one day of one place look alike. Were they in both, a model would be measured on what it
has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from .kept_frames import KeptFrame

TRAIN, VAL = "train", "val"

Whole = Literal["day", "source"]
"""What stays together: all frames of a day (UTC) of all sources, or all of a source."""


def group_of(frame: KeptFrame, whole: Whole) -> str:
    """Names the group of frames that this one stays together with."""
    return frame.captured_at[:10] if whole == "day" else frame.source


def divided(
    sizes: Mapping[str, int], known: Mapping[str, str], exported: Mapping[str, int], share: float
) -> dict[str, str]:
    """Returns the split of every group.

    The smallest new groups go to `VAL` for as long as they bring it closer to its share. It gets
    the smallest of several groups in any case. What has a split keeps it.

    Args:
        sizes: number of new frames of each group that has some.
        known: split of each group that has one.
        exported: number of frames in each split.
        share: share of all frames that is wanted in `VAL`, 0 to 1.
    """
    splits = dict(known)
    counts = Counter(exported)
    for group, split in known.items():
        counts[split] += sizes.get(group, 0)
    new = sorted((size, group) for group, size in sizes.items() if group not in known)
    wanted = share * (counts.total() + sum(size for size, _ in new))
    for size, group in new:
        is_first = not counts[VAL] and share > 0 and len(splits) + len(new) > 1
        fits = counts[VAL] + size / 2 <= wanted and share > 0
        split = VAL if is_first or fits else TRAIN
        splits[group] = split
        counts[split] += size
    return splits
