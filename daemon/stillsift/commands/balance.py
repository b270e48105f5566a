"""Implements `stillsift balance`: counts labels, the rare ones first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from ..config.field_types import zone
from ..dataset.annotations import Yolo, of_coco, of_folders
from ..dataset.balance import Balance, Labelling, balance_of
from ..dataset.reading import listed
from ..decisions import Outcome, told_measure
from ..escapes import escaped
from ..ledger.records import KeptPicture
from ..units import counted
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    configured,
    known_source,
    opened_ledger,
)
from .picture_sets import add_most, add_named, names_folders, print_json
from .tables import table

_EXAMPLES = """\
  stillsift balance photos/                  class folders, or YOLO labels beside the pictures
  stillsift balance annotations/train.json   the categories of a COCO file
  stillsift balance --store sifted           sources, hours, reasons, objects and tags
"""
_MOST_NAMED = 10
_OF_STORE = ("source", "hour", "reason")


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "balance", balance, "Count labels, the rare ones first.", _EXAMPLES
    )
    add_named(parser)
    parser.add_argument(
        "--labels",
        choices=("auto", "folder", "yolo"),
        default="auto",
        help="what the labels of a folder are (default: YOLO files where there are some)",
    )
    add_most(parser, 30, "labels to show, the rarest first (default: 30; JSON has all)")
    add_json(parser)


def balance(given: argparse.Namespace) -> int:
    """Prints how often each label occurs."""
    labellings = list(_of_paths(given) if names_folders(given) else _of_store(given))
    if len(given.paths) > 1 and names_folders(given):
        pairs = zip(labellings, given.paths, strict=True)
        labellings = [replace(each, by=f"{each.by} of {path}") for each, path in pairs]
    found = [balance_of(each) for each in labellings]
    if given.json:
        print_json([_as_json(each) for each in found])
    else:
        print("\n\n".join(_as_text(each, given.most) for each in found))
    return 0


def _of_paths(given: argparse.Namespace) -> Iterator[Labelling]:
    for path in given.paths:
        if path.suffix.lower() == ".json":
            if given.labels != "auto":
                raise UsageError(f"balance: {path}: a COCO file, which --labels is not for")
            labelling, unread = of_coco(path)
            yield labelling
            _tell_unread(unread)
            continue
        entries = listed([path]).entries
        yolo = Yolo(path.resolve(), entries)
        if given.labels == "yolo" or (given.labels == "auto" and yolo.is_there()):
            yield yolo.labelling()
            _tell_unread(yolo.unread)
        else:
            yield of_folders(entries)


def _tell_unread(unread: list[tuple[str, str]]) -> None:
    for place, why in unread[:_MOST_NAMED]:
        print(escaped(f"cannot be read: {place}: {why}"), file=sys.stderr)
    if len(unread) > _MOST_NAMED:
        print(f"cannot be read: {counted(len(unread), 'place')} in all", file=sys.stderr)


def _of_store(given: argparse.Namespace) -> Iterator[Labelling]:
    there = zone(configured(given).defaults.timezone)
    with opened_ledger(given) as ledger:
        source = known_source(given, ledger)
        kept = [_labels(each, there) for each in ledger.kept_pictures(source)]
        found: list[list[str]] = []
        tags: list[list[str]] = []
        for record in ledger.decisions(source=source, outcome=Outcome.KEPT):
            decision = record.decision
            if decision.detections is not None:
                found.append([one.label for one in decision.detections])
            if decision.tags is not None:
                tags.append([one.label for one in decision.tags])
    hours = [f"{hour:02d}:00" for hour in range(24)]
    for place, by in enumerate(_OF_STORE):
        names = hours if by == "hour" and kept else ()
        yield Labelling(by, [[labels[place]] for labels in kept], names)
    if found:
        yield Labelling("object", found, of_objects=True)
    if tags:
        yield Labelling("tag", tags)


def _labels(kept: KeptPicture, there: tzinfo) -> tuple[str, str, str]:
    at = datetime.fromtimestamp(kept.captured_at_ns / 1e9, UTC).astimezone(there)
    return kept.source, f"{at:%H}:00", kept.reason.value


def _as_text(found: Balance, most: int) -> str:
    things = "objects" if found.of_objects else "pictures"
    without = f", {found.unlabelled} without a label" if found.unlabelled else ""
    without += f", {found.empty} labelled as empty" if found.empty else ""
    head = (
        f"by {found.by}: {counted(found.pictures, 'picture')}{without}; "
        f"{counted(len(found.counts), 'label')}, as diverse as {found.effective:.1f} even ones "
        f"(entropy {found.entropy:.2f} bits)"
    )
    if not found.counts:
        return head
    none = [each.label for each in found.counts if not each.objects]
    if none:
        head += f"\nnone of: {', '.join(none)}"
    heading = [found.by, "pictures", *(["objects"] if found.of_objects else []), f"of {things}"]
    rows = [
        [
            each.label,
            str(each.pictures),
            *([str(each.objects)] if found.of_objects else []),
            f"{each.share:.1%}",
        ]
        for each in found.counts[len(none) :][:most]
    ]
    more = len(found.counts) - len(none) - len(rows)
    tail = f"\nand {counted(more, 'more label')}" if more else ""
    return f"{head}\n{table([heading, *rows])}{tail}"


def _as_json(found: Balance) -> dict[str, object]:
    return {
        "by": found.by,
        "pictures": found.pictures,
        "unlabelled": found.unlabelled,
        "empty": found.empty,
        "entropy_bits": told_measure(found.entropy),
        "effective": told_measure(found.effective),
        "labels": [
            {
                "label": each.label,
                "pictures": each.pictures,
                "objects": each.objects,
                "share": told_measure(each.share),
            }
            for each in found.counts
        ],
    }
