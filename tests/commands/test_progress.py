"""What a person sees while `sift` works: how much is done, where it is, how long it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from footage import write_clip, write_stills
from running import on_terminal
from stillsift.commands.progress import show_progress
from stillsift.commands.tally import Tally
from stillsift.decisions import Reason
from stillsift.sources import ClipPosition, Position


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Sifted(Tally):
    """A source that has begun, whose position is set by hand."""

    def __init__(self, name: str, *, is_file: bool = False) -> None:
        super().__init__(name, f"/{name}", Path("/s"), is_file=is_file, begun=True)
        self.at: Position | None = None
        self.position = lambda: self.at


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_folder_tells_its_files_and_no_figure_before_it_is_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, photos = Clock(), Sifted("photos")
    with show_progress({"photos": photos}, clock) as progress:
        photos.at = Position(12_345, listed=False)
        clock.now += 9
        progress()
        assert lines(capsys) == [], "a line every 10 s"
        clock.now += 1
        progress()
        assert lines(capsys) == ["photos: listing files, 12,345 so far, 0 frames, 0 kept"]
        photos.at = Position(20_000, True, 0)
        clock.now += 10
        progress()
        assert lines(capsys) == [
            "photos: 0%, 0 of 20,000 files, time left unknown, 0 frames, 0 kept"
        ]
        photos.at = Position(20_000, True, 5000)
        photos.reasons.update({Reason.NOVEL: 1000, Reason.NEAR_DUPLICATE: 3998})
        photos.reasons[Reason.DECODE_ERROR] = 2
        clock.now += 50
        progress()
        assert lines(capsys) == [
            "photos: 25%, 5,000 of 20,000 files, 2 min left, 5000 frames, 1000 kept, 2 failed"
        ]
        photos.seconds = 60
        clock.now += 10
        progress()
        assert lines(capsys) == [], "it is over"


def test_what_an_earlier_run_has_read_does_not_make_the_rest_look_quick(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, photos = Clock(), Sifted("photos")
    with show_progress({"photos": photos}, clock) as progress:
        for second in range(120):
            # 9,000 files are passed over within a second, then it reads one a second.
            photos.at = Position(10_000, True, min(9000, 9000 * second) + second)
            clock.now += 1
            progress()
    (*_, last) = lines(capsys)
    assert "91%, 9,1" in last
    assert " 14 min left" in last or " 15 min left" in last


def test_a_clip_tells_where_it_is_and_how_long_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    clock, day = Clock(), Sifted("day", is_file=True)
    with show_progress({"day": day}, clock) as progress:
        day.at = Position(1, True)
        progress()
        clip = ClipPosition(Path("/day.mp4"), 0.25, 900, 3600)
        day.at = Position(1, True, clip=clip)
        clock.now += 20
        progress()
        assert lines(capsys) == ["day: 25%, 15:00 of 1:00:00, 1 min left, 0 frames, 0 kept"]
        # Nobody knows how long a joined recording is.
        day.at = Position(1, True, clip=ClipPosition(Path("/day.ts"), 0.5, 1000))
        clock.now += 20
        progress()
        assert lines(capsys) == ["day: 50%, 16:40, 40 s left, 0 frames, 0 kept"]


def test_a_clip_in_a_folder_is_named_and_counts_in_part(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, clips = Clock(), Sifted("clips")
    with show_progress({"clips": clips}, clock) as progress:
        clips.at = Position(4, True, 1, ClipPosition(Path("/c/b\n.mp4"), 0.5, 30, 60))
        clock.now += 10
        progress()
    assert lines(capsys) == [
        "clips: 38%, 1 of 4 files, b\\n.mp4 0:30 of 1:00, time left unknown, 0 frames, 0 kept"
    ]


def test_files_given_one_by_one_are_counted_together(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    files = {name: Sifted(name, is_file=True) for name in "abcd"}
    folder = Sifted("folder")
    folder.begun = files["c"].begun = files["d"].begun = False
    files["a"].seconds = 5
    files["b"].at = Position(1, True, clip=ClipPosition(Path("/b.mp4"), 0.5, 30, 60))
    with show_progress({**files, "folder": folder}, clock) as progress:
        clock.now += 10
        progress()
    assert lines(capsys) == [
        "files: 38%, 1 of 4 files, b.mp4 0:30 of 1:00, time left unknown, 0 frames, 0 kept"
    ]


@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_has_a_bar_of_its_width(tmp_path: Path, columns: int) -> None:
    write_stills(tmp_path / "in", range(12))
    status, seen, _ = on_terminal(
        *("sift", tmp_path / "in", "-o", tmp_path / "out"), stream="stderr", columns=columns
    )
    assert status == 0, seen
    text = seen.decode()
    assert "━" in text
    # What came last is drawn however quick it was.
    assert "in " in text
    assert "100%, 12 of 12 files" in text if columns == 100 else "100%, 12 of 12" in text
    if columns == 100:
        assert "12 frames, 12 kept" in text


def test_a_terminal_sees_the_position_in_a_clip(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", range(40), frames=2)
    status, seen, _ = on_terminal(
        *("sift", clip, "-o", tmp_path / "out", "--set", "rate=all"), stream="stderr"
    )
    assert status == 0
    assert b"100%" in seen
    assert b"80 frames, " in seen
