"""Reads labels of pictures: class folders, YOLO's text files, COCO's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..labels import Labels
from ..labels.class_names import ClassNames, Names
from ..labels.coco import MOST_BYTES, read_coco
from ..labels.findings import Read
from ..labels.yolo import is_yolo, label_of, read_yolo
from .balance import Labelled, Labelling
from .pictures import Entry, SetError


def of_folders(entries: Sequence[Entry]) -> Labelling:
    """Returns the class folder of each picture as its label."""
    return Labelling("folder", [[e.label] if e.label is not None else None for e in entries])


# -- YOLO ------------------------------------------------------------------------------------------


@dataclass
class Yolo:
    """Reads the text file of each picture: a line an object, its class first.

    It lies beside the picture, or in `labels` where the picture is in `images`, or in a folder
    `labels` beside it or in the root. Classes have the names that `labels` knows, else a class is
    called by its number.
    """

    root: Path
    entries: Sequence[Entry]
    unread: list[tuple[str, str]] = field(default_factory=list)
    """Lines that could not be read: the file with its line, and why."""

    def is_there(self) -> bool:
        """Tells whether any picture has such a file."""
        texts = ((self._text_of(entry), entry.path) for entry in self.entries)
        found = (self._read(text, picture) for text, picture in texts if text is not None)
        return any(read.labels[0].boxes for read in found if read is not None)

    def labelling(self) -> Labelling:
        """Reads all of them. Raises SetError for names that cannot be read."""
        found = [self._labels(entry) for entry in self.entries]
        known = dict.fromkeys([self._listed.of(self.root), *(k for _, k in found if k is not None)])
        for each in known:
            if each.wrong is not None:
                why = f"the names of the classes cannot be read: {each.wrong}"
                raise SetError(f"{each.file}: {why}")
        names = dict.fromkeys(name for each in known for name in (each.names or {}).values())
        return Labelling("yolo", [labels for labels, _ in found], list(names), of_objects=True)

    def _labels(self, entry: Entry) -> tuple[Labelled | None, ClassNames | None]:
        """Returns the classes in a picture and what names them; None: nobody has labelled it."""
        text = self._text_of(entry)
        read = None if text is None else self._read(text, entry.path)
        if read is None:
            return None, None
        self.unread += [(f"{one.file}:{one.line}", one.what) for one in read.wrong]
        names = read.known.names or {}
        numbers = [int(box.label) for box in read.labels[0].boxes]
        return [names.get(number, str(number)) for number in numbers], read.known

    def _read(self, text: Path, picture: Path | None) -> Read | None:
        """Returns what a text file holds; None: it holds no labels."""
        data = _bytes(text)
        if not is_yolo(data, text, beside=True):
            return None
        known = self._listed.of(text.parent, None if picture is None else picture.parent)
        read = read_yolo(data, text, keypoints=known.pose is not None)
        read.known = known
        return read

    @cached_property
    def _listed(self) -> Names:
        return Names((self.root,))

    def _text_of(self, entry: Entry) -> Path | None:
        if entry.path is None:
            return None
        beside = entry.path.with_suffix(".txt")
        places = [beside, entry.path.parent / "labels" / beside.name]
        if beside.is_relative_to(self.root):
            inside = beside.relative_to(self.root)
            places.append(self.root / "labels" / inside)
        if (label := label_of(entry.path)) is not None:
            places.insert(0, label)
        return next((place for place in places if place.is_file()), None)


def _bytes(file: Path) -> bytes:
    """Returns a small text file; nothing of what cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


# -- COCO ------------------------------------------------------------------------------------------


def of_coco(file: Path) -> tuple[Labelling, list[tuple[str, str]]]:
    """Returns the categories of the objects in each picture of a COCO file, and what is left out.

    The latter as the place in the file and why. Raises SetError.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SetError(f"{file}: is larger than {MOST_BYTES >> 20} MiB")
        read = read_coco(file.read_bytes(), file)
    except OSError as error:
        raise SetError(f"{file}: cannot be read: {error}") from error
    if not read.labels and read.wrong:
        one = read.wrong[0]
        place = file if one.line is None else f"{file}:{one.line}"
        raise SetError(f"{place}: {one.what}; {one.way_out}")
    names = read.names or {}
    pictures = [
        [names.get(label, f"category {label}") for label in _classes(labels)]
        for labels in read.labels
    ]
    labelling = Labelling("coco", pictures, list(names.values()), of_objects=True)
    return labelling, [(str(one.file), one.what) for one in read.wrong]


def _classes(labels: Labels) -> list[str | int]:
    return [*(box.label for box in labels.boxes), *labels.unboxed]
