"""Finds what a trainer would trip over in a still, and writes the still anew without it.

Nothing is looked for that was not asked for, and a still that has none of it stays byte for byte.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from ..sources.files import DecodeError
from ..sources.files.contents import Kind, kind_of
from ..sources.files.extent import extent_of
from ..sources.files.header import FORMATS, Header, bad_file, exif_of, opened, read_header
from ..sources.files.pixels import decoded_pixels
from .names import still_suffix

log = logging.getLogger(__name__)

ImageFormat = Literal["jpeg", "png", "webp"]


Cover = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], str]]
"""Returns a (height, width, 3) BGR picture with objects covered, and what was done, which begins
with `ANONYMOUS`. Raises StoreError."""

ANONYMOUS = "made anonymous"
"""Begins what is recorded of a picture in which objects were covered."""


class Fault(StrEnum):
    """Names what can be wrong with a still."""

    UNREADABLE = "unreadable"
    """It cannot be decoded, is damaged, or ends early; nothing puts that right."""
    SUFFIX = "suffix"
    """Its name says another format than its bytes."""
    ORIENTATION = "orientation"
    """Its pixels lie otherwise than it is looked at, and only EXIF says so."""
    COLOUR = "colour"
    """It is not of three channels of 8 bits: grey, palette, transparent, CMYK, 16 bits, floats."""
    SIZE = "size"
    """It is larger than was asked for."""
    FORMAT = "format"
    """It has another format than was asked for."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Says what is put right in a still; as it is made, nothing is."""

    orientation: bool = False
    colour: bool = False
    suffix: bool = False
    longest_side: int | None = None
    """Most pixels of the longer side; None: any number."""
    format: ImageFormat | None = None
    """The one format that stills get; None: each has its own."""
    max_pixels: int = 100 * 10**6
    """Largest still that is decoded, in pixels."""
    cover: Cover | None = None
    """Covers what nobody is to recognise, of stills and of frames; then no still is kept byte for
    byte. None: nothing is covered."""

    @property
    def asked(self) -> bool:
        """Tells whether anything is put right at all."""
        wanted = self.orientation or self.colour or self.suffix
        return bool(wanted or self.longest_side or self.format or self.cover)


NOTHING = Repair()


@dataclass(frozen=True, slots=True)
class Repaired:
    """Holds a still as it is to be written."""

    data: bytes | None
    """Its file; None: that of the original, whose name alone was wrong."""
    suffix: str
    """The suffix that fits, in lower case, with its dot."""
    width: int
    height: int
    done: str
    """What was done, for people: "orientation 6 applied; CMYK to RGB"."""


_KIND_OF: dict[str, Kind] = {"jpeg": Kind.JPEG, "png": Kind.PNG, "webp": Kind.WEBP}
_WRITTEN = {
    Kind.JPEG: ("JPEG", ".jpg"),
    Kind.PNG: ("PNG", ".png"),
    Kind.WEBP: ("WEBP", ".webp"),
    Kind.TIFF: ("TIFF", ".tif"),
    Kind.BMP: ("BMP", ".bmp"),
    Kind.PNM: ("PPM", ".ppm"),
    Kind.TGA: ("TGA", ".tga"),
}
"""Pillow's name of each kind that is written, and its usual suffix."""
_INSTEAD = {Kind.GIF: Kind.PNG}
"""Kinds that are written instead of those that are not; of all others it is JPEG."""
_DEEP_BY_HEADER = frozenset({Kind.JPEG, Kind.PNG, Kind.TIFF, Kind.PNM, Kind.JP2})
"""Kinds whose header tells whether a channel has more than 8 bits; all others are decoded to 8."""
_SEVERAL = frozenset({Kind.GIF, Kind.PNG, Kind.TIFF, Kind.WEBP, Kind.AVIF, Kind.HEIC})
"""Kinds of which a file may hold several pictures."""
_LAYOUTS = {
    "1": "1 bit",
    "L": "grey",
    "P": "palette",
    "LA": "transparent grey",
    "PA": "transparent palette",
    "RGBA": "transparent",
    "I": "grey of 32 bits",
    "F": "floats",
}
"""Words for Pillow's names of layouts."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns the pixels of each EXIF orientation upright."""
_BACK = {
    **_TURNS,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""What turns them back."""
_ENDS_WITH_ALPHA = frozenset({Kind.PNG, Kind.WEBP, Kind.TIFF})
"""Kinds in which a picture stays transparent where its colours are not to be repaired."""

_CARRIED = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model),
    *(ExifTags.Base.Software, ExifTags.Base.DateTime, ExifTags.Base.Artist),
    ExifTags.Base.Copyright,
)
"""EXIF tags of the picture itself that stay valid. Those that describe how the old file stored it
(in a TIFF, where its strips lie) do not."""
_NOT_CARRIED = frozenset({ExifTags.Base.MakerNote, ExifTags.IFD.Interop})
"""Tags of the EXIF details that point into the old file."""


def faults_of(data: bytes, path: Path, header: Header, repair: Repair) -> dict[Fault, str]:
    """Returns what is wrong with a still by what `repair` asks for, each with a word on it.

    `data` is the whole file, `header` what `read_header` says of it. Of a camera's RAW only the
    format counts. A picture of more than 8 bits is changed only where its colours are repaired,
    since nothing else would leave its values as they are.
    """
    kind = kind_of(data[:64], path.suffix.lower())
    found: dict[Fault, str] = {}
    right = still_suffix(data[:32], path.suffix)
    if repair.suffix and right != path.suffix.lower():
        found[Fault.SUFFIX] = f"named {path.suffix or 'without a suffix'}, and is {kind.value}"
    deep = _is_deep(data, kind, header)
    changeable = repair.colour or not deep
    if repair.format is not None and kind is not _KIND_OF[repair.format] and changeable:
        found[Fault.FORMAT] = f"{kind.value}, not {repair.format}"
    if kind is Kind.RAW or not changeable:
        return found
    if repair.orientation and header.orientation != 1:
        found[Fault.ORIENTATION] = f"EXIF orientation {header.orientation}"
    if repair.colour and (layout := _layout(header, deep=deep)) is not None:
        found[Fault.COLOUR] = f"{layout}, not RGB of 8 bits"
    longest, size = repair.longest_side, header.size
    if longest is not None and size is not None and max(size) > longest:
        found[Fault.SIZE] = f"{size[0]}x{size[1]}"
    return found


def _is_deep(data: bytes, kind: Kind, header: Header) -> bool:
    """Tells whether a channel of a picture has more than 8 bits."""
    extent = extent_of(io.BytesIO(data), kind) if kind in _DEEP_BY_HEADER else None
    return (extent is not None and extent.bytes_per_channel > 1) or header.mode[:1] in ("I", "F")


def holds_several(data: bytes, path: Path) -> bool:
    """Tells whether a file holds several pictures: pages, or those of an animation.

    Further views of one shot in a JPEG count as none. Raises DecodeError.
    """
    kind = kind_of(data[:64], path.suffix.lower())
    if kind not in _SEVERAL:
        return False
    with bad_file(path, f"{kind.value} that is damaged"), opened(data, path) as image:
        return int(getattr(image, "n_frames", 1)) > 1


def _layout(header: Header, *, deep: bool) -> str | None:
    """Returns what a picture is instead of RGB of 8 bits; None: it is that."""
    if header.mode == "RGB" and not deep and not header.transparent:
        return None
    layout = _LAYOUTS.get(header.mode, header.mode)
    if header.mode.startswith("I;"):
        return "grey of 16 bits"
    if not header.mode:
        return "more than 8 bits a channel" if deep else "an unusual layout"
    if deep and header.mode not in ("I", "F"):
        return f"{layout} of 16 bits"
    plain = header.mode in ("1", "L", "P", "RGB")
    return f"transparent {layout}" if header.transparent and plain else layout


def repaired(
    data: bytes, path: Path, repair: Repair, jpeg_quality: int, header: Header | None = None
) -> Repaired | None:
    """Returns a still with what `repair` asks for put right; None: nothing is wrong with it.

    `data` is the whole file. What is written anew keeps its format where that is JPEG, PNG, WebP,
    TIFF, BMP, PNM or TGA and `repair` asks for no other; else a GIF becomes a PNG and all others
    become a JPEG. `jpeg_quality`: 1 to 100, also of WebP. Time, place and camera in its EXIF data
    stay. Raises DecodeError where it cannot be decoded or written.
    """
    header = read_header(data, path, repair.max_pixels) if header is None else header
    faults = faults_of(data, path, header, repair)
    if not faults and repair.cover is None:
        return None
    if faults.keys() == {Fault.SUFFIX} and repair.cover is None:
        suffix = still_suffix(data[:32], path.suffix)
        width, height = header.size or (0, 0)
        return Repaired(None, suffix, width, height, f"{faults[Fault.SUFFIX]}: now {suffix}")
    kind = kind_of(data[:64], path.suffix.lower())
    made = kind if kind in _WRITTEN else _INSTEAD.get(kind, Kind.JPEG)
    if repair.format is not None:
        made = _KIND_OF[repair.format]
    image, profile = _pixels(data, path, header, kind, made, repair)
    stored = image.size
    turned = Fault.ORIENTATION in faults or kind is Kind.RAW
    with bad_file(path, "cannot be turned or made smaller"):
        if turned and header.orientation != 1:
            image = image.transpose(_TURNS[header.orientation])
        if repair.longest_side is not None and max(image.size) > repair.longest_side:
            image = image.resize(
                size_within(image.size, repair.longest_side), Image.Resampling.LANCZOS
            )
    covered = None
    if repair.cover is not None:
        upright = 1 if turned else header.orientation
        image, covered = _covered(image, upright, repair.cover)
    exif = _carried(data, path, image.size, 1 if turned else header.orientation)
    written = _encoded(image, path, made, jpeg_quality, exif, profile)
    suffix = still_suffix(written[:32], path.suffix if made is kind else _WRITTEN[made][1])
    done = _told(faults, stored, image, kind, made, suffix)
    done = "; ".join(each for each in (covered, done) if each)
    return Repaired(written, suffix, image.width, image.height, done)


def _covered(image: Image.Image, orientation: int, cover: Cover) -> tuple[Image.Image, str]:
    """Returns a picture as it is stored with objects covered, which are looked for upright."""
    turn = _TURNS.get(orientation)
    upright = image.convert("RGB") if turn is None else image.convert("RGB").transpose(turn)
    bgr = np.asarray(cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGB2BGR), np.uint8)
    covered, done = cover(bgr)
    made = Image.fromarray(cv2.cvtColor(covered, cv2.COLOR_BGR2RGB))
    back = _BACK.get(orientation)
    return (made if back is None else made.transpose(back)), done


def _told(
    faults: Mapping[Fault, str],
    stored: tuple[int, int],
    image: Image.Image,
    kind: Kind,
    made: Kind,
    suffix: str,
) -> str:
    told = []
    if Fault.ORIENTATION in faults:
        told.append(f"{faults[Fault.ORIENTATION]} applied")
    if Fault.COLOUR in faults:
        told.append(faults[Fault.COLOUR].replace(", not", " to"))
    if max(image.size) < max(stored):
        told.append(f"{stored[0]}x{stored[1]} to {image.width}x{image.height}")
    if made is not kind:
        told.append(f"{kind.value} to {_WRITTEN[made][0]}")
    if Fault.SUFFIX in faults:
        told.append(f"{faults[Fault.SUFFIX]}: now {suffix}")
    return "; ".join(told)


def size_within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Returns a size in the same proportion whose longer side is at most `longest`."""
    share = min(1.0, longest / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _pixels(
    data: bytes,
    path: Path,
    header: Header,
    kind: Kind,
    made: Kind,
    repair: Repair,
) -> tuple[Image.Image, bytes | None]:
    """Returns the picture as stored, and the colour profile that holds for it; None: it is sRGB.

    It is RGB as the picture is measured. Where colours are not to be repaired, grey stays grey, and
    transparent stays transparent where the new format can be. What is to be covered is laid over
    the ground, so that nothing shows in it that was cut out.
    """
    if kind is Kind.RAW or not header.mode:  # Pillow does not know the layout of every TIFF
        return _rgb(data, path, header), None
    profile = opened(data, path).info.get("icc_profile")
    if not repair.colour:
        if header.transparent and made in _ENDS_WITH_ALPHA and repair.cover is None:
            return _converted(data, path, kind, "RGBA"), profile
        if header.mode in ("1", "L") and not header.transparent:
            return _converted(data, path, kind, "L"), profile
        if header.mode == "RGB":
            return _rgb(data, path, header), profile
    space = None if profile is None else _space_of(profile)
    if profile is None or space is None:
        return _rgb(data, path, header), None
    of_profile = {"CMYK": "CMYK", "L": "GRAY", "LAB": "Lab"}.get(header.mode, "RGB")
    if space != of_profile:
        return _rgb(data, path, header), None
    own = header.mode in ("CMYK", "L", "LAB")
    image = _converted(data, path, kind, header.mode) if own else _rgb(data, path, header)
    return _in_srgb(image, path, profile), None


def _rgb(data: bytes, path: Path, header: Header) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(decoded_pixels(data, header, path), cv2.COLOR_BGR2RGB))


def _converted(data: bytes, path: Path, kind: Kind, mode: str) -> Image.Image:
    """Decodes a picture of 8 bits or less as the layout with Pillow's name `mode`."""
    with (
        bad_file(path, "cannot be decoded: its data is damaged or incomplete"),
        Image.open(io.BytesIO(data), formats=FORMATS[kind]) as image,
    ):
        image.info.pop("exif", None)
        return image.convert(mode)


_SRGB = ImageCms.createProfile("sRGB")
_SPACE = slice(16, 20)
"""Where a profile names the colour space that it is for (ICC.1, 7.2.6)."""


def _space_of(profile: bytes) -> str | None:
    """Returns the colour space that a profile is for: "RGB", "CMYK", "GRAY".

    None: it cannot be read, or says sRGB, which needs no conversion.
    """
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(read):
            return None
        return str(read.profile.xcolor_space).strip()
    except (OSError, ImageCms.PyCMSError, AttributeError) as error:
        log.debug("a colour profile cannot be read: %s", error)
        return None


def _in_srgb(image: Image.Image, path: Path, profile: bytes) -> Image.Image:
    with bad_file(path, "its colours cannot be converted by its profile"):
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(image, read, _SRGB, outputMode="RGB")
        assert made is not None
        return made


def _carried(data: bytes, path: Path, size: tuple[int, int], orientation: int) -> bytes | None:
    """Returns the EXIF data that stays valid for a picture of this size; None: there is none."""
    try:
        old = exif_of(data, path)
        with bad_file(path, "damaged EXIF"):
            return _exif_bytes(old, size, orientation)
    except DecodeError as error:
        log.debug("EXIF data left out: %s", error)
        return None


def _exif_bytes(old: Image.Exif, size: tuple[int, int], orientation: int) -> bytes | None:
    new = Image.Exif()
    for tag in _CARRIED:
        if tag in old:
            new[tag] = old[tag]
    details: dict[int, Any] = {
        tag: value
        for tag, value in old.get_ifd(ExifTags.IFD.Exif).items()
        if tag not in _NOT_CARRIED
    }
    if details:
        for tag, pixels in zip(
            (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight), size, strict=True
        ):
            if tag in details:
                details[tag] = pixels
        new[ExifTags.IFD.Exif] = details
    if place := dict(old.get_ifd(ExifTags.IFD.GPSInfo)):
        new[ExifTags.IFD.GPSInfo] = place
    if not len(new) and orientation == 1:
        return None
    new[ExifTags.Base.Orientation] = orientation
    return new.tobytes()


def _encoded(
    image: Image.Image,
    path: Path,
    kind: Kind,
    jpeg_quality: int,
    exif: bytes | None,
    profile: bytes | None,
) -> bytes:
    """Returns the file of a picture, without a profile of grey where it is grey no longer.

    Raises DecodeError.
    """
    name = _WRITTEN[kind][0]
    given: dict[str, Any] = {}
    colours = image.mode != "L" or kind is Kind.WEBP
    if profile is not None and colours and profile[_SPACE] == b"GRAY":
        profile = None
    if kind in (Kind.JPEG, Kind.WEBP):
        given["quality"] = jpeg_quality
    if kind in (Kind.JPEG, Kind.PNG, Kind.WEBP, Kind.TIFF):
        given |= {"icc_profile": profile} if profile else {}
        given |= {"exif": exif} if exif else {}
    file = io.BytesIO()
    with bad_file(path, f"{image.width}x{image.height} cannot be written as {name}"):
        if image.mode == "L" and kind is Kind.WEBP:
            image = image.convert("RGB")
        image.info.clear()
        image.save(file, name, **given)
    return file.getvalue()


def repaired_names(path: Path, suffix: str) -> tuple[Path, ...]:
    """Returns the names that a repaired still may have, the best first.

    That is its own where `suffix` is its suffix; else the name with that suffix, and the whole name
    with it behind, for where another file has the first.
    """
    if path.suffix.lower() == suffix:
        return (path,)
    return path.with_suffix(suffix), path.with_name(f"{path.name}{suffix}")


def unrepaired(error: DecodeError) -> str:
    """Returns what is recorded of a still that could not be repaired, and stays as it is."""
    return f"not repaired: {error.reason}"
