"""Which files below a directory are footage, and in which order they are read."""

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
"""Thumbnails, resource forks and waste bins that other systems leave among the pictures."""

natural = natsort_keygen(key=str, alg=ns.PATH)
"""Sort key of paths: img2.jpg before img10.jpg, folder by folder."""


@dataclass(frozen=True, slots=True)
class Found:
    path: Path
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory (or one file) to read from.

    Left alone: what begins with `.` or `~` (hidden, or being written by a tool that renames when
    done), names without a known suffix (so also .part, .tmp, .crdownload and `name.jpg~`),
    symbolic links, and everything below `exclude`.
    """

    root: Path
    recursive: bool = True
    exclude: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        """Whether a path below the root is footage by its name."""
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else None
        if inside is None or self._excluded(path) or not _named_as_footage(path.name):
            return False
        folders = inside.parts[:-1]
        return all(map(_entered, folders)) and (self.recursive or not folders)

    def files(self, told: set[Path] | None = None) -> Iterator[Found]:
        """Everything there now, in no order. What cannot be looked at is logged and left out.

        Not logged is what `told` holds from the last time; what is logged is added. Raises OSError
        where the root itself cannot be looked at.
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
                    continue  # it went while we looked
                except OSError as error:
                    if path not in told:
                        _LOG.warning("%s cannot be looked at: %s", path, error.strerror)
                    told.add(path)

    def left_alone(self) -> Counter[str]:
        """Visible files that are no footage by their names, by suffix in lower case, and `links`.

        A suffix begins with a dot, or is empty. What cannot be looked at is not counted.
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
    """One tree for each root; links on the way to a root are followed, links below it are not."""
    given = [roots] if isinstance(roots, Path) else list(roots)
    left_out = tuple(path.resolve() for path in exclude)
    return tuple(Tree(_resolved(path), recursive, left_out) for path in given)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # a loop of links; whoever opens it is told so by the system
        return path.absolute()


def _named_as_footage(name: str) -> bool:
    return _visible(name) and PurePath(name).suffix.lower() in _SUFFIXES


def _entered(folder: str) -> bool:
    return _visible(folder) and folder not in _FOREIGN_DIRECTORIES


def _visible(name: str) -> bool:
    return not name.startswith((".", "~"))
