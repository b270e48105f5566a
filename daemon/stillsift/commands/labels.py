"""Implements `stillsift labels`: holds labels against their pictures, and mends what it can."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..config import load
from ..escapes import escaped, json_text
from ..labels import Checked, Wrong, checked
from ..labels.checks import mended
from ..sources.files.opening import opened_folder
from ..store.in_place_repair import LIST, NotRepaired, OpenStill, read_still
from ..store.repair import Repaired
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_json
from .in_place_originals import Originals, base_of, files_below
from .pasted import pasted

_MOST_TOLD = 5
"""Most pictures without a label that are named; JSON has all."""

_EXAMPLES = """\
  stillsift labels dataset/                            YOLO, Pascal VOC and COCO, as they lie there
  stillsift labels images/ labels/ --json
  stillsift labels dataset/ --backup-to originals      mend what needs no guess
  stillsift restore --store originals --all            undo all of it
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "labels", labels, "Check labels beside pictures; mend what can be.", _EXAMPLES
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folder or file")
    parser.add_argument(
        "--backup-to",
        type=Path,
        metavar="DIR",
        help="mend what needs no guess; originals go below DIR first (without it, only list)",
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="take max_pixels from it")
    add_json(parser)


@dataclass(slots=True)
class _Done:
    """Tells what became of one label file."""

    original: Path | None = None
    """Where its original lies; None: it was not mended."""
    why: str | None = None
    """Why it was not; None: it was, or need not be."""


def labels(given: argparse.Namespace) -> int:
    """Lists or mends what is wrong with labels; returns 1 where something stays wrong."""
    config = load(given.config)
    for path in given.paths:
        if not path.exists():
            raise UsageError(f"labels: {path}: no such file or folder")
    roots = [path.resolve() for path in given.paths]
    files = list(files_below(roots, given.backup_to))
    found = checked(roots, files, config.defaults.max_pixels)
    done = _mended(given.backup_to, roots, found) if given.backup_to is not None else {}
    rows = [_row(one, done.get(one.file, _Done())) for one in found.wrong]
    left = sum(not row["mended"] for row in rows)
    if given.json:
        summary = {
            "files": found.files,
            "boxes": found.boxes,
            "pictures": found.pictures,
            "unlabelled": [str(path) for path in found.unlabelled],
            "wrong": rows,
        }
        print(json_text(summary, indent=2))
        return 1 if left else 0
    for one, row in zip(found.wrong, rows, strict=True):
        print(escaped(_told(one, row)))
    boxes = "1 box" if found.boxes == 1 else f"{found.boxes} boxes"
    label_files, pictures = (
        counted(found.files, "label file"),
        counted(found.pictures, "picture"),
    )
    sums = f"{len(rows)} wrong, {len(rows) - left} mended"
    print(f"{label_files}, {boxes}, {pictures}: {sums}", file=sys.stderr)
    if found.unlabelled:
        some = ", ".join(path.name for path in found.unlabelled[:_MOST_TOLD])
        more = ", ..." if len(found.unlabelled) > _MOST_TOLD else ""
        told = f"{counted(len(found.unlabelled), 'picture')} without a label: {some}{more}"
        print(escaped(told), file=sys.stderr)
    if given.backup_to is not None and left < len(rows):
        undo = pasted("restore", "--store", given.backup_to, "--all")
        print(f"Originals    {given.backup_to / LIST}\nUndo         {undo}", file=sys.stderr)
    elif given.backup_to is None and any(one.fixable for one in found.wrong):
        again = pasted("labels", *given.paths, "--backup-to", "originals")
        print(f"Mend         {again}", file=sys.stderr)
    return 1 if left else 0


def _mended(backup: Path, roots: list[Path], found: Checked) -> dict[Path, _Done]:
    """Mends the files in which something is fixable, and tells what became of each."""
    by_file: defaultdict[Path, list[Wrong]] = defaultdict(list)
    for one in found.wrong:
        if one.fixable:
            by_file[one.file].append(one)
    done: dict[Path, _Done] = {}
    with Originals("labels", backup.absolute(), base_of(roots)) as originals:
        for path, its in by_file.items():
            try:
                with opened_folder(path.parent) as folder:
                    still = read_still(path, folder)
                    with still.file:
                        new = partial(_new, still, its, found)
                        ended = originals.put_right(still, new)
            except OSError as error:
                ended = error.strerror or str(error)
            done[path] = _Done(why=ended) if isinstance(ended, str) else _Done(ended[1])
    return done


def _new(still: OpenStill, wrong: list[Wrong], found: Checked) -> Repaired | None:
    # Checking the other files takes minutes; lines and boxes are those of what was checked.
    if still.sha256 != found.sha256.get(still.path):
        raise NotRepaired("it changed after it was read")
    data = mended(still.data, still.path, wrong, keypoints=still.path in found.poses)
    if data is None:
        return None
    what = "; ".join(f"{each.kind} {each.what}" for each in wrong)
    return Repaired(data, still.path.suffix.lower(), 0, 0, what)


def _row(one: Wrong, done: _Done) -> dict[str, object]:
    return {
        "file": str(one.file),
        "line": one.line,
        "kind": one.kind.value,
        "what": one.what,
        "way_out": one.way_out,
        "fixable": one.fixable,
        "mended": one.fixable and done.original is not None,
        "original": str(done.original) if one.fixable and done.original is not None else None,
        "why_not": done.why if one.fixable else None,
    }


def _told(one: Wrong, row: dict[str, object]) -> str:
    place = str(one.file) if one.line is None else f"{one.file}:{one.line}"
    end = "mended" if row["mended"] else one.way_out
    why = f"; not done: {row['why_not']}" if row["why_not"] else ""
    return f"{place}: {one.kind}: {one.what}: {end}{why}"
