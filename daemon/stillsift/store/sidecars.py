"""Finds the small files that belong to a picture by their name: edits, labels, thumbnails."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ..labels.yolo import label_of

SUFFIXES = frozenset({".xmp", ".txt", ".xml", ".json", ".aae", ".thm"})
"""Of edits (Lightroom, darktable, Apple), of labels (YOLO, Pascal VOC, labelme), of thumbnails."""


@dataclass(slots=True)
class _Folder:
    names: set[str] = field(default_factory=set)
    """Names of the files in it that are no sidecars: pictures, clips, and what is not read here."""
    stems: Counter[str] = field(default_factory=Counter)
    """How many of them have each name without suffix."""
    sidecars: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Names of what may belong to pictures, by that name without its suffix."""


class Sidecars:
    """Tells what goes with pictures that leave their folders. Each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, _Folder] = {}

    def going_with(self, picture: Path) -> list[Path]:
        """Returns what belongs to a picture that has left, and to no other that is there.

        A clip of the same name is another one, and so is a file that is not read, as a.psd beside
        a.jpg. Raises OSError.
        """
        folder = self._folder(picture.parent)
        if picture.name in folder.names:
            folder.names.remove(picture.name)
            folder.stems[picture.stem] -= 1
        keys = dict.fromkeys((picture.name, picture.stem))
        its = [key for key in keys if key not in folder.names and not folder.stems[key]]
        found = [picture.with_name(name) for key in its for name in folder.sidecars[key]]
        label = label_of(picture)
        if picture.stem in its and label is not None and label.is_file() and label not in found:
            found.append(label)
        return found

    def _folder(self, path: Path) -> _Folder:
        if path in self._folders:
            return self._folders[path]
        listed = self._folders[path] = _Folder()
        with os.scandir(path) as entries:
            files = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            for name in sorted(files):
                if PurePath(name).suffix.lower() in SUFFIXES:
                    listed.sidecars[PurePath(name).stem].append(name)
                else:
                    listed.names.add(name)
                    listed.stems[PurePath(name).stem] += 1
        return listed
