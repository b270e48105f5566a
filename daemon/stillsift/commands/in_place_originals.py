"""Holds the originals of files that `repair` and `labels` put right where they lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..ledger import Ledger
from ..problems import Problem
from ..sources.files import DecodeError
from ..sources.files.tree import STATE
from ..store.in_place import InPlaceStore, Mode, mode_of
from ..store.in_place_repair import LIST, InPlaceRepair, NotRepaired, OpenStill
from ..store.repair import Repaired
from .arguments import UsageError


class Originals:
    """Holds the folder that originals are moved to while files are repaired where they lie."""

    def __init__(self, command: str, root: Path, base: Path) -> None:
        """`command` names the command in messages, `base` is the folder paths are told from.

        Raises UsageError where the folder was made for something else.
        """
        self._root = root
        self._base = base
        self._opened = ExitStack()
        found = mode_of(root)
        if found not in (None, Mode.REPAIR):
            raise UsageError(f"{command}: {root}: made by {found.made_by}; name another folder")
        if (root / "ledger.sqlite").exists():
            raise UsageError(f"{command}: {root}: a store; name another folder for --backup-to")
        if found is None and (root / LIST).exists():
            raise UsageError(f"{command}: {root / LIST}: there already; move it away")
        if base.is_relative_to(root.resolve()):
            raise UsageError(f"{command}: {base} lies in {root}; name another for --backup-to")

    def __enter__(self) -> Originals:
        store = InPlaceStore(self._root, Mode.REPAIR)
        with ExitStack() as stack:
            stack.enter_context(store.lock())
            store.prepare()
            ledger = stack.enter_context(Ledger(store.ledger_path))
            self._repair = InPlaceRepair(store, ledger)
            self._repair.sweep()
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._opened:
            self._repair.write_list()

    def was_undone(self, still: OpenStill) -> bool:
        """Tells whether this file was repaired before, and brought back."""
        return self._repair.was_undone(still)

    def before(self, file: Path, sha256: str, what: str) -> bytes | None:
        """Returns the bytes that a file had before it was repaired to those with this SHA-256.

        None: it was not, or what was done does not begin with `what`. Raises OSError.
        """
        return self._repair.before(file, sha256, what)

    def put_right(
        self, still: OpenStill, made: Callable[[], Repaired | None]
    ) -> tuple[Path, Path, str] | str:
        """Puts what `made` returns in the place of a file whose original is safe then.

        Returns where it is now, where the original lies, and what was done; a sentence: why
        nothing was done.
        """
        if self._repair.was_undone(still):
            return "it was repaired before, and brought back"
        try:
            new = made()
            if new is None:
                return "nothing of it can be repaired"
            now, original = self._repair.replace(still, new, self._below(still.path))
        except DecodeError as error:
            return error.reason
        except (NotRepaired, Problem) as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return now, original, new.done

    def _below(self, path: Path) -> Path:
        """Returns where an original goes; labels may lie beside the folder of their pictures."""
        parts = Path(os.path.relpath(path, self._base)).parts
        return Path(*(part for part in parts if part != ".."))


def base_of(roots: Sequence[Path]) -> Path:
    """Returns the folder that all paths have in common; files below it are told from there."""
    return Path(os.path.commonpath([each if each.is_dir() else each.parent for each in roots]))


def files_below(roots: Sequence[Path], backup: Path | None) -> Iterator[Path]:
    """Yields all files below some folders, but hidden ones, links, and what commands have moved."""
    left_out = None if backup is None else backup.resolve()
    for root in roots:
        if root.is_file():
            yield root
        for folder, inner, names in os.walk(root):
            here = Path(folder)
            inner[:] = [
                name
                for name in inner
                if not name.startswith((".", "~"))
                and here / name != left_out
                and not (here / name / STATE / "mode").is_file()
            ]
            for name in names:
                path = here / name
                if not name.startswith((".", "~")) and path.is_file() and not path.is_symlink():
                    yield path
