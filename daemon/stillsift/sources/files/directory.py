"""Reads a directory of stills and clips: what is there, and what arrives.

The same files in the same order give the same frames, whether watched or read once.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, tzinfo
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ...frame_numbers import NumberPattern, is_number_pattern
from ...problems import Problem
from ..decoding import MAX_CLIP_PIXELS, MAX_PIXELS
from ..items import (
    NAMES,
    Failed,
    FileIdentity,
    Finished,
    Idle,
    Item,
    Known,
    LeftAlone,
    Opened,
    Overload,
    Position,
    Repeated,
    origin_of,
)
from ..sequences import NumberedStills, Sequences
from ..times import NamePattern, Times
from .arrivals import WRITER_PATIENCE_S, Arrivals
from .clip import ClipReader
from .contents import STILL_KINDS, STILL_SUFFIXES, Kind, hashing, head_of, kind_of
from .events import Arrived
from .extent import refusal
from .gif import runs_together, shows_one_picture
from .header import DecodeError
from .motion_pictures import is_stream
from .numbered import numbered
from .opening import being_written, opened
from .pages import PageReader, holds_several
from .read_ahead import ReadAhead
from .still import ReadStill, frame_of, taken_of
from .tree import Found, natural, trees

_LOG = logging.getLogger(__name__)
_BEING_WRITTEN = "another program is still writing it; it is read the next time"
_LINKED = "cannot be read: a symbolic link is on the way, which was none before"
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_NO_FILE = frozenset({errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.EISDIR})
"""What opening a symbolic link, a pipe, a socket or a folder gives: they are no footage."""
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_TELL_EVERY_S = 60.0
"""Seconds between two lines of the log about files that were overwritten."""
_ASSUMED_RATE = 2.0
"""Frames per second of numbered stills whose rate nobody knows. Of labelled clips at 1/s to 25/s,
events are missed where it is higher (5/s), and more is kept where it is lower (1/s)."""
_MOST_AGAIN = 100
"""Most files that a failing disk does not give and that are tried again soon; if there are more, or
if a file may not be read, it is tried when directories are read again."""


class SourceMissing(Problem):
    """Says that a file or directory that was to be read is not there."""


class DirectorySource:
    """Reads all stills and clips below some roots, in natural order of names, then what arrives.

    A root may also be a single file. A file that `known` calls finished is not read again. A file
    whose content failed is finished too, until it changes. One that cannot be opened or read is
    told once and tried again. One that somebody has open for writing is not read before that ends.
    """

    def __init__(
        self,
        name: str,
        root: Path | Sequence[Path],
        *,
        known: Known,
        rate: float | None = None,
        animation_rate: float | None = None,
        watch: bool = False,
        polling: bool = False,
        recursive: bool = True,
        filename_time: str | None = None,
        exif_timeline: bool = False,
        timezone: tzinfo = UTC,
        sequence: float | None = None,
        recognise: Callable[[Sequence[Sequence[Path]], Callable[[], bool]], str | None]
        | None = None,
        max_pixels: int = MAX_PIXELS,
        max_clip_pixels: int = MAX_CLIP_PIXELS,
        settle_s: float = 2.0,
        rescan_s: float = 45.0,
        exclude: Sequence[Path] = (),
        ahead: ReadAhead | None = None,
    ) -> None:
        """Takes the options. Raises ValueError for a `filename_time` that is no pattern.

        `rate`: frames of clips per second of their own time, and `animation_rate`: pictures of
        animated picture files; None: all.
        With `watch` False, `items` ends when everything has been read. `timezone` is that of EXIF
        times without an offset and of `filename_time`. With `exif_timeline`, stills with an EXIF
        time lie on a time line. `sequence` is the number of numbered stills in a second, on the
        time line of their folder; None: `recognise` tells from blocks of neighbours why a folder
        has none (None: it has), and is asked only if `watch` is False. `exclude` are directories
        that are never read, such as the store. `ahead` reads stills ahead, where `watch` is False;
        None: each is read at its turn.
        """
        self.name = name
        self._ahead = None if watch else ahead
        self._trees = trees(root, recursive=recursive, exclude=exclude)
        self._known = known
        self._rate = rate
        self._animation_rate = animation_rate
        self._watch = watch
        self._max_pixels = max_pixels
        self._max_clip_pixels = max_clip_pixels
        counting = filename_time is not None and is_number_pattern(filename_time)
        pattern: NamePattern | None = None
        self._sequences: Sequences | None = None
        if counting:
            assert filename_time is not None
            self._sequences = Sequences(known, pattern=NumberPattern(filename_time))
        else:
            pattern = None if filename_time is None else NamePattern(filename_time, timezone)
            if sequence is not None or (recognise is not None and not watch):
                self._sequences = Sequences(known, sequence)
        self._times = Times(pattern, timezone, exif_timeline, self._sequences)
        self._filename_time = filename_time
        self._recognise = None if watch or counting or sequence is not None else recognise
        self._folders: dict[Path, list[Path]] = {}
        """Stills by folder, in order, whose numbers are to be looked at."""
        self._photographs: list[NumberedStills] = []
        self._arrivals = Arrivals(
            name, self._trees, polling=polling, settle_s=settle_s, rescan_s=rescan_s
        )
        self._ready: dict[Path, Arrived] = {}
        """Files that wait to be read, in order."""
        self._done: set[int] = set()
        """Hashes (64 bits each, to save memory) of the identities read in this session."""
        self._not_done: set[int] = set()
        """Hashes of identities that are to be read again as soon as they are read."""
        self._unreadable: dict[Path, FileIdentity | None] = {}
        """Files that could not be read, and were told."""
        self.left_alone = LeftAlone({})
        """What the last listing found and is not read."""
        self._bare = False
        """True: no still or clip was found, when read once."""
        self.unmatched: Path | None = None
        """A file whose name holds no time, if `filename_time` matches none; None: it matches, or
        nothing is known yet. A directory tells of it itself, once; a single file is told of by
        whoever reads it, since it may be one of many."""
        self._overwrites = 0
        """Files overwritten before they were read, since that was told."""
        self._overwrites_told = float("-inf")
        self._names_checked = filename_time is None
        self._found = 0
        """Number of files that were found, when read once."""
        self._listed = False
        """Whether all of them are found, when read once."""
        self._reading = False
        """Whether one of them is being read."""
        self._clip: ClipReader | None = None
        """What reads the clip that is read now; None: there is none."""
        self._stop = threading.Event()
        self._told = time.monotonic()

    @property
    def up(self) -> bool:
        """Tells whether the roots are there; always true if they are not watched."""
        return not self._watch or self._arrivals.up

    @property
    def is_file(self) -> bool:
        """Tells whether its one root is a file, or was one that is gone by now."""
        return len(self._trees) == 1 and not self._trees[0].root.is_dir()

    @property
    def queued(self) -> int:
        """Gives the number of files that are known to wait."""
        return len(self._ready) + self._arrivals.waiting

    @property
    def position(self) -> Position:
        """Tells how far it has come, if it is read once; any thread may ask."""
        if not self._listed:
            return Position(self._found, listed=False)
        done = max(0, self._found - len(self._ready) - self._reading)
        clip = self._clip
        return Position(self._found, True, done, None if clip is None else clip.position)

    @property
    def reconnects(self) -> int:
        """Gives 0: a directory has no connection."""
        return 0

    def read_again(self, file: Path, identity: FileIdentity) -> None:
        known = {hash(identity)}
        with suppress(OSError):  # it is elsewhere by now; the next listing finds it
            now = FileIdentity.of(file)
            if (now.size, now.mtime_ns) == (identity.size, identity.mtime_ns):
                known.add(hash(now))
                self._add([Arrived(file)])
        self._not_done |= known - self._done  # of these, one may be read just now
        self._done -= known

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
        left_alone: Counter[str] = Counter()
        found = self._listing(left_alone)
        self._bare = not found
        yield from self._left_alone(left_alone)
        self._check_names(found)
        if self._recognise is not None:
            for path in found:
                if path.suffix.lower() in STILL_SUFFIXES:
                    self._folders.setdefault(path.parent, []).append(path)
        self._add([Arrived(path) for path in found])
        self._found, self._listed = len(self._ready), True
        try:
            while self._ready and not self._stop.is_set():
                self._read_ahead()
                self._reading = True  # before it is taken out of what waits: it is not done yet
                yield from self._file(self._next())
                self._reading, self._clip = False, None
        finally:
            if self._ahead is not None:
                self._ahead.close()

    def _listing(self, left_alone: Counter[str]) -> list[Path]:
        """Returns all stills and clips in order, each file under the first of its names.

        Counts in `left_alone` what is not read. Raises SourceMissing.
        """
        found: list[Path] = []
        names: dict[int, Path] = {}
        for tree in (each.resolved() for each in self._trees):
            try:
                listed = self._counted(tree.files(left_alone=left_alone))
                files = ((file.path, hash(file.identity)) for file in listed)
                for path, identity in sorted(files, key=lambda file: natural(file[0])):
                    if names.setdefault(identity, path) == path:
                        found.append(path)
                    else:
                        left_alone[NAMES] += 1
            except OSError as error:
                raise SourceMissing(f"{tree.root}: {error.strerror}") from error
        return found

    def _read_ahead(self) -> None:
        """Begins to read the stills that come next and are not decided."""
        if self._ahead is None:
            return
        coming: list[Path] = []
        for path in islice(self._ready, 4 * self._ahead.depth):
            if len(coming) < self._ahead.depth and path.suffix.lower() in STILL_SUFFIXES:
                identity = _identity(path)
                if identity is not None and self._known.next_frame(path, identity) is not None:
                    coming.append(path)
        self._ahead.begin(coming)

    def _counted(self, files: Iterator[Found]) -> Iterator[Found]:
        for file in files:
            self._found += 1
            yield file

    def _as_they_come(self) -> Iterator[Item]:
        try:
            while not self._stop.is_set():
                if self._arrivals.rescan_due():
                    yield from self._look_again()
                    yield from self._left_alone(self._arrivals.left_alone)
                if self._ready:
                    self._add(self._arrivals.wait(0))
                    yield from self._file(self._next())
                    continue
                self._add(self._arrivals.wait(1))
                self._check_names(self._ready)
                if not self._ready:
                    yield Idle()
        finally:
            self._arrivals.close()

    def _left_alone(self, kinds: Counter[str]) -> Iterator[LeftAlone]:
        """Yields what is left alone, if that has changed; at first nothing was."""
        if kinds != self.left_alone.kinds:
            self.left_alone = LeftAlone(dict(kinds))
            yield self.left_alone

    def _look_again(self) -> Iterator[Idle]:
        whole, present = yield from self._arrivals.rescan(
            lambda identity: hash(identity) in self._done, self._stop.is_set
        )
        self._add([arrived for arrived in whole if arrived.path not in self._ready])
        self._check_names(self._ready)
        if self._arrivals.up:
            self._done &= present
            # Names that come and go must not fill the memory.
            self._unreadable = {
                path: known for path, known in self._unreadable.items() if os.path.lexists(path)
            }

    def _add(self, arrived: list[Arrived]) -> None:
        for one in arrived:
            if (waiting := self._ready.get(one.path)) is None:
                self._ready[one.path] = one
            else:
                waiting.follow(one)

    def _next(self) -> Arrived:
        return self._ready.pop(next(iter(self._ready)))

    def _check_names(self, paths: Collection[Path]) -> None:
        """Looks once whether `filename_time` matches any of the first files that there are."""
        if self._names_checked or not paths:
            return
        self._names_checked = True
        if any(map(self._matches, paths)):
            return
        self.unmatched = next(iter(paths))
        if self._watch or not self.is_file:
            told = unmatched(str(self._filename_time), len(paths), self.unmatched)
            _LOG.warning("%s: %s", self.name, told)

    def _matches(self, path: Path) -> bool:
        """Tells whether `filename_time` matches the name of a file."""
        if self._times.pattern is None:
            return self._sequences is not None and self._sequences.number(path) is not None
        return self._times.matches(path)

    # --- numbered stills

    @property
    def numbered(self) -> list[NumberedStills]:
        """Gives the folders whose stills are numbered as the frames of a clip are."""
        if self._sequences is None:
            return []
        return self._sequences.time_lines + self._photographs

    def _look_at_numbers(self, folder: Path) -> None:
        """Decides, before the first still of a folder is read, whether they are frames of a clip.

        That is decided once for each folder, also if some of its stills are gone by now.
        """
        stills = self._folders.pop(folder, None)
        if stills is None or self._recognise is None or self._sequences is None:
            return
        found = numbered(stills)
        if found is None or any(map(self._times.matches, stills)):
            return
        why = None
        if (decided := self._sequences.decided(folder)) is None:
            why = self._recognise(found.sample, self._stop.is_set)
            if self._stop.is_set():
                return
            self._sequences.decide(folder, None if why else _ASSUMED_RATE * found.step)
        if why is not None or (decided is not None and decided.rate is None):
            told = NumberedStills(folder, found.names, len(found.stills), None, why)
            self._photographs.append(told)

    # --- one file

    def _file(self, arrived: Arrived) -> Iterator[Item]:
        if time.monotonic() - self._told > 1:
            # Thousands of known files on a slow mount may be passed over without an item.
            self._told = time.monotonic()
            yield Idle(busy=True)
        path = arrived.path
        is_open = False
        try:
            identity = FileIdentity.of(path)
            if not arrived.lost and hash(identity) in self._done:
                return
            with opened(path) as data:
                is_open = True
                identity = FileIdentity.from_stat(os.fstat(data.fileno()))
                yield from self._overwritten(arrived, identity)
                if hash(identity) in self._done:
                    return
                next_frame = self._known.next_frame(path, identity)
                if next_frame is not None:
                    if self._not_whole(arrived, data, identity):
                        if not self._watch:
                            yield from self._told_unreadable(path, identity, _BEING_WRITTEN)
                        return
                    yield from self._items_of(path, data, identity, next_frame)
        except OSError as error:
            self._known.leave()
            # Unlike `Path.is_dir`, this raises nothing where a disk fails.
            if error.errno == errno.ENOTDIR and os.path.isdir(path.parent):  # noqa: PTH112
                yield from self._told_unreadable(path.parent, None, _LINKED)
                return
            if error.errno in _GONE or (error.errno in _NO_FILE and not is_open):
                self._unreadable.pop(path, None)
                return  # the file disappeared before it was read, or is none
            reason = f"cannot be read: {error.strerror}"
            yield from self._told_unreadable(path, _identity(path), reason)
            if error.errno not in _FORBIDDEN and len(self._unreadable) <= _MOST_AGAIN:
                self._arrivals.try_again(arrived)
            return
        self._unreadable.pop(path, None)
        if not self._stop.is_set():
            self._known.leave()
        if hash(identity) in self._not_done:
            self._not_done.discard(hash(identity))
        elif not self._stop.is_set():
            self._done.add(hash(identity))

    def _not_whole(self, arrived: Arrived, data: BinaryIO, identity: FileIdentity) -> bool:
        """Tells whether somebody still writes to a file; a watching source lets it wait then."""
        if being_written(data.fileno()):
            if self._watch:
                self._arrivals.hold(arrived)
            return True
        fresh = 0 <= time.time() - identity.mtime_ns / 1e9 < WRITER_PATIENCE_S
        if identity.size == 0 and fresh and self._watch:
            # Some write a name first and the data later, as servers for uploads do.
            self._arrivals.hold(arrived, patience_s=WRITER_PATIENCE_S)
            return True
        return False

    def _overwritten(self, arrived: Arrived, now: FileIdentity) -> Iterator[Item]:
        """Tells what was at this path and is gone, since it was overwritten before its turn."""
        lost = arrived.lost
        if (before := arrived.before(now)) is not None:
            lost = [*lost, before]
        arrived.lost, arrived.whole, arrived.seen = [], now, None
        lost = [one for one in lost if hash(one) not in self._done]
        if lost:
            self._note_losses(len(lost), arrived.path)
            origin = origin_of(arrived.path, lost[0])
            yield Overload(origin, 0, lost[0].mtime_ns, len(lost), arrived.path)

    def _note_losses(self, times: int, path: Path) -> None:
        """Tells the log that files are overwritten before they are read, at most once a minute."""
        now = time.monotonic()
        self._overwrites += times
        if now - self._overwrites_told < _TELL_EVERY_S:
            return
        _LOG.warning(
            "%s: files are overwritten before they are read (%d times, the last %s), since "
            "analysis does not keep up; give each picture a name of its own",
            self.name,
            self._overwrites,
            path,
        )
        self._overwrites, self._overwrites_told = 0, now

    def _told_unreadable(
        self, path: Path, identity: FileIdentity | None, reason: str
    ) -> Iterator[Item]:
        """Tells once that a file cannot be read. It is not done: it is tried again."""
        if path in self._unreadable and self._unreadable[path] == identity:
            return
        self._unreadable[path] = identity
        if identity is None:
            _LOG.warning("%s: %s %s", self.name, path, reason)
            return
        yield Failed(path, origin_of(path, identity), 0, identity.mtime_ns, reason)

    def _items_of(
        self, path: Path, data: BinaryIO, identity: FileIdentity, next_frame: int
    ) -> Iterator[Item]:
        refused = refusal(data, identity.size, self._max_pixels, path.suffix.lower())
        data.seek(0)
        content = b"" if refused is not None else data.read()
        read = None if self._ahead is None else self._ahead.take(path, content, wait=False)
        shown = data if refused is not None else io.BytesIO(content)
        if read is None and not is_still(path, shown):
            content = b""  # a clip is read anew, piece by piece
            kind = kind_of(head_of(data), path.suffix.lower())
            animated = kind in (Kind.GIF, Kind.PNG)
            reader = ClipReader(
                path,
                self.name,
                start_frame=next_frame,
                rate=self._animation_rate if animated else self._rate,
                times=self._times,
                max_pixels=self._max_clip_pixels,
                stopped=self._stop.is_set,
                earlier=self._known.earlier,
                shorter=self._known.grown_from(path, identity) if next_frame == 0 else None,
                begin=lambda frame: self._known.begin(path, identity, frame),
            )
            self._clip = reader
            yield from reader.items_of(data)
        elif (why := self._known.begin(path, identity, next_frame)) is not None:
            yield from self._refused(path, data, identity, why)
        else:
            yield from self._still(path, data, identity, content, refused, next_frame, read)

    def _refused(
        self, path: Path, data: BinaryIO, identity: FileIdentity, reason: str
    ) -> Iterator[Item]:
        hashes = yield from hashing(data, self._stop.is_set)
        if hashes is not None:
            yield Opened(path, identity, hashes.whole)
            yield from self._failed(path, identity, hashes.whole, reason)

    def _still(
        self,
        path: Path,
        file: BinaryIO,
        identity: FileIdentity,
        data: bytes,
        refused: str | None,
        next_frame: int,
        read: ReadStill | None,
    ) -> Iterator[Item]:
        """Yields the items of a still with this content, or of one that `refused` gives none.

        `next_frame` is the first that is not decided, if it holds several. `read`: what was read of
        it ahead; None: nothing yet.
        """
        self._look_at_numbers(path.parent)
        if self._stop.is_set():
            return
        if FileIdentity.from_stat(os.fstat(file.fileno())) != identity:
            # It was written to while it was read: read it again.
            if not self._watch:
                self._add([Arrived(path)])
            return
        if refused is not None:  # it may be too large to be read at all, even for its hash
            yield Opened(path, identity, "")
            yield from self._failed(path, identity, "", refused)
            return
        digest = sha256(data).hexdigest() if read is None else read.digest
        if (earlier := self._known.earlier(digest)) is not None:
            yield self._repeated(path, identity, digest, earlier, data)
            return
        yield Opened(path, identity, digest)
        if read is None and holds_several(data, path, self._max_pixels):
            pages = PageReader(
                path,
                self.name,
                identity,
                digest,
                start_frame=next_frame,
                rate=self._animation_rate,
                times=self._times,
                max_pixels=self._max_pixels,
                stopped=self._stop.is_set,
            )
            yield from pages.items_of(data)
            return
        if read is None and self._ahead is not None:
            read = self._ahead.take(path, data)
        told = (data, path, identity, digest, self.name)
        try:
            frame = frame_of(*told, self._max_pixels, self._times, read)
        except DecodeError as error:
            yield from self._failed(path, identity, digest, error.reason)
        else:
            if self._ahead is not None:
                self._ahead.photographs = not frame.timed
            yield replace(frame, data=data) if self._watch else frame
            yield Finished(path, identity, digest, 1)

    def _repeated(
        self, path: Path, identity: FileIdentity, digest: str, earlier: Path, data: bytes
    ) -> Repeated:
        if self._times.on_time_line:
            taken = taken_of(data, path, identity, self._max_pixels, self._times)
            if taken.timed:
                at = (taken.at_ns, taken.known_by)
                return Repeated(path, identity, digest, earlier, *at, timed=True)
        return Repeated(path, identity, digest, earlier)

    def _failed(
        self, path: Path, identity: FileIdentity, digest: str, reason: str
    ) -> Iterator[Item]:
        yield Failed(path, origin_of(path, identity), 0, identity.mtime_ns, reason)
        yield Finished(path, identity, digest, 0)


def unmatched(pattern: str, files: int, example: Path) -> str:
    """Returns a message that `filename_time` matches none of so many files."""
    which = "the file" if files == 1 else f"any of {files} files, such as"
    # Its quotes keep what a strange name holds, such as a line break, apart from the message.
    return (
        f"filename_time {pattern!r} does not match {which} {str(example)!r}; "
        "their times come from elsewhere (EXIF, the clip itself, the last change)"
    )


def is_still(path: Path, data: BinaryIO) -> bool:
    """Tells whether a file is a still, by its content, else by its name.

    A GIF of several pictures is a clip, where FFmpeg can tell them apart, and so is a stream of
    pictures. Raises OSError.
    """
    kind = kind_of(head_of(data), path.suffix.lower())
    if kind is Kind.GIF:
        return shows_one_picture(data) or runs_together(data)
    if kind in (Kind.PDF, Kind.ARCHIVE):  # to be refused as no picture; FFmpeg finds one in it
        return True
    if kind is Kind.CLIP or is_stream(path, data, kind):
        return False
    return kind in STILL_KINDS or path.suffix.lower() in STILL_SUFFIXES


def _identity(path: Path) -> FileIdentity | None:
    try:
        return FileIdentity.of(path)
    except OSError:
        return None
