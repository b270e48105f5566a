"""Implements `stillsift gaps`: shows when a camera was away, and why."""

from __future__ import annotations

import argparse

from .arguments import (
    Commands,
    add_command,
    add_json,
    add_source,
    add_store,
    known_source,
    opened_ledger,
)
from .tables import print_records, span

_EXAMPLES = """\
  stillsift gaps --source yard
  stillsift gaps --store /var/lib/stillsift --json
"""


def add(commands: Commands) -> None:
    parser = add_command(commands, "gaps", gaps, "Show when a camera was away, and why.", _EXAMPLES)
    add_store(parser)
    add_source(parser)
    add_json(parser)


def gaps(given: argparse.Namespace) -> int:
    """Prints the gaps, oldest first."""
    with opened_ledger(given) as ledger:
        records = list(ledger.gaps(source=known_source(given, ledger)))
    rows = [
        {"source": gap.source, **span(gap.from_ns, gap.to_ns), "cause": gap.cause}
        for gap in records
    ]
    print_records(given, rows, "no gaps")
    return 0
