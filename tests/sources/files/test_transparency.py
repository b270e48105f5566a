"""Transparent pictures: what a viewer sees of them is what is compared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from collected import still_of as read
from stillsift.sources.files.transparency import laid_over_ground


def icon(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(64, 64, 4) BGRA: a disc of one grey level; what is transparent has the same colour."""
    made = np.full((64, 64, 4), level, np.uint8)
    made[..., 3] = 0
    cv2.circle(made, (32, 32), 20, (level, level, level, 255), -1)
    return made


@pytest.mark.parametrize(("level", "ground"), [(0, 255), (120, 255), (169, 255), (171, 0)])
def test_the_ground_lets_the_opaque_part_stand_out(level: int, ground: int) -> None:
    shown = laid_over_ground(icon(level))
    assert shown.shape == (64, 64, 3)
    assert (shown[2, 2] == ground).all()
    assert (shown[32, 32] == level).all()


def test_half_covered_shows_half_of_the_ground() -> None:
    half = np.zeros((8, 8, 4), np.uint8)
    half[..., 3] = 128
    assert laid_over_ground(half)[0, 0, 0] == pytest.approx(127, abs=1)


def test_nothing_opaque_at_all_is_white() -> None:
    assert (laid_over_ground(np.zeros((8, 8, 4), np.uint8)) == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".avif", ".gif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_every_format_with_transparency_shows_it(suffix: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"icon{suffix}"
    picture = Image.fromarray(icon(0))
    if suffix == ".png" and mode == "P":
        picture = picture.quantize(16)
    elif suffix in (".png", ".tiff") and mode == "LA":
        picture = picture.convert(mode)
    picture.save(path)
    shown = read(path).picture.bgr()
    assert shown[2, 2].min() > 240
    assert shown[32, 32].max() < 15


def test_sixteen_bits_of_transparency(tmp_path: Path) -> None:
    path = tmp_path / "icon.png"
    assert cv2.imwrite(str(path), icon(40).astype(np.uint16) * 257)
    shown = read(path).picture.bgr()
    assert shown[2, 2].min() == 255
    assert (shown[32, 32] == 40).all()
