"""A file that ends the process again and again is left alone; one that does so once is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillsift.pipeline.reading_mark import ReadingMark
from stillsift.sources import FileIdentity

BAD, GOOD = Path("/in/bad.mp4"), Path("/in/good.mp4")
IDENTITY = FileIdentity(1, 2, 3, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reading" / "yard"


def test_two_ends_at_the_same_frame_are_one_too_many(path: Path) -> None:
    for _ in range(2):
        # The next start reads what was not recorded before it comes to the bad file again.
        mark = ReadingMark(path)
        assert mark.begin(GOOD, IDENTITY) is None
        mark.passed()
        assert mark.begin(BAD, IDENTITY) is None
        mark.reach(7)
        mark.go_on()
        mark.close()  # as the end of the process does
    mark = ReadingMark(path)
    assert mark.begin(GOOD, IDENTITY) is None
    mark.passed()
    why = mark.begin(BAD, IDENTITY)
    assert why == (
        "reading it has ended stillsift 2 times at frame 7; it is left alone until it changes "
        "(touch it to have it read again)"
    )
    mark.passed()
    assert ReadingMark(path).begin(BAD, IDENTITY) is None


def test_ends_at_different_frames_are_no_fault_of_the_file(path: Path) -> None:
    for frame in (3, 9, 20):
        mark = ReadingMark(path)
        assert mark.begin(BAD, IDENTITY) is None
        mark.reach(frame)
        mark.go_on()
        mark.close()


def test_accidents_while_a_frame_is_kept_are_hardly_a_fault_of_the_file(path: Path) -> None:
    for ends in range(5):
        mark = ReadingMark(path)
        assert (mark.begin(BAD, IDENTITY) is None) == (ends < 4)
        mark.reach(1)
        mark.close()


def test_accidents_while_decided_frames_are_decoded_again_are_no_fault_of_the_file(
    path: Path,
) -> None:
    for ends in range(5):
        mark = ReadingMark(path)
        assert (mark.begin(BAD, IDENTITY, next_frame=9000) is None) == (ends < 4)
        mark.close()


def test_an_expected_end_does_not_count(path: Path) -> None:
    for _ in range(4):
        mark = ReadingMark(path)
        assert mark.begin(BAD, IDENTITY) is None
        mark.leave()
        mark.close()


@pytest.mark.parametrize(
    "left", [b"", b"{", b"[1]", b'{"file": 3}', b"\0\0\0", b'{"ends": {"a": 1}}']
)
def test_a_mark_that_was_cut_off_says_nothing(path: Path, left: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(left)
    mark = ReadingMark(path)
    assert mark.begin(BAD, IDENTITY) is None
    mark.close()
    again = ReadingMark(path)
    assert again.begin(BAD, IDENTITY) is None


def test_a_dry_run_marks_nothing() -> None:
    mark = ReadingMark(None)
    for _ in range(4):
        assert mark.begin(BAD, IDENTITY) is None
