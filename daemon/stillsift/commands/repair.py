"""Implements `stillsift repair`: finds what trainers trip over in a folder, and puts it right."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..config import load
from ..escapes import escaped, json_text
from ..sources.files import DecodeError
from ..sources.files.contents import STILL_SUFFIXES
from ..sources.files.extent import refusal
from ..sources.files.header import Header, read_header
from ..sources.files.opening import open_beneath, opened_folder
from ..sources.files.pixels import refuse_damaged
from ..sources.files.tree import Tree, natural
from ..store.in_place_repair import LIST, OpenStill, read_still
from ..store.names import still_suffix
from ..store.repair import NOTHING, Fault, Repair, faults_of, holds_several, repaired
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_json
from .in_place_originals import Originals, base_of
from .labels_along import LabelsAlong
from .pasted import pasted

_LOOKED_AT = STILL_SUFFIXES | {".gif", ".apng"}
_CHOSEN = (Fault.SUFFIX, Fault.ORIENTATION, Fault.COLOUR)
"""Faults that are looked for without being asked for; the others need a number or a format."""

_EXAMPLES = """\
  stillsift repair photos/                                what trainers trip over, file by file
  stillsift repair photos/ --longest-side 1920 --json
  stillsift repair photos/ --backup-to originals          put it right; originals go there first
  stillsift repair photos/ --only orientation --backup-to originals
  stillsift restore --store originals --all               undo all of it
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "repair", repair, "List stills that trainers trip over; repair them.", _EXAMPLES
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folder or file")
    parser.add_argument(
        "--backup-to",
        type=Path,
        metavar="DIR",
        help="repair in place; originals go below DIR first (without it, only list)",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[str(each) for each in _CHOSEN],
        help="look for this alone; may be repeated (default: all three)",
    )
    parser.add_argument(
        "--longest-side", type=_pixels, metavar="N", help="stills larger than N pixels are wrong"
    )
    parser.add_argument(
        "--format", choices=("jpeg", "png", "webp"), help="stills of another format are wrong"
    )
    parser.add_argument(
        "--drawn-on",
        choices=("stored", "upright"),
        help="what labels were drawn on that do not say it: stills as they are stored (then they "
        "are turned along) or as they are looked at (then they stay)",
    )
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="take jpeg_quality and max_pixels from it"
    )
    add_json(parser)


def _pixels(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels, 1 and up")
    return int(text)


@dataclass(slots=True)
class Found:
    """Tells what is wrong with one still, and what became of it."""

    file: Path
    faults: dict[Fault, str]
    ways_out: dict[Fault, str]
    wanted: Repair
    """What can be put right in it."""
    now: Path | None = None
    """Where the repaired still is; None: it was not repaired."""
    original: Path | None = None
    done: str | None = None
    """What was done, or why nothing could be."""
    header: Header | None = None
    """None: it cannot be read."""
    labels: list[str] = field(default_factory=list)
    """Label files that were moved along."""

    @property
    def can_be_done(self) -> bool:
        """Tells whether it can be put right, as far as is known before it is tried."""
        return self.done is None and Fault.UNREADABLE not in self.faults

    def rows(self) -> list[dict[str, object]]:
        """Returns one row for each fault."""
        return [
            {
                "file": str(self.file),
                "fault": fault.value,
                "what": what,
                "way_out": self.ways_out[fault],
                "now": None if self.now is None else str(self.now),
                "original": None if self.original is None else str(self.original),
                "done": self.done,
                "labels": self.labels,
            }
            for fault, what in self.faults.items()
        ]

    def told(self) -> str:
        """Returns one line for a person."""
        if self.now is not None:
            name = "" if self.now == self.file else f" (now {self.now.name})"
            along = f"; {', '.join(self.labels)} moved along" if self.labels else ""
            return escaped(f"{self.file}: {self.done}{name}{along}")
        what = "; ".join(f"{what}: {self.ways_out[fault]}" for fault, what in self.faults.items())
        return escaped(f"{self.file}: {what}{f'; not done: {self.done}' if self.done else ''}")


def repair(given: argparse.Namespace) -> int:
    """Lists or repairs stills; returns 1 where one is wrong and was not repaired."""
    config = load(given.config)
    only = set(given.only or map(str, _CHOSEN))
    wanted = Repair(
        orientation=Fault.ORIENTATION in only,
        colour=Fault.COLOUR in only,
        suffix=Fault.SUFFIX in only,
        longest_side=given.longest_side,
        format=given.format,
        max_pixels=config.defaults.max_pixels,
    )
    for path in given.paths:
        if not path.exists():
            raise UsageError(f"repair: {path}: no such file or folder")
    roots = [path.resolve() for path in given.paths]
    quality = config.store.jpeg_quality
    labelled = LabelsAlong(roots, given.backup_to, given.drawn_on)
    with ExitStack() as stack:
        repairing = None
        if given.backup_to is not None:
            repairing = stack.enter_context(
                Originals("repair", given.backup_to.absolute(), base_of(roots))
            )
            labelled.originals = repairing
            _move_labels(roots, given.backup_to, wanted, quality, repairing, labelled)
        looked_at, found = 0, []
        for path in _stills(roots, given.backup_to):
            looked_at += 1
            one = _looked_at(path, wanted, quality, repairing, labelled)
            if one is not None:
                found.append(one)
                if not given.json:
                    print(one.told(), flush=True)
        failed = {one.file for one in found if one.now is None}
        for file, why in labelled.move_back(failed).items():
            print(escaped(f"{file}: moved along, and not back: {why}"), file=sys.stderr)
    _tell(given, looked_at, found)
    return 1 if any(one.now is None for one in found) else 0


def _move_labels(
    roots: list[Path],
    backup: Path,
    wanted: Repair,
    quality: int,
    repairing: Originals,
    labelled: LabelsAlong,
) -> None:
    """Moves the labels of all stills that can be turned or made smaller, before these."""
    for path in _stills(roots, backup):
        if labelled.has_labels(path):
            one = _looked_at(path, wanted, quality, None, labelled, repairing)
            if one is not None and one.can_be_done and one.header is not None:
                labelled.plan(path, one.header, one.faults.keys(), wanted.longest_side)
    labelled.move()


def _tell(given: argparse.Namespace, looked_at: int, found: list[Found]) -> None:
    done = sum(one.now is not None for one in found)
    if given.json:
        rows = [row for one in found for row in one.rows()]
        summary = {"files": looked_at, "wrong": len(found), "repaired": done, "faults": rows}
        print(json_text(summary, indent=2))
        return
    print(f"{counted(looked_at, 'still')}: {len(found)} wrong, {done} repaired", file=sys.stderr)
    if given.backup_to is not None:
        if done:
            undo = pasted("restore", "--store", given.backup_to, "--all")
            print(f"Originals    {given.backup_to / LIST}\nUndo         {undo}", file=sys.stderr)
    elif any(one.can_be_done for one in found):
        again = pasted("repair", *sys.argv[2:], "--backup-to", "originals")
        print(f"Put right    {again}", file=sys.stderr)


def _stills(roots: list[Path], backup: Path | None) -> Iterator[Path]:
    """Yields the stills to look at, each once, in the order of names."""
    exclude = () if backup is None else (backup.resolve(),)
    paths = {found.path for root in roots for found in Tree(root, exclude=exclude).files()}
    for path in sorted(paths, key=natural):
        if path.suffix.lower() in _LOOKED_AT or path in roots:
            yield path


def _looked_at(
    path: Path,
    wanted: Repair,
    quality: int,
    repairing: Originals | None,
    labelled: LabelsAlong,
    planning: Originals | None = None,
) -> Found | None:
    """Returns what is wrong with a still, repaired where that was asked for; None: nothing."""
    try:
        with opened_folder(path.parent) as folder:
            with os.fdopen(open_beneath(folder, path.name), "rb") as file:
                # By its first bytes, so that what is too large is not read.
                size, suffix = os.fstat(file.fileno()).st_size, path.suffix.lower()
                reason = refusal(file, size, wanted.max_pixels, suffix)
            if reason is not None:
                return _unreadable(path, reason)
            still = read_still(path, folder)
            with still.file:
                found = _found(still, wanted, labelled)
                if found is not None and planning is not None and planning.was_undone(still):
                    found.done = "it was repaired before, and brought back"
                if found is None or repairing is None or not found.can_be_done:
                    return found
                made = partial(repaired, still.data, still.path, found.wanted, quality)
                done = repairing.put_right(still, made)
                if isinstance(done, str):
                    found.done = done
                else:
                    found.now, found.original, found.done = done
                    found.labels = labelled.names(path)
                return found
    except OSError as error:
        return _unreadable(path, error.strerror or str(error))


def _found(still: OpenStill, wanted: Repair, labelled: LabelsAlong) -> Found | None:
    try:
        header = read_header(still.data, still.path, wanted.max_pixels)
        refuse_damaged(still.data, header, still.path)
        if header.mode and holds_several(still.data, still.path):
            # Only its name can be wrong: what is written anew holds one picture.
            wanted = Repair(suffix=wanted.suffix)
        faults = faults_of(still.data, still.path, header, wanted)
    except DecodeError as error:
        return _unreadable(still.path, error.reason)
    if not faults:
        return None
    ways_out = {each: _way_out(each, still, wanted) for each in faults}
    hindered = labelled.hinder(still.path, header, faults.keys(), wanted.longest_side)
    return Found(still.path, faults, ways_out, wanted, done=hindered, header=header)


def _unreadable(path: Path, why: str) -> Found:
    too_large = why.endswith("(max_pixels)")
    way_out = "raise max_pixels, with -c" if too_large else "get it again, or take it away"
    return Found(path, {Fault.UNREADABLE: why}, {Fault.UNREADABLE: way_out}, NOTHING)


def _way_out(fault: Fault, still: OpenStill, wanted: Repair) -> str:
    match fault:
        case Fault.SUFFIX:
            return f"name it {still_suffix(still.data[:32], still.path.suffix)}"
        case Fault.ORIENTATION:
            return "turn its pixels"
        case Fault.COLOUR:
            return "make it RGB"
        case Fault.SIZE:
            return f"make its longer side {wanted.longest_side}"
        case Fault.FORMAT:
            return f"write it as {wanted.format}"
        case Fault.UNREADABLE:
            return "get it again, or take it away"
