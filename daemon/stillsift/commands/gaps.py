"""`stillsift gaps`: when a camera was away, and why."""

from __future__ import annotations

import argparse
import json

from ..decisions import time_text
from . import Commands, add_command, add_json, add_store, opened_ledger, table

_EXAMPLES = """\
  stillsift gaps --source yard
  stillsift gaps --store /var/lib/stillsift --json
"""


def add(commands: Commands) -> None:
    parser = add_command(commands, "gaps", gaps, "Show when a camera was away, and why.", _EXAMPLES)
    add_store(parser)
    parser.add_argument("--source", metavar="NAME", help="only this source")
    add_json(parser)


def gaps(given: argparse.Namespace) -> int:
    """Print the gaps, oldest first."""
    with opened_ledger(given) as ledger:
        records = list(ledger.gaps(source=given.source))
    rows = [
        {
            "source": gap.source,
            "from": time_text(gap.from_ns),
            "to": time_text(gap.to_ns),
            "seconds": round((gap.to_ns - gap.from_ns) / 1e9, 3),
            "cause": gap.cause,
        }
        for gap in records
    ]
    if given.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        print(table([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    else:
        print("no gaps")
    return 0
