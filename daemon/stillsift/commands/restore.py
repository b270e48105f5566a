"""Implements `stillsift restore`: brings originals back from quarantine, byte for byte."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..escapes import escaped, json_text
from ..ledger import Ledger
from ..ledger.records import Quarantined
from ..store import Quarantine, Store, StoreError
from ..store.correction import Corrections, NotCorrected
from ..store.in_place import (
    InPlaceStore,
    Mode,
    Removal,
    mode_of,
    remove_empty,
    with_sidecars,
    write_list,
)
from ..store.in_place_repair import InPlaceRepair
from ..store.quarantine import Restored
from ..store.store import KEPT
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    add_source,
    add_store,
    known_source,
    store_path,
)

_EXAMPLES = """\
  stillsift restore --list                      what lies in quarantine
  stillsift restore --source gate --all         everything of one source, to where it came from
  stillsift restore IMG_0042.jpg --output back  one file, into another directory
  stillsift restore --store dropped --all       what `sift --remove-to dropped` has moved
  stillsift restore --store originals --all     what `repair --backup-to originals` has repaired
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "restore",
        restore,
        "Bring originals back from quarantine, byte for byte.",
        _EXAMPLES,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="path where it was, the end of it, or a folder"
    )
    add_store(parser)
    add_source(parser)
    parser.add_argument("--all", action="store_true", help="everything, instead of single files")
    parser.add_argument("--list", action="store_true", help="only show what there is")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="put them here instead")
    add_json(parser)


def restore(given: argparse.Namespace) -> int:
    """Restores what was named; returns 1 where something could not be restored."""
    if not (given.files or given.all or given.list):
        raise UsageError("restore: name files, or --all, or --list")
    root = store_path(given).absolute()
    mode = mode_of(root)
    store = Store(root) if mode is None else InPlaceStore(root, mode)
    if not store.ledger_path.is_file():
        raise UsageError(f"{store.ledger_path}: no such file; name the store with --store DIR")
    with Ledger(store.ledger_path) as ledger:
        wanted = ledger.quarantined(known_source(given, ledger))
        if given.files:
            names = dict.fromkeys(given.files)
            found = {name: [q for q in wanted if _is_named(q.original, name)] for name in names}
            if missing := [name for name in names if not found[name]]:
                raise UsageError(
                    f"restore: not in quarantine: {', '.join(missing)}; --list shows what is"
                )
            keys = {q.key for named in found.values() for q in named}
            if mode is Mode.REMOVE:
                keys |= with_sidecars(wanted, keys)
            wanted = [q for q in wanted if q.key in keys]
        if given.list:
            rows = [{"source": q.source, "file": str(q.original), "bytes": q.size} for q in wanted]
            _print(rows, given.json)
            return 0
        if isinstance(store, InPlaceStore) and mode is Mode.REPAIR:
            repair = InPlaceRepair(store, ledger)
            restored = repair.restore(wanted, given.output)
            remove_empty(store, (one.path for one in wanted))
            repair.write_list()
        elif isinstance(store, InPlaceStore):
            restored = Removal(store, ledger).restore(wanted, given.output)
            remove_empty(store, (one.path for one in wanted))
            write_list(store, ledger)
        else:
            restored = _restored(store, ledger, wanted, given.output)
    rows = [
        {
            "source": one.quarantined.source,
            "file": str(one.quarantined.original),
            "restored": None if one.target is None else str(one.target),
            "error": one.detail,
        }
        for one in restored
    ]
    _print(rows, given.json)
    return 1 if any(one.target is None for one in restored) else 0


def _restored(
    store: Store, ledger: Ledger, wanted: list[Quarantined], to: Path | None
) -> list[Restored]:
    """Restores originals; what a person has dropped is kept again, as the correction is undone.

    What a person has kept, and then not, has no other place to go back to than the store.
    """
    ours = store.root / KEPT
    by_hand = {
        one.key: done
        for one in wanted
        if to is None
        and ((done := ledger.correction_that_moved(one.path)) or one.original.is_relative_to(ours))
    }
    restored = Quarantine(store, ledger).restore(
        [one for one in wanted if one.key not in by_hand], to
    )
    for one in wanted:
        if one.key not in by_hand:
            continue
        if (done := by_hand[one.key]) is None:
            why = "was taken out by hand; keep it in `stillsift review`, or give it --output DIR"
            restored.append(Restored(one, None, f"{one.original}: {why}"))
        else:
            try:
                Corrections(store, ledger).undo(done.id)
                restored.append(Restored(one, one.original))
            except (NotCorrected, StoreError) as error:
                restored.append(Restored(one, None, str(error)))
    return restored


def _is_named(original: Path, name: str) -> bool:
    """Tells whether a file is meant: by its path, by the end of it, or by a folder it lay in."""
    path = Path(os.path.normpath(name))
    whole = Path(os.path.abspath(name))  # noqa: PTH100 - a link in it is not followed
    ends = not path.is_absolute() and original.parts[-len(path.parts) :] == path.parts
    return ends or whole == original or whole in original.parents


def _print(rows: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        print(json_text(rows, indent=2))
        return
    for row in rows:
        # A file that is where it was is named once.
        told = dict.fromkeys(str(value) for value in row.values() if value is not None)
        print("  ".join(map(escaped, told)))
    if not rows:
        print("nothing in quarantine")
