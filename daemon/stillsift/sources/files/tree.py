"""Finds the stills and clips below a directory, and the order in which they are read."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from natsort import natsort_keygen, ns

from ..items import DENIED, FOLDERS, HIDDEN, LINKS, OTHER, SPECIAL, FileIdentity
from .contents import CLIP_SUFFIXES, STILL_SUFFIXES

_LOG = logging.getLogger(__name__)
_SUFFIXES = STILL_SUFFIXES | CLIP_SUFFIXES
_FOREIGN_DIRECTORIES = frozenset({"@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"})
"""Directories of thumbnails, resource forks and waste bins that other systems create."""

_MOST_KINDS = 100
"""Most suffixes that are counted apart: names made by chance must not fill the memory."""

MOST_DEEP = 100
"""Most folders in folders that are entered. Recorders make one for year, month, day and hour; the
calls that walk a tree by recursion, as those of watchdog do, fail at some 1000."""

natural = natsort_keygen(key=str, alg=ns.PATH)
"""Sort key of paths: img2.jpg before img10.jpg, folder by folder."""


STATE = ".stillsift"
"""Folder for the state, inside a folder into which `sift` moves or copies files."""


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
    symbolic links, and everything below `exclude` or more than `MOST_DEEP` folders deep.
    """

    root: Path
    recursive: bool = True
    exclude: tuple[Path, ...] = ()
    given: Path | None = None
    """Path of the root before links in it were resolved; None: it has none."""

    def resolved(self) -> Tree:
        """Returns the tree that the given path leads to now: a link in it may be another one."""
        root = self.root if self.given is None else _resolved(self.given)
        return self if root == self.root else replace(self, root=root)

    def holds(self, path: Path) -> bool:
        """Tells whether a path is below the root and by its name a still or clip to read."""
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else None
        if inside is None or self._excluded(path) or not named_as_footage(path.name):
            return False
        folders = inside.parts[:-1]
        near = len(folders) <= (MOST_DEEP if self.recursive else 0)
        return near and all(map(_entered, folders))

    def files(
        self, told: set[Path] | None = None, left_alone: Counter[str] | None = None
    ) -> Iterator[Found]:
        """Yields every still and clip there now, as `entries` does."""
        return (found for found in self.entries(told, left_alone) if found is not None)

    def entries(
        self, told: set[Path] | None = None, left_alone: Counter[str] | None = None
    ) -> Iterator[Found | None]:
        """Yields every still and clip there now, in no order, and None for everything else.

        What cannot be read is logged and left out. Paths in `told` are not logged again, and every
        path that is logged is added to it. Entries that are not read are added to
        `left_alone`, by the kinds of `LeftAlone`. Raises OSError if the root itself cannot be read.
        """
        told = set() if told is None else told
        left_alone = Counter() if left_alone is None else left_alone
        if self.root.is_file():
            yield Found(self.root, FileIdentity.of(self.root))
            return
        folders = [(self.root, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        found = self._looked_at(entry, told, left_alone)
                        if isinstance(found, Found):
                            yield found
                            continue
                        yield None
                        if found is None:
                            continue
                        if depth < MOST_DEEP:
                            folders.append((found, depth + 1))
                            continue
                        left_alone[FOLDERS] += 1
                        if self.root not in told:
                            told.add(self.root)
                            _LOG.warning(
                                "%s: folders more than %d deep are not read, the first is %s",
                                *(self.root, MOST_DEEP, found),
                            )
                if folder != self.root:
                    told.discard(folder)
            except OSError as error:
                if folder == self.root:
                    raise
                _tell(folder, error, told, left_alone)

    def _looked_at(
        self, entry: os.DirEntry[str], told: set[Path], left_alone: Counter[str]
    ) -> Found | Path | None:
        """Returns a still or clip, or the path of a folder to enter; None: it is neither."""
        path = Path(entry.path)
        try:
            if self._excluded(path):
                return None
            if entry.is_symlink():
                left_alone[LINKS] += 1
            elif entry.is_dir():
                if self.recursive and _entered(entry.name) and not takes_files(path):
                    return path
                left_alone[FOLDERS] += 1
            elif not _visible(entry.name):
                left_alone[HIDDEN] += 1
            elif not entry.is_file():
                left_alone[SPECIAL] += 1
            elif named_as_footage(entry.name):
                return Found(path, FileIdentity.from_stat(entry.stat()))
            else:
                kind = _kind(entry.name)
                known = kind in left_alone or len(left_alone) < _MOST_KINDS
                left_alone[kind if known else OTHER] += 1
        except OSError as error:
            _tell(path, error, told, left_alone)
        return None

    def _excluded(self, path: Path) -> bool:
        return any(path.is_relative_to(left_out) for left_out in self.exclude)


def _tell(path: Path, error: OSError, told: set[Path], left_alone: Counter[str]) -> None:
    """Counts what cannot be looked at, and logs it once; what has disappeared is passed over."""
    if isinstance(error, FileNotFoundError):
        return
    left_alone[DENIED] += 1
    if path not in told:
        _LOG.warning("%s cannot be looked at: %s", path, error.strerror)
    told.add(path)


def trees(
    roots: Path | Sequence[Path], *, recursive: bool, exclude: Sequence[Path]
) -> tuple[Tree, ...]:
    """Returns one tree for each root; follows links in the path of a root, but none below it."""
    given = [roots] if isinstance(roots, Path) else list(roots)
    left_out = tuple(path.resolve() for path in exclude)
    return tuple(Tree(_resolved(path), recursive, left_out, path.absolute()) for path in given)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # a loop of links: opening it will fail with a clear error
        return path.absolute()


def named_as_footage(name: str) -> bool:
    """Tells whether a file is taken for a picture or a clip by its name."""
    return _visible(name) and PurePath(name).suffix.lower() in _SUFFIXES


def _kind(name: str) -> str:
    """Returns the suffix that a format could have, in lower case, empty or `OTHER`."""
    suffix = PurePath(name).suffix.lower()
    return suffix if re.fullmatch(r"(\.[\w~+-]{1,12})?", suffix) else OTHER


def _entered(folder: str) -> bool:
    return _visible(folder) and folder not in _FOREIGN_DIRECTORIES


def takes_files(folder: Path) -> bool:
    """Tells whether a folder takes what stillsift keeps or moves: all in it was decided already.

    Raises OSError where nobody can tell.
    """
    is_store = (folder / "ledger.sqlite").is_file() and (folder / "kept").is_dir()
    return is_store or (folder / STATE / "mode").is_file()


def _visible(name: str) -> bool:
    return not name.startswith((".", "~"))
