"""Collects what watched directories report: one entry a path, however much happens to it.

A recorder may write a thousand times a second, and a camera may upload its snapshot anew every
moment while the source is busy. So an event only replaces the last one of its path. What a file was
at each `closed` is noted: if it was overwritten before its turn, that is known.
"""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

from ..items import FileIdentity
from .contents import STILL_SUFFIXES

EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
"""Events that are handled. `opened` and `closed without writing` are not: reading causes them."""
_WHOLE = ("closed", "moved")
"""Kinds of event after which a file is whole."""


@dataclass(slots=True)
class Arrived:
    """Describes a file that has become whole and waits for its turn."""

    path: Path
    whole: FileIdentity | None = None
    """What it was when it was closed or moved here; None: no event told of it."""
    seen: FileIdentity | None = None
    """What it was when its name appeared, as by a move from outside of the tree; it may have grown
    since. None: `whole` says it, or no event told of it."""
    lost: list[FileIdentity] = field(default_factory=list)
    """What it was before that, each time overwritten before it was read."""

    def follow(self, later: Arrived) -> None:
        """Notes what happened to the same path later."""
        first = later.lost[0] if later.lost else later.whole or later.seen
        if first is not None and (before := self.before(first)) is not None:
            self.lost.append(before)
        self.lost += later.lost
        if later.whole is not None or later.seen is not None:
            self.whole, self.seen = later.whole, later.seen

    def before(self, now: FileIdentity) -> FileIdentity | None:
        """Returns what it was if that is gone, now that it is this; None: it is still there."""
        if self.whole is not None:
            return self.whole if overwrites(now, self.whole, self.path) else None
        if self.seen is None or self.seen.size == 0:
            return None
        same_file = (now.device, now.inode) == (self.seen.device, self.seen.inode)
        return None if same_file else self.seen


def overwrites(later: FileIdentity, earlier: FileIdentity, path: Path) -> bool:
    """Tells whether what a file was before is gone.

    A picture is written at one go. A recording may only have grown, in one and the same file.
    """
    if earlier.size == 0 or later == earlier:
        return False
    same_file = (later.device, later.inode) == (earlier.device, earlier.inode)
    if same_file and later.size == earlier.size and later.mtime_ns < earlier.mtime_ns:
        return False  # only its time was set, as `cp -p` and FTP servers do
    is_still = path.suffix.lower() in STILL_SUFFIXES
    return is_still or not same_file or later.size < earlier.size


@dataclass(slots=True)
class Event:
    """Describes the last thing that happened to a path."""

    kind: str
    """One of closed, moved, created, modified and folder."""
    arrived: Arrived
    """The file; `whole` is None unless it was closed or moved, `seen` unless it was created."""


class Events(FileSystemEventHandler):
    """Holds the events that were not taken yet. Thread-safe."""

    def __init__(self) -> None:
        self._events: dict[Path, Event] = {}
        self._something = threading.Condition()
        self._woken = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Takes an event from the thread that reads them; it must be quick."""
        moved = event.event_type == "moved"
        path = Path(_text(event.dest_path if moved else event.src_path))
        kind = "folder" if event.is_directory else event.event_type
        arrived = Arrived(path)
        if kind in ("closed", "moved", "created"):
            try:
                facts = path.lstat()
            except OSError:
                return  # it is gone already, or another event will tell what became of it
            if not stat.S_ISREG(facts.st_mode):
                return
            identity = FileIdentity.from_stat(facts)
            if kind == "created":
                arrived.seen = identity
            else:
                arrived.whole = identity
        with self._something:
            if moved and not event.is_directory:
                self._leave(Path(_text(event.src_path)))
            self._put(path, Event(kind, arrived))
            self._something.notify()

    def _leave(self, path: Path) -> None:
        """Takes out a name that a file had and has no longer, unless something was lost there."""
        event = self._events.get(path)
        if event is not None and not event.arrived.lost:
            del self._events[path]

    def _put(self, path: Path, event: Event) -> None:
        """Lets an event replace the one of its path; what was overwritten is noted."""
        if (before := self._events.pop(path, None)) is not None:
            before.arrived.follow(event.arrived)
            event.arrived = before.arrived
            if before.kind == "modified" and event.kind == "created":
                event.kind = before.kind
        self._events[path] = event

    def whole(self, holds: Callable[[Path], bool]) -> int:
        """Returns how many of them tell of a whole file at a path that `holds`."""
        with self._something:
            paths = [path for path, event in self._events.items() if event.kind in _WHOLE]
        return sum(map(holds, paths))

    def wake(self) -> None:
        """Ends a running `take`."""
        with self._something:
            self._woken = True
            self._something.notify()

    def take(self, timeout_s: float) -> list[Event]:
        """Returns the events in the order of their time; waits for one at most `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self._something:
            while not self._events and not self._woken:
                if not self._something.wait(until - time.monotonic()):
                    break
            events, self._events = list(self._events.values()), {}
            self._woken = False
        return events


def _text(path: str | bytes) -> str:
    return path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path
