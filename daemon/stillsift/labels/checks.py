"""Holds labels against their pictures."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ..sources.files.contents import STILL_SUFFIXES
from ..sources.files.still import Unreadable, looked_at
from ..sources.files.tree import natural
from .class_names import ClassNames, Names
from .coco import MOST_BYTES, is_coco, mended_coco, read_coco
from .findings import Box, Edges, Kind, Labels, Read, Wrong
from .voc import is_voc, mended_voc, read_voc
from .yolo import is_yolo, mended_yolo, read_yolo

_SLACK_PX = 0.5
"""Pixels by which a box may reach beyond a picture: numbers are rounded."""
_MOST_BYTES = 64 << 20
"""Largest file of the labels of one picture that is read."""
_STILLS = STILL_SUFFIXES | {".gif"}
_IMAGES = {"labels": "images", "annotations": "images"}
"""Folders of labels, and the folder of pictures beside each, laid out alike."""
_JPEG_IMAGES = "JPEGImages"
"""Folder of pictures beside Annotations of Pascal VOC."""


@dataclass(slots=True)
class Checked:
    """Tells what was found below some folders."""

    files: int = 0
    """Label files."""
    boxes: int = 0
    pictures: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    """In the order of files and lines."""
    poses: set[Path] = field(default_factory=set)
    """Label files in which points of a pose stand behind each box (YOLO)."""
    sha256: dict[Path, str] = field(default_factory=dict)
    """SHA-256 (hex) of each label file as it was read; lines and boxes are told of these bytes."""
    unlabelled: list[Path] = field(default_factory=list)
    """Pictures without a label, which may be meant so; empty where there are no labels at all."""


class _Pictures:
    """Finds pictures by name, and remembers how large they are."""

    def __init__(self, paths: Iterable[Path], max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self.all = sorted(paths, key=natural)
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        self._sizes: dict[Path, tuple[tuple[int, int], tuple[int, int]] | str] = {}
        self.labelled: set[Path] = set()
        for path in self.all:
            self._by_name[path.name].append(path)
            self._by_stem[path.stem].append(path)

    def named(self, name: str, label: Path) -> Path | None:
        """Returns the picture that a label file means by a name or path: the nearest to it."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        found = self._by_name.get(parts[-1] if parts else "", [])
        ends = [path for path in found if path.parts[-len(parts) :] == parts]
        return _nearest(ends, label)

    def beside(self, label: Path) -> Path | None:
        """Returns the picture that belongs to a label file by its own name; None: there is none."""
        found = self._by_stem.get(label.stem, [])
        folders = {label.parent, *_mirrored(label.parent)}
        return _nearest([path for path in found if path.parent in folders], label)

    def of(self, labels: Labels) -> Path | None:
        """Returns the picture that labels are of; None: there is none."""
        if labels.image is None:
            return self.beside(labels.file)
        return self.named(labels.image, labels.file)

    def size(self, path: Path) -> tuple[tuple[int, int], tuple[int, int]] | str:
        """Returns (width, height) upright and as stored; a sentence: it cannot be read."""
        if path not in self._sizes:
            try:
                header, picture = looked_at(path, self._max_pixels)
            except Unreadable as error:
                reason = str(error)
                self._sizes[path] = reason.removeprefix(f"{path}: ")
            else:
                upright = (picture.width, picture.height)
                self._sizes[path] = upright, header.size or upright
        return self._sizes[path]


def _nearest(found: Sequence[Path], label: Path) -> Path | None:
    """Returns the path that has most folders in common with that of a label file."""

    def common(path: Path) -> int:
        pairs = zip(path.parts, label.parts, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a != b), len(label.parts))

    return max(found, key=common, default=None)


def _mirrored(folder: Path) -> Iterator[Path]:
    """Yields the folders of pictures that mirror a folder of labels."""
    for at in range(len(folder.parts) - 1, 0, -1):
        part = folder.parts[at]
        above, rest = Path(*folder.parts[:at]), folder.parts[at + 1 :]
        if part.lower() in _IMAGES:
            yield above.joinpath(_IMAGES[part.lower()], *rest)
            yield above.joinpath(_JPEG_IMAGES, *rest)
            yield above.joinpath(*rest)


def checked(roots: Sequence[Path], paths: Iterable[Path], max_pixels: int) -> Checked:
    """Checks all labels among `paths`, files below `roots`, against the pictures among them.

    Pictures are decoded, to tell whether they can be.
    """
    paths = sorted(set(paths), key=natural)
    pictures = _Pictures((each for each in paths if each.suffix.lower() in _STILLS), max_pixels)
    names = Names(tuple(roots))
    found = Checked(pictures=len(pictures.all))
    odd: list[ClassNames] = []
    for path in paths:
        read = _read(path, pictures, names)
        if read is None:
            continue
        found.files += 1
        if read.keypoints:
            found.poses.add(path)
        if read.sha256 is not None:
            found.sha256[path] = read.sha256
        if read.known.wrong is not None and read.known not in odd:
            odd.append(read.known)
            what = f"the names of the classes cannot be read: {read.known.wrong}"
            way_out = "mend it by hand"
            named = read.known.file or path
            found.wrong.append(Wrong(named, None, Kind.UNPARSABLE, what, way_out))
        of_file = [*read.wrong]
        for labels in read.labels:
            found.boxes += len(labels.boxes)
            of_file += _wrong_with(labels, read, pictures)
        found.wrong += sorted(of_file, key=lambda one: one.line or 0)
    if found.files:
        found.unlabelled = [path for path in pictures.all if path not in pictures.labelled]
    return found


def labels_of(roots: Sequence[Path], paths: Iterable[Path]) -> dict[Path, list[Labels]]:
    """Returns the labels of each picture among `paths`, files below `roots`, that has some.

    No picture is opened.
    """
    paths = sorted(set(paths), key=natural)
    pictures = _Pictures((each for each in paths if each.suffix.lower() in _STILLS), max_pixels=0)
    names = Names(tuple(roots))
    found: defaultdict[Path, list[Labels]] = defaultdict(list)
    for path in paths:
        read = _read(path, pictures, names)
        if read is None:
            continue
        for labels in read.labels:
            if (picture := pictures.of(labels)) is not None:
                found[picture].append(replace(labels, known=read.known))
    return found


def label_folders(folder: Path) -> Iterator[Path]:
    """Yields the folders of labels that mirror a folder of pictures, whether they are there or not.

    They are the whole trees: what lies in them is matched by its own path.
    """
    for at, part in enumerate(folder.parts):
        if part in (*_IMAGES.values(), _JPEG_IMAGES):
            for name in (*_IMAGES, "Annotations"):
                yield Path(*folder.parts[:at], name)


def _read(path: Path, pictures: _Pictures, names: Names) -> Read | None:
    """Returns what a file holds; None: it is no label file."""
    suffix = path.suffix.lower()
    if suffix not in (".xml", ".txt", ".json"):
        return None
    try:
        size = path.stat().st_size
        if size > (MOST_BYTES if suffix == ".json" else _MOST_BYTES):
            what = "a file of labels" if suffix == ".json" else "one picture"
            why, way_out = f"has {size:,} bytes, too many for {what}", "take it away"
            return Read(wrong=[Wrong(path, None, Kind.UNPARSABLE, why, way_out)])
        data = path.read_bytes()
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        return Read(wrong=[Wrong(path, None, Kind.UNPARSABLE, why, "give this user the right")])
    read = _parsed(data, path, pictures, names)
    if read is not None:
        read.sha256 = hashlib.sha256(data).hexdigest()
    return read


def _parsed(data: bytes, path: Path, pictures: _Pictures, names: Names) -> Read | None:
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return read_voc(data, path) if is_voc(data, path) else None
    if suffix == ".json":
        return read_coco(data, path) if is_coco(data) else None
    picture = pictures.beside(path)
    if not is_yolo(data, path, beside=picture is not None):
        return None
    known = names.of(path.parent, None if picture is None else picture.parent)
    read = read_yolo(data, path, keypoints=known.pose is not None)
    read.names = known.names
    read.known = known
    return read


def _wrong_with(labels: Labels, read: Read, pictures: _Pictures) -> Iterator[Wrong]:
    """Yields what is wrong with the labels of one picture."""
    file, line, name = labels.file, labels.line, labels.image
    picture = pictures.of(labels)
    size: tuple[int, int] | None = labels.size
    sure = True  # of the picture that the boxes were drawn on
    if picture is None:
        sure = False
        what = f"there is no picture {name}" if name else "there is no picture of its name"
        other = None if name is None else pictures.beside(file)
        if other is not None and file.suffix.lower() == ".xml":
            what += f", only {other.name}"
            pictures.labelled.add(other)
        way_out = "bring the picture back, correct the name, or take the labels out"
        yield Wrong(file, line, Kind.NO_IMAGE, what, way_out)
    else:
        pictures.labelled.add(picture)
        sizes = pictures.size(picture)
        if isinstance(sizes, str):
            way_out = "get the picture again, or take it away with its labels"
            yield Wrong(file, line, Kind.UNREADABLE_IMAGE, f"{picture.name} {sizes}", way_out)
        else:
            if size is not None and size != sizes[0]:
                told, real = (f"{width}x{height}" for width, height in (size, sizes[0]))
                what = f"{picture.name} is {real}, and the labels say {told}"
                way_out = "scale the boxes, or correct the size where they fit"
                if size == sizes[0][::-1]:
                    what += ": they fit it lying on its side"
                    way_out = "turn the boxes, or correct the size where they fit"
                yield Wrong(file, line, Kind.SIZE, what, way_out)
                sure = size in sizes
            size = size if size in sizes else sizes[0]
    limits = (1.0, 1.0) if labels.shares else size
    if not sure and not labels.shares:
        limits = None  # what reaches beyond one picture may lie in another, or in a larger one
    slack = (_SLACK_PX, _SLACK_PX)
    if labels.shares:
        width, height = size or (5000, 5000)
        slack = (_SLACK_PX / width, _SLACK_PX / height)
    seen: dict[tuple[object, ...], Box] = {}
    for box in labels.boxes:
        yield from _of_box(labels, box, read, limits, slack, seen)


def _of_box(
    labels: Labels,
    box: Box,
    read: Read,
    limits: tuple[float, float] | None,
    slack: tuple[float, float],
    seen: dict[tuple[object, ...], Box],
) -> Iterator[Wrong]:
    """Yields what is wrong with one box; each mends what those before it have left.

    `limits`: width and height of the picture, in the unit of the box; None: nobody knows. `seen`:
    boxes of the same picture before it.
    """
    file, place = labels.file, f"{box.place}: " if box.place else ""
    if box.label in ("", "None") or (read.names is not None and box.label not in read.names):
        what = f"{place}class {box.label} has no name" if box.label != "" else f"{place}no class"
        way_out = "name the class in the list of names, or correct the number"
        yield Wrong(file, box.line, Kind.NO_NAME, what, way_out)
    key = (box.label, box.edges, box.corners)
    if key in seen:
        first = seen[key]
        what = f"{place}the same box as {first.place or f'line {first.line}'}"
        yield Wrong(
            *(file, box.line, Kind.DUPLICATE, what, "take one out", box.index, None), fixable=True
        )
        return
    seen[key] = box
    left, top, right, bottom = edges = box.edges
    if left > right or top > bottom:
        edges = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        what, way_out = f"{place}{_shown(box.edges)}: an edge lies beyond the other", "swap them"
        yield Wrong(file, box.line, Kind.SWAPPED, what, way_out, box.index, edges, fixable=True)
    if edges[0] == edges[2] or edges[1] == edges[3]:
        what, way_out = f"{place}{_shown(edges)} has no area", "draw it again, or take it out"
        yield Wrong(file, box.line, Kind.NO_AREA, what, way_out)
        return
    if limits is None or not _outside(edges, limits, slack):
        return
    inside = _clipped(edges, limits)
    what = f"{place}{_shown(edges)} reaches beyond the picture, {limits[0]:g}x{limits[1]:g}"
    if labels.shares:
        what = f"{place}{_shown(edges)} reaches beyond the picture"
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        what = f"{place}{_shown(edges)} lies beside the picture"
        yield Wrong(file, box.line, Kind.OUTSIDE, what, "draw it again, or take it out")
    else:
        way_out = "clip it to the picture"
        yield Wrong(file, box.line, Kind.OUTSIDE, what, way_out, box.index, inside, fixable=True)


def _outside(edges: Edges, limits: tuple[float, float], slack: tuple[float, float]) -> bool:
    left, top, right, bottom = edges
    low = left < -slack[0] or top < -slack[1]
    return low or right > limits[0] + slack[0] or bottom > limits[1] + slack[1]


def _clipped(edges: Edges, limits: tuple[float, float]) -> Edges:
    left, top, right, bottom = edges
    return max(left, 0.0), max(top, 0.0), min(right, limits[0]), min(bottom, limits[1])


def _shown(edges: Edges) -> str:
    return f"({', '.join(f'{round(edge, 4):g}' for edge in edges)})"


def mended(
    data: bytes, path: Path, wrong: Sequence[Wrong], *, keypoints: bool = False
) -> bytes | None:
    """Returns a label file with what is fixable of `wrong` mended; None: nothing is.

    `keypoints`: it is one of `Checked.poses`.
    """
    boxes: dict[int, Edges | None] = {}
    for one in wrong:
        if one.fixable and one.box is not None:
            boxes[one.box] = one.mended
    if not boxes:
        return None
    match path.suffix.lower():
        case ".xml":
            made = mended_voc(data, boxes)
        case ".json":
            made = mended_coco(data, boxes)
        case _:
            made = mended_yolo(data, boxes, keypoints=keypoints)
    return None if made == data else made
