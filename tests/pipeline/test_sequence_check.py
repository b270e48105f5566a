"""A sample of numbered stills, looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from clips import real_pictures
from sifting import blocks, lite0
from stillsift.embedding import Embedding
from stillsift.frames import Picture
from stillsift.pipeline.sequence_check import SequenceCheck


def write(folder: Path, *, exif: bool = False, taken: str = "2026:05:01 10:00:00") -> list[Path]:
    folder.mkdir()
    paths = []
    for number, pixels in enumerate(real_pictures(count=40)):
        data = Image.Exif()
        if exif:
            data.get_ifd(0x8769)[0x9003] = taken
        paths.append(folder / f"in{number:06}.jpg")
        Image.fromarray(pixels).save(paths[-1], exif=data)
    return paths


def why(paths: list[Path], max_pixels: int = 10**8) -> str | None:
    return SequenceCheck(lite0(), 0.40, max_pixels)([paths], lambda: False)


def test_frames_are_recognised_although_some_cannot_be_read(tmp_path: Path) -> None:
    paths = write(tmp_path / "in")
    assert why(paths) is None
    paths[3].write_bytes(paths[3].read_bytes()[:900])
    paths[7].unlink()
    assert why(paths) is None
    assert why(paths, max_pixels=100) == "too few can be read"


def test_photographs_with_a_time_are_not(tmp_path: Path) -> None:
    assert "exif_timeline" in str(why(write(tmp_path / "in", exif=True)))


def test_the_time_of_a_clock_that_was_never_set_is_none(tmp_path: Path) -> None:
    assert why(write(tmp_path / "in", exif=True, taken="2000:01:01 00:00:07")) is None


def test_pictures_of_several_sizes_are_not(tmp_path: Path) -> None:
    paths = write(tmp_path / "in")
    for path in paths[:2]:
        assert cv2.imwrite(str(path), np.zeros((100, 100, 3), np.uint8))
    assert why(paths) == "they differ in size"


def test_without_a_grid_nothing_is_recognised(tmp_path: Path) -> None:
    def pooled(picture: Picture) -> Embedding:
        return Embedding(blocks(picture).vector, None)

    told = SequenceCheck(pooled, 0.40, 10**8)([write(tmp_path / "in")], lambda: False)
    assert told == "the model gives no grid to compare them with"


def test_it_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    seen: list[int] = []

    def embed(picture: Picture) -> Embedding:
        seen.append(1)
        return blocks(picture)

    SequenceCheck(embed, 0.40, 10**8)([write(tmp_path / "in")], lambda: len(seen) == 3)
    assert len(seen) == 3
