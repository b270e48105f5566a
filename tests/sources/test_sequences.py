"""Times of numbered stills."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.frame_numbers import NumberPattern
from stillsift.frames import TimeOrigin
from stillsift.sources import FileIdentity, Numbering, Shorter
from stillsift.sources.sequences import Sequences
from stillsift.sources.times import NamePattern, Times

SECOND = 10**9
AT = 1_700_000_000 * SECOND
YARD = Path("/yard")


class Remembered:
    """What outlives a run."""

    def __init__(self) -> None:
        self.numberings: dict[Path, Numbering] = {}

    def begin(self, _file: Path, _identity: FileIdentity, _next_frame: int) -> str | None:
        raise AssertionError

    def leave(self) -> None:
        raise AssertionError

    def grown_from(self, _file: Path, _identity: FileIdentity) -> Shorter | None:
        raise AssertionError

    def next_frame(self, _file: Path, _identity: FileIdentity) -> int | None:
        raise AssertionError

    def earlier(self, _content_hash: str) -> Path | None:
        raise AssertionError

    def numbering(self, folder: Path) -> Numbering | None:
        return self.numberings.get(folder)

    def begin_numbering(self, folder: Path, numbering: Numbering) -> None:
        self.numberings[folder] = numbering


def test_a_gap_in_the_numbers_is_a_gap_in_time() -> None:
    sequences = Sequences(Remembered(), 25.0)
    times = [sequences.at_ns(YARD / f"in{number}.jpg", AT) for number in (10, 11, 60, 9)]
    assert times == [AT, AT + SECOND // 25, AT + 2 * SECOND, AT - SECOND // 25]
    assert sequences.at_ns(YARD / "cover.jpg", AT) is None
    assert sequences.at_ns(Path("/gate/in99.jpg"), 5) == 5, "a folder has its own time line"
    lines = [(each.folder, each.names, each.frames, each.rate) for each in sequences.time_lines]
    assert lines == [(YARD, "in#.jpg", 4, 25.0), (Path("/gate"), "in#.jpg", 1, 25.0)]


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from([0.1, 2.0, 30000 / 1001]))
def test_a_run_goes_on_with_the_times_of_the_run_before(numbers: list[int], rate: float) -> None:
    known = Remembered()
    whole = [Sequences(known, rate).at_ns(YARD / f"in{n}.jpg", AT + n * 7) for n in numbers]
    again = Sequences(known, rate)
    times = [again.at_ns(YARD / f"in{number}.jpg", -1) for number in numbers]
    assert times == whole
    assert whole[0] == AT + numbers[0] * 7


def test_what_was_decided_about_a_folder_stays() -> None:
    known = Remembered()
    first = Sequences(known)
    assert first.at_ns(YARD / "in1.jpg", AT) is None, "nothing is decided"
    assert not known.numberings
    first.decide(YARD, 2.0)
    first.decide(Path("/plates"), None)
    assert first.at_ns(YARD / "in1.jpg", AT) == AT
    assert first.at_ns(Path("/plates/in1.jpg"), AT) is None
    later = Sequences(known)
    assert later.at_ns(YARD / "in5.jpg", 0) == AT + 2 * SECOND
    assert later.at_ns(Path("/plates/in5.jpg"), 0) is None
    assert later.decided(Path("/plates")) == Numbering(None, 1, AT)
    told = Sequences(known, 5.0).at_ns(Path("/plates/in6.jpg"), 0)
    assert told == AT + SECOND, "a rate that is told counts more"


def test_a_number_too_large_for_a_time_ends_there() -> None:
    sequences = Sequences(Remembered(), 0.001)
    sequences.at_ns(YARD / "in1.jpg", AT)
    assert sequences.at_ns(YARD / f"in{'9' * 18}.jpg", AT) == (1 << 63) - 1


def test_a_time_of_its_own_counts_more_than_a_number() -> None:
    exif = datetime(2026, 5, 1, 10, tzinfo=UTC)
    exif_ns = round(exif.timestamp()) * SECOND
    named = NamePattern("cam_%Y%m%d_%H%M%S")
    times = Times(named, exif_timeline=True, sequences=Sequences(Remembered(), 25.0))
    by_name = times.of_still(YARD / "cam_20260501_100001.jpg", exif, AT)
    assert by_name.known_by is TimeOrigin.FILENAME
    assert times.of_still(YARD / "in1.jpg", exif, AT).known_by is TimeOrigin.EXIF
    counted = times.of_still(YARD / "in1.jpg", None, AT)
    assert (counted.at_ns, counted.known_by, counted.timed) == (AT, TimeOrigin.SEQUENCE, True)
    photographs = Times(sequences=Sequences(Remembered(), 25.0))
    first = photographs.of_still(YARD / "in1.jpg", exif, AT)
    assert (first.at_ns, first.known_by) == (exif_ns, TimeOrigin.SEQUENCE), "it begins there"
    assert photographs.on_time_line


@pytest.mark.parametrize(("name", "at_ns"), [("in000026.jpg", SECOND), ("out000026.jpg", None)])
def test_a_pattern_says_which_names_are_numbered(name: str, at_ns: int | None) -> None:
    sequences = Sequences(Remembered(), pattern=NumberPattern("in%06d@25"))
    sequences.at_ns(YARD / "in000001.jpg", 0)
    assert sequences.at_ns(YARD / name, AT) == at_ns
