"""Reads labels of pictures: class folders, YOLO's text files, COCO's JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ..labels.findings import Read
from ..labels.yolo import CLASSES, DATA, Names, read_yolo
from .balance import Labelled, Labelling
from .pictures import Entry, SetError

_LARGEST = 1 << 30
"""Most bytes of an annotation file; COCO's own largest has half of that."""


def of_folders(entries: Sequence[Entry]) -> Labelling:
    """Returns the class folder of each picture as its label."""
    return Labelling("folder", [[e.label] if e.label is not None else [] for e in entries])


# -- YOLO ------------------------------------------------------------------------------------------


@dataclass
class Yolo:
    """Reads the text file of each picture: a line an object, its class first.

    It lies beside the picture, or in `labels` where the picture is in `images`, or in a folder
    `labels` beside it or in the root. Names of classes come from one of `DATA` or `CLASSES` in the
    root, else a class is called by its number.
    """

    root: Path
    entries: Sequence[Entry]
    unread: list[tuple[str, str]] = field(default_factory=list)
    """Lines that could not be read: the file with its line, and why."""

    def is_there(self) -> bool:
        """Tells whether any picture has such a file."""
        texts = (text for text in map(self._text_of, self.entries) if text is not None)
        return any(self._read(text).labels[0].boxes for text in texts)

    def labelling(self) -> Labelling:
        """Reads all of them. Raises SetError for names that cannot be read."""
        names = self._names()
        pictures = [self._labels(entry, names) for entry in self.entries]
        return Labelling("yolo", pictures, list(names.values()), of_objects=True)

    def _labels(self, entry: Entry, names: Mapping[int, str]) -> Labelled:
        text = self._text_of(entry)
        if text is None:
            return []
        read = self._read(text)
        self.unread += [(f"{one.file}:{one.line}", one.what) for one in read.wrong]
        numbers = [int(box.label) for box in read.labels[0].boxes]
        return [names.get(number, str(number)) for number in numbers]

    def _read(self, text: Path) -> Read:
        _, keypoints = self._listed.of(self.root)
        return read_yolo(_bytes(text), text, keypoints=keypoints)

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
        parts = list(beside.parts)
        if "images" in parts:
            last = len(parts) - 1 - parts[::-1].index("images")
            places.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]))
        return next((place for place in places if place.is_file()), None)

    def _names(self) -> dict[int, str]:
        for name in DATA:
            if (file := self.root / name).is_file():
                return _yaml_names(file)
        for name in CLASSES:
            if (file := self.root / name).is_file():
                lines = _bytes(file).decode("utf-8", "replace").splitlines()
                return dict(enumerate(line for line in lines if line.strip()))
        return {}


def _bytes(file: Path) -> bytes:
    """Returns a small text file; nothing of what cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _yaml_names(file: Path) -> dict[int, str]:
    try:
        names = (yaml.safe_load(file.read_text("utf-8")) or {}).get("names")
        if isinstance(names, dict):
            return {int(number): str(name) for number, name in names.items()}
        return dict(enumerate(map(str, names or ())))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, AttributeError, TypeError) as error:
        why = " ".join(str(error).split())
        raise SetError(f"{file}: the names of the classes cannot be read: {why}") from error


# -- COCO ------------------------------------------------------------------------------------------


def of_coco(file: Path) -> Labelling:
    """Returns the categories of the objects in each picture of a COCO file. Raises SetError."""
    told = _coco(file)
    try:
        names = {each["id"]: str(each["name"]) for each in told["categories"]}
        objects = defaultdict[Any, list[str]](list)
        for each in told["annotations"]:
            category = each["category_id"]
            objects[each["image_id"]].append(names.get(category, f"category {category}"))
        pictures: Iterator[Labelled] = (objects.get(each["id"], []) for each in told["images"])
        return Labelling("coco", list(pictures), list(names.values()), of_objects=True)
    except (KeyError, TypeError) as error:
        raise SetError(
            f"{file}: is JSON, but not as COCO writes it: it lacks {error}; a file with images, "
            "annotations and categories is needed"
        ) from error


def _coco(file: Path) -> Any:
    try:
        if file.stat().st_size > _LARGEST:
            raise SetError(f"{file}: is larger than {_LARGEST >> 20} MiB")
        return json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        raise SetError(f"{file}:{error.lineno}: is no JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SetError(f"{file}: cannot be read: {error}") from error
