"""Finds the stills and clips below a directory, and the order in which they are read."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from natsort import natsort_keygen, ns

from ..items import FileIdentity
from .contents import CLIP_SUFFIXES, STILL_SUFFIXES

_LOG = logging.getLogger(__name__)
_SUFFIXES = STILL_SUFFIXES | CLIP_SUFFIXES
_FOREIGN_DIRECTORIES = frozenset({"@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"})
"""Directories of thumbnails, resource forks and waste bins that other systems create."""

natural = natsort_keygen(key=str, alg=ns.PATH)
"""Sort key of paths: img2.jpg before img10.jpg, folder by folder."""


@dataclass(frozen=True, slots=True)
class Found:
    """Describes one still or clip that was found."""

    path: Path
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Tree:
    """Finds the stills and clips below a directory, or the one file given instead of it.

    Ignores names that begin with `.` or `~` (hidden, or being written by a tool that renames when
    done), names without a known suffix (so also .part, .tmp, .crdownload and `name.jpg~`),
    symbolic links, and everything below `exclude`.
    """

    root: Path
    recursive: bool = True
    exclude: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        """Tells whether a path is below the root and by its name a still or clip to read."""
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else None
        if inside is None or self._excluded(path) or not _named_as_footage(path.name):
            return False
        folders = inside.parts[:-1]
        return all(map(_entered, folders)) and (self.recursive or not folders)

    def files(self, told: set[Path] | None = None) -> Iterator[Found]:
        """Yields every still and clip there now, in no order.

        What cannot be read is logged and left out. Paths in `told` are not logged again, and every
        path that is logged is added to it. Raises OSError if the root itself cannot be read.
        """
        told = set() if told is None else told
        if self.root.is_file():
            yield Found(self.root, FileIdentity.of(self.root))
        else:
            yield from self._below(os.scandir(self.root), told)

    def _below(self, entries: os._ScandirIterator[str], told: set[Path]) -> Iterator[Found]:
        with entries:
            for entry in entries:
                path = Path(entry.path)
                try:
                    if entry.is_symlink() or self._excluded(path):
                        continue
                    if entry.is_dir():
                        if self.recursive and _entered(entry.name):
                            yield from self._below(os.scandir(path), told)
                            told.discard(path)
                    elif _named_as_footage(entry.name) and entry.is_file():
                        yield Found(path, FileIdentity.from_stat(entry.stat()))
                except FileNotFoundError:
                    continue  # it disappeared after the directory was listed
                except OSError as error:
                    if path not in told:
                        _LOG.warning("%s cannot be looked at: %s", path, error.strerror)
                    told.add(path)

    def left_alone(self) -> Counter[str]:
        """Counts by suffix the visible files that are not stills or clips, and links as `links`.

        A suffix is in lower case and begins with a dot, or is empty. What cannot be read is not
        counted.
        """
        counted: Counter[str] = Counter()
        for folder, folders, files in os.walk(self.root):
            within = Path(folder)
            links = [name for name in (*folders, *files) if (within / name).is_symlink()]
            counted["links"] += len(links)
            counted.update(
                PurePath(name).suffix.lower()
                for name in files
                if _visible(name) and not _named_as_footage(name) and name not in links
            )
            folders[:] = [
                name
                for name in folders
                if self.recursive and _entered(name) and not self._excluded(within / name)
            ]
        return +counted

    def _excluded(self, path: Path) -> bool:
        return any(path.is_relative_to(left_out) for left_out in self.exclude)


def trees(
    roots: Path | Sequence[Path], *, recursive: bool, exclude: Sequence[Path]
) -> tuple[Tree, ...]:
    """Returns one tree for each root; follows links in the path of a root, but none below it."""
    given = [roots] if isinstance(roots, Path) else list(roots)
    left_out = tuple(path.resolve() for path in exclude)
    return tuple(Tree(_resolved(path), recursive, left_out) for path in given)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # a loop of links: opening it will fail with a clear error
        return path.absolute()


def _named_as_footage(name: str) -> bool:
    return _visible(name) and PurePath(name).suffix.lower() in _SUFFIXES


def _entered(folder: str) -> bool:
    return _visible(folder) and folder not in _FOREIGN_DIRECTORIES


def _visible(name: str) -> bool:
    return not name.startswith((".", "~"))
