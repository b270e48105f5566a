"""Divides frames into those to train with and those to validate with, by whole days or sources.

Frames of one day of one place look alike. Were they in both, a model would be measured on what it
has seen.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from .kept_frames import second_text

TRAIN, VAL = "train", "val"

Whole = Literal["day", "source"]
"""What stays together: all frames of a day (UTC) of all sources, or all of a source."""


def group_of(source: str, captured_at_ns: int, whole: Whole) -> str:
    """Names the group of frames that one stays together with."""
    return second_text(captured_at_ns)[:10] if whole == "day" else source


def divided(
    sizes: Mapping[str, int], known: Mapping[str, str], exported: Mapping[str, int], share: float
) -> dict[str, str]:
    """Returns the split of every group. What has one keeps it.

    New groups are taken in an order that has nothing to do with what they hold, and go to `VAL`
    where they bring it closer to its share. Of several groups, each split gets one in any case.

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
    new = sorted((group for group in sizes if group not in known), key=_by_chance)
    wanted = share * (counts.total() + sum(sizes[group] for group in new))
    for group in new:
        is_closer = share > 0 and counts[VAL] + sizes[group] / 2 <= wanted
        splits[group] = VAL if is_closer else TRAIN
        counts[splits[group]] += sizes[group]
    if share > 0 and len(splits) > 1 and new:
        for lacking in (TRAIN, VAL):
            if not counts[lacking]:
                splits[min(new, key=sizes.__getitem__)] = lacking
    elif new and not counts[TRAIN]:
        splits[new[0]] = TRAIN
    return splits


def _by_chance(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()
