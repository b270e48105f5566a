"""Turns what is asked of the ledger into conditions of SQL."""

from __future__ import annotations

import os
from pathlib import Path

Filter = tuple[str, object | None]
"""SQL with one `?`, and the value for it. None as value: the condition is left out."""


def where(*asked: Filter) -> tuple[str, tuple[object, ...]]:
    """Joins conditions with AND and returns their values; always true where all are left out."""
    given = [(text, value) for text, value in asked if value is not None]
    return " AND ".join(text for text, _ in given) or "1", tuple(value for _, value in given)


def begins_with(id: str | None) -> Filter:
    """Selects decisions `d` whose id begins with these digits.

    It uses the index of ids, so SQLite looks at few rows.
    """
    known = None if id is None else f"{id}*"
    return "d.seq IN (SELECT seq FROM decisions WHERE id GLOB ?)", known


def of_file(file: Path | None) -> Filter:
    """Selects decisions `d` about a file.

    An absolute path means that one file. A relative path means every file whose path ends with it,
    in whole names.
    """
    if file is None:
        return "", None
    # Compared as bytes, because a name that is not UTF-8 is stored as a blob.
    if file.is_absolute():
        return "CAST(d.file AS BLOB) = ?", os.fsencode(file)
    end = os.fsencode(Path("/") / file)
    return f"substr(CAST(d.file AS BLOB), -{len(end)}) = ?", end
