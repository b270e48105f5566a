"""Chooses the audit sample: a small share of the dropped frames, set aside for a person to judge.

The ids of the frames alone decide which ones are chosen, so every run chooses the same ones, live
and from archives. The sifter learns nothing from them: all other decisions stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..decisions import Decision, Outcome, Reason

CONFIDENCE = 0.95
_IDS = 16**24
"""Number of possible ids: 24 hex digits of a hash, so any share of them is a random sample."""
_HALVINGS = 60
"""Steps that halve an interval of 1 until a float can resolve no more."""


def is_chosen(decision: Decision, share: float) -> bool:
    """Tells whether a frame belongs to the sample.

    It has to be dropped, and its id has to be among the first `share` (0 to 1) of all ids. A larger
    share takes the same frames and more. What must not be kept is not set aside either.
    """
    able = decision.outcome is Outcome.DROPPED and decision.reason is not Reason.INHIBITED
    return able and int(decision.id, 16) < share * _IDS


def set_aside(dropped: Decision) -> Decision:
    """Returns the decision for a frame of the sample; `dropped_as` holds its former reason."""
    return replace(dropped, reason=Reason.AUDIT, dropped_as=dropped.reason)


@dataclass(frozen=True, slots=True)
class Judged:
    """Counts how people judged a sample of the `dropped` frames."""

    dropped: int
    """Number of frames dropped, those of the sample included."""
    sampled: int
    missing: int
    """Number of frames of the sample whose picture is gone."""
    judged: int
    wrong: int
    """Number of judged frames that should have been kept."""

    def __add__(self, other: Judged) -> Judged:
        return Judged(
            self.dropped + other.dropped,
            self.sampled + other.sampled,
            self.missing + other.missing,
            self.judged + other.judged,
            self.wrong + other.wrong,
        )

    @property
    def rate(self) -> float | None:
        """Gives the share of wrong drops, 0 to 1. None: nothing was judged."""
        return self.wrong / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Gives where the rate of all drops lies, at 95 % confidence. None: nothing was judged."""
        return clopper_pearson(self.wrong, self.judged) if self.judged else None


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the exact interval of a proportion that was seen `hits` times in `trials` (above 0).

    C. J. Clopper, E. S. Pearson: The use of confidence or fiducial limits illustrated in the case
    of the binomial. Biometrika 26 (1934), 404-413. It holds the true proportion at least as often
    as `confidence` says, also for rare events, which wrong drops should be. For these, shorter
    intervals that are easier to compute (Wilson's among them) hold it less often than they say.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _where(lambda p: _at_least(hits, trials, p) > tail)
    high = 1.0 if hits == trials else _where(lambda p: _at_least(hits + 1, trials, p) > 1 - tail)
    return low, high


def _where(reached: Callable[[float], bool]) -> float:
    """Returns the proportion from which on `reached` is true."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _at_least(hits: int, trials: int, p: float) -> float:
    """Returns the probability of so many hits or more, each with `p`, above 0 and below 1."""
    if hits > trials - hits:  # the shorter sum of the two
        return math.fsum(_exactly(k, trials, p) for k in range(hits, trials + 1))
    return 1 - math.fsum(_exactly(k, trials, p) for k in range(hits))


def _exactly(hits: int, trials: int, p: float) -> float:
    """Returns the probability of exactly so many hits."""
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(ways + hits * math.log(p) + (trials - hits) * math.log1p(-p))
