"""Implements `stillsift leaks`: finds what is in two splits, or under two labels."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..dataset import PictureSet
from ..dataset.contact_sheet import Row, Tile
from ..dataset.copies import Comparer, Kind, Leak, leaks_in
from ..decisions import told_measure
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_config, configured
from .picture_sets import (
    add_jobs,
    add_sheet,
    check_sheet,
    draw_sheet,
    picture_set,
    print_json,
    print_unread,
    told_progress,
    unread_json,
)
from .tables import table

_EXAMPLES = """\
  stillsift leaks train/ val/ test/              copies of train in val, of either in test
  stillsift leaks train/ val/ --sheet leaks.jpg
  stillsift leaks photos/                        one picture under two labels (class folders)

exit status: 1 where something is found, as linters do; 0 where nothing is
"""
_WORDS = {
    Kind.EXACT: "with the same bytes",
    Kind.SAME: "of the same picture",
    Kind.MIRRORED: "of the same picture, mirrored",
    Kind.NEARLY: "nearly the same",
}


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "leaks",
        leaks,
        "Find pictures that are in two splits, or under two labels.",
        _EXAMPLES,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="SPLIT",
        help="folders of the splits, as train val test; the folders in each are its labels",
    )
    parser.add_argument(
        "--copies",
        action="store_true",
        help="leave out pictures that are only nearly the same, as frames that follow each other",
    )
    add_config(parser)
    add_jobs(parser)
    add_sheet(parser)


def leaks(given: argparse.Namespace) -> int:
    """Prints what repeats another split or label; 1 where there is something."""
    check_sheet(given)
    for place, path in enumerate(given.paths):
        for other in given.paths[:place]:
            inner, outer = path.resolve(), other.resolve()
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                raise UsageError(f"leaks: {other} and {path}: one lies in the other")
    given = argparse.Namespace(**vars(given), store=None, source=None)
    made, embed = picture_set(given)
    roots = [path.resolve() for path in given.paths]
    splits = np.asarray([_split(made, place, roots) for place in range(len(made))], np.intp)
    comparer = Comparer(embed, embed.spec.cell_limit, configured(given).defaults.max_pixels)
    with told_progress("comparing") as tell:
        found = leaks_in(made, splits, comparer, given.jobs, tell)
    if given.copies:
        found = [leak for leak in found if leak.kind is not Kind.NEARLY]
    print_unread(made)
    counts = Counter(leak.kind for leak in found)
    kinds = ", ".join(f"{counts[kind]} {_WORDS[kind]}" for kind in Kind if counts[kind])
    told = (
        f"{counted(len(made), 'picture')} of {counted(len(roots), 'split')}: {kinds or 'no leak'}"
    )
    rows = [_as_json(made, leak, splits, given.paths) for leak in found]
    if given.json:
        print_json({**unread_json(made), "leaks": rows})
    else:
        print(told)
        if rows:
            heading = ["kind", "file", "repeats", "labels", "why"]
            print(table([heading, *(_as_row(row) for row in rows)]))
    draw_sheet(given, told, [_sheet_row(made, leak) for leak in found])
    return 1 if found else 0


def _split(made: PictureSet, place: int, roots: list[Path]) -> int:
    path = made.entries[place].path
    assert path is not None
    return next(split for split, root in enumerate(roots) if path.is_relative_to(root))


def _as_json(
    made: PictureSet,
    leak: Leak,
    splits: np.ndarray[tuple[int], np.dtype[np.intp]],
    paths: list[Path],
) -> dict[str, object]:
    entry, other = made.entries[leak.place], made.entries[leak.other]
    return {
        "kind": leak.kind.value,
        "file": entry.name,
        "split": str(paths[splits[leak.place]]),
        "label": entry.label,
        "repeats": other.name,
        "repeats_split": str(paths[splits[leak.other]]),
        "repeats_label": other.label,
        "distance": told_measure(leak.distance),
        "why": leak.why,
    }


def _as_row(row: dict[str, object]) -> list[str]:
    labels = (row["label"], row["repeats_label"])
    differ = None not in labels and labels[0] != labels[1]
    return [
        str(row["kind"]),
        str(row["file"]),
        str(row["repeats"]),
        f"{labels[0]}, {labels[1]}" if differ else "",
        str(row["why"]),
    ]


def _sheet_row(made: PictureSet, leak: Leak) -> Row:
    entry, other = made.entries[leak.place], made.entries[leak.other]
    tiles = [Tile(each.path, each.caption, each.label or "") for each in (other, entry)]
    return Row(f"{leak.kind.value}: {leak.why}", [tiles[0], replace(tiles[1], framed=True)])
