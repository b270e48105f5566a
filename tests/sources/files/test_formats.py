"""Every kind of photo beyond JPEG, PNG, BMP, TIFF, WebP and AVIF, written by its own library."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from clips import real_pictures, write_clip
from collected import still_of
from raws import dng
from stillsift.arrays import Image as Pixels
from stillsift.frames import Frame, TimeOrigin
from stillsift.sources import Failed, FileIdentity, Finished, Numbering, Shorter
from stillsift.sources.files import ClipReader, DirectorySource, page_of
from stillsift.sources.files.contents import CLIP_SUFFIXES, STILL_SUFFIXES
from stillsift.sources.files.header import DecodeError
from stillsift.store.names import still_suffix


class Known:
    """Knows nothing, or that the first pictures of every file are decided."""

    def __init__(self, decided: int = 0) -> None:
        self._decided = decided

    def next_frame(self, file: Path, identity: FileIdentity) -> int | None:  # noqa: ARG002
        return self._decided

    def grown_from(self, file: Path, identity: FileIdentity) -> Shorter | None:  # noqa: ARG002
        return None

    def earlier(self, content_hash: str) -> Path | None:  # noqa: ARG002
        return None

    def begin(self, file: Path, identity: FileIdentity, next_frame: int) -> str | None:  # noqa: ARG002
        return None

    def leave(self) -> None:
        pass

    def numbering(self, folder: Path) -> Numbering | None:  # noqa: ARG002
        return None

    def begin_numbering(self, folder: Path, numbering: Numbering) -> None:
        pass


TAKEN = datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)


def scene(number: int = 0) -> Pixels:
    """(180, 320, 3) RGB."""
    return real_pictures()[number]


def exif(orientation: int = 6) -> Image.Exif:
    made = Image.Exif()
    made[274] = orientation
    made.get_ifd(0x8769)[36867] = "2021:02:03 04:05:06"
    return made


def jpeg(rgb: Pixels) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "JPEG", quality=95)
    return data.getvalue()


def saved(path: Path, rgb: Pixels, turned: bool = False) -> Path:
    """The picture as a file of the kind that the suffix names; turned by its metadata, or not."""
    image, suffix = Image.fromarray(rgb), path.suffix
    if suffix in (".heic", ".heif", ".hif"):
        more = {"exif": exif().tobytes()} if turned else {}
        pillow_heif.from_pillow(image).save(path, quality=90, **more)
    elif suffix in (".dng", ".nef", ".arw", ".pef"):
        path.write_bytes(dng(rgb, jpeg(rgb), orientation=6 if turned else 1))
    elif suffix in (".jfif", ".jpe", ".jfi"):
        image.save(path, "JPEG", quality=95, **({"exif": exif()} if turned else {}))
    elif suffix in (".jp2", ".jpx"):
        image.save(path, "JPEG2000")
        data, block = path.read_bytes(), b"JpgTiffExif->JP2" + exif().tobytes()[6:]
        box = struct.pack(">I", len(block) + 8) + b"uuid" + block
        at = data.index(b"jp2c") - 4
        path.write_bytes(data[:at] + box + data[at:] if turned else data)
    else:
        image.save(path)
    return path


def far(frame: Frame, rgb: Pixels) -> float:
    pixels = frame.picture.bgr()[:, :, ::-1]
    assert pixels.shape == rgb.shape
    return float(np.abs(pixels.astype(int) - rgb.astype(int)).mean())


PLAIN = (".j2k", ".j2c", ".ppm", ".pnm", ".tga", ".icb")
WITH_EXIF = (".heic", ".heif", ".hif", ".jfif", ".jpe", ".jfi", ".jp2", ".jpx")
RAW = (".dng", ".nef", ".arw", ".pef")


@pytest.mark.parametrize("suffix", [*PLAIN, *WITH_EXIF, *RAW])
def test_is_read_as_a_still_and_keeps_its_suffix(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix.upper()}".lower(), scene())
    still, finished = (each for each in items(tmp_path) if isinstance(each, Frame | Finished))
    assert isinstance(still, Frame)
    assert isinstance(finished, Finished)
    assert still.content_hash is not None
    assert far(still, scene()) < 2
    assert still_suffix(path.read_bytes()[:32], suffix) == suffix


def items(folder: Path, rate: float | None = None) -> list[object]:
    source = DirectorySource("in", folder, known=Known(), animation_rate=rate)
    return list(source.items())


@pytest.mark.parametrize("suffix", [*WITH_EXIF, *RAW])
def test_is_turned_upright_and_has_the_time_of_its_exif(suffix: str, tmp_path: Path) -> None:
    frame = still_of(saved(tmp_path / f"a{suffix}", scene(), turned=True))
    assert far(frame, np.rot90(scene(), -1)) < 2
    assert frame.captured_at_origin is TimeOrigin.EXIF
    assert frame.captured_at_ns == TAKEN.timestamp() * 1e9


@pytest.mark.parametrize("suffix", [*PLAIN, *WITH_EXIF, *RAW])
def test_more_pixels_than_are_allowed_are_refused(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix}", scene())
    assert still_of(path, max_pixels=320 * 180).picture.width == 320
    with pytest.raises(DecodeError, match="is more than 57,599 pixels"):
        still_of(path, max_pixels=320 * 180 - 1)


@pytest.mark.parametrize("suffix", [*PLAIN, *WITH_EXIF, *RAW])
def test_one_that_is_cut_off_fails_with_its_name(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix}", scene())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DecodeError, match=f"a{suffix}: "):
        still_of(path)


@pytest.mark.parametrize("suffix", [*PLAIN, *WITH_EXIF, *RAW])
def test_one_that_is_no_such_thing_fails(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not a picture")
    with pytest.raises(DecodeError, match="is no picture that can be read: it holds text"):
        still_of(path)


@pytest.mark.parametrize("suffix", [".pgm", ".jp2"])
def test_grey_of_sixteen_bits_keeps_its_scale(suffix: str, tmp_path: Path) -> None:
    grey = np.asarray(Image.fromarray(scene()).convert("L"))
    path = tmp_path / f"a{suffix}"
    Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    assert far(still_of(path), np.repeat(grey[..., None], 3, 2)) < 1


def test_a_bitmap_is_read(tmp_path: Path) -> None:
    Image.fromarray(scene()).convert("1").save(tmp_path / "a.pbm")
    assert still_of(tmp_path / "a.pbm").picture.bgr().mean() == pytest.approx(scene().mean(), abs=5)


def test_every_suffix_that_is_read_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "commands.md").read_text("utf-8")
    table = manual.split("### What is read")[1].split("\n\n- ")[0]
    assert set(re.findall(r"`(\.\w+)`", table)) == STILL_SUFFIXES | CLIP_SUFFIXES


# -- camera RAW ------------------------------------------------------------------------------------


def test_a_raw_is_seen_by_its_preview(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(dng(scene(), jpeg(scene(1))))
    assert far(still_of(path), scene(1)) < 2


@pytest.mark.parametrize("preview", [None, jpeg(scene(1)[:16, :16])])
def test_a_raw_without_a_usable_preview_is_developed(preview: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(dng(scene(), preview, orientation=6))
    picture = still_of(path).picture
    assert (picture.width, picture.height) == (90, 160)
    assert picture.bgr().mean() == pytest.approx(scene().mean(), abs=12)


def test_pixels_of_a_raw_that_are_not_there_are_a_failure(tmp_path: Path) -> None:
    data = bytearray(dng(scene()))
    at = data.index(struct.pack("<HHI", 273, 4, 1)) + 8
    data[at : at + 4] = struct.pack("<I", len(data) - 1000)
    (tmp_path / "a.dng").write_bytes(data)
    with pytest.raises(DecodeError, match=r"a\.dng: cannot be decoded"):
        still_of(tmp_path / "a.dng")


# -- several pictures in one file ------------------------------------------------------------------


def write_tiff(path: Path, *more: Pixels) -> None:
    first, *rest = (Image.fromarray(each) for each in (scene(), *more))
    first.save(path, save_all=True, append_images=rest)


def write_heic(path: Path) -> None:
    several = pillow_heif.from_pillow(Image.fromarray(scene()))
    for number in (1, 2):
        several.add_from_pillow(Image.fromarray(scene(number)))
    several.save(path, quality=90)


def write_animation(path: Path) -> None:
    first, *rest = (Image.fromarray(scene(number)) for number in range(3))
    first.save(path, save_all=True, append_images=rest, duration=400, quality=90)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tif", lambda path: write_tiff(path, scene(1), scene(2))),
        ("a.heic", write_heic),
        ("a.webp", write_animation),
        ("a.avif", write_animation),
    ],
)
def test_every_picture_of_a_file_is_a_frame(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / name)
    found = items(tmp_path, rate=5)
    frames = [each for each in found if isinstance(each, Frame)]
    assert [frame.frame_index for frame in frames] == [0, 1, 2]
    assert all(far(frame, scene(frame.frame_index)) < 6 for frame in frames)
    animated = name in ("a.webp", "a.avif")
    assert [frame.pts_s for frame in frames] == ([0, 0.4, 0.8] if animated else [None] * 3)
    assert [frame.page for frame in frames] == [not animated] * 3
    assert isinstance(found[-1], Finished)
    assert found[-1].frames == 3
    assert not any(isinstance(each, Failed) for each in found)


@pytest.mark.parametrize("name", ["a.webp", "a.avif"])
def test_one_picture_is_a_still_however_the_file_could_be_animated(
    name: str, tmp_path: Path
) -> None:
    Image.fromarray(scene()).save(tmp_path / name, save_all=True, quality=90)
    (frame,) = (each for each in items(tmp_path) if isinstance(each, Frame))
    assert frame.content_hash is not None


def test_an_animation_is_looked_at_as_often_as_its_rate_says(tmp_path: Path) -> None:
    pictures = [Image.fromarray(scene(number % 3)) for number in range(10)]
    pictures[0].save(
        tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=100, lossless=True
    )
    found = items(tmp_path, rate=5)
    frames = [each for each in found if isinstance(each, Frame)]
    assert [frame.frame_index for frame in frames] == [0, 2, 4, 6, 8]
    assert isinstance(found[-1], Finished)
    assert found[-1].frames == 10


@pytest.mark.parametrize("name", ["a.webp", "a.avif"])
def test_an_animation_without_times_shows_each_picture_for_a_tenth(
    name: str, tmp_path: Path
) -> None:
    first, *rest = (Image.fromarray(scene(number)) for number in range(3))
    first.save(tmp_path / name, save_all=True, append_images=rest, quality=90)
    frames = [each for each in items(tmp_path, rate=5) if isinstance(each, Frame)]
    assert [frame.pts_s for frame in frames] == [0, 0.2]


def test_a_smaller_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, scene(1))
    data = bytearray(path.read_bytes())
    second = data.rindex(struct.pack("<HHI", 256, 4, 1))  # its width: becomes what kind it is
    data[second : second + 12] = struct.pack("<HHII", 254, 4, 1, 1)
    path.write_bytes(data)
    (frame,) = (each for each in items(tmp_path) if isinstance(each, Frame))
    assert frame.content_hash is not None


def test_a_page_that_is_damaged_or_missing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, scene(1), scene(2))
    path.write_bytes(path.read_bytes()[:-20])
    *others, failed, finished = items(tmp_path)
    assert len([each for each in others if isinstance(each, Frame)]) >= 1
    assert isinstance(failed, Failed)
    assert failed.detail.startswith("picture ")
    assert isinstance(finished, Finished)
    assert finished.frames >= 1


def test_pages_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, scene(1))
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    (count,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * count)
    (more,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * more, first)
    path.write_bytes(data)
    found = items(tmp_path)
    assert len([each for each in found if isinstance(each, Frame)]) == 2
    (failed,) = (each for each in found if isinstance(each, Failed))
    assert failed.detail == "picture 3 of several: where the next page is to begin is none"


def test_pictures_that_were_decided_are_not_told_again(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", scene(1), scene(2))
    found = list(DirectorySource("in", tmp_path, known=Known(2)).items())
    assert [each.frame_index for each in found if isinstance(each, Frame)] == [2]


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.tif", lambda path: write_tiff(path, scene(1), scene(2))), ("a.heic", write_heic)],
)
def test_one_page_can_be_read_again(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path)
    frames = [each for each in items(tmp_path) if isinstance(each, Frame)]
    for frame in frames:
        again = page_of(path.read_bytes(), path, 100_000, frame.frame_index)
        assert np.array_equal(again.bgr(), frame.picture.bgr())
    with pytest.raises(DecodeError):
        page_of(path.read_bytes(), path, 100_000, 3)


# -- clips -----------------------------------------------------------------------------------------


def dhav(pictures: list[bytes]) -> bytes:
    """A recording of Motion JPEG as recorders of surveillance write it (.dav)."""
    data = b""
    for number, picture in enumerate(pictures):
        more = b"\x82\0\0\0" + struct.pack("<HH", 320, 180) + bytes((0x81, 0, 3, 25))
        length = 24 + len(more) + len(picture) + 8
        head = b"DHAV\xfd\0\0\0" + struct.pack(
            "<IIIHBB", number, length, 0, 40 * number, len(more), 0
        )
        data += head + more + picture + b"dhav" + struct.pack("<I", length)
    return data


@pytest.mark.parametrize("name", ["a.y4m", "a.dv", "a.dav", "a.ppm", "a.heics"])
def test_other_clips_are_read(name: str, tmp_path: Path) -> None:
    path, pictures = tmp_path / name, real_pictures()[:5]
    match path.suffix:
        case ".dav":
            path.write_bytes(dhav([jpeg(each) for each in pictures]))
        case ".ppm":
            path.write_bytes(b"".join(b"P6\n320 180\n255\n" + each.tobytes() for each in pictures))
        case ".y4m":
            write_clip(path, pictures, codec="wrapped_avframe", format="yuv4mpegpipe")
        case ".heics":
            write_clip(path, pictures, codec="libx265", format="mp4")
            path.write_bytes(path.read_bytes()[:8] + b"hevc" + path.read_bytes()[12:])
        case _:
            big = [np.asarray(Image.fromarray(each).resize((720, 576))) for each in pictures]
            write_clip(path, big, codec="dvvideo", format="dv")
    found = items(tmp_path)
    assert not [each for each in found if isinstance(each, Failed)]
    assert isinstance(found[-1], Finished)
    assert found[-1].frames == 5
    assert not any(each.content_hash for each in found if isinstance(each, Frame))
    assert list(ClipReader(path, "in").items())
