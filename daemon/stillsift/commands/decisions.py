"""Implements `stillsift decisions`: shows what became of every frame, and why."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from ..decisions import Outcome, Reason
from ..escapes import as_utf8, escaped, json_text
from ..ledger import LedgerReader
from ..store.names import id_meant
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_source,
    add_span,
    add_store,
    check_pyarrow,
    known_source,
    opened_ledger,
    span_ns,
    store_path,
)
from .tables import DECISION_COLUMNS, Row, decision_row, table

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

_NAMES = ("file", "repeats")
"""Columns of files. On a terminal they have the end of a name, and give way to no other column."""
_LESS_AND_LESS = (
    *("outcome", "captured_at", "source", "novelty", "detail", "sharpness", "nearest_kept"),
    *("frames", "objects", "tags", "repairs"),
)
"""Columns that a terminal has if there is room, the most important first."""

_ID_DIGITS = 8
"""Digits of an id on a terminal: enough to tell a million frames apart, and to ask for one."""
_SHORT_NAME, _LONG_NAME = 18, 28
"""Characters of a file's name on a terminal: as many as it has before another column is added, and
at most, so that the detail has room beside it."""
_DETAIL = 20
"""Characters of the detail for which there must be room; on a wide terminal it has all the rest."""
_MILLISECONDS = len("2026-03-01T12:00:00.000")
_ROW_GROUP = 50_000
"""Rows that are gathered before they are written to a parquet file."""
_KNOWN_FILES = 1000
"""Kept frames whose files are remembered: mostly the frames beside each other repeat the same."""


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
    add_span(parser)
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
    since_ns, until_ns = span_ns(given)
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
                record.decision,
                None if record.kept_path is None else store / record.kept_path,
                record.repairs,
            )
            for record in records
        )
        if given.format == "text":
            _text(rows, _files_of(ledger, store))
        else:
            {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}[given.format](rows)
    return 0


FileOf = Callable[[str], str | None]
"""Gives the file and index that a kept frame, named by its id, came from, and of a camera's frame
its picture in the store; None: nothing is known of it."""


def _files_of(ledger: LedgerReader, store: Path) -> FileOf:
    @lru_cache(_KNOWN_FILES)
    def file_of(id: str) -> str | None:
        record = ledger.decision(id)
        if record is None:
            return None
        if record.decision.file is not None:
            return f"{record.decision.file}#{record.decision.frame_index}"
        return None if record.kept_path is None else str(store / record.kept_path)

    return file_of


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


Rows = Iterator[Row]
Cells = dict[str, str]
"""The cells of one decision by column; `-`: there is nothing to say."""


def _text(rows: Rows, file_of: FileOf) -> None:
    """Prints a table without the columns that say nothing.

    On a terminal, the columns that matter least give way until lines have its width, and a single
    decision is shown with each of its columns on a line of its own.
    """
    found = [_cells(row, file_of) for row in rows]
    if not found:
        print("no decisions")
    elif not sys.stdout.isatty():
        print(_table(found, _columns(found)))
    elif len(found) == 1:
        print(table([[name, cell] for name, cell in found[0].items() if cell != "-"]))
    else:
        width = shutil.get_terminal_size().columns
        for text in _narrow([_brief(cells) for cells in found], width).splitlines():
            print(f"{text[: width - 1]}…" if len(text) > width else text)


def _columns(found: list[Cells]) -> list[str]:
    """Returns the columns that say something, in order."""
    return [name for name in found[0] if any(cells[name] != "-" for cells in found)]


def _table(found: list[Cells], columns: list[str]) -> str:
    return table([columns, *([cells[name] for name in columns] for cells in found)])


def _cells(row: Row, file_of: FileOf) -> Cells:
    cells = {name: _cell(row[name]) for name in _SHOWN}
    if row["frames"] == 1:
        cells["frames"] = "-"
    for name in _MEASURES:
        if row[name] is not None and row[f"{name}_limit"] is not None:
            cells[name] += f"/{_cell(row[f'{name}_limit'])}"
    file, detail = _cell(row["file"]), _cell(row["detail"])
    cells["file"] = file if row["file"] is None else f"{file}#{row['frame_index']}"
    by_hand = row["reason"] in (Reason.PICKED, Reason.REJECTED)
    dropped = row["outcome"] == Outcome.DROPPED or row["dropped_as"] is not None
    repeats = dropped and not by_hand
    objects = str(row["objects_shown_by"] or "").split()
    shown_by = objects[0] if objects else row["nearest_kept"]
    cells["repeats"] = _cell(file_of(str(shown_by))) if repeats and shown_by is not None else "-"
    for name, column in (("objects", "detections"), ("tags", "tags")):
        found = json.loads(str(row[column] or "[]"))
        told = (f"{each['label']} {each['confidence']:.2f}" for each in found)
        cells[name] = escaped(", ".join(told)) or "-"
    cells["detail"] = detail.removeprefix(f"{file}: ")
    cells["repairs"] = _cell(row["repairs"])
    return cells


def _brief(cells: Cells) -> Cells:
    """Returns the same cells with milliseconds, few digits of the id, and names without folders."""
    names = {name: cells[name].rpartition("/")[2] for name in _NAMES}
    return {
        **cells,
        "captured_at": cells["captured_at"][:_MILLISECONDS],
        "nearest_kept": cells["nearest_kept"][:_ID_DIGITS],
        **names,
    }


def _narrow(found: list[Cells], width: int) -> str:
    """Returns a table whose columns fit into a width, but for the end of the detail."""
    there = _columns(found)
    needed = {name: max(len(name), *(len(cells[name]) for cells in found)) for name in there}
    names = [name for name in _NAMES if name in there]
    chosen = {"reason": needed["reason"], **{n: min(needed[n], _SHORT_NAME) for n in names}}

    def room() -> int:
        return width - sum(chosen.values()) - 2 * (len(chosen) - 1)

    for name in (each for each in _LESS_AND_LESS if each in there):
        wanted = min(needed[name], _DETAIL) if name == "detail" else needed[name]
        if wanted + 2 > room():
            break
        chosen[name] = wanted
    for left, name in enumerate(sorted(names, key=needed.__getitem__)):
        most = chosen[name] + room() // (len(names) - left)
        chosen[name] = max(1, min(needed[name], _LONG_NAME, most))
    columns = [name for name in there if name in chosen]
    cut = [{**each, **{n: _end_of(each[n], chosen[n]) for n in names}} for each in found]
    return _table(cut, columns)


def _end_of(name: str, length: int) -> str:
    return name if len(name) <= length else f"…{name[len(name) - length + 1 :]}"


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return escaped(f"{value:.3f}" if isinstance(value, float) else str(value))


def _jsonl(rows: Rows) -> None:
    for each in rows:
        print(json_text(each))


def _csv(rows: Rows) -> None:
    writer = csv.DictWriter(sys.stdout, list(DECISION_COLUMNS))
    writer.writeheader()
    for each in rows:
        # A CSV is read on terminals and by tools that know lines only.
        told = {k: escaped(v) if isinstance(v, str) else v for k, v in each.items()}
        writer.writerow(told)


def _parquet(rows: Rows) -> None:
    """Writes the rows with the types of their columns, whatever is missing in all of them."""
    check_pyarrow("decisions")
    if sys.stdout.isatty():
        raise UsageError("decisions: parquet is no text; send it to a file: > decisions.parquet")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    types = {
        "text": arrow.string(),
        "whole": arrow.int64(),
        "number": arrow.float64(),
        "time": arrow.timestamp("us", tz="UTC"),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in DECISION_COLUMNS.items()])
    out = arrow.PythonFile(sys.stdout.buffer)
    with parquet.ParquetWriter(out, schema) as writer:
        while some := [_typed(row) for row in islice(rows, _ROW_GROUP)]:
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))


def _typed(row: Row) -> dict[str, str | int | float | datetime | None]:
    """Returns the row with its times as such; a name that is not UTF-8 has escapes."""
    typed: dict[str, str | int | float | datetime | None] = {}
    for name, kind in DECISION_COLUMNS.items():
        value = row[name]
        if isinstance(value, str):
            is_time = kind == "time"
            typed[name] = datetime.fromisoformat(value) if is_time else as_utf8(value)
        else:
            typed[name] = value
    return typed
