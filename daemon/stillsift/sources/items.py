"""Names what a source tells, item by item, and what it asks about the past.

A source is an iterator of what happened, in order. It never raises for one bad file or one lost
connection: that is an item like any other, and the next item follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ..frames import Frame, bounded_ns


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What makes a file the same file after a restart or a rename."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises OSError where the file cannot be looked at."""
        return cls.from_stat(path.stat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Self:
        """Of a file that was looked at already."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size, bounded_ns(stat.st_mtime_ns))


def origin_of(path: Path, identity: FileIdentity) -> str:
    """The lasting name of a file: path, size, time of change; text even where the path is not."""
    name = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
    return f"{name}|{identity.size}|{identity.mtime_ns}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A file is about to be read; its frames, failures and one `Finished` follow."""

    file: Path
    identity: FileIdentity
    content_hash: str
    """SHA-256 (hex) of the whole file."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A file with the very same content as one that was decided before. It is not read again."""

    file: Path
    identity: FileIdentity
    content_hash: str
    earlier: Path
    captured_at_ns: int | None = None
    """As its name tells it, which puts a still on a time line; None: it lies on none, or is a
    clip."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A picture that could not be read, or a damaged stretch of a clip; reading goes on."""

    file: Path | None
    """None: a camera."""
    origin: str
    frame_index: int
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more comes out of this file."""

    file: Path
    identity: FileIdentity
    content_hash: str
    frames: int
    """Frames decoded. 0 means that the file failed; a `Failed` item came before."""


@dataclass(frozen=True, slots=True)
class Overload:
    """Live frames that were given up because analysis fell behind."""

    origin: str
    frame_index: int
    """Index of the first frame lost."""
    at_ns: int
    frames: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A camera was away; told when it is over, or when the source stops."""

    origin: str
    from_ns: int
    to_ns: int
    cause: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing happened for a while (at most a second): the source is alive."""

    busy: bool = False
    """At work on something long (hashing a clip); False: waiting for what comes next."""


Item = Frame | Opened | Repeated | Failed | Finished | Overload | Gap | Idle


class Known(Protocol):
    """What a file source asks about the past. The ledger answers."""

    def next_frame(self, identity: FileIdentity) -> int | None:
        """Index of the first frame not decided yet: 0 for a new file, None for a finished one."""

    def earlier(self, content_hash: str) -> Path | None:
        """A file with this content that was decided before; None: there was none."""


class Source(Protocol):
    """One directory, clip, still or camera."""

    name: str

    @property
    def up(self) -> bool:
        """Whether the directory or camera is there."""

    @property
    def queued(self) -> int:
        """Files or frames that wait for analysis."""

    @property
    def reconnects(self) -> int:
        """Connections made again; 0 for a directory."""

    def items(self) -> Iterator[Item]:
        """Everything that happens, until the source is exhausted or `stop` was called."""

    def stop(self) -> None:
        """Ask `items` to end soon (within a second); may be called from any thread."""
