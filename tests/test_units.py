"""Values with a unit are read and written without loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillsift import units


@pytest.mark.parametrize(
    ("shown", "value", "text"),
    [
        (units.shown_size, 0, "0.0 kB"),
        (units.shown_size, 45_100, "45.1 kB"),
        (units.shown_size, 999_949, "999.9 kB"),
        (units.shown_size, 999_950, "1.0 MB"),
        (units.shown_size, 2_500_000_000, "2.5 GB"),
        (units.shown_size, 3 * 10**12, "3.0 TB"),
        (units.shown_duration, 0.4, "0 s"),
        (units.shown_duration, 59.4, "59 s"),
        (units.shown_duration, 59.6, "1 min"),
        (units.shown_duration, 3599, "1 h"),
        (units.shown_duration, 4800, "1 h 20 min"),
        (units.shown_duration, 26 * 3600, "1 d 2 h"),
        (units.shown_clock, 7.9, "0:07"),
        (units.shown_clock, 750, "12:30"),
        (units.shown_clock, 3723, "1:02:03"),
    ],
)
def test_what_people_read_has_few_digits(
    shown: Callable[[float], str], value: float, text: str
) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.duration, "500ms", 0.5),
        (units.duration, "10s", 10.0),
        (units.duration, "1.5h", 5400.0),
        (units.duration, "5m", 300.0),
        (units.duration, "14d", 1209600.0),
        (units.duration, "0", 0.0),
        (units.size, "20GB", 20 * 10**9),
        (units.size, "512MiB", 512 * 2**20),
        (units.size, "1.5 kB", 1500),
        (units.rate, "5/s", 5.0),
        (units.rate, "12/min", 0.2),
        (units.rate, "0.5/s", 0.5),
        (units.rate, "1/h", 1 / 3600),
        (units.rate, "all", None),
        (units.pixels, "100MP", 10**8),
    ],
)
def test_a_value_is_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (units.duration, "10"),
        (units.duration, "-1s"),
        (units.duration, "10 parsecs"),
        (units.duration, "1e3s"),
        (units.size, "20"),
        (units.size, "20gb"),
        (units.size, ""),
        (units.rate, "5"),
        (units.rate, "0/s"),
        (units.rate, "5 / s / s"),
        (units.pixels, "100"),
    ],
)
def test_what_is_no_value_is_refused_with_the_way_out(
    read: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match="; write "):
        read(text)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (units.written_duration, 1209600.0, "14d"),
        (units.written_duration, 0.5, "500ms"),
        (units.written_duration, 90.0, "90s"),
        (units.written_duration, 0.0, "0s"),
        (units.written_size, 10**9, "1GB"),
        (units.written_size, 512 * 2**20, "512MiB"),
        (units.written_size, 0, "0B"),
        (units.written_rate, 0.2, "12/min"),
        (units.written_rate, 5.0, "5/s"),
        (units.written_rate, None, "all"),
        (units.written_pixels, 100_000_000, "100MP"),
        (units.written_pixels, 1, "0.000001MP"),
    ],
)
def test_a_value_is_written_as_people_write_it(
    write: Callable[[Any], str], value: object, text: str
) -> None:
    assert write(value) == text


finite = st.floats(0, 1e12, allow_nan=False)


@settings(deadline=None)
@given(finite)
def test_durations_round_trip(seconds: float) -> None:
    assert units.duration(units.written_duration(seconds)) == seconds


@settings(deadline=None)
@given(st.integers(0, 10**18))
def test_sizes_round_trip(count: int) -> None:
    assert units.size(units.written_size(count)) == count


@settings(deadline=None)
@given(st.integers(0, 10**12))
def test_pixels_round_trip(count: int) -> None:
    assert units.pixels(units.written_pixels(count)) == count


@settings(deadline=None)
@given(st.none() | st.floats(1e-9, 1e6, allow_nan=False))
def test_rates_round_trip(frames: float | None) -> None:
    assert units.rate(units.written_rate(frames)) == frames
