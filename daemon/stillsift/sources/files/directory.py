"""Reads a directory of stills and clips: what is there, and what arrives.

The same files in the same order give the same frames, whether watched or read once.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from hashlib import sha256
from pathlib import Path

from ...problems import Problem
from ..decoding import MAX_CLIP_PIXELS, MAX_PIXELS
from ..items import (
    Failed,
    FileIdentity,
    Finished,
    Idle,
    Item,
    Known,
    LeftAlone,
    Opened,
    Repeated,
    origin_of,
)
from ..times import NamePattern, Times
from .arrivals import Arrivals
from .clip import ClipReader
from .contents import STILL_KINDS, STILL_SUFFIXES, Kind, head_of, kind_of
from .extent import refusal
from .header import DecodeError
from .still import frame_of
from .tree import natural, trees

_LOG = logging.getLogger(__name__)


class SourceMissing(Problem):
    """Says that a file or directory that was to be read is not there."""


class DirectorySource:
    """Reads all stills and clips below some roots, in natural order of names, then what arrives.

    A root may also be a single file. A file that `known` calls finished is not read again. A file
    whose content failed is finished too, until it changes.
    """

    def __init__(
        self,
        name: str,
        root: Path | Sequence[Path],
        *,
        known: Known,
        rate: float | None = None,
        watch: bool = False,
        polling: bool = False,
        recursive: bool = True,
        filename_time: str | None = None,
        timezone: tzinfo = UTC,
        max_pixels: int = MAX_PIXELS,
        max_clip_pixels: int = MAX_CLIP_PIXELS,
        settle_s: float = 2.0,
        rescan_s: float = 45.0,
        exclude: Sequence[Path] = (),
    ) -> None:
        """Takes the options. Raises ValueError for a `filename_time` that is no pattern.

        With `watch` False, `items` ends when everything has been read. `timezone` is that of EXIF
        times without an offset and of `filename_time`. `exclude` are directories that are never
        read, such as the store.
        """
        self.name = name
        self._trees = trees(root, recursive=recursive, exclude=exclude)
        self._known = known
        self._rate = rate
        self._watch = watch
        self._max_pixels = max_pixels
        self._max_clip_pixels = max_clip_pixels
        pattern = None if filename_time is None else NamePattern(filename_time, timezone)
        self._times = Times(pattern, timezone)
        self._arrivals = Arrivals(
            name, self._trees, polling=polling, settle_s=settle_s, rescan_s=rescan_s
        )
        self._ready: deque[Path] = deque()
        self._done: set[int] = set()
        """Hashes (64 bits each, to save memory) of the identities read in this session."""
        self.left_alone = LeftAlone({})
        """What the last listing found and is not read."""
        self._bare = False
        """True: no still or clip was found, when read once."""
        self._stop = threading.Event()
        self._told = time.monotonic()

    @property
    def up(self) -> bool:
        """Tells whether the roots are there; always true if they are not watched."""
        return not self._watch or self._arrivals.up

    @property
    def queued(self) -> int:
        """Gives the number of files that are known to wait."""
        return len(self._ready)

    @property
    def reconnects(self) -> int:
        """Gives 0: a directory has no connection."""
        return 0

    def stop(self) -> None:
        self._stop.set()
        self._arrivals.wake()

    def nothing_to_read(self) -> str | None:
        """Returns a message if no file was a still or clip by its name; None: there was one.

        Only for directories that are read once. Call it after `items` has ended.
        """
        if not self._bare:
            return None
        told = f"there is no picture or clip in {', '.join(str(t.root) for t in self._trees)}"
        left_alone = str(self.left_alone)
        return f"{told}; {left_alone}" if left_alone else told

    def items(self) -> Iterator[Item]:
        """Yields what is there and what arrives.

        Raises SourceMissing if a root is not there and is not watched.
        """
        return self._as_they_come() if self._watch else self._once()

    def _once(self) -> Iterator[Item]:
        found: list[Path] = []
        left_alone: Counter[str] = Counter()
        for tree in self._trees:
            try:
                files = (file.path for file in tree.files(left_alone=left_alone))
                found += sorted(files, key=natural)
            except OSError as error:
                raise SourceMissing(f"{tree.root}: {error.strerror}") from error
        self._bare = not found
        yield from self._left_alone(left_alone)
        self._ready.extend(found)
        while self._ready and not self._stop.is_set():
            yield from self._file(self._ready.popleft())

    def _as_they_come(self) -> Iterator[Item]:
        try:
            while not self._stop.is_set():
                if self._arrivals.rescan_due():
                    self._look_again()
                    yield from self._left_alone(self._arrivals.left_alone)
                if self._ready:
                    self._ready.extend(self._arrivals.wait(0))
                    yield from self._file(self._ready.popleft())
                    continue
                self._ready.extend(self._arrivals.wait(1))
                if not self._ready:
                    yield Idle()
        finally:
            self._arrivals.close()

    def _left_alone(self, kinds: Counter[str]) -> Iterator[LeftAlone]:
        """Yields what is left alone, if that has changed; at first nothing was."""
        if kinds != self.left_alone.kinds:
            self.left_alone = LeftAlone(dict(kinds))
            yield self.left_alone

    def _look_again(self) -> None:
        waiting = set(self._ready)
        whole, present = self._arrivals.rescan(lambda identity: hash(identity) in self._done)
        self._ready.extend(path for path in whole if path not in waiting)
        if self._arrivals.up:
            self._done &= present

    # --- one file

    def _file(self, path: Path) -> Iterator[Item]:
        if time.monotonic() - self._told > 1:
            # Thousands of known files on a slow mount may be passed over without an item.
            self._told = time.monotonic()
            yield Idle(busy=True)
        try:
            identity = FileIdentity.of(path)
            if hash(identity) in self._done:
                return
            next_frame = self._known.next_frame(identity)
            if next_frame is not None:
                yield from self._items_of(path, identity, next_frame)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                _LOG.warning("%s: %s cannot be read: %s", self.name, path, error.strerror)
            return  # the file disappeared before it was read, or cannot be read
        if not self._stop.is_set():
            self._done.add(hash(identity))

    def _items_of(self, path: Path, identity: FileIdentity, next_frame: int) -> Iterator[Item]:
        if not _is_still(path):
            reader = ClipReader(
                path,
                self.name,
                start_frame=next_frame,
                rate=self._rate,
                times=self._times,
                max_pixels=self._max_clip_pixels,
                stopped=self._stop.is_set,
                earlier=self._known.earlier,
            )
            yield from reader.items()
            return
        yield from self._still(path, identity)

    def _still(self, path: Path, identity: FileIdentity) -> Iterator[Item]:
        data = b""
        try:
            with path.open("rb") as file:
                refused = refusal(file, identity.size, self._max_pixels)
                if refused is None:
                    file.seek(0)
                    data = file.read()
        except FileNotFoundError:
            raise
        except OSError as error:
            # Not recorded as done: the next start, with other permissions, may be able to read it.
            reason = f"cannot be read: {error.strerror}"
            yield Failed(path, origin_of(path, identity), 0, identity.mtime_ns, reason)
            return
        if FileIdentity.of(path) != identity:  # it was written to while it was read: read it again
            if not self._watch:
                self._ready.append(path)
            return
        if refused is not None:
            yield Opened(path, identity, "")
            yield from self._failed(path, identity, "", refused)
            return
        digest = sha256(data).hexdigest()
        if (earlier := self._known.earlier(digest)) is not None:
            yield Repeated(path, identity, digest, earlier, self._times.of_name(path))
            return
        yield Opened(path, identity, digest)
        try:
            frame = frame_of(data, path, identity, digest, self.name, self._max_pixels, self._times)
        except DecodeError as error:
            yield from self._failed(path, identity, digest, error.reason)
        else:
            yield frame
            yield Finished(path, identity, digest, 1)

    def _failed(
        self, path: Path, identity: FileIdentity, digest: str, reason: str
    ) -> Iterator[Item]:
        yield Failed(path, origin_of(path, identity), 0, identity.mtime_ns, reason)
        yield Finished(path, identity, digest, 0)


def _is_still(path: Path) -> bool:
    """Tells whether a file is a still, by its content, else by its name.

    A file that cannot be read is a still. GIFs are clips: they may be animated. Raises
    FileNotFoundError.
    """
    try:
        with path.open("rb") as file:
            kind = kind_of(head_of(file))
    except FileNotFoundError:
        raise
    except OSError:
        return True
    if kind is Kind.GIF or kind is Kind.CLIP:
        return False
    return kind in STILL_KINDS or path.suffix.lower() in STILL_SUFFIXES
