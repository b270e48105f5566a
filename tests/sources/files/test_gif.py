"""GIFs: one picture is a photograph, several are a clip."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from clips import real_pictures
from conftest import Command
from stillsift.sources.files.extent import refusal
from stillsift.sources.files.gif import runs_together, shows_one_picture


def gif(pictures: int) -> bytes:
    made = [Image.new("RGB", (20, 16), (40 * number, 9, 9)) for number in range(pictures)]
    written = io.BytesIO()
    made[0].save(written, "GIF", save_all=True, append_images=made[1:], comment=b"made" * 100)
    return written.getvalue()


@pytest.mark.parametrize(("pictures", "one"), [(1, True), (2, False), (5, False)])
def test_pictures_are_counted(pictures: int, one: bool) -> None:
    assert shows_one_picture(io.BytesIO(gif(pictures))) is one


def test_the_end_mark_may_be_left_out() -> None:
    assert shows_one_picture(io.BytesIO(gif(1)[:-1]))


@pytest.mark.parametrize("cut", [0, 5, 13, 40, -8])
def test_a_damaged_gif_is_no_photograph(cut: int) -> None:
    assert not shows_one_picture(io.BytesIO(gif(1)[:cut]))


@pytest.mark.parametrize("place", [(0, 0, 20_000, 20_000), (19_980, 19_984, 20, 16)])
def test_a_picture_beyond_the_screen_counts_as_large_as_it_is_shown(
    place: tuple[int, int, int, int],
) -> None:
    data = gif(1).replace(
        struct.pack("<B4H", 0x2C, 0, 0, 20, 16), struct.pack("<B4H", 0x2C, *place), 1
    )
    assert shows_one_picture(io.BytesIO(data))
    assert refusal(io.BytesIO(data), len(data), 399_999_999) == (
        "20000x20000 is more than 399,999,999 pixels (max_pixels)"
    )
    assert refusal(io.BytesIO(data), len(data), 400_000_000) is None


def test_gifs_of_one_picture_lie_on_no_time_line(tmp_path: Path, stillsift: Command) -> None:
    """Other pictures, all of one second: as clips, all but the first came too soon."""
    for number in range(3):
        picture = Image.new("RGB", (160, 120), "white")
        picture.paste((0, 90 * number, 80), (40 * number, 30, 40 * number + 40, 90))
        picture.save(tmp_path / f"{number}.gif")
    done = stillsift("sift", tmp_path, "--dry-run", "--json")
    assert done.status == 0
    assert '"kept": 3' in done.out, done.out


def test_pictures_that_say_nothing_of_times_are_read_each(
    tmp_path: Path, stillsift: Command
) -> None:
    """As Pillow writes them where no duration is given; FFmpeg shows the first one alone."""
    made = [Image.fromarray(picture) for picture in real_pictures()[::6]]
    path = tmp_path / "a.gif"
    for duration in (0, 100):
        made[0].save(path, save_all=True, append_images=made[1:], duration=duration)
        assert runs_together(io.BytesIO(path.read_bytes())) is (duration == 0)
        done = stillsift("sift", path, "--dry-run", "--set", "rate=all", "--json")
        assert done.status == 0
        assert '"frames": 5' in done.out, done.out
