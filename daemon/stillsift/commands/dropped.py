"""Prints the files that are dropped, each with the reason and the file that shows the same."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..decisions import Outcome
from ..escapes import escaped, json_text
from ..ledger import LedgerReader
from ..store.in_place import goes, shown_in_csv, why_dropped
from ..store.sidecars import Sidecars

COLUMNS = ("file", "reason", "shown_by", "distance", "detail")
"""What is printed of each file; text has the first three. What goes with a still has no reason."""


def print_dropped(ledger: LedgerReader, sources: Iterable[str], form: str) -> None:
    """Prints the dropped stills that may go: as "text", "jsonl", "csv" or "print0"."""
    rows = _rows(ledger, sources)
    if form == "print0":
        sys.stdout.flush()
        for row in rows:
            sys.stdout.buffer.write(os.fsencode(str(row["file"])) + b"\0")
        sys.stdout.buffer.flush()
    elif form == "jsonl":
        for row in rows:
            print(json_text(row))
    elif form == "csv":
        out = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        out.writeheader()
        for row in rows:
            out.writerow({name: shown_in_csv(value) for name, value in row.items()})
    else:
        for row in rows:
            told = (row["file"], row["reason"] or row["detail"], row["shown_by"] or "")
            print("\t".join(escaped(str(each)) for each in told))


@dataclass(frozen=True, slots=True)
class Going:
    """Counts what would go."""

    files: int
    """Dropped stills."""
    bytes: int
    """Of those together."""
    sidecars: int
    """Files that would go since they belong to those."""


def would_go(ledger: LedgerReader, sources: Iterable[str]) -> Going:
    """Returns how many files may go."""
    files = bytes_ = sidecars = 0
    for row in _rows(ledger, sources):
        if row["reason"] is None:
            sidecars += 1
            continue
        with suppress(OSError):  # gone meanwhile
            bytes_ += Path(str(row["file"])).stat().st_size
            files += 1
    return Going(files, bytes_, sidecars)


def _rows(ledger: LedgerReader, sources: Iterable[str]) -> Iterator[dict[str, object]]:
    for source in sources:
        beside = Sidecars()
        for record in ledger.decisions(source=source, outcome=Outcome.DROPPED):
            decision = record.decision
            if goes(ledger, decision):
                assert decision.file is not None
                yield {"file": str(decision.file), **why_dropped(ledger, decision)}
                with suppress(OSError):  # the folder is gone meanwhile
                    for sidecar in beside.going_with(decision.file):
                        belongs = f"belongs to {decision.file.name}"
                        told = {**why_dropped(ledger, None), "detail": belongs}
                        yield {"file": str(sidecar), **told}
