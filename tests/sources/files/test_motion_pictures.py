"""What begins like a still: streams of pictures are read whole, photos stay photos."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from clips import real_pictures, write_clip
from stillsift.sources import Failed, Finished
from stillsift.sources.files import ClipReader
from stillsift.sources.files.contents import head_of, kind_of
from stillsift.sources.files.motion_pictures import is_stream


def encoded(suffix: str, number: int = 0, size: tuple[int, int] = (320, 180)) -> bytes:
    picture = cv2.resize(cv2.cvtColor(real_pictures()[number], cv2.COLOR_RGB2BGR), size)
    return cv2.imencode(suffix, picture)[1].tobytes()


def photo(number: int = 0, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(real_pictures()[number]).save(data, "JPEG", **options)
    return data.getvalue()


def views(folder: Path) -> bytes:
    """Two pictures, of which the first names the second."""
    first, second = (Image.fromarray(picture) for picture in real_pictures()[:2])
    first.save(folder / "a.mpo", save_all=True, append_images=[second])
    return (folder / "a.mpo").read_bytes()


def animation(folder: Path) -> bytes:
    first, *more = (Image.fromarray(picture) for picture in real_pictures()[:5])
    first.save(folder / "a.png", save_all=True, append_images=more, duration=100)
    return (folder / "a.png").read_bytes()


def animation_with_profile(folder: Path) -> bytes:
    """A colour profile stands before what says that the picture moves."""
    first, *more = (Image.fromarray(picture) for picture in real_pictures()[:5])
    profile = np.random.default_rng(1).bytes(3000)  # it has to stay as large when packed
    path = folder / "a.png"
    first.save(path, save_all=True, append_images=more, duration=100, icc_profile=profile)
    assert path.read_bytes().index(b"acTL") > 2048, "FFmpeg would find it by itself"
    return path.read_bytes()


def is_clip(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    with path.open("rb") as file:
        return is_stream(path, file, kind_of(head_of(file)))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.mjpeg", lambda _: b"".join(encoded(".jpg", n) for n in range(5))),
        ("a.jpg", lambda _: b"".join(encoded(".jpg", n) for n in range(5))),
        ("a.jpg", lambda _: b"".join(photo(n, progressive=True) for n in range(5))),
        ("a.jpg", lambda _: b"".join(encoded(".jpg", n) + b"\0" * 70_000 for n in range(5))),
        ("a.jpg", lambda _: b"".join(photo(n, comment=b"\xff\xd8\xff\xd9") for n in range(5))),
        ("a.mjpg", lambda _: b"\r\n--frame\r\n\r\n".join(encoded(".jpg", n) for n in range(5))),
        ("a.jpg", lambda folder: views(folder) + b"".join(encoded(".jpg", n) for n in (2, 3, 4))),
        ("a.png", lambda _: b"".join(encoded(".png", n) for n in range(5))),
        ("a.png", animation),
        ("a.apng", animation),
        ("a.png", animation_with_profile),
    ],
)
def test_every_picture_of_a_stream_is_read_in_order(
    name: str, make: Callable[[Path], bytes], tmp_path: Path
) -> None:
    path = tmp_path / name
    assert is_clip(path, make(tmp_path))
    *items, last = ClipReader(path, "clips").items()
    assert not [item for item in items if isinstance(item, Failed)]
    assert isinstance(last, Finished)
    assert last.frames == 5


def test_a_stream_with_boundaries_is_a_clip(tmp_path: Path) -> None:
    """As `curl` saves what a camera sends."""
    path = tmp_path / "a.mjpeg"
    write_clip(path, real_pictures()[:5], codec="mjpeg", format="mpjpeg")
    *_, last = ClipReader(path, "clips").items()
    assert isinstance(last, Finished)
    assert last.frames == 5


def test_a_stream_behind_pictures_that_a_header_names_is_found(tmp_path: Path) -> None:
    path, both, more = tmp_path / "a.jpg", views(tmp_path), encoded(".jpg", 2)
    assert not is_clip(path, both)
    assert is_clip(path, both + more)
    assert not is_clip(path, both + encoded(".jpg", 2, (160, 90))), "a preview"
    assert not is_clip(path, both[: both.index(b"\xff\xd9\xff\xd8") + 2]), "taken away"
    assert is_clip(path, both.replace(b"MPF\0II", b"MPF\0MM") + more), "it names nothing"


def with_thumbnail(_: Path) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = encoded(".jpg")  # a maker's note
    return photo(exif=exif)


def with_video(folder: Path) -> bytes:
    clip = write_clip(folder / "a.mov", real_pictures()[:5], codec="mjpeg")
    return photo() + clip.read_bytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda _: photo(),
        *(views, with_thumbnail, with_video),
        lambda _: photo() + encoded(".jpg", 0, (160, 90)),  # a preview
        lambda _: photo() + b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data" + photo(1) + b"SEFT",
        lambda _: photo() + b"\0" * 3_000_000,
        lambda _: photo() + b"\xff\xd8 more \0" * 100,
        lambda _: photo()[:-1000],
        lambda _: encoded(".png"),
        lambda _: encoded(".png") + b"trailer",
    ],
)
def test_what_else_follows_a_photo_leaves_it_one(
    make: Callable[[Path], bytes], tmp_path: Path
) -> None:
    assert not is_clip(tmp_path / "a.jpg", make(tmp_path))


def test_a_motion_jpeg_made_to_cost_costs_little(tmp_path: Path) -> None:
    begin = time.process_time()
    assert not is_clip(tmp_path / "a.mjpeg", encoded(".jpg") + b"\xff\xd8" * 500_000)
    assert time.process_time() - begin < 2


def test_a_picture_is_found_across_the_pieces_that_are_read(tmp_path: Path) -> None:
    first, second = encoded(".jpg"), encoded(".jpg", 1)
    pixels = first.index(b"\xff\xda") + 2  # where the first piece begins
    for seam in range(-5, 6):
        gap = (1 << 20) + pixels - len(first) + seam
        assert is_clip(tmp_path / "a.jpg", first + b"\0" * gap + second)
        assert not is_clip(tmp_path / "a.jpg", first + b"\1" * gap + second)
