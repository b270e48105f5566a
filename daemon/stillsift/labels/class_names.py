"""Reads the names of classes that hold for YOLO's labels, from the files that lie with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DATA = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Files of ultralytics with `names`."""
CLASSES = ("classes.txt", "obj.names", "_darknet.labels")
"""Files with the name of a class on each line."""
_PARTS = frozenset({"images", "labels", "annotations", "jpegimages"}) | {
    f"obj_{split}_data" for split in ("train", "valid", "test")
}
"""Folders inside a data set that hold all its pictures or labels: of ultralytics, Pascal VOC and
darknet."""
_SPLITS = frozenset({"train", "training", "trainval", "val", "valid", "validation", "test"})


@dataclass(frozen=True, slots=True)
class Pose:
    """Says how the points of a pose stand behind each box, as `kpt_shape` and `flip_idx` do."""

    points: int
    numbers: int
    """Of each point: 2, or 3 with its visibility."""
    mirrored: tuple[int, ...] | None = None
    """Which point each is in a mirror, where left is right; None: nobody has said so."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassNames:
    """Holds what one file says of the labels around it."""

    names: Mapping[str | int, str] | None = None
    """The name of each number that has one; None: there is no list of names that can be read."""
    file: Path | None = None
    """Where it is from; None: there is no such file."""
    tells_shape: bool = False
    """Whether the file says if points of a pose follow each box: those of `DATA` do."""
    pose: Pose | None = None
    """None: what follows a box is none."""
    wrong: str | None = None
    """Why the file cannot be read; None: it can, or there is none."""


class Names:
    """Finds the names of classes that hold for labels: the nearest file, within the data set."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        """`roots`: the folders, or files, that are looked at; each lies in a data set."""
        self._tops = {data_set_of(root if root.is_dir() else root.parent) for root in roots}
        self._known: dict[Path, ClassNames | None] = {}

    def of(self, folder: Path, pictures: Path | None = None) -> ClassNames:
        """Returns what holds for the labels in a folder; `pictures`: the folder of their pictures.

        It is looked for in both and above, and of two that are as far up, with the labels first.
        """
        both = (folder, *([] if pictures is None else [pictures]))
        above = {each: len(each.parts) for one in both for each in self._up(one)}
        for each in sorted(above, key=lambda each: -above[each]):
            if each not in self._known:
                self._known[each] = _read_in(each)
            if (found := self._known[each]) is not None:
                return found
        return ClassNames()

    def _up(self, folder: Path) -> Iterator[Path]:
        """Yields a folder and those above it, up to the data set; alone where it is in none."""
        if not any(folder.is_relative_to(top) for top in self._tops):
            yield folder
            return
        for each in (folder, *folder.parents):
            yield each
            if each in self._tops:
                return


def data_set_of(folder: Path) -> Path:
    """Returns the data set that a folder is a part of by its name; itself where it is none.

    That is SET for SET/images, SET/images/train, SET/train/images and SET/train.
    """
    for at in range(len(folder.parts) - 1, 0, -1):
        if folder.parts[at].lower() in _PARTS:
            folder = Path(*folder.parts[:at])
            break
    return folder.parent if folder.name.lower() in _SPLITS else folder


def _read_in(folder: Path) -> ClassNames | None:
    """Returns what the first file with names in a folder says; None: there is none."""
    for name in DATA:
        if (file := folder / name).is_file():
            try:
                found = _of_data(file)
            except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
                return ClassNames(file=file, wrong=" ".join(str(error).split()))
            if found is not None:
                return found
    for name in CLASSES:
        if (file := folder / name).is_file():
            try:
                lines = file.read_text("utf-8-sig", "replace").splitlines()
            except OSError as error:
                return ClassNames(file=file, wrong=str(error))
            return ClassNames(dict(enumerate(line for line in lines if line.strip())), file)
    return None


def _of_data(file: Path) -> ClassNames | None:
    """Reads a file of ultralytics; None: it has no names. Raises as its parts do."""
    told: Any = yaml.safe_load(file.read_text("utf-8"))
    if not isinstance(told, dict | None):
        raise TypeError("it is no mapping")
    names = None if told is None else told.get("names")
    if told is None or names is None:
        return None
    if not isinstance(names, list | dict):
        raise ValueError("names is neither a list nor a mapping")
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    known: dict[str | int, str] = {int(number): str(each) for number, each in pairs}
    return ClassNames(known, file, tells_shape=True, pose=_pose(told))


def _pose(told: dict[str, Any]) -> Pose | None:
    if "kpt_shape" not in told:
        return None
    points, numbers = (int(each) for each in told["kpt_shape"])
    if numbers not in (2, 3):
        raise ValueError(f"kpt_shape has {numbers} numbers a point, and not 2 or 3")
    mirrored = told.get("flip_idx")
    known = tuple(int(each) for each in mirrored) if mirrored else None
    if known is not None and sorted(known) != list(range(points)):
        raise ValueError(f"flip_idx does not name each of {points} points once")
    return Pose(points, numbers, known)
