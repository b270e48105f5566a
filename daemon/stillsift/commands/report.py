"""Implements `stillsift report`: writes one file that tells what a store has kept and why."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..escapes import escaped
from ..review.report import Asked, check_place, report, write_report, write_sheets
from ..units import shown_size
from .arguments import (
    Commands,
    add_command,
    add_source,
    add_span,
    add_store,
    configured,
    known_source,
    opened_ledger,
    span_ns,
    store_path,
)

_EXAMPLES = """\
  stillsift report --store sifted                          report.html, to look at or to hand on
  stillsift report -c config.yaml --source gate --since 2026-03-01 -o march.html
  stillsift report --store sifted --sheet sheets           also what each source has kept, as PNG
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "report",
        run,
        "Write one HTML file that tells what came in, what was kept and why, in pictures.",
        _EXAMPLES,
    )
    add_store(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="file to write (default: report.html); only an earlier report is replaced",
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="DIR",
        help="also write a contact sheet of the kept frames of each source there",
    )
    add_source(parser)
    add_span(parser)


def run(given: argparse.Namespace) -> int:
    """Writes the report and names it."""
    check_place(given.output)
    since_ns, until_ns = span_ns(given)
    with opened_ledger(given) as ledger:
        source = known_source(given, ledger)
        store = store_path(given).absolute()
        asked = Asked(source, since_ns, until_ns, configured(given).defaults.max_pixels)
        write_report(given.output, report(ledger, store, asked))
        written = [given.output]
        if given.sheet is not None:
            written += write_sheets(ledger, store, given.sheet, asked)
    for file in written:
        print(escaped(f"{file}: {shown_size(file.stat().st_size)}"))
    return 0
