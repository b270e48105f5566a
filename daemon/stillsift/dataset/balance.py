"""Counts labels, the rare ones first, and says how even they are.

Whoever knows labels gives them as a `Labelling`: class folders and files (`annotations`), the
sources, hours and reasons of kept frames, and the objects that a detector has found in them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Labelled = Sequence[str]
"""Labels of one picture, one for each object in it, or the one of the whole picture. Empty: it was
labelled, and shows nothing."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """Holds the labels of pictures, and names those that no picture has."""

    by: str
    """What they come from, as it is shown: "folder", "yolo"."""
    pictures: Iterable[Labelled | None]
    """None for those that nobody has labelled."""
    names: Sequence[str] = ()
    """All labels that there may be; those that none has count 0."""
    of_objects: bool = False
    """Whether there is one for each object, and not for each picture."""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """Counts one label."""

    label: str
    pictures: int
    objects: int
    """Of labels of whole pictures, the same as `pictures`."""
    share: float
    """Of all objects, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Describes how often each label occurs."""

    by: str
    pictures: int
    unlabelled: int
    """Pictures that nobody has labelled."""
    empty: int
    """Pictures that are labelled and show nothing."""
    counts: Sequence[LabelCount]
    """The rarest first."""
    of_objects: bool

    @property
    def entropy(self) -> float:
        """Gives Shannon's entropy of the shares, bits; 0: there is one label, or none."""
        return sum(-each.share * math.log2(each.share) for each in self.counts if each.share)

    @property
    def effective(self) -> float:
        """Gives the effective number of labels (Hill, 1973): as many even ones are as diverse."""
        return float(2**self.entropy) if any(each.objects for each in self.counts) else 0.0


def balance_of(labelling: Labelling) -> Balance:
    """Counts the labels of pictures."""
    objects = Counter(dict.fromkeys(labelling.names, 0))
    holding = Counter[str]()
    pictures = unlabelled = empty = 0
    for labels in labelling.pictures:
        pictures += 1
        if labels is None:
            unlabelled += 1
            continue
        empty += not labels
        objects.update(labels)
        holding.update(set(labels))
    total = max(1, objects.total())
    counts = [
        LabelCount(label, holding[label], number, number / total)
        for label, number in objects.items()
    ]
    counts.sort(key=lambda each: (each.objects, each.label))
    return Balance(labelling.by, pictures, unlabelled, empty, counts, labelling.of_objects)
