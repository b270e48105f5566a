"""A repaired still is upright, RGB of 8 bits and no larger than asked; its EXIF stays true."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from clips import SHARED_MEDIA
from footage import scene
from stillsift.decisions import Reason, about
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.sources.files import DecodeError
from stillsift.sources.files.header import read_header
from stillsift.store import Store
from stillsift.store.errors import OriginalChanged
from stillsift.store.repair import (
    ANONYMOUS,
    Fault,
    Repair,
    Repaired,
    faults_of,
    holds_several,
    repaired,
    repaired_names,
)

ALL = Repair(orientation=True, colour=True, suffix=True)
TAKEN = "2026:03:01 12:00:00"


def picture(mode: str = "RGB") -> Image.Image:
    rgb = Image.fromarray(cv2.cvtColor(scene(2), cv2.COLOR_BGR2RGB))
    return rgb.convert(mode)


def saved(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = orientation
    made[ExifTags.Base.Model] = "X100"
    made[ExifTags.Base.XResolution] = 300.0
    made[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: TAKEN,
        ExifTags.Base.ExifImageWidth: 320,
        ExifTags.Base.ExifImageHeight: 240,
        ExifTags.Base.MakerNote: b"offsets into the old file",
    }
    made[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return made


def faults(data: bytes, name: str, repair: Repair) -> set[Fault]:
    path = Path(name)
    return set(faults_of(data, path, read_header(data, path, repair.max_pixels), repair))


def after(data: bytes, name: str, repair: Repair) -> tuple[Repaired, Image.Image]:
    """What is written, and that as Pillow reads it as stored."""
    made = repaired(data, Path(name), repair, 95)
    assert made is not None
    assert made.data is not None
    image = Image.open(io.BytesIO(made.data))
    image.load()
    assert image.size == (made.width, made.height)
    return made, image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures of one size, grey levels."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other, int)).mean())


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_turned_still_is_upright_without_exif(orientation: int, format: str) -> None:
    data = saved(picture(), format, exif=exif(orientation), quality=95)
    name = f"a.{format.lower()}"
    made, image = after(data, name, ALL)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert difference(image, upright.convert("RGB")) < 2
    assert (image.format, made.done) == (format, f"EXIF orientation {orientation} applied")
    found = image.getexif()
    assert found[ExifTags.Base.Orientation] == 1
    assert repaired(made.data or b"", Path(name), ALL, 95) is None


def test_what_stays_true_of_exif_is_carried_over() -> None:
    _, image = after(saved(picture(), exif=exif(6)), "a.jpg", ALL)
    found = image.getexif()
    details = found.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == TAKEN
    assert found[ExifTags.Base.Model] == "X100"
    assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    size = (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight])
    assert size == image.size == (240, 320)
    assert ExifTags.Base.MakerNote not in details


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        *(("L", "JPEG"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF")),
        *(("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG")),
        *(("RGBA", "WEBP"), ("P", "BMP"), ("L", "PPM"), ("RGBA", "TGA")),
    ],
)
def test_every_layout_becomes_rgb_and_looks_the_same(mode: str, format: str) -> None:
    source = picture()
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
        was = ImageCms.applyTransform(source, to_lab)
        assert was is not None
    else:
        was = source.convert(mode)
    if mode == "RGBA":
        was.putalpha(Image.linear_gradient("L").resize(was.size))
    name = f"a.{format.lower()}"
    made, image = after(saved(was, format), name, ALL)
    assert image.mode == "RGB"
    seen = source if mode in ("LAB", "CMYK") else was.convert("RGB")
    if mode == "RGBA":
        seen = Image.new("RGB", was.size, "white")
        seen.paste(was, mask=was)
    assert difference(image, seen) < 6
    assert "RGB of 8 bits" in made.done
    assert repaired(made.data or b"", Path(name), ALL, 95) is None


def test_16_bits_come_out_as_they_are_measured() -> None:
    deep = np.arange(240 * 320, dtype=np.uint16).reshape(240, 320) % 400 + 20_000
    data = cv2.imencode(".png", deep)[1].tobytes()
    _, image = after(data, "depth.png", ALL)
    assert np.asarray(image).min() < 30
    assert np.asarray(image).max() > 225  # stretched: it would be two grey levels
    smaller = Repair(orientation=True, longest_side=100, format="jpeg")
    assert repaired(data, Path("depth.png"), smaller, 95) is None  # no colours, no values lost


def swapped_primaries() -> bytes:
    """The profile of sRGB, with what red and blue mean swapped, under another name."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for one, other in (
        (b"rXYZ", b"bXYZ"),
        ("sRGB".encode("utf-16-be"), "XRGB".encode("utf-16-be")),
    ):
        data = data.replace(one, b"~~~~").replace(other, one).replace(b"~~~~", other)
    return data


def test_colours_follow_their_profile() -> None:
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    profile = swapped_primaries()
    data = saved(red.convert("P"), "PNG", icc_profile=profile)
    _, image = after(data, "a.png", ALL)
    assert image.getpixel((5, 5)) == pytest.approx((0, 0, 255), abs=3)
    assert "icc_profile" not in image.info
    plain = saved(red, "PNG", icc_profile=profile)
    _, image = after(plain, "a.png", Repair(longest_side=16))  # colours were not asked for
    assert image.getpixel((5, 5)) == (255, 0, 0)
    assert image.info["icc_profile"] == profile
    broken = saved(red.convert("P"), "PNG", icc_profile=profile[:200])
    assert after(broken, "a.png", ALL)[1].getpixel((5, 5)) == (255, 0, 0)


def test_a_picture_is_made_smaller_in_proportion_and_keeps_its_layout() -> None:
    small = Repair(longest_side=100)
    made, image = after(saved(picture()), "a.jpg", small)
    assert (image.size, made.done) == ((100, 75), "320x240 to 100x75")
    assert difference(image, picture().resize((100, 75), Image.Resampling.LANCZOS)) < 6
    assert after(saved(picture("L"), "PNG"), "a.png", small)[1].mode == "L"
    clear = picture("RGBA")
    clear.putalpha(77)
    kept = after(saved(clear, "PNG"), "a.png", small)[1]
    assert kept.mode == "RGBA"
    assert set(np.asarray(kept)[..., 3].ravel()) == {77}
    turned = after(saved(picture(), exif=exif(6)), "a.jpg", small)[1]
    assert turned.getexif()[ExifTags.Base.Orientation] == 6  # it was not asked for
    assert repaired(saved(picture()), Path("a.jpg"), Repair(longest_side=320), 95) is None


@pytest.mark.parametrize(
    ("format", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("webp", ".webp")]
)
def test_all_get_one_format(format: Any, suffix: str) -> None:
    one = Repair(format=format)
    for before in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        has_exif = before in ("JPEG", "TIFF")
        data = saved(picture(), before, **({"exif": exif(1).tobytes()} if has_exif else {}))
        name = f"a.{before.lower()}"
        if before.lower() == format:
            assert repaired(data, Path(name), one, 95) is None
            continue
        made, image = after(data, name, one)
        assert (image.format, made.suffix) == (format.upper(), suffix)
        if has_exif:
            assert image.getexif()[ExifTags.Base.Model] == "X100"


def uncovered(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
    return pixels.copy(), f"{ANONYMOUS}: no face found"


def grey_profile() -> bytes:
    """A profile of grey light, by the parts that the ICC asks for."""

    def s15(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    name = b"grey as of sRGB\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249),
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12x4s",
        132 + len(table) - 4 + len(body),
        b"none",
        0x02100000,
        b"mntr",
        b"GRAY",
        b"XYZ ",
        b"acsp",
    )
    return head.ljust(68, b"\0") + s15(0.9642, 1, 0.8249) + bytes(48) + table + body


@pytest.mark.parametrize(
    ("was", "before", "repair", "mode"),
    [
        ("L", "JPEG", Repair(cover=uncovered), "RGB"),
        ("L", "PNG", Repair(cover=uncovered), "RGB"),
        ("L", "PNG", Repair(cover=uncovered, colour=True), "RGB"),
        ("L", "PNG", Repair(format="webp"), "RGB"),
        ("LA", "PNG", Repair(longest_side=100), "RGBA"),
        ("L", "JPEG", Repair(longest_side=100), "L"),
        ("L", "PNG", Repair(format="jpeg"), "L"),
    ],
)
def test_a_profile_goes_with_the_layout_that_it_is_for(
    was: str, before: str, repair: Repair, mode: str
) -> None:
    profile = grey_profile()
    assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space == "GRAY"
    data = saved(picture("L").convert(was), before, icc_profile=profile)
    _, image = after(data, f"a.{before.lower()}", repair)
    assert (image.mode, image.info.get("icc_profile")) == (mode, profile if mode == "L" else None)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize("colour", [True, False])
def test_what_is_cut_out_stays_so_in_what_is_covered(
    orientation: int, format: str, colour: bool
) -> None:
    """It is laid over the ground that it was looked at on."""
    clear = picture("RGBA")
    clear.putalpha(Image.new("L", clear.size))
    clear.paste((200, 30, 30, 255), (0, 0, 64, 64))
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    data = saved(clear, format, exif=exif(orientation), **options)
    cover = Repair(colour=colour, cover=uncovered)
    _, image = after(data, f"a.{format.lower()}", cover)
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    assert np.abs(pixels[:32, :32].astype(int) - (200, 30, 30)).max() < 12
    hidden = np.ones(pixels.shape[:2], bool)
    hidden[:80, :80] = False
    assert pixels[hidden].min() > 250, "white, where it was cut out"


def test_a_lying_suffix_changes_no_byte() -> None:
    made = repaired(saved(picture(), "PNG"), Path("a.JPG"), Repair(suffix=True), 95)
    assert made is not None
    assert (made.data, made.suffix) == (None, ".png")
    assert made.done == "named .JPG, and is a PNG: now .png"
    assert repaired(saved(picture()), Path("a.JPEG"), Repair(suffix=True), 95) is None
    assert repaired_names(Path("b/a.JPG"), ".png") == (Path("b/a.png"), Path("b/a.JPG.png"))
    assert repaired_names(Path("b/a.JPG"), ".jpg") == (Path("b/a.JPG"),)


def test_nothing_is_wrong_where_nothing_was_asked_for() -> None:
    data = saved(picture("CMYK"), exif=exif(3))
    assert not Repair().asked
    assert faults(data, "a.png", Repair()) == set()
    everything = Repair(True, True, True, 100, "webp")
    wrong = {Fault.SUFFIX, Fault.ORIENTATION, Fault.COLOUR, Fault.SIZE, Fault.FORMAT}
    assert faults(data, "a.png", everything) == wrong


def test_what_cannot_be_decoded_is_told() -> None:
    data = saved(picture("L"), "PNG")
    with pytest.raises(DecodeError, match="cut off"):
        repaired(data[:-500], Path("a.png"), ALL, 95)


def test_files_of_several_pictures_are_known() -> None:
    pages = saved(picture(), "TIFF", save_all=True, append_images=[picture()])
    assert holds_several(pages, Path("a.tif"))
    assert not holds_several(saved(picture(), "TIFF"), Path("a.tif"))
    assert not holds_several(saved(picture()), Path("a.jpg"))


def test_a_repaired_still_is_placed_once(tmp_path: Path) -> None:
    """As after a crash between the file and its record: what lies there is this very file."""
    store = Store(tmp_path / "store", min_free=0)
    path, data = tmp_path / "a.png", saved(picture("P"), "PNG")
    path.write_bytes(data)
    seen = ArrayPicture(np.zeros((240, 320, 3), np.uint8))
    digest = hashlib.sha256(data).hexdigest()
    one = Frame("cam", "a|1", 0, 10**18, TimeOrigin.MTIME, seen, file=path, content_hash=digest)
    decision = about(one, Reason.NOVEL)
    for _ in range(2):
        kept = store.place(one, decision, ALL)
        assert (kept.repairs, kept.width, kept.height) == ("palette to RGB of 8 bits", 320, 240)
        lies = (store.root / kept.path).read_bytes()
        assert (hashlib.sha256(lies).hexdigest(), len(lies)) == (kept.sha256, kept.bytes)
    assert decision.content_hash == digest != kept.sha256
    path.write_bytes(b"another picture")
    with pytest.raises(OriginalChanged):
        store.place(one, decision, ALL)


@pytest.mark.skipif(not SHARED_MEDIA.is_dir(), reason="needs the labelled footage")
def test_real_malformed_files_become_rgb_or_are_told() -> None:
    made = 0
    for path in sorted((SHARED_MEDIA / "g").glob("*")):
        data = path.read_bytes()
        try:
            one = repaired(data, path, ALL, 95)
        except DecodeError:
            continue
        if one is None or one.data is None:
            continue
        with Image.open(io.BytesIO(one.data)) as image:
            image.load()
            assert (image.mode, image.size) == ("RGB", (one.width, one.height)), path
        made += 1
    assert made >= 20
