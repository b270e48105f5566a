"""Numbers of frames in file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillsift.frame_numbers import Numbered, NumberPattern, is_number_pattern, last_number


@pytest.mark.parametrize(
    ("name", "names", "number"),
    [
        ("in000007.jpg", "in#.jpg", 7),
        ("7.png", "#.png", 7),
        ("cam1_0012.jpg", "cam1_#.jpg", 12),
        ("clip2.mp4_00012.tif", "clip2.mp4_#.tif", 12),
        ("shot 3 (done).jpeg", "shot # (done).jpeg", 3),
        ("in000007", "in#", 7),
    ],
)
def test_the_last_number_before_the_suffix_counts(name: str, names: str, number: int) -> None:
    assert last_number(Path("/a9") / name) == Numbered(names, number)


@pytest.mark.parametrize("name", ["cover.jp2", "a9999999999999999999.jpg", "٣.jpg"])
def test_a_name_without_a_number_that_can_count_is_not_numbered(name: str) -> None:
    assert last_number(Path("/a9") / name) is None


@pytest.mark.parametrize(
    ("pattern", "name", "number", "rate"),
    [
        ("in%06d@25", "in000250.jpg", 250, 25),
        ("in%06d@25", "in1000000.jpg", 1_000_000, 25),
        ("in%06d@25", "in250.jpg", None, 25),
        ("%d_left@29.97", "take2_17_left.png", 17, 29.97),
        ("in%d@30000/1001", "in3.jpg", 3, 30000 / 1001),
        ("in%d.raw@1/10", "in3.raw.jpg", 3, 0.1),
        ("in%d.raw@1/10", "in3-raw.jpg", None, 0.1),
    ],
)
def test_a_pattern_reads_a_number_and_its_rate(
    pattern: str, name: str, number: int | None, rate: float
) -> None:
    assert is_number_pattern(pattern)
    assert NumberPattern(pattern).number(Path("/in000009") / name) == number
    assert NumberPattern(pattern).rate == pytest.approx(rate)


@pytest.mark.parametrize("pattern", ["%Y%m%d", "in%d", "%Y%m%d@25", "cam@%d", "%s"])
def test_a_pattern_of_a_time_is_none_of_a_number(pattern: str) -> None:
    assert not is_number_pattern(pattern)
    with pytest.raises(ValueError, match=r"needs|more than"):
        NumberPattern(pattern)
