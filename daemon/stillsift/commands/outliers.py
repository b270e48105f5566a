"""Implements `stillsift outliers`: shows the odd pictures of a set first."""

from __future__ import annotations

import argparse

from ..dataset import PictureSet
from ..dataset.contact_sheet import Row, Tile
from ..dataset.outliers import NEIGHBOURS, ODD, Outlier, outliers_of
from ..decisions import told_measure
from ..units import counted
from .arguments import Commands, add_command
from .picture_sets import (
    add_most,
    add_pictures,
    add_sheet,
    check_sheet,
    draw_sheet,
    picture_set,
    print_json,
    print_unread,
    unread_json,
)
from .tables import table

_EXAMPLES = """\
  stillsift outliers photos/ --sheet odd.jpg     the odd ones, and a look at them
  stillsift outliers --store sifted --source gate --most 50
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "outliers", outliers, "Show the odd pictures of a set first.", _EXAMPLES
    )
    add_pictures(parser)
    add_most(parser, 20, "pictures to show, the oddest first (default: 20; JSON has all)")
    add_sheet(parser)


def outliers(given: argparse.Namespace) -> int:
    """Prints the pictures that are farthest from all others."""
    check_sheet(given)
    made, _ = picture_set(given)
    found = outliers_of(made.vectors)
    odd = sum(each.score >= ODD for each in found)
    told = (
        f"{counted(len(made), 'picture')}, {odd} odd: {ODD:g} times as far from the "
        f"{NEIGHBOURS} nearest as these are from theirs, or more"
    )
    print_unread(made)
    if given.json:
        rows = [_as_json(made, each) for each in found]
        print_json({**unread_json(made), "odd": odd, "outliers": rows})
    else:
        print(told if found else f"{told}; at least three pictures are needed")
        heading = ["score", "similarity", "expected", "file", "most similar"]
        if found:
            print(table([heading, *(_as_row(made, each) for each in found[: given.most])]))
    tiles = [
        Tile(
            made.entries[each.place].path,
            made.entries[each.place].caption,
            f"score {each.score:.1f}: {each.around:.3f}, expected {each.usual:.3f}",
            framed=each.score >= ODD,
        )
        for each in found[: given.most]
    ]
    draw_sheet(given, told, [Row("the oddest first", tiles)])
    return 0


def _as_row(made: PictureSet, each: Outlier) -> list[str]:
    return [
        f"{each.score:.2f}",
        f"{each.around:.3f}",
        f"{each.usual:.3f}",
        made.entries[each.place].name,
        f"{made.entries[each.nearest].name} ({each.similarity:.3f})",
    ]


def _as_json(made: PictureSet, each: Outlier) -> dict[str, object]:
    return {
        "file": made.entries[each.place].name,
        "score": told_measure(each.score),
        "similarity": told_measure(each.around),
        "expected": told_measure(each.usual),
        "nearest": made.entries[each.nearest].name,
        "nearest_similarity": told_measure(each.similarity),
    }
