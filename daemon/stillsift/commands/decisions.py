"""Implements `stillsift decisions`: shows what became of every frame, and why."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..decisions import Outcome, Reason
from ..escapes import escaped, json_text
from ..frames import bounded_ns
from ..store.names import id_meant
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_source,
    add_store,
    known_source,
    opened_ledger,
    store_path,
)
from .tables import decision_row, table

_EXAMPLES = """\
  stillsift decisions --store sifted --outcome kept
  stillsift decisions --source gate --reason blurry --since 2026-03-01
  stillsift decisions --file photos/IMG_0042.jpg
  stillsift decisions 3f2a9c01                  one frame, by how its id begins
  stillsift decisions --format csv > decisions.csv
  stillsift decisions --format parquet > decisions.parquet   (needs pyarrow)
"""

_MEASURES = ("sharpness", "novelty")
"""Measures that are shown with their limits."""
_SHOWN = ("captured_at", "source", "outcome", "reason", "frames", *_MEASURES, "nearest_kept")

_ID_DIGITS = 8
"""Digits of an id on a terminal: enough to tell a million frames apart, and to ask for one."""
_FILE_LENGTH = 28
"""Characters of a file's name on a terminal: its end, so that the detail has room beside it."""
_MILLISECONDS = len("2026-03-01T12:00:00.000")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "decisions",
        decisions,
        "Show what became of every frame, and why.",
        _EXAMPLES,
    )
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="only this frame: its id or how it begins, or its picture",
    )
    add_store(parser)
    parser.add_argument("--file", metavar="NAME", help="only this file: its path, or the end of it")
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
    """Prints the decisions asked for, oldest first."""
    since_ns, until_ns = _nanoseconds(given.since), _nanoseconds(given.until)
    id = None if given.id is None else _id(given.id)
    file = None if given.file is None else _file(given.file)
    store = store_path(given)
    with opened_ledger(given) as ledger:
        records = ledger.decisions(
            source=known_source(given, ledger),
            outcome=None if given.outcome is None else Outcome(given.outcome),
            reason=None if given.reason is None else Reason(given.reason),
            since_ns=since_ns,
            until_ns=until_ns,
            id=id,
            file=file,
            limit=given.limit,
        )
        rows = (
            decision_row(
                record.decision, None if record.kept_path is None else store / record.kept_path
            )
            for record in records
        )
        {"text": _text, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[given.format](rows)
    return 0


def _id(text: str) -> str:
    id = id_meant(text)
    if re.fullmatch(r"[0-9a-f]+", id) is None:
        raise UsageError(
            f"decisions: {text}: no id, which has the digits 0 to 9 and a to f; it ends the name "
            "of a kept picture, and --json shows it. For a file, write --file NAME"
        )
    return id


def _file(text: str) -> Path:
    """Returns a file as the ledger knows it: absolute and without links, or the end of a path."""
    name = Path(os.path.normpath(text))
    return name.resolve() if name.is_absolute() or name.parts[:1] == ("..",) else name


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: not a time; write 2026-03-01 or 2026-03-01T12:00") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return bounded_ns(round(at.timestamp() * 1000) * 1_000_000)


Row = dict[str, str | int | float | None]
Rows = Iterator[Row]


def _text(rows: Rows) -> None:
    """Prints a table without the columns that say nothing.

    On a terminal, lines are cut to its width, and a single decision is shown with each of its
    columns on a line of its own.
    """
    if not (found := list(rows)):
        print("no decisions")
    elif not sys.stdout.isatty():
        print(_table([_line(row) for row in found]))
    elif len(found) == 1:
        print(table([[name, cell] for name, cell in _line(found[0]).items() if cell != "-"]))
    else:
        width = shutil.get_terminal_size().columns
        for text in _table([_brief(row) for row in found]).splitlines():
            print(f"{text[: width - 1]}…" if len(text) > width else text)


def _table(lines: list[dict[str, str]]) -> str:
    columns = [name for name in lines[0] if any(line[name] != "-" for line in lines)]
    return table([columns, *([line[name] for name in columns] for line in lines)])


def _line(row: Row) -> dict[str, str]:
    """Returns the cells of one decision by column."""
    cells = {name: _cell(row[name]) for name in _SHOWN}
    if row["frames"] == 1:
        cells["frames"] = "-"
    for name in _MEASURES:
        if row[name] is not None and row[f"{name}_limit"] is not None:
            cells[name] += f"/{_cell(row[f'{name}_limit'])}"
    file, detail = _cell(row["file"]), _cell(row["detail"])
    cells["file"] = file if row["file"] is None else f"{file}#{row['frame_index']}"
    cells["detail"] = detail.removeprefix(f"{file}: ")
    return cells


def _brief(row: Row) -> dict[str, str]:
    """Returns the same cells with milliseconds, few digits of the id, and a file's name only."""
    cells = _line(row)
    cells["captured_at"] = cells["captured_at"][:_MILLISECONDS]
    cells["nearest_kept"] = cells["nearest_kept"][:_ID_DIGITS]
    cells["file"] = cells["file"].rpartition("/")[2]
    if len(cells["file"]) > _FILE_LENGTH:
        cells["file"] = f"…{cells['file'][1 - _FILE_LENGTH :]}"
    return cells


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return escaped(f"{value:.3f}" if isinstance(value, float) else str(value))


def _jsonl(rows: Rows) -> None:
    for each in rows:
        print(json_text(each))


def _csv(rows: Rows) -> None:
    writer: csv.DictWriter[str] | None = None
    for each in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(each))
            writer.writeheader()
        # A CSV is read on terminals and by tools that know lines only.
        told = {k: escaped(v) if isinstance(v, str) else v for k, v in each.items()}
        writer.writerow(told)


def _parquet(rows: Rows) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("decisions: --format parquet needs pyarrow: pip install pyarrow")
    if sys.stdout.isatty():
        raise UsageError("decisions: parquet is no text; send it to a file: > decisions.parquet")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(list(rows)), arrow.PythonFile(sys.stdout.buffer))
