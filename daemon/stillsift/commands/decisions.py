"""`stillsift decisions`: what became of every frame, and why."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ..decisions import Outcome, Reason, row
from ..frames import bounded_ns
from . import (
    Commands,
    UsageError,
    add_command,
    add_source,
    add_store,
    known_source,
    opened_ledger,
    store_path,
    table,
)

_EXAMPLES = """\
  stillsift decisions --store sifted --outcome kept
  stillsift decisions --source gate --reason blurry --since 2026-03-01
  stillsift decisions --format csv > decisions.csv
  stillsift decisions --format parquet > decisions.parquet   (needs pyarrow)
"""

_SHOWN = ("captured_at", "source", "outcome", "reason", "sharpness", "novelty", "nearest_kept")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "decisions",
        decisions,
        "Show what became of every frame, and why.",
        _EXAMPLES,
    )
    add_store(parser)
    add_source(parser)
    parser.add_argument("--outcome", choices=[outcome.value for outcome in Outcome])
    parser.add_argument("--reason", choices=[reason.value for reason in Reason])
    parser.add_argument("--since", metavar="TIME", help="captured at or after (ISO 8601, UTC)")
    parser.add_argument("--until", metavar="TIME", help="captured before (ISO 8601, UTC)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the newest N")
    parser.add_argument(
        "--format",
        choices=["text", "jsonl", "csv", "parquet"],
        default="text",
        help="default: text; jsonl is what --json prints too",
    )
    parser.add_argument("--json", action="store_const", const="jsonl", dest="format")


def decisions(given: argparse.Namespace) -> int:
    """Print the decisions asked for, oldest first."""
    since_ns, until_ns = _nanoseconds(given.since), _nanoseconds(given.until)
    store = store_path(given)
    with opened_ledger(given) as ledger:
        records = ledger.decisions(
            source=known_source(given, ledger),
            outcome=None if given.outcome is None else Outcome(given.outcome),
            reason=None if given.reason is None else Reason(given.reason),
            since_ns=since_ns,
            until_ns=until_ns,
            limit=given.limit,
        )
        rows = (
            row(record.decision, None if record.kept_path is None else store / record.kept_path)
            for record in records
        )
        {"text": _text, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[given.format](rows)
    return 0


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: not a time; write 2026-03-01 or 2026-03-01T12:00") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return bounded_ns(round(at.timestamp() * 1000) * 1_000_000)


Rows = Iterator[dict[str, str | int | float | None]]


def _text(rows: Rows) -> None:
    """A table; the ids are cut to what tells them apart."""
    lines = [[*_SHOWN, "file"]]
    lines += [[*(_cell(row[column]) for column in _SHOWN), _where(row)] for row in rows]
    print(table(lines) if len(lines) > 1 else "no decisions")


def _where(row: dict[str, str | int | float | None]) -> str:
    return "" if row["file"] is None else f"{row['file']}#{row['frame_index']}"


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _jsonl(rows: Rows) -> None:
    for each in rows:
        print(json.dumps(each, ensure_ascii=False))


def _csv(rows: Rows) -> None:
    writer: csv.DictWriter[str] | None = None
    for each in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(each))
            writer.writeheader()
        writer.writerow(each)


def _parquet(rows: Rows) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("decisions: --format parquet needs pyarrow: pip install pyarrow")
    if sys.stdout.isatty():
        raise UsageError("decisions: parquet is no text; send it to a file: > decisions.parquet")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(list(rows)), arrow.PythonFile(sys.stdout.buffer))
