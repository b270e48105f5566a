"""Photos: every kind that is read, and every kind that must not be."""

from __future__ import annotations

import hashlib
import os
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from clips import SHARED_MEDIA, real_pictures
from collected import still_of as read
from photographs import page, resized, textured
from stillsift.frames import ArrayPicture, Frame, TimeOrigin, shrink
from stillsift.selection.measured import on_time_line
from stillsift.selection.overview import overview_of
from stillsift.selection.sharpness import sharpness
from stillsift.sources.files import extent
from stillsift.sources.files.header import DecodeError
from stillsift.sources.times import NamePattern, Times

MTIME_NS = 1_700_000_000_123_456_789


@pytest.fixture
def scene() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(180, 320, 3) RGB."""
    return real_pictures()[0]


def write(path: Path, rgb: np.ndarray[Any, Any]) -> Path:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(path), bgr)
    return path


def reason_of(path: Path, **options: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        read(path, **options)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


def far(frame: Frame, rgb: np.ndarray[Any, Any]) -> float:
    """Mean difference of the picture from what it should show."""
    pixels = frame.picture.bgr()
    assert pixels.dtype == np.uint8
    assert pixels.shape == rgb.shape
    return float(np.abs(pixels[:, :, ::-1].astype(int) - rgb.astype(int)).mean())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".webp", ".avif"])
def test_reads(suffix: str, tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / f"scene{suffix}", scene)
    os.utime(path, ns=(0, MTIME_NS))
    frame = read(path)
    assert far(frame, scene) < (0.01 if suffix in (".png", ".bmp", ".tiff") else 5)
    assert frame.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert frame.origin == f"{path}|{path.stat().st_size}|{MTIME_NS}"
    assert (frame.file, frame.frame_index, frame.pts_s) == (path, 0, None)
    assert (frame.captured_at_ns, frame.captured_at_origin) == (MTIME_NS, TimeOrigin.MTIME)


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK", "I;16"])
def test_other_layouts_come_out_as_the_same_picture(
    mode: str, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    image = Image.fromarray(scene)
    path = tmp_path / ("scene.jpg" if mode == "CMYK" else "scene.png")
    if mode == "I;16":
        grey = np.asarray(image.convert("L"), np.uint16) * 257
        Image.fromarray(grey).save(path)
    else:
        image.convert(mode, palette=Image.Palette.ADAPTIVE).save(path, quality=95)
    grey_modes = ("L", "LA", "I;16", "1")
    wanted = np.asarray(image.convert("L").convert("RGB")) if mode in grey_modes else scene
    frame = read(path)
    if mode == "1":  # dithered: right on average only
        assert frame.picture.bgr().mean() == pytest.approx(wanted.mean(), abs=3)
    else:
        assert far(frame, wanted) < (12 if mode == "P" else 3)


def drawing() -> Image.Image:
    """Flat shapes with soft edges, which fill a palette."""
    shades = np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8)
    large = Image.fromarray(shades).resize((1280, 960), Image.Resampling.NEAREST)
    return large.rotate(20).resize((640, 480), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".bmp", ".tga"])
@pytest.mark.parametrize("colours", [64, 256])
def test_a_photograph_in_a_palette_counts_as_compressed(
    suffix: str, colours: int, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    photograph = Image.fromarray(scene)
    kinds = {"photograph": photograph, "grey": photograph.convert("L"), "drawing": drawing()}
    quality = {}
    for name, image in kinds.items():
        path = tmp_path / f"{name}{suffix}"
        image.quantize(colours).save(path)
        quality[name] = read(path).quality
    assert quality.pop("photograph") == 30
    assert set(quality.values()) == {100}


def test_cmyk_tiff_is_not_taken_for_rgb(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    path = tmp_path / "scene.tif"
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(scene[::-1, ::-1]).convert("CMYK").save(path, exif=exif)
    assert far(read(path), scene) < 1


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint16, 257), (np.uint16, 16), (np.float32, 1 / 255), (np.float32, 1)]
)
def test_deep_pictures_come_out_in_eight_bits(
    dtype: Any, scale: float, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = write(tmp_path / "scene.tiff", (scene.astype(np.float64) * scale).astype(dtype))
    assert far(read(path), scene) < 1


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("share", [1, 4])
def test_a_deep_avif_is_shown_on_its_own_scale(
    bits: int, transparent: bool, share: int, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    """A dark one stays dark: unlike what a sensor measures, its scale is known."""
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels: np.ndarray[Any, Any] = (scene[:, :, ::-1] // share * 2.0 ** (bits - 8)).astype(dtype)
    if transparent:
        cover = np.full(scene.shape[:2], (1 << bits) - 1, dtype)
        cover[:, :8] = 0
        pixels = np.dstack([pixels, cover])
    path = tmp_path / "scene.avif"
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 95]
    assert cv2.imwrite(str(path), pixels, options)
    shown = read(path).picture.bgr()[:, 8:, ::-1]
    assert np.abs(shown.astype(float) - (scene // share)[:, 8:]).mean() < 2


def test_a_float_picture_of_one_channel(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    grey = np.asarray(Image.fromarray(scene).convert("L"))
    path = tmp_path / "scene.tiff"
    Image.fromarray(grey.astype(np.float32) / 255).save(path)
    assert far(read(path), np.dstack([grey] * 3)) < 1


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint32])
def test_wide_pictures_of_one_channel(
    dtype: Any, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    """As cameras that measure write them: thousandths of a degree."""
    grey = np.asarray(Image.fromarray(scene).convert("L"))
    path = tmp_path / "scene.tiff"
    assert cv2.imwrite(str(path), (293_000.0 + grey * 20.0).astype(dtype))
    shown = read(path).picture.bgr()[..., 0]
    assert np.corrcoef(shown.ravel(), grey.ravel())[0, 1] > 0.99
    assert int(shown.max()) - int(shown.min()) > 200


def test_float_pictures_with_holes(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    values = scene.astype(np.float32) / 255
    values[:10] = np.nan
    frame = read(write(tmp_path / "scene.tiff", values))
    assert not frame.picture.bgr()[:10].any()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(
    orientation: int, suffix: str, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(scene)
    if orientation in undo:  # stored the way a camera held like this stores it
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"scene{suffix}"
    stored.save(path, exif=exif)
    assert far(read(path), scene) < 6


def with_exif(path: Path, rgb: np.ndarray[Any, Any], **tags: str) -> Path:
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    for name, value in tags.items():
        details[{"taken": 0x9003, "fraction": 0x9291, "offset": 0x9011}[name]] = value
    Image.fromarray(rgb).save(path, exif=exif)
    return path


TOKYO = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("tags", "moment"),
    [
        ({}, datetime(2024, 5, 6, 7, 8, 9, tzinfo=TOKYO)),
        ({"fraction": "25"}, datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=TOKYO)),
        (
            {"offset": "-03:30"},
            datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ),
        ({"offset": "+99:99"}, datetime(2024, 5, 6, 7, 8, 9, tzinfo=TOKYO)),
    ],
)
def test_exif_says_when(
    tags: dict[str, str], moment: datetime, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = with_exif(tmp_path / "a 2020.jpg", scene, taken="2024:05:06 07:08:09", **tags)
    frame = read(path, times=Times(NamePattern("%Y%m%d"), TOKYO))
    assert frame.captured_at_origin is TimeOrigin.EXIF
    assert not on_time_line(frame)
    assert on_time_line(read(path, times=Times(zone=TOKYO, exif_timeline=True)))
    assert frame.captured_at_ns == int(moment.timestamp() * 1000) * 10**6


def test_a_name_counts_before_exif(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    path = with_exif(tmp_path / "a 20200101.jpg", scene, taken="2024:05:06 07:08:09")
    frame = read(path, times=Times(NamePattern("%Y%m%d")))
    assert frame.captured_at_origin is TimeOrigin.FILENAME
    assert frame.captured_at_ns == int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert on_time_line(frame)


@pytest.mark.parametrize(
    "year", ["0000:00:00", "0001:01:01", "1970:01:01", "1980:01:01", "2000:01:01", "9999:12:31"]
)
def test_what_an_unset_clock_says_is_no_time(
    year: str, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = with_exif(tmp_path / "cam.jpg", scene, taken=f"{year} 00:00:22")
    os.utime(path, ns=(0, MTIME_NS))
    frame = read(path, times=Times(exif_timeline=True))
    assert (frame.captured_at_ns, frame.captured_at_origin) == (MTIME_NS, TimeOrigin.MTIME)
    assert not on_time_line(frame)


@pytest.mark.parametrize(
    ("pattern", "path", "moment"),
    [
        ("%Y%m%d_%H%M%S", "PXL_20240102_030405.jpg", datetime(2024, 1, 2, 3, 4, 5)),
        ("%Y-%m-%d", "99-2024-02-30 2024-02-29.jpg", datetime(2024, 2, 29)),
        ("%Y/%m/%d/%H%M%S.%f", "/c/2024/01/02/030405.5.jpg", datetime(2024, 1, 2, 3, 4, 5, 500000)),
        ("cam-%s", "cam-1704164645.jpg", datetime(2024, 1, 2, 3, 4, 5)),
        ("%s", "1704164645123.jpg", datetime(2024, 1, 2, 3, 4, 5, 123_000)),
        ("%s", "99_1704164645_7.jpg", datetime(2024, 1, 2, 3, 4, 5)),
        ("%s", "17041646451234.jpg", None),
        ("%H%M%S%z %d.%m.%Y", "050405+0200 02.01.2024.jpg", datetime(2024, 1, 2, 3, 4, 5)),
        ("%Y%m%d", "scene.jpg", None),
    ],
)
def test_a_file_name_says_when(pattern: str, path: str, moment: datetime | None) -> None:
    wanted = moment and int(moment.replace(tzinfo=UTC).timestamp() * 1000) * 10**6
    assert NamePattern(pattern).time_ns(Path(path)) == wanted


@pytest.mark.parametrize("pattern", ["scene", "%Y%q", "%"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"directive|is not one of"):
        NamePattern(pattern)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [2, 16, 0.5])
def test_a_jpeg_cut_off_anywhere_is_refused(
    lost: float, progressive: bool, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = tmp_path / "scene.jpg"
    image = Image.fromarray(scene)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = b"\xff\xd8 a thumbnail \xff\xd9"  # maker note
    image.save(path, progressive=progressive, exif=exif)
    data = path.read_bytes()
    assert read(path).picture.width == 320
    keep = len(data) - int(lost) if lost >= 1 else int(len(data) * lost)
    path.write_bytes(data[:keep])
    assert "cut off" in reason_of(path)


def test_what_stands_behind_the_end_of_a_jpeg_does_not_matter(
    tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = write(tmp_path / "scene.jpg", scene)
    path.write_bytes(path.read_bytes() + b"\xff\xd8 more \x00" * 100)
    assert far(read(path), scene) < 5


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".avif"])
def test_other_formats_cut_off_in_the_middle_are_refused(
    suffix: str, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = write(tmp_path / f"scene{suffix}", scene)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason_of(path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"".join(
        len(body).to_bytes(4) + kind + body + crc(kind + body)
        for kind, body in ((b"IHDR", header), (b"IDAT", b"x" * 1000), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert reason_of(path) == "60000x60000 is more than 100,000,000 pixels (max_pixels)"


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4)


def spent(read_it: Callable[[], object]) -> tuple[int, float]:
    """Peak of the memory that reading took, bytes, and its CPU time."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        read_it()
        return tracemalloc.get_traced_memory()[1], time.process_time() - begin
    finally:
        tracemalloc.stop()


def photo_and_nothing(path: Path) -> None:
    write(path, real_pictures()[0])
    os.truncate(path, 1_600_000_000)


def segments_without_end(path: Path) -> None:
    path.write_bytes(b"\xff\xd8" + b"\xff\xe0\0\2" * 10_000_000)


def junk_between_segments(path: Path) -> None:
    path.write_bytes(b"\xff\xd8\xff\xe0\0\2")
    os.truncate(path, 1_600_000_000)


def erased_flash(path: Path) -> None:
    """As a write to a card that was cut off leaves it."""
    write(path, real_pictures()[0])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff" * 1_000_000)


def segments_without_end_behind_the_size(path: Path) -> None:
    write(path, real_pictures()[0])
    path.write_bytes(path.read_bytes()[:-2] + b"\xff\xc4\0\2" * 10_000_000)


def nothing_but_fill_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xd8" + b"\xff" * 1_000_000 + b"\0")


def tags_of_a_large_file(path: Path) -> None:
    """Every tag claims the whole file."""
    entry = struct.pack("<HHII", 700, 1, 50_000_000, 8)
    size = struct.pack("<HHII", 256, 4, 1, 64) + struct.pack("<HHII", 257, 4, 1, 64)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 3002) + size + entry * 3000)
    os.truncate(path, 50_000_000)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        *((photo_and_nothing, 10e6), (segments_without_end, 10e6), (junk_between_segments, 10e6)),
        *((erased_flash, 10e6), (nothing_but_fill_bytes, 10e6)),
        (segments_without_end_behind_the_size, 100e6),
        (tags_of_a_large_file, 300e6),
    ],
)
def test_a_file_made_to_cost_costs_little(
    make: Callable[[Path], None], most: float, tmp_path: Path
) -> None:
    path = tmp_path / "scene.jpg"
    make(path)
    size, seconds = spent(lambda: reason_of(path))
    assert size < most
    assert seconds < 2


def test_a_chunk_takes_no_more_memory_than_the_file(
    tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = write(tmp_path / "scene.png", scene)
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT")
    data[at - 4 : at] = (4_000_000_000).to_bytes(4)
    path.write_bytes(data)
    begin = time.process_time()
    assert reason_of(path) == "cannot be decoded: its data is damaged or incomplete"
    path.write_bytes(data[:-12])  # without its end
    assert reason_of(path).startswith("is cut off: 3,999,")
    assert time.process_time() - begin < 1


def test_a_tag_that_stands_twice_counts_as_the_larger(
    tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = write(tmp_path / "scene.tif", scene)
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    entries = data[start + 2 : start + 2 + 12 * count]
    wide = struct.pack("<HHII", 256, 4, 1, 1_000_000)
    data[4:8] = len(data).to_bytes(4, "little")
    data += struct.pack("<H", count + 1) + wide + entries + bytes(4)
    path.write_bytes(data)
    assert reason_of(path).startswith("1000000x180 is more than")


def test_deep_pixels_count_by_the_memory_they_take(
    tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    for dtype, weight in ((np.uint16, 1), (np.float32, 2)):
        path = write(tmp_path / "scene.tiff", scene.astype(dtype))
        assert read(path, max_pixels=320 * 180 * weight).picture.width == 320
        if weight > 1:
            reason = reason_of(path, max_pixels=320 * 180 * weight - 1)
            assert f"320x180 of {16 * weight} bits takes the memory of" in reason


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pictures_are_made_shallow_in_strips(dtype: Any, tmp_path: Path) -> None:
    pixels = np.zeros((2000, 1500, 3), dtype)
    pixels[::2] = 200
    path = write(tmp_path / "scene.tiff", pixels)
    size, _ = spent(lambda: read(path))
    assert size < path.stat().st_size + pixels.nbytes + pixels.size + 30e6


@pytest.mark.parametrize("suffix", [".avif", ".webp", ".tiff", ".png", ".jpg", ".bmp"])
def test_a_damaged_header_is_that_files_failure(
    suffix: str, tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    data = write(tmp_path / f"scene{suffix}", scene[:40, :60]).read_bytes()
    path, broken = tmp_path / "broken", 0
    # OpenCV writes the header of a TIFF last.
    where = range(len(data))[-200:] if suffix == ".tiff" else range(8, min(len(data), 400))
    for at in where if suffix == ".avif" else where[::5]:
        for value in (0, 0xFF):
            path.write_bytes(data[:at] + bytes((value,)) + data[at + 1 :])
            with suppress(DecodeError):
                read(path, max_pixels=1_000_000)
                continue
            broken += 1
    assert broken > 5


def test_the_limit_is_inclusive(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "scene.jpg", scene)
    assert read(path, max_pixels=320 * 180).picture.width == 320
    assert reason_of(path, max_pixels=320 * 180 - 1).startswith("320x180 is more than")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no picture that can be read: it holds nothing (0 bytes)"),
        (b"not a picture\n", "is no picture that can be read: it holds text"),
        (b"<!DOCTYPE html><html>", "is no picture that can be read: it holds an HTML page"),
        (b"\0" * 5000, "is no picture that can be read: it holds zeros only"),
        (b"\x01\x02\x03\x80" * 50, "is no picture that can be read: it holds no format known here"),
        (b"\xff\xd8\xff\xe0 rubbish", "a JPEG with a damaged header"),
        (b"\x89PNG\r\n\x1a\n rubbish", "a PNG with a damaged header"),
        (b"II*\0\x08\0\0\0 rubbish", "a TIFF with a damaged header"),
    ],
)
def test_what_is_no_picture_says_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "scene.jpg"
    path.write_bytes(content)
    assert reason_of(path) == reason


def test_a_wrong_suffix_does_not_matter(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    path = write(tmp_path / "scene.jpg", scene).rename(tmp_path / "scene.png")
    assert far(read(path), scene) < 5


def test_the_first_page_of_a_tiff_is_read(tmp_path: Path, scene: np.ndarray[Any, Any]) -> None:
    pages = [Image.fromarray(scene), Image.fromarray(255 - scene)]
    path = tmp_path / "scene.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert far(read(path), scene) == 0


def test_a_name_that_is_not_utf8_has_a_writable_origin(
    tmp_path: Path, scene: np.ndarray[Any, Any]
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    write(tmp_path / "scene.jpg", scene).rename(path)
    frame = read(path)
    assert "caf\\xe9.jpg|" in frame.origin
    assert frame.id


UNREADABLE = {
    "zero_byte.jpg",
    "text_named.jpg",
    "trunc_half.jpg",
    "trunc_header.jpg",
    "trunc_last16.jpg",
    "trunc.png",
    "huge_30000x30000_1bit.png",
    "huge_20000x10000_gray.jpg",
    "pil_truncated_jpeg.jpg",
    "pil_broken.png",
    "pil_badrle.bmp",
    "pil_truncated_end_chunk.png",
}
MEDIA = sorted(
    path
    for path in (SHARED_MEDIA / "g").glob("*")
    if path.suffix in (".jpg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".heic")
)


@pytest.mark.skipif(not MEDIA, reason="needs the labelled footage beside the checkout")
def test_every_odd_photo_is_read_or_refused() -> None:
    refused = set()
    for path in MEDIA:
        try:
            frame = read(path)
        except DecodeError:
            refused.add(path.name)
        else:
            pixels = frame.picture.bgr()
            assert pixels.dtype == np.uint8
            assert pixels.shape == (frame.picture.height, frame.picture.width, 3)
    assert refused == UNREADABLE


@pytest.mark.parametrize("position", [1 << 43, (1 << 63) - 1, 1 << 63, 1 << 70])
def test_what_a_header_places_beyond_any_file_is_not_there(tmp_path: Path, position: int) -> None:
    (tmp_path / "a").write_bytes(b"abcd")
    with (tmp_path / "a").open("rb") as file:
        assert extent.bytes_at(file, position, 4) == b""


# -- no larger than it is measured -----------------------------------------------------------------


@pytest.mark.parametrize(("width", "height", "orientation", "by"), [
    (1920, 1080, 1, 2), (4000, 3000, 1, 4), (3000, 4000, 1, 4), (4000, 3000, 6, 4),
    (1279, 720, 1, 1), (1281, 4000, 1, 2), (5200, 700, 1, 8),
])  # fmt: skip
def test_a_large_jpeg_is_decoded_smaller(
    tmp_path: Path, width: int, height: int, orientation: int, by: int
) -> None:
    path = tmp_path / "large.jpg"
    picture = Image.fromarray(textured(3, width, height)[:, :, ::-1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, quality=92, exif=exif)
    whole = np.asarray(cv2.imread(str(path)), np.uint8)
    frame = read(path)
    made = frame.picture
    assert isinstance(made, ArrayPicture)
    assert (made.width, made.height) == whole.shape[1::-1]
    assert made.bgr().shape[:2] == tuple(-(-side // by) for side in whole.shape[:2])
    if by == 1:
        assert made.whole is None
        return
    assert made.whole is not None
    again = made.whole()
    assert again is not None
    assert np.array_equal(again, whole)
    # What is measured of it is nearly what would be measured of all of it.
    small = [
        shrink(pixels, 640, 640 * whole.shape[0] // whole.shape[1])
        for pixels in (made.bgr(), whole)
    ]
    assert float(np.abs(small[0].astype(int) - small[1].astype(int)).mean()) < 1.5
    assert sharpness(made.luma()).value == pytest.approx(
        sharpness(ArrayPicture(whole).luma()).value, rel=0.1
    )
    path.write_bytes(path.read_bytes() + b"x")
    assert made.whole() is None
    path.unlink()
    assert made.whole() is None


def test_other_large_pictures_are_decoded_whole(tmp_path: Path) -> None:
    bgr = textured(4, 1920, 1080)
    for suffix in (".png", ".webp", ".tiff"):
        cv2.imwrite(str(tmp_path / f"large{suffix}"), bgr)
        assert read(tmp_path / f"large{suffix}").picture.bgr().shape == bgr.shape
    cmyk = tmp_path / "cmyk.jpg"
    Image.fromarray(bgr).convert("CMYK").save(cmyk)
    assert read(cmyk).picture.bgr().shape == bgr.shape


def test_a_small_digit_on_a_large_page_is_read(tmp_path: Path) -> None:
    """Documents are compared at 1280 pixels; the page is decoded whole for that."""
    large = resized(page(1), 2.2)
    cv2.imwrite(str(tmp_path / "page.jpg"), large)
    made = read(tmp_path / "page.jpg").picture
    assert made.bgr().shape[0] < 1280 < made.height
    overview = overview_of(made)
    assert overview.page is not None
    assert max(overview.page.shape) == 1280
