"""Implements `stillsift find`: searches a set by a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..dataset.contact_sheet import Row, Tile
from ..dataset.neighbours import nearest
from ..dataset.pictures import SetError
from ..decisions import told_measure
from ..sources.files.still import Unreadable, still_at
from ..units import counted
from .arguments import Commands, add_command, configured
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
  stillsift find gate.jpg --store sifted         kept frames that look like it, nearest first
  stillsift find gate.jpg photos/ --most 20 --sheet found.jpg
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "find", find, "Search a set of pictures by a picture.", _EXAMPLES
    )
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="the picture to search by")
    add_pictures(parser)
    add_most(parser, 10, "pictures to show (default: 10)")
    add_sheet(parser)


def find(given: argparse.Namespace) -> int:
    """Prints the most similar pictures, the nearest first."""
    check_sheet(given)
    if not given.picture.is_file():
        raise SetError(f"{given.picture}: there is no such picture")
    asked = given.picture.resolve()
    try:
        still = still_at(asked, configured(given).defaults.max_pixels)
    except Unreadable as error:
        raise SetError(f"{given.picture}: {error}") from error
    made, embed = picture_set(given)
    found = nearest(embed(still.picture).vector[None], made.vectors, given.most)
    rows: list[dict[str, object]] = []
    tiles = [Tile(asked, str(given.picture), "searched by", framed=True)]
    for place, similarity in zip(found.places[0], found.similarity[0], strict=True):
        entry = made.entries[place]
        same = entry.digest == still.digest
        rows.append(
            {
                "file": entry.name,
                "similarity": told_measure(float(similarity)),
                "same_bytes": same,
                "source": entry.source,
                "id": entry.id,
            }
        )
        note = f"similarity {similarity:.3f}{', the same bytes' if same else ''}"
        tiles.append(Tile(entry.path, entry.caption, note))
    print_unread(made)
    told = f"nearest of {counted(len(made), 'picture')} to {given.picture}"
    if given.json:
        print_json({**unread_json(made), "found": rows})
    elif rows:
        shown = [
            [f"{row['similarity']:.3f}", str(row["file"]), "yes" if row["same_bytes"] else ""]
            for row in rows
        ]
        print(table([["similarity", "file", "same bytes"], *shown]))
    else:
        print("no pictures")
    draw_sheet(given, told, [Row("nearest first", tiles)])
    return 0
