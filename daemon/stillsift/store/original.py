"""Takes an original out of everybody's way before it is moved or deleted.

Between a look at a file and the call that removes its name, somebody may put another file there, or
write more into it. So the original is first renamed to a private name in its own folder. Then it is
held against what was decided about, and again after every step that took time. If it differs, it
gets its name back, and no file is replaced by that.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from ..ledger.records import FileRecord
from ..sources import FileIdentity
from ..sources.files.opening import being_written, open_beneath, opened_folder
from .durable_files import move_without_overwrite

QUIET_S = 300.0
"""Where nobody can tell whether a file is open for writing, it must not have changed for so long. A
recorder at a low bit rate, or a time-lapse, writes every minute or two."""

NAME_BYTES = 255
"""Most bytes of a file's name."""


class OriginalDiffers(Exception):
    """Says that a file is not, or no longer, the one that was decided about; it has its name."""


class OriginalInUse(Exception):
    """Says that somebody may still write to a file; it has its name, and can be asked for again."""


class Quiet:
    """Remembers for how long files have stayed as they are: by the time that passes.

    The clock on the wall may be set by days while a recorder has its file open.
    """

    def __init__(self) -> None:
        self._since: dict[Path, tuple[tuple[int, int, int], float]] = {}

    def lasts_s(self, path: Path, facts: os.stat_result) -> float:
        """Returns the seconds since a file was first found as it is now."""
        now = time.monotonic()
        as_it_is = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        found, since = self._since.get(path, (None, now))
        if found == as_it_is:
            return now - since
        self._since[path] = as_it_is, now
        return 0.0

    def forget(self, path: Path) -> None:
        """Forgets a file that is not asked about any more."""
        self._since.pop(path, None)


class ClaimedOriginal:
    """Holds one original under a private name. Made by `claimed`."""

    def __init__(self, record: FileRecord, folder: int, private: str, data: BufferedReader) -> None:
        self.data = data
        """The open original; read it by this and not by a name."""
        self._record = record
        self._folder = folder
        self._private = private
        self.gone = False
        """Whether it has no name in its folder any more."""

    def check(self) -> None:
        """Raises OriginalDiffers or OriginalInUse unless it is as it was when it was decided."""
        _check(self._record, self.data)

    def has_the_content(self) -> bool:
        """Tells whether its bytes are those that were decided about. Raises OSError."""
        self.data.seek(0)
        return hashlib.file_digest(self.data, "sha256").hexdigest() == self._record.content_hash

    def delete(self) -> None:
        """Removes it. Raises OriginalDiffers, OriginalInUse and OSError; it stays then."""
        self.check()
        os.unlink(self._private, dir_fd=self._folder)
        self.gone = True

    def move(self, target: Path) -> None:
        """Moves it within its file system; EXDEV where that is another.

        Raises OriginalDiffers, OriginalInUse and OSError (FileExistsError for `target`); it stays
        then.
        """
        self.check()
        move_without_overwrite(self._private, target, source_folder=self._folder)
        self.gone = True

    def put_back(self) -> None:
        """Gives it its name back, or a name beside it if that is taken by now.

        Raises OriginalInUse where that cannot be done now; the next attempt finds it all the same.
        """
        why = "all names beside its own are taken"
        for candidate in _names(self._record.file.name):
            try:
                move_without_overwrite(
                    self._private,
                    candidate,
                    source_folder=self._folder,
                    target_folder=self._folder,
                )
            except FileExistsError:
                continue
            except OSError as error:
                why = os.strerror(error.errno) if error.errno else str(error)
                break
            self.gone = True
            return
        raise OriginalInUse(f"it is called {self._private} for now: {why}")


@contextmanager
def claimed(record: FileRecord, quiet: Quiet | None = None) -> Iterator[ClaimedOriginal]:
    """Gives an original under a private name; whatever is not moved or deleted gets its name back.

    `quiet` is asked, too, where nobody can tell whether the file is open for writing; None: the
    clock alone tells.

    Raises:
        FileNotFoundError: there is no such file any more.
        OriginalDiffers: it is another file by now.
        OriginalInUse: somebody may still write to it, or its disk is away; it may pass.
        OSError: it cannot be renamed or read, or a symbolic link is on the way.
    """
    private = private_name(record)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(opened_folder(record.file.parent))
            data = stack.enter_context(_hidden(record, folder, private, quiet))
        except FileNotFoundError:
            if _disk_is_away(record):
                raise OriginalInUse("the disk that it was on is not there") from None
            raise
        original = ClaimedOriginal(record, folder, private, data)
        try:
            if not _is(folder, private, data):
                raise OriginalDiffers("another file was put in its place")
            yield original
        finally:
            if not original.gone:
                original.put_back()


def private_name(record: FileRecord) -> str:
    """Returns the name that an original has while it is retired; it is the same at every attempt.

    It begins with a dot, so that nobody takes it for footage.
    """
    identity = record.identity
    key = os.fsencode(f"{record.file.name}\0{identity.size}\0{identity.mtime_ns}")
    return f".stillsift-{hashlib.blake2b(key, digest_size=8).hexdigest()}"


def _hidden(record: FileRecord, folder: int, private: str, quiet: Quiet | None) -> BufferedReader:
    """Opens an original and gives it its private name. Raises what `claimed` raises."""
    try:
        data = os.fdopen(open_beneath(folder, record.file.name), "rb")
    except FileNotFoundError:
        # An earlier attempt was cut off after it had taken the name.
        return os.fdopen(open_beneath(folder, private), "rb")
    with _closed_on_error(data):
        try:
            _check(record, data, quiet, untouched=True)
            _take(folder, record.file.name, private)
        except OriginalDiffers:
            # So it was, and another file was given the name since.
            try:
                earlier = os.fdopen(open_beneath(folder, private), "rb")
            except FileNotFoundError:
                pass
            else:
                data.close()
                return earlier
            raise
    return data


def _disk_is_away(record: FileRecord) -> bool:
    """Tells whether an original is missing because nothing is mounted where it was.

    A mount point without its mount is an empty folder of another device. A device alone may have
    another number since the last start.
    """
    for folder in record.file.parents:
        with suppress(OSError):
            if folder.stat().st_dev == record.identity.device:
                return False
            return not os.listdir(folder)  # noqa: PTH208
    return True


def _take(folder: int, name: str, private: str) -> None:
    """Renames; if the private name is taken, an earlier attempt was cut off between two names."""
    try:
        move_without_overwrite(name, private, source_folder=folder, target_folder=folder)
    except FileExistsError:
        if not os.path.samestat(_stat(folder, name), _stat(folder, private)):
            raise OriginalDiffers("an earlier file of this name is still being retired") from None
        os.unlink(name, dir_fd=folder)


def _check(
    record: FileRecord,
    data: BufferedReader,
    quiet: Quiet | None = None,
    *,
    untouched: bool = False,
) -> None:
    """Raises OriginalDiffers or OriginalInUse unless a file is as it was when it was decided.

    `untouched`: it was not renamed yet, so the time of its last change of any kind counts, too. A
    writer or a server may set the other one back.
    """
    facts = os.fstat(data.fileno())
    found = FileIdentity.from_stat(facts)
    if (found.size, found.mtime_ns) != (record.identity.size, record.identity.mtime_ns):
        raise OriginalDiffers("it changed after it was read")
    written = being_written(data.fileno())
    if written:
        raise OriginalInUse("somebody has it open for writing")
    changed = max(facts.st_mtime, facts.st_ctime if untouched else 0.0)
    if written is not None:
        return
    quiet_s = abs(time.time() - changed)
    if quiet is not None and untouched:
        quiet_s = min(quiet_s, quiet.lasts_s(record.file, facts))
    if quiet_s < QUIET_S:
        raise OriginalInUse(
            f"whether somebody has it open for writing cannot be known here, and it has not been"
            f" seen unchanged for {QUIET_S / 60:.0f} minutes"
        )


def _is(folder: int, name: str, data: BufferedReader) -> bool:
    return os.path.samestat(_stat(folder, name), os.fstat(data.fileno()))


def _stat(folder: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _names(name: str) -> Iterator[str]:
    """Gives the name, then names beside it that are footage as well, and not too long."""
    yield name
    path = Path(name)
    for number in range(2, 1000):
        end = os.fsencode(f" ({number}){path.suffix}")
        yield os.fsdecode(os.fsencode(path.stem)[: NAME_BYTES - len(end)] + end)


@contextmanager
def _closed_on_error(file: BufferedReader) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.close()
        raise
