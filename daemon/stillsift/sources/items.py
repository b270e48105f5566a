"""Defines the items that a source yields, and what it asks about earlier decisions.

A source iterates over what happened, in order. It never raises for one bad file or one lost
connection: that is an item like any other, and the next item follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ..frames import Frame, TimeOrigin, bounded_ns


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Identifies a file, also after a restart or a rename."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Returns the identity of the file at `path`. Raises OSError if the system gives none."""
        return cls.from_stat(path.stat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Self:
        """Returns the identity of a file from what `stat` gave."""
        return cls(stat.st_dev, stat.st_ino, stat.st_size, bounded_ns(stat.st_mtime_ns))


def origin_of(path: Path, identity: FileIdentity) -> str:
    """Returns the lasting name of a file: path, size and time of change.

    It is valid text even where the path is not.
    """
    name = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
    return f"{name}|{identity.size}|{identity.mtime_ns}"


@dataclass(frozen=True, slots=True)
class Opened:
    """Says that a file is about to be read; its frames, failures and one `Finished` follow."""

    file: Path
    identity: FileIdentity
    content_hash: str
    """SHA-256 (hex) of the whole file; empty: its first bytes refuse it, and it is not read."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Says that a file has the same content as one decided before. It is not read again."""

    file: Path
    identity: FileIdentity
    content_hash: str
    earlier: Path
    captured_at_ns: int | None = None
    """When it was taken or began, UTC nanoseconds; None: only its time of change is known."""
    captured_at_origin: TimeOrigin = TimeOrigin.MTIME
    """How that is known."""
    timed: bool = False
    """Whether it is a still on a time line, so that its time moves the time line on."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Says that a picture could not be read, or that a stretch of video is damaged.

    Reading goes on.
    """

    file: Path | None
    """The file it is about; None: a camera."""
    origin: str
    frame_index: int
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Says that no more frames come out of this file."""

    file: Path
    identity: FileIdentity
    content_hash: str
    frames: int
    """Number of frames. 0: the file failed; a `Failed` item came before."""
    lasted_s: float = 0.0
    """Seconds from the first frame to the last."""
    undecided: int | None = None
    """Index of a last frame that did not stand for long, as far as is known: if the file grows, it
    is read on from there. None: all frames are decided."""


@dataclass(frozen=True, slots=True)
class Overload:
    """Says that frames were given up because analysis fell behind.

    Those of a camera did not fit the queue; files were overwritten before their turn.
    """

    origin: str
    frame_index: int
    """Index of the first frame lost."""
    at_ns: int
    frames: int
    file: Path | None = None
    """The file that was overwritten before it was read; None: a camera."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Says that a camera was away; yielded when it is back, or when the source stops."""

    origin: str
    from_ns: int
    to_ns: int
    cause: str
    answered: bool = True
    """False: the camera had given no frame before. Then none is counted as lost."""
    lasted_s: float | None = None
    """Seconds that it lasted by a clock that nobody sets; None: only the two times are known."""

    @property
    def seconds(self) -> float:
        """Gives how long it lasted; the times may be those of a clock that was set meanwhile."""
        return (self.to_ns - self.from_ns) / 1e9 if self.lasted_s is None else self.lasted_s


LINKS, SPECIAL, OTHER = "links", "special", "other"
"""Kinds of what is left alone that are no suffix: symbolic links; pipes, sockets and devices; names
whose suffix is none that a format has."""
HIDDEN, FOLDERS, NAMES = "hidden", "folders", "hard_links"
"""More of them: files whose name begins with `.` or `~`; folders that are not entered, as they are
hidden, another system's, too deep, or below a directory of which only the files are read; names of
files that have another one, under which they are read."""
DENIED = "denied"
"""And those that cannot be looked at, as this user may not or their disk fails: folders as a whole,
whose files nobody can count, and files."""
_MOST_KINDS = 20
"""Most suffixes that a sentence names; JSON has them all."""

_NO_SUFFIX = frozenset((LINKS, SPECIAL, HIDDEN, FOLDERS, NAMES, DENIED))


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Says what lies among the footage and is not read. It comes before any file."""

    kinds: Mapping[str, int]
    """Number of files by suffix (lower case with its dot, or empty), and of `LINKS`, `SPECIAL`,
    `OTHER`, `HIDDEN`, `FOLDERS`, `NAMES` and `DENIED`."""

    def __str__(self) -> str:
        """Returns it as a sentence without its end; empty: nothing is left alone."""
        kinds = sorted(self.kinds.items(), key=lambda each: (-each[1], each[0]))
        files = [each for each in kinds if each[0] not in _NO_SUFFIX]
        told = []
        if files:
            named = [f"{kind or 'no suffix'} {n}" for kind, n in files[:_MOST_KINDS]]
            rest = len(files) - _MOST_KINDS
            more = f" and {rest} more kind{'s' * (rest > 1)}" if rest > 0 else ""
            total = _are(sum(n for _, n in files), "file")
            told.append(f"{total} of no kind that stillsift reads ({', '.join(named)}{more})")
        if links := self.kinds.get(LINKS):
            told.append(f"{_are(links, 'symbolic link')} not followed")
        if names := self.kinds.get(NAMES):
            told.append(f"{_are(names, 'hard link')} read under another name")
        if special := self.kinds.get(SPECIAL):
            told.append(f"{_are(special, 'pipe or device', 'pipes or devices')} not read")
        if hidden := self.kinds.get(HIDDEN):
            told.append(f"{_are(hidden, 'hidden file')} not read")
        if folders := self.kinds.get(FOLDERS):
            told.append(f"{_are(folders, 'folder')} not entered")
        if denied := self.kinds.get(DENIED):
            them = "folder or file" if denied == 1 else "folders or files"
            told.append(f"{denied} {them} cannot be looked at")
        return "; ".join(told)


def _are(number: int, one: str, several: str | None = None) -> str:
    return f"1 {one} is" if number == 1 else f"{number} {several or one + 's'} are"


@dataclass(frozen=True, slots=True)
class Idle:
    """Says that the source is alive; nothing else happened for a while (at most a second)."""

    busy: bool = False
    """True: working on something long (hashing a clip); False: waiting for what comes next."""
    away_s: float = 0.0
    """Seconds that a camera has been away so far; 0: it is there."""


Item = Frame | Opened | Repeated | Failed | Finished | Overload | Gap | LeftAlone | Idle


@dataclass(frozen=True, slots=True)
class ClipPosition:
    """Tells how far the reading of a clip has come."""

    file: Path
    share: float
    """Share of the clip that is read, 0 to 1."""
    at_s: float | None = None
    """Seconds of the clip that are read; None: no frame has come yet."""
    lasts_s: float | None = None
    """Seconds that the clip lasts; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Position:
    """Tells how far a source has come that is read once."""

    found: int
    """Number of files that were found."""
    listed: bool
    """Whether all files are found; False: it is being listed."""
    done: int = 0
    """Number of files that are read, or were read earlier."""
    clip: ClipPosition | None = None
    """The clip that is being read; None: there is none."""
    things: str = "files"
    """What is counted: before the first file it may be something else."""


@dataclass(frozen=True, slots=True)
class Shorter:
    """Describes a file as it was decided when it was shorter than it is now."""

    size: int
    """Bytes."""
    content_hash: str
    """SHA-256 (hex) of all of it."""
    next_frame: int
    """Index of the first frame not decided then."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Says what was decided about the numbers in the names of a folder's stills."""

    rate: float | None
    """Numbers per second; None: they number photographs."""
    first: int
    """The number that was read first."""
    first_ns: int
    """When that still was taken, UTC nanoseconds since 1970."""


class Known(Protocol):
    """Answers what a file source asks about earlier decisions. The recorder implements it."""

    def begin(self, file: Path, identity: FileIdentity, next_frame: int) -> str | None:
        """Notes that a file is about to be decoded; the frames before `next_frame` are decided.

        Returns why it is to be left alone, since reading it has ended the process or the line again
        and again; None: it may be read.
        """

    def leave(self) -> None:
        """Notes that the file begun last is not read on for now, if it was not finished."""

    def grown_from(self, file: Path, identity: FileIdentity) -> Shorter | None:
        """Returns what was decided of this file when it was shorter; None: nothing."""

    def next_frame(self, file: Path, identity: FileIdentity) -> int | None:
        """Returns the index of the first frame not decided yet.

        0: the file is new. None: it is finished, or it failed.
        """

    def earlier(self, content_hash: str) -> Path | None:
        """Returns a file with this content that was decided before; None: there was none."""

    def numbering(self, folder: Path) -> Numbering | None:
        """Returns what was decided about the numbers of a folder's stills; None: nothing."""

    def begin_numbering(self, folder: Path, numbering: Numbering) -> None:
        """Notes what was decided about the numbers of a folder's stills."""


class Source(Protocol):
    """Yields the items of one directory, clip, still or camera."""

    name: str

    @property
    def up(self) -> bool:
        """Tells whether the directory or camera is there."""

    @property
    def queued(self) -> int:
        """Gives the number of files or frames that wait for analysis."""

    @property
    def reconnects(self) -> int:
        """Gives how often a lost connection came back; 0 for a directory."""

    def items(self) -> Iterator[Item]:
        """Yields everything that happens, until the source is exhausted or `stop` was called."""

    def read_again(self, file: Path, identity: FileIdentity) -> None:
        """Reads a file once more, though it was read, where it lies or where it turns up.

        For the thread that takes the items.
        """

    def stop(self) -> None:
        """Asks `items` to end soon (within a second); may be called from any thread."""
