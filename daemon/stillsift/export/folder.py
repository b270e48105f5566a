"""Holds a folder into which frames are exported, and remembers in it what was.

Nothing in it is overwritten but files that were written here whole and that nobody has changed.
What is remembered lies in a folder of its own in it, as a SQLite file and what is being written.
A picture is there, synced, before its row is, and a part has its row before it takes its name:
whenever the process ends, the next one goes on, and exports no frame twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..problems import Problem
from ..sources.files.opening import opened
from ..store.durable_files import copy_data, make_folder, move_without_overwrite, sync_folder
from ..store.lock import StoreLock
from ..store.quarantine import content_of
from .kept_frames import KeptFrame

STATE = ".stillsift-export"
_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE classes (number INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE);
CREATE TABLE written (name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (name, sha256));
CREATE TABLE parts (name TEXT PRIMARY KEY, split TEXT NOT NULL, number INTEGER NOT NULL);
CREATE TABLE frames (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    split TEXT NOT NULL,
    entry TEXT NOT NULL
);
"""
_VERSION = 1
_PAGE = 1000
_WRITERS = 8
"""Threads that write files: a file system syncs several together. Measured: 500 files of 50 kB in
0.3 s instead of 3.2 s."""
_MOST_NAMED = 3


class ExportError(Problem):
    """Says that something could not be exported."""


@dataclass(slots=True)
class LeftOut:
    """Counts frames without a picture to export, by the reason, and names the first few."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, frame: KeptFrame, why: str) -> None:
        with self._lock:
            self.counts[why] += 1
            if len(self.named) < _MOST_NAMED:
                self.named.append(f"{frame.path}: {why}")


class ExportFolder:
    """Takes the exported files, and remembers which frames they show."""

    def __init__(self, root: Path, format: str) -> None:
        """Opens a folder for exports of one format, or makes it.

        What an export that was cut off has left is finished or removed. Raises ExportError where
        the folder holds something else, or a file was changed that is to be written again, and
        StoreInUse while another export goes into it.
        """
        self.root = root.absolute()
        self.format = format
        self.left_out = LeftOut()
        self.notes: list[str] = []
        """What a person should know of the export."""
        self._state = self.root / STATE
        self._numbers = count()
        self._unsynced: set[Path] = set()
        _check_place(self.root)
        make_folder(self._state)
        self._lock = StoreLock(self._state)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="exporting")
        try:
            self._db = self._opened()
            self._finish()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        self._writers.shutdown(cancel_futures=True)
        self._db.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> sqlite3.Connection:
        path = self._state / "state.sqlite"
        db = sqlite3.connect(path, isolation_level=None)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
            elif version > _VERSION:
                raise ExportError(f"{path}: written by a newer stillsift; use that version")
            db.execute("INSERT OR IGNORE INTO settings VALUES ('format', ?)", (self.format,))
            there = db.execute("SELECT value FROM settings WHERE name = 'format'").fetchone()[0]
        except sqlite3.Error as error:
            db.close()
            raise self._problem(error) from error
        if there != self.format:
            db.close()
            raise ExportError(
                f"{self.root}: holds an export of the format {there}; name another folder"
            )
        return db

    def _finish(self) -> None:
        """Gives finished parts their names, and removes what else was being written."""
        for path in sorted(self._state.iterdir()):
            if self._one("SELECT 1 FROM parts WHERE name = ?", path.name) is not None:
                self._name(path, self.root / path.name)
            elif path.name != "lock" and not path.name.startswith("state.sqlite"):
                path.unlink()
        self._sync()
        for (target,) in self._run("SELECT DISTINCT name FROM written"):
            self._check_unchanged(target)

    # -- what is remembered ------------------------------------------------------------------------

    def setting(self, name: str) -> Any:
        """Returns what was remembered under a name; None: nothing was."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, value: object) -> None:
        told = json.dumps(value)
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, told)

    def has(self, id: str) -> bool:
        """Tells whether the frame with this id was exported."""
        return self._one("SELECT 1 FROM frames WHERE id = ?", id) is not None

    def splits(self) -> dict[str, int]:
        """Returns how many frames were exported into each split."""
        return dict(self._run("SELECT split, count(*) FROM frames GROUP BY split"))

    def classes(self) -> dict[str, int]:
        """Returns the number of every label that was exported, from 0 on, in that order."""
        return dict(self._run("SELECT label, number FROM classes ORDER BY number"))

    def number_classes(self, frames: Iterable[KeptFrame]) -> None:
        """Numbers the labels that are new; a number stays for good."""
        labels = dict.fromkeys(each.label for frame in frames for each in frame.objects or ())
        new = [label for label in labels if label not in self.classes()]
        with self._transaction():
            for number, label in enumerate(new, len(self.classes())):
                self._run("INSERT INTO classes VALUES (?, ?)", number, label)

    def entries(self, split: str | None = None) -> Iterator[tuple[int, Any]]:
        """Yields the number, from 1 on, and the entry of every frame that was exported."""
        after = 0
        while rows := self._run(
            "SELECT number, entry FROM frames WHERE (?1 IS NULL OR split = ?1) AND number > ?2"
            " ORDER BY number LIMIT ?3",
            *(split, after, _PAGE),
        ):
            yield from ((number, json.loads(entry)) for number, entry in rows)
            after = rows[-1][0]

    def record(
        self, split: str, frames: Sequence[tuple[KeptFrame, object]], part: str | None = None
    ) -> None:
        """Records frames that are in the folder, each with the entry by which files that tell of
        all are written again.

        `part`: name of the part that holds them, which lies at `new_file`; it gets its name.
        """
        self._sync()
        with self._transaction():
            for frame, entry in frames:
                row = (frame.id, split, json.dumps(entry))
                self._run("INSERT INTO frames (id, split, entry) VALUES (?, ?, ?)", *row)
            if part is not None:
                number = self.next_part(split)
                self._run("INSERT INTO parts VALUES (?, ?, ?)", part, split, number)
        if part is not None:
            self._name(self.new_file(part), self.root / part)
            self._sync()

    def next_part(self, split: str) -> int:
        """Returns the number of the next part, from 1 on; none is used twice."""
        row = self._one("SELECT COALESCE(max(number), 0) FROM parts WHERE split = ?", split)
        assert row is not None
        return int(row[0]) + 1

    # -- files -------------------------------------------------------------------------------------

    @contextmanager
    def opened(self, frame: KeptFrame) -> Iterator[BinaryIO | None]:
        """Opens the picture of a frame; None, counted in `left_out`: there is none as recorded."""
        if not frame.sha256:
            self.left_out.add(frame, "a frame of a clip that was not stored as a picture")
            yield None
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(opened(frame.path))
            except OSError as error:
                self.left_out.add(frame, error.strerror or "cannot be opened")
                yield None
                return
            digest = hashlib.sha256()
            while data := file.read(1 << 20):
                digest.update(data)
            if digest.hexdigest() != frame.sha256:
                self.left_out.add(frame, "has changed since it was kept")
                yield None
                return
            file.seek(0)
            yield file

    def placed(
        self, frames: Sequence[KeptFrame], target: Callable[[KeptFrame], str]
    ) -> list[KeptFrame]:
        """Copies the pictures of frames byte for byte; returns those that have one, see `opened`.

        Raises ExportError where another file is in the place of one.
        """

        def place(frame: KeptFrame) -> bool:
            with self.opened(frame) as source:
                if source is None:
                    return False
                temporary = self._temporary()
                with temporary.open("xb") as file:
                    copy_data(source, file)
                self._name(temporary, self.root / target(frame))
            return True

        done = self._writers.map(place, frames)
        return [frame for frame, is_there in zip(frames, done, strict=True) if is_there]

    def write_once(self, texts: Mapping[str, str]) -> None:
        """Writes small files, but for those that are there: an export that was cut off may have
        left them, and somebody may have gone on with them."""

        def write(target: str) -> None:
            path, temporary = self.root / target, self._temporary()
            self._write(temporary, [texts[target]])
            make_folder(path.parent)
            try:
                move_without_overwrite(temporary, path)
            except FileExistsError:
                temporary.unlink()
            self._unsynced.add(path.parent)

        list(self._writers.map(write, texts))

    def rewrite(self, target: str, texts: Iterable[str], *, may_differ: bool = False) -> None:
        """Writes a file that tells of all frames in the place of the last one.

        Raises ExportError where somebody has changed that one, unless it `may_differ`: what they
        wrote is in `texts`.
        """
        path = self.root / target
        if not may_differ:
            self._check_unchanged(target)
        temporary = self._temporary()
        sha256 = self._write(temporary, texts)
        if not may_differ:
            self._run("INSERT OR IGNORE INTO written VALUES (?, ?)", target, sha256)
        make_folder(path.parent)
        temporary.replace(path)
        sync_folder(path.parent)
        self._run("DELETE FROM written WHERE name = ? AND sha256 != ?", target, sha256)

    def _check_unchanged(self, target: str) -> None:
        path = self.root / target
        try:
            there = content_of(path)
        except FileNotFoundError:
            return
        if (there,) not in self._run("SELECT sha256 FROM written WHERE name = ?", target):
            raise ExportError(
                f"{path}: was changed after it was exported, and nothing is overwritten; move it "
                "away and repeat this, or name another folder"
            )

    def new_file(self, name: str) -> Path:
        """Returns where a file is written before it gets its name."""
        return self._state / name

    def _temporary(self) -> Path:
        return self.new_file(f"placing-{next(self._numbers)}")

    def _write(self, path: Path, texts: Iterable[str]) -> str:
        """Writes a new file, syncs it to the disk and returns its SHA-256 (hex)."""
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for text in texts:
                data = text.encode()
                digest.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def _name(self, temporary: Path, target: Path) -> None:
        """Gives a synced file its name; the same content may have it already."""
        make_folder(target.parent)
        try:
            move_without_overwrite(temporary, target)
        except FileExistsError as error:
            if content_of(temporary) != content_of(target):
                raise ExportError(
                    f"{target}: another file is there, and nothing is overwritten; move it away"
                ) from error
            temporary.unlink()
        self._unsynced.add(target.parent)

    def _sync(self) -> None:
        for folder in self._unsynced:
            sync_folder(folder)
        self._unsynced.clear()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        return next(iter(self._run(query, *values)), None)

    def _run(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._problem(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._run("ROLLBACK")
            raise

    def _problem(self, error: sqlite3.Error) -> ExportError:
        return ExportError(
            f"{self._state / 'state.sqlite'}: {error}: the disk may be full or damaged; free some "
            "space, or export into another folder"
        )


def check_apart(root: Path, store: Path) -> None:
    """Raises ExportError where an export would go into a store, or around it."""
    inside, outside = root.resolve(), store.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise ExportError(
            f"{root}: lies in the store {store}, or holds it; name a folder apart from it"
        )


def _check_place(root: Path) -> None:
    if root.is_dir():
        if not (root / STATE).is_dir() and any(root.iterdir()):
            raise ExportError(
                f"{root}: is not empty, and no export is in it; name a new folder, or that of an "
                "earlier export"
            )
    elif os.path.lexists(root):
        raise ExportError(f"{root}: is no folder")
