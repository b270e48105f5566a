"""Whether `tests/system/soak` would see a leak, and takes noise for none."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from growth import Sample, growths, quantile

FLAT = Sample(0, 240, 160, 18, 20, 400, 8, 4, 3000, 1000, 28, 100, 5, 50, 900, 8, 0.2, 0.3)


def hours(**an_hour: float) -> list[Sample]:
    """Two hours with some noise, in which figures rise by so much an hour."""
    chance = random.Random(1)
    samples = []
    for number in range(1440):
        minute = number / 12
        rises = {name: getattr(FLAT, name) + rise * minute / 60 for name, rise in an_hour.items()}
        made = replace(FLAT, minute=minute, frames=number * 30, **rises)
        samples.append(
            replace(
                made,
                resident_mb=made.resident_mb + chance.gauss(0, 2),
                threads=made.threads + (4 if number % 144 < 36 else 0),
                write_p99_ms=made.write_p99_ms * chance.lognormvariate(0, 0.7),
            )
        )
    return samples


def growing(samples: list[Sample]) -> list[str]:
    return [each.figure for each in growths(samples) if not each.flat]


def test_noise_is_no_growth() -> None:
    assert growing(hours()) == []
    assert growing(hours(lasting=1000, ledger_mb=5)) == [], "what is held for ever"


@pytest.mark.parametrize(
    ("figure", "an_hour"),
    [("resident_mb", 8), ("private_mb", 5), ("threads", 2), ("descriptors", 2), ("series", 2)],
)
def test_what_grows_is_told(figure: str, an_hour: float) -> None:
    samples = hours(**{figure: an_hour})
    assert growing(samples) == [figure]
    (told,) = [each for each in growths(samples) if each.figure == figure]
    assert told.an_hour == pytest.approx(an_hour, rel=0.2)


def test_a_quantile_is_that_of_prometheus() -> None:
    buckets = {0.1: 50.0, 0.2: 90.0, 0.5: 100.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.7) == pytest.approx(0.15)
    assert quantile(buckets, 0.99) == pytest.approx(0.47)
    assert quantile({0.1: 1.0, float("inf"): 10.0}, 0.9) == 0.1, "as far as the buckets tell"
    assert quantile({}, 0.5) == 0
