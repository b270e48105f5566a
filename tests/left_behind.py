"""What runs left behind in a store and beside it: held against another run's, and for itself."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from running import assert_agree, decided, kept_in_ledger
from stillsift.ledger import LedgerError

Facts = dict[str, Any]

_OTHER_EACH_TIME = {
    "decisions": {"seq", "decided_at_ns", "lifetime_ns"},
    "files": {"key", "device", "inode", "changed_at_ns"},
    "gaps": {"key"},
    "alarms": {"key"},
    "source_state": {"changed_at_ns"},
    "quarantine": {"key", "at_ns", "lifetime_ns"},
    "configs": {"first_seen_ns"},
    "folders": {"mtime_ns"},
}
"""Columns that tell of one run, by table: its clock, and the numbers that the kernel gave."""
_ROUNDING = 1e-5
_ORDER = {"decisions": "seq", "files": "changed_at_ns, key"}
_OF_ONE_RUN = ("lock", "correcting", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")


def facts(folders: Iterable[Path], store: Path) -> Facts:
    """Every row of the ledger and every file below the folders, by name; another run over the same
    files must leave the same."""
    return {**_rows(store / "ledger.sqlite"), **_files(folders, store)}


def differences(one: Facts, other: Facts) -> list[str]:
    """What `other` has otherwise, for people.

    Measures count as the same if they differ by rounding alone: measured: the last bit of a sum in
    OpenCV and NumPy depends on where in memory its numbers lie.
    """
    return [
        f"{name}: {one.get(name, 'nothing')} became {other.get(name, 'nothing')}"
        for name in sorted(one.keys() | other.keys())
        if not _same(one.get(name), other.get(name))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def faults(folders: Iterable[Path], store: Path) -> list[str]:
    """What is wrong in itself once nothing runs any more: rows, files and listings that do not
    agree, a damaged ledger, names that were to be temporary."""
    found = []
    try:
        assert_agree(store)
    except (AssertionError, LedgerError) as error:
        found.append(f"ledger, disk and metadata.jsonl do not agree: {error}")
    with closing(sqlite3.connect(store / "ledger.sqlite")) as db:
        (answer,) = db.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        found.append(f"the ledger is damaged: {answer}")
    for mark in (store / "reading").glob("*"):
        said = mark.read_text()  # empty: nothing had to be read
        if said and (file := json.loads(said)["file"]) is not None:
            found.append(f"{file} is still marked as being read")
    for folder in folders:
        found += [
            f"{path} was left behind"
            for path in _walk(folder)
            if path.name.startswith(".stillsift-") or path.parent.name == ".placing"
        ]
    return found


def torn(folders: Iterable[Path], store: Path, originals: Iterable[str]) -> list[str]:
    """What is already wrong right after a kill: kept frames of the ledger without their file, and
    `originals` (SHA-256) whose bytes are nowhere."""
    there = {_sha256(path) for folder in folders for path in _walk(folder)}
    found = [f"no file has the bytes of the original {each}" for each in set(originals) - there]
    with ledger_aside(store) as aside:
        try:
            kept = kept_in_ledger(aside)
        except LedgerError:  # not made yet, or of an earlier schema
            return found
    for path, sha256 in kept.items():
        if not (store / path).is_file() or _sha256(store / path) != sha256:
            found.append(f"{path} is kept in the ledger, and not on the disk")
    return found


@contextmanager
def ledger_aside(store: Path) -> Iterator[Path]:
    """A folder with a copy of the ledger: to look into it without mending what a kill has left."""
    with tempfile.TemporaryDirectory() as aside:
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            if (store / name).exists():
                shutil.copy(store / name, aside)
        yield Path(aside)


def census(watched: Iterable[Path], store: Path) -> Counter[str]:
    """How many originals there are of each SHA-256: in their folders, in quarantine, or kept
    instead of an original that has gone."""
    places = [*watched, store / "quarantine"]
    there = Counter(_sha256(path) for place in places for path in _walk(place))
    for record in decided(store):
        one = record.decision
        if one.content_hash is None or one.file is None or record.kept_path is None:
            continue
        if not one.file.exists() and record.kept_path.parts[0] == "kept":
            there[one.content_hash] += 1
    return there


def _rows(ledger: Path) -> Facts:
    rows: Facts = {}
    with closing(sqlite3.connect(ledger)) as db:
        made = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in made:
            if table == "lifetime":
                continue
            found = db.execute(f"SELECT * FROM {table} ORDER BY {_ORDER.get(table, 1)}")
            names = [column[0] for column in found.description]
            others = _OTHER_EACH_TIME.get(table, set())
            told = [
                {
                    name: _readable(value)
                    for name, value in zip(names, row, strict=True)
                    if name not in others
                }
                for row in found
            ]
            if table == "counts":  # of a decision that was there for a while, 0 is left
                told = [row for row in told if row["frames"]]
            if table == "files":
                # A file that came back has a row more, unless its old inode number came back too.
                told = list({(row["source"], row["file"]): row for row in told}.values())
                for row in told:
                    if row["state"] == "done" and row["next_frame"] == 0:
                        row["first_kept"] = None  # and with it what was known under that number
            if table != "decisions":
                told.sort(key=repr)
            rows |= {f"{table} {number}": row for number, row in enumerate(told)}
    return rows


def _readable(value: object) -> object:
    """A value of the ledger; of arrays, as state and gallery are, what they hold."""
    if not isinstance(value, bytes) or not value.startswith(b"PK"):
        return value
    with np.load(io.BytesIO(value)) as arrays:
        held = {name: array.tolist() for name, array in arrays.items()}
    return {name: _parsed(one) for name, one in held.items()}


def _parsed(value: object) -> object:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _files(folders: Iterable[Path], store: Path) -> Facts:
    found: Facts = {}
    for folder in folders:
        for path in _walk(folder):
            name = f"file {path}"
            inside = path.relative_to(store) if path.is_relative_to(store) else None
            if inside is None or inside.parts[0] == "quarantine":
                found[name] = f"{_sha256(path)}, of {path.stat().st_mtime_ns}"
            elif path.name == "metadata.jsonl":
                found[name] = [json.loads(line) for line in sorted(path.read_text().splitlines())]
            elif inside.parts[0] != "reading" and path.name not in _OF_ONE_RUN:
                found[name] = _sha256(path)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
