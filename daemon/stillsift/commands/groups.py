"""Implements `stillsift groups`: puts pictures that look alike into groups."""

from __future__ import annotations

import argparse

from ..dataset import PictureSet
from ..dataset.alike import similarity_limit
from ..dataset.contact_sheet import Row, Tile
from ..dataset.groups import Group, groups_of
from ..decisions import told_measure
from ..units import counted
from .arguments import Commands, add_command
from .picture_sets import (
    add_most,
    add_pictures,
    add_sheet,
    check_sheet,
    cosine,
    draw_sheet,
    picture_set,
    print_json,
    print_unread,
    unread_json,
)
from .tables import table

_EXAMPLES = """\
  stillsift groups photos/ --sheet groups.jpg    groups of a folder, and a look at them
  stillsift groups --store sifted --most 10
  stillsift groups photos/ --similarity 0.98 --json > groups.json
"""
_ON_SHEET = 16
"""Members of a group that are drawn."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "groups", groups, "Put pictures that look alike into groups.", _EXAMPLES
    )
    add_pictures(parser)
    parser.add_argument(
        "--similarity",
        type=cosine,
        metavar="COSINE",
        help="least similarity within a group (default: taken from the set)",
    )
    add_most(parser, 20, "groups to show, the largest first (default: 20; JSON has all)")
    add_sheet(parser)


def groups(given: argparse.Namespace) -> int:
    """Prints the groups, the largest first, each with its representative."""
    check_sheet(given)
    made, _ = picture_set(given)
    limit = similarity_limit(made.vectors) if given.similarity is None else given.similarity
    found = groups_of(made.vectors, limit)
    single = sum(len(group.members) == 1 for group in found)
    origin = "taken from the set" if given.similarity is None else "as asked for"
    told = (
        f"{counted(len(made), 'picture')} in {counted(len(found), 'group')}, "
        f"{single} of one picture; similarity {limit:.3f} and more, {origin}"
    )
    print_unread(made)
    if given.json:
        print_json(
            {
                **unread_json(made),
                "similarity": told_measure(limit),
                "groups": [_as_json(made, group) for group in found],
            }
        )
    else:
        print(told)
        shown = [group for group in found if len(group.members) > 1][: given.most]
        if shown:
            heading = ["group", "pictures", "least similar", "representative"]
            rows = [_as_row(made, group, number) for number, group in enumerate(shown, 1)]
            print(table([heading, *rows]))
    draw_sheet(given, told, _sheet(made, found[: given.most]))
    return 0


def _as_row(made: PictureSet, group: Group, number: int) -> list[str]:
    return [
        str(number),
        str(len(group.members)),
        f"{group.similarity.min():.3f}",
        made.entries[group.medoid].name,
    ]


def _as_json(made: PictureSet, group: Group) -> dict[str, object]:
    return {
        "representative": made.entries[group.medoid].name,
        "size": len(group.members),
        "members": [
            {"file": made.entries[place].name, "similarity": told_measure(float(similarity))}
            for place, similarity in zip(group.members, group.similarity, strict=True)
        ],
    }


def _sheet(made: PictureSet, found: list[Group]) -> list[Row]:
    rows = []
    for number, group in enumerate(found, 1):
        tiles = [
            Tile(
                made.entries[place].path,
                made.entries[place].caption,
                "representative" if place == group.medoid else f"similarity {similarity:.3f}",
                framed=bool(place == group.medoid),
            )
            for place, similarity in zip(
                group.members[:_ON_SHEET], group.similarity[:_ON_SHEET], strict=True
            )
        ]
        more = len(group.members) - len(tiles)
        left_out = f", {more} not shown" if more else ""
        rows.append(
            Row(f"group {number}: {counted(len(group.members), 'picture')}{left_out}", tiles)
        )
    return rows
