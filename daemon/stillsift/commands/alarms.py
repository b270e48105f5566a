"""Implements `stillsift alarms`: shows what is wrong with a source itself, and since when."""

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
  stillsift alarms --source yard
  stillsift alarms --store /var/lib/stillsift --json
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "alarms",
        alarms,
        "Show when a camera was frozen, covered, moved, out of focus or its clock astray.",
        _EXAMPLES,
    )
    add_store(parser)
    add_source(parser)
    add_json(parser)


def alarms(given: argparse.Namespace) -> int:
    """Prints the alarms, oldest first."""
    with opened_ledger(given) as ledger:
        records = ledger.alarms(source=known_source(given, ledger))
    rows = [
        {
            "source": alarm.source,
            "kind": alarm.kind.value,
            **span(alarm.from_ns, alarm.to_ns),
            "detail": alarm.detail,
        }
        for alarm in records
    ]
    print_records(given, rows, "no alarms")
    return 0
