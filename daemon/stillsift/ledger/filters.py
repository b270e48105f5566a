"""What is asked of the ledger, as conditions of SQL."""

from __future__ import annotations

import os
from pathlib import Path

Filter = tuple[str, object | None]
"""SQL with one `?`, and the value that stands for it. A value of None: it is not asked."""


def where(*asked: Filter) -> tuple[str, tuple[object, ...]]:
    """All of them together; what is always true where nothing is asked."""
    given = [(text, value) for text, value in asked if value is not None]
    return " AND ".join(text for text, _ in given) or "1", tuple(value for _, value in given)


def begins_with(id: str | None) -> Filter:
    """Decisions `d` whose id has these first digits, by the index of ids: few are looked at."""
    known = None if id is None else f"{id}*"
    return "d.seq IN (SELECT seq FROM decisions WHERE id GLOB ?)", known


def of_file(file: Path | None) -> Filter:
    """Decisions `d` about a file: that one where the path is absolute, else every one whose path
    ends so, in whole names."""
    if file is None:
        return "", None
    # As bytes: a name that is no UTF-8 lies there as a blob.
    if file.is_absolute():
        return "CAST(d.file AS BLOB) = ?", os.fsencode(file)
    end = os.fsencode(Path("/") / file)
    return f"substr(CAST(d.file AS BLOB), -{len(end)}) = ?", end
