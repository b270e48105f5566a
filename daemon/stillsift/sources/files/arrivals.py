"""Finds files that appear in watched directories, and reports each once it is whole.

inotify sends `closed` when a writer is done and `moved` for a rename inside the tree: such files
are whole. A rename or a hard link from outside sends only `created`, and so does the start of a
slow write: such files must first stay unchanged for a while. A network mount sends no events at
all, and the kernel's queue can overflow without notice, so directories are also read again from
time to time.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from ..items import NAMES, FileIdentity, Idle
from .events import EVENTS, Arrived, Event, Events
from .opening import is_being_written
from .tree import Found, Tree, natural

_LOG = logging.getLogger(__name__)
WRITER_PATIENCE_S = 60.0
"""Seconds that a file seen while it was written must stay unchanged to count as whole. `closed`
comes even from a writer that crashed; this limit is for the case that the event was lost."""
_LOOK_SOON_S = 1.0
"""Seconds until directories are read again after a new folder appeared: files may have been put
into it before it was watched."""
_REST = 10.0
"""Least time until directories are read again, as a multiple of what that took the last time, and
at most of `rescan_s`."""
_AGAIN_S = 5.0
"""Seconds until a file is tried again that a failing disk did not give."""
_ROOTS_EVERY_S = 5.0
"""Seconds between two looks whether each root is still the directory that is watched: inotify does
not tell that something was mounted over it, or that a mount was taken away lazily."""


@dataclass(slots=True)
class _Watch:
    """Holds one root and what watches it."""

    tree: Tree
    root_there: tuple[Path, int, int] | None = None
    """The root, its device and its inode when the watch was set; None: the root is away."""
    observer: BaseObserver | None = None
    """Thread that gives events; None: there are no events, directories are only read again."""
    reported_away: bool = False

    def has_gone(self) -> bool:
        """Tells whether another directory, or none, is at the root that was there."""
        if self.root_there is None:
            return False
        root = self.tree.resolved().root
        try:
            facts = root.stat()
        except OSError:
            return True
        return (root, facts.st_dev, facts.st_ino) != self.root_there


@dataclass(slots=True)
class _Unsettled:
    """Describes a file that must stay unchanged for `patience_s` to count as whole."""

    arrived: Arrived
    identity: FileIdentity
    since: float
    """Monotonic time since when the file has been unchanged."""
    patience_s: float


class Arrivals:
    """Watches trees and gives the files that are whole. Only `wake` is thread-safe."""

    def __init__(
        self,
        source: str,
        trees: tuple[Tree, ...],
        *,
        polling: bool,
        settle_s: float,
        rescan_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the trees to watch; `settle_s` is how long a file must stay unchanged.

        `polling` (for network mounts) sets no inotify watch and reads directories again every
        `settle_s`, at least 1 s; otherwise they are read again every `rescan_s`.
        """
        self._source = source
        self._watches = [_Watch(tree) for tree in trees]
        self._polling = polling
        self._settle_s = settle_s
        self._rescan_s = max(settle_s, 1.0) if polling else rescan_s
        self._clock = clock
        self._events = Events()
        self._unsettled: dict[Path, _Unsettled] = {}
        self._told: set[Path] = set()
        """Paths that cannot be read and were logged."""
        self._rescan_at = self._rested_at = self._roots_at = self._clock()
        self.left_alone: Counter[str] = Counter()
        """What the last `rescan` found and nobody reads, by the kinds of `LeftAlone`."""

    @property
    def up(self) -> bool:
        """Tells whether all roots are there."""
        return all(watch.root_there is not None for watch in self._watches)

    def wake(self) -> None:
        """Ends a running `wait`; may be called from any thread."""
        self._events.wake()

    @property
    def waiting(self) -> int:
        """Gives the number of whole files that events have told of and `wait` has not given yet."""
        return self._events.whole(
            lambda path: any(watch.tree.holds(path) for watch in self._watches)
        )

    def close(self) -> None:
        for watch in self._watches:
            _unwatch(watch)

    def wait(self, timeout_s: float) -> list[Arrived]:
        """Returns the files that have become whole; waits for one at most `timeout_s`."""
        whole: list[Arrived] = []
        until_look = self._rescan_at - self._clock()
        pause = min(timeout_s, 0.25) if self._unsettled else timeout_s
        for event in self._events.take(max(0.0, min(pause, until_look))):
            self._take(event, whole)
        return whole + self._settled()

    def hold(self, arrived: Arrived, *, patience_s: float | None = None) -> None:
        """Lets a file wait that is not whole after all; `wait` gives it once it is.

        `patience_s`: how long it must stay unchanged; None: as long as any file.
        """
        try:
            identity = FileIdentity.of(arrived.path)
        except OSError:
            return
        patience = self._settle_s if patience_s is None else patience_s
        self._unsettled[arrived.path] = _Unsettled(arrived, identity, self._clock(), patience)

    def try_again(self, arrived: Arrived) -> None:
        """Lets `wait` give a file once more that could not be read."""
        self.hold(arrived, patience_s=min(_AGAIN_S, self._rescan_s))

    def rescan_due(self) -> bool:
        now = self._clock()
        if now >= self._rescan_at:
            return True
        if now < self._roots_at:
            return False
        self._roots_at = now + _ROOTS_EVERY_S
        return any(watch.has_gone() for watch in self._watches)

    def rescan(
        self, is_done: Callable[[FileIdentity], bool], stopped: Callable[[], bool]
    ) -> Generator[Idle, None, tuple[list[Arrived], set[int]]]:
        """Reads all trees again; returns new whole files and the hashes of all identities present.

        Yields every second meanwhile. The files are in natural order, without those that are done;
        there are none once `stopped`. A root that is away is logged once and waited for.
        """
        begun = alive = self._clock()
        waited_s = 0.0
        self._rescan_at = begun + self._rescan_s
        present: set[int] = set()
        left_alone: Counter[str] = Counter()
        whole = []
        for watch in self._watches:
            if not self._watched(watch):
                continue
            try:
                for found in watch.tree.entries(self._told, left_alone):
                    if self._clock() - alive >= 1:
                        yielded = self._clock()
                        yield Idle(busy=True)
                        alive = self._clock()
                        waited_s += alive - yielded
                        if stopped():
                            return [], present
                    if found is None:
                        continue
                    key = hash(found.identity)
                    if key in present:
                        left_alone[NAMES] += 1
                        continue
                    present.add(key)
                    if not is_done(found.identity) and self._looks_whole(found):
                        whole.append((natural(found.path), Arrived(found.path)))
            except OSError as error:  # the root disappeared while it was read
                self._away(watch, error.strerror or str(error))
        self.left_alone = left_alone
        whole.sort(key=itemgetter(0))
        took_s = min(self._clock() - begun - waited_s, self._rescan_s)
        self._rested_at = self._clock() + _REST * took_s
        self._rescan_at = max(self._rescan_at, self._rested_at)
        return [arrived for _, arrived in whole], present

    # --- events

    def _take(self, event: Event, whole: list[Arrived]) -> None:
        path = event.arrived.path
        if event.kind == "folder":
            self._look_in(_LOOK_SOON_S)
        elif not any(watch.tree.holds(path) for watch in self._watches):
            return
        elif event.kind in ("closed", "moved") or _only_touched(event.arrived):
            whole.append(self._and_before(event.arrived))
        else:
            self._unsettle(event)

    def _and_before(self, arrived: Arrived) -> Arrived:
        """Returns what happened to a path with what was known of it while it was not whole."""
        if (known := self._unsettled.pop(arrived.path, None)) is None:
            return arrived
        known.arrived.follow(arrived)
        return known.arrived

    def _unsettle(self, event: Event) -> None:
        path = event.arrived.path
        try:
            facts = path.lstat()
        except OSError:
            return
        if not stat.S_ISREG(facts.st_mode):
            return
        patience = self._settle_s
        if event.kind == "modified":
            patience = max(WRITER_PATIENCE_S, 10 * self._settle_s)
        if (known := self._unsettled.get(path)) is not None:
            patience = max(patience, known.patience_s)
        self._unsettled[path] = _Unsettled(
            self._and_before(event.arrived), FileIdentity.from_stat(facts), self._clock(), patience
        )

    def _looks_whole(self, found: Found) -> bool:
        """Tells whether a file's time of change is old enough; if not, begins to watch the file."""
        if found.path in self._unsettled:
            return False  # `_settled` will give it
        if 0 <= self._settle_s <= time.time() - found.identity.mtime_ns / 1e9:
            return True
        self._unsettled[found.path] = _Unsettled(
            Arrived(found.path), found.identity, self._clock(), self._settle_s
        )
        return False

    def _settled(self) -> list[Arrived]:
        """Returns the files that have been unchanged for long enough, and that nobody writes to."""
        now = self._clock()
        whole: list[Arrived] = []
        for path, seen in list(self._unsettled.items()):
            try:
                identity = FileIdentity.of(path)
            except OSError:
                del self._unsettled[path]
                continue
            if identity != seen.identity:
                seen.identity, seen.since = identity, now
            elif now - seen.since >= seen.patience_s:
                if _known_to_be_written(path):
                    seen.since = now
                    continue
                del self._unsettled[path]
                whole.append(seen.arrived)
        return sorted(whole, key=lambda arrived: natural(arrived.path))

    def _look_in(self, seconds: float) -> None:
        """Lets the directories be read again sooner than they would be."""
        at = max(self._clock() + seconds, self._rested_at)
        self._rescan_at = min(self._rescan_at, at)

    # --- roots that appear and disappear

    def _watched(self, watch: _Watch) -> bool:
        """Tells whether the root can be read, and sets its watch on the directory there now."""
        watch.tree = watch.tree.resolved()
        try:
            facts = watch.tree.root.stat()
            if not watch.tree.root.is_dir():
                raise NotADirectoryError(20, "not a directory")
            with os.scandir(watch.tree.root) as entries:  # else it is away again at once
                next(entries, None)
        except OSError as error:
            self._away(watch, error.strerror or str(error))
            return False
        now = (watch.tree.root, facts.st_dev, facts.st_ino)
        if watch.root_there != now or _is_deaf(watch):
            _unwatch(watch)
            watch.root_there = now
            if not self._polling:
                watch.observer = self._observer(watch.tree)
            if watch.reported_away:
                _LOG.info("%s: %s is there", self._source, watch.tree.root)
            watch.reported_away = False
        return True

    def _observer(self, tree: Tree) -> BaseObserver | None:
        observer = Observer()
        try:
            observer.schedule(
                self._events,
                str(tree.root),
                recursive=tree.recursive,
                event_filter=EVENTS,
            )
            observer.start()
        except (OSError, RecursionError) as error:
            # inotify's limits are per user and small on some systems.
            why = (
                f"{error.strerror}; see fs.inotify.max_user_watches and max_user_instances"
                if isinstance(error, OSError)
                else "its folders are too deep"
            )
            _LOG.warning(
                "%s: %s cannot be watched (%s); it is read again every %g s instead",
                self._source,
                tree.root,
                why,
                self._rescan_s,
            )
            return None
        return observer

    def _away(self, watch: _Watch, why: str) -> None:
        _unwatch(watch)
        watch.root_there = None
        # A mount may come back at any time, and asking costs one stat.
        self._look_in(max(self._settle_s, 1.0))
        if not watch.reported_away:
            _LOG.warning("%s: waiting for %s: %s", self._source, watch.tree.root, why)
        watch.reported_away = True


def _is_no_end(record: logging.LogRecord) -> bool:
    """Tells whether a line of watchdog's log is no more than that a watch ended as it should.

    A watch that is ended while its thread looks for events logs an error (watchdog 7).
    """
    return not record.getMessage().endswith("called when the thread is inactive")


logging.getLogger("watchdog.observers.inotify").addFilter(_is_no_end)


def _unwatch(watch: _Watch) -> None:
    if watch.observer is not None:
        watch.observer.stop()
        watch.observer.join(timeout=2)
        watch.observer = None


def _is_deaf(watch: _Watch) -> bool:
    """Tells whether what gave events has ended, as at a folder too deep for it."""
    observer = watch.observer
    return observer is not None and not all(each.is_alive() for each in observer.emitters)


def _only_touched(arrived: Arrived) -> bool:
    """Tells whether a file that was closed got nothing but other permissions or times since."""
    if arrived.whole is None:
        return False
    try:
        now = FileIdentity.of(arrived.path)
    except OSError:
        return False
    return now.size == arrived.whole.size and not _known_to_be_written(arrived.path)


def _known_to_be_written(path: Path) -> bool:
    try:
        return is_being_written(path)
    except OSError:
        return False  # who reads it will tell what is wrong with it
