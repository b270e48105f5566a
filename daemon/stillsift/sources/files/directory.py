"""A directory of stills and clips: what is there, and what arrives.

The same files in the same order give the same frames, watched or read once.
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
from ..decoding import MAX_PIXELS
from ..items import Failed, FileIdentity, Finished, Idle, Item, Known, Opened, Repeated, origin_of
from ..times import NamePattern, Times
from .arrivals import Arrivals
from .clip import ClipReader
from .contents import STILL_KINDS, STILL_SUFFIXES, Kind, hashing, head_of, kind_of
from .header import DecodeError
from .still import frame_of, too_large
from .tree import natural, trees

_LOG = logging.getLogger(__name__)
_MOST_KINDS = 6
"""Named of the suffixes that are left alone."""


class SourceMissing(Problem):
    """What was asked to be read is not there."""


class DirectorySource:
    """Everything readable below some roots, in natural order of names, then what arrives.

    A root may also be a single file. What `known` calls finished is not read again, and a file
    that failed is finished too, until it changes.
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
        settle_s: float = 2.0,
        rescan_s: float = 45.0,
        exclude: Sequence[Path] = (),
    ) -> None:
        """Raises ValueError for a `filename_time` that is no pattern.

        `watch` False: `items` ends when everything has been read. `timezone` belongs to EXIF times
        without an offset and to `filename_time`. `exclude` are directories never looked into, such
        as the store.
        """
        self.name = name
        self._trees = trees(root, recursive=recursive, exclude=exclude)
        self._known = known
        self._rate = rate
        self._watch = watch
        self._max_pixels = max_pixels
        pattern = None if filename_time is None else NamePattern(filename_time, timezone)
        self._times = Times(pattern, timezone)
        self._arrivals = Arrivals(
            name, self._trees, polling=polling, settle_s=settle_s, rescan_s=rescan_s
        )
        self._ready: deque[Path] = deque()
        self._done: set[int] = set()
        """Hashes of the identities read in this session: 64 bits stand in for four numbers."""
        self._bare = False
        """There was nothing to read."""
        self._stop = threading.Event()
        self._told = time.monotonic()

    @property
    def up(self) -> bool:
        """Whether the roots are there."""
        return not self._watch or self._arrivals.up

    @property
    def queued(self) -> int:
        """Files known to be waiting."""
        return len(self._ready)

    @property
    def reconnects(self) -> int:
        """A directory has no connection."""
        return 0

    def stop(self) -> None:
        self._stop.set()
        self._arrivals.wake()

    def nothing_to_read(self) -> str | None:
        """What a person is told where no file was footage by its name; None: there was some.

        Of what was read once, to be asked at its end.
        """
        if not self._bare:
            return None
        counted = sum((tree.left_alone() for tree in self._trees), Counter[str]())
        told = f"there is no picture or clip in {', '.join(str(t.root) for t in self._trees)}"
        links = counted.pop("links", 0)
        if files := counted.total():
            kinds = ", ".join(
                suffix or "no suffix" for suffix, _ in counted.most_common(_MOST_KINDS)
            )
            more = ", ..." if len(counted) > _MOST_KINDS else ""
            told += f"; {_are(files, 'file')} of no kind that stillsift reads ({kinds}{more})"
        return f"{told}; {_are(links, 'symbolic link')} not followed" if links else told

    def items(self) -> Iterator[Item]:
        """Raises SourceMissing where a root is not there and is not to be waited for."""
        return self._as_they_come() if self._watch else self._once()

    def _once(self) -> Iterator[Item]:
        found: list[Path] = []
        for tree in self._trees:
            try:
                found += sorted((file.path for file in tree.files()), key=natural)
            except OSError as error:
                raise SourceMissing(f"{tree.root}: {error.strerror}") from error
        self._bare = not found
        self._ready.extend(found)
        while self._ready and not self._stop.is_set():
            yield from self._file(self._ready.popleft())

    def _as_they_come(self) -> Iterator[Item]:
        try:
            while not self._stop.is_set():
                if self._arrivals.rescan_due():
                    self._look_again()
                if self._ready:
                    self._ready.extend(self._arrivals.wait(0))
                    yield from self._file(self._ready.popleft())
                    continue
                self._ready.extend(self._arrivals.wait(1))
                if not self._ready:
                    yield Idle()
        finally:
            self._arrivals.close()

    def _look_again(self) -> None:
        waiting = set(self._ready)
        whole, present = self._arrivals.rescan(lambda identity: hash(identity) in self._done)
        self._ready.extend(path for path in whole if path not in waiting)
        if self._arrivals.up:
            self._done &= present

    # --- one file

    def _file(self, path: Path) -> Iterator[Item]:
        if time.monotonic() - self._told > 1:
            # Thousands of known files on a slow mount are passed over without an item of theirs.
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
            return  # gone before its turn came
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
                max_pixels=self._max_pixels,
                stopped=self._stop.is_set,
                earlier=self._known.earlier,
            )
            yield from reader.items()
            return
        if too_large(identity, self._max_pixels):
            digest = yield from hashing(path, self._stop.is_set)
            if not self._stop.is_set():
                reason = f"{identity.size:,} bytes are too many for one picture (max_pixels)"
                yield Opened(path, identity, digest)
                yield from self._failed(path, identity, digest, reason)
            return
        yield from self._still(path, identity)

    def _still(self, path: Path, identity: FileIdentity) -> Iterator[Item]:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            # Not recorded as done: the next start, with other permissions, may well read it.
            reason = f"cannot be read: {error.strerror}"
            yield Failed(path, origin_of(path, identity), 0, identity.mtime_ns, reason)
            return
        if FileIdentity.of(path) != identity:  # written to while it was read: its turn comes again
            if not self._watch:
                self._ready.append(path)
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


def _are(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number} {what}s are"


def _is_still(path: Path) -> bool:
    """By what it holds; by its name where that says nothing. A file that cannot be read is a still.

    GIFs are clips: they may be animated.
    """
    try:
        kind = kind_of(head_of(path))
    except FileNotFoundError:
        raise
    except OSError:
        return True
    if kind is Kind.GIF or kind is Kind.CLIP:
        return False
    return kind in STILL_KINDS or path.suffix.lower() in STILL_SUFFIXES
