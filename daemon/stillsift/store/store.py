"""Places kept frames as files, so that a power cut leaves a whole file or none.

Layout: kept/<source>/YYYY/MM/DD/<captured_at UTC>_<id>.<ext>, the same in audit/,
quarantine/<source>/..., lock, correcting, ledger.sqlite. An OSError becomes a `StoreFull`,
`StoreError` or `StoreInUse` here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import BinaryIO

import cv2

from ..decisions import Decision, Reason
from ..frames import Frame
from ..ledger.records import KeptFile
from ..sources.files import DecodeError
from ..sources.files.opening import opened
from .durable_files import (
    copy_data,
    make_folder,
    move_without_overwrite,
    nearest_existing,
    sync_folder,
)
from .errors import OriginalChanged, StoreError, StoreFull, os_errors_about
from .lock import StoreLock
from .names import day_folder, stem, still_suffix
from .repair import NOTHING, ImageFormat, Repair, Repaired, repaired, unrepaired

log = logging.getLogger(__name__)

KEPT = Path("kept")
AUDIT = Path("audit")
"""Folder for audit samples: dropped frames that a person is to judge. It is laid out like kept/ and
never mixed with it."""
QUARANTINE = Path("quarantine")
READING = Path("reading")
"""Holds a mark for each source of what it reads."""
TEMPORARY = ".placing"
"""Folder for files that are being written. One lies inside each of kept/, audit/ and quarantine/,
because each may be a mount of its own and a rename must stay within one file system."""

_SUFFIX = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


class Store:
    """Holds kept frames in one directory. Several threads may call `place`."""

    def __init__(
        self,
        root: Path,
        min_free: int = 1_000_000_000,
        image_format: ImageFormat = "jpeg",
        jpeg_quality: int = 95,
    ) -> None:
        """Takes the settings only; `prepare` makes the directories.

        Args:
            min_free: bytes that must stay free on the file system; no frame is placed below that.
            image_format: format for frames out of clips and streams. Stills stay as they are.
            jpeg_quality: 1-100, also used for WebP.
        """
        self.root = root.absolute()
        self.min_free = min_free
        self.jpeg_quality = jpeg_quality
        self._suffix = _SUFFIX[image_format]
        self._parameters = {
            "jpeg": [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality],
            "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
            "webp": [cv2.IMWRITE_WEBP_QUALITY, jpeg_quality],
        }[image_format]
        self._numbers = count()
        self._folders: set[Path] = set()
        self._folders_lock = threading.Lock()
        self.is_unfinished: Callable[[Path], bool] = lambda _: False
        """Tells whether recovery has adopted what lies at a path, relative to the store, so that it
        may give way, see `LedgerReader.is_unfinished`; as it is made, nothing may."""

    @property
    def state(self) -> Path:
        """Gives the folder for what is not a picture."""
        return self.root

    @property
    def ledger_path(self) -> Path:
        return self.state / "ledger.sqlite"

    def prepare(self) -> None:
        """Makes the directories and writes a test file, so that a problem shows at once.

        Raises `StoreError` or `StoreFull`, each with the path and what to do.
        """
        for area in (KEPT, QUARANTINE):
            with self.temporary(area) as temporary:
                data = b"stillsift"
                with os_errors_about(temporary), temporary.open("xb") as file:
                    file.write(data)
                    os.fsync(file.fileno())

    def lock(self) -> StoreLock:
        """Claims the store for this process until the lock is closed or the process ends.

        Raises `StoreInUse` where another process has it.
        """
        self.make_folder(self.state)
        return StoreLock(self.state)

    def free_bytes(self) -> int:
        """Returns the bytes that this user may still write on the store's file system."""
        with os_errors_about(self.root):
            stat = os.statvfs(nearest_existing(self.root))
        return stat.f_bavail * stat.f_frsize

    def require_room(self, size: int = 0) -> None:
        """Raises `StoreFull` where `size` more bytes would leave less than `min_free` free."""
        free = self.free_bytes()
        if free - size < self.min_free:
            floor = (
                f", and `store: min_free:` asks for {self.min_free / 1e6:.0f} MB that stay free"
                if self.min_free
                else f", and {size / 1e6:.1f} MB are needed"
            )
            raise StoreFull(
                f"{self.root}: {free / 1e6:.0f} MB free{floor}; nothing more is kept and originals "
                "stay. Free some space, move the store"
                + (" or lower min_free" if self.min_free else "")
            )

    def path_of(self, frame: Frame, suffix: str, area: Path = KEPT) -> Path:
        """Returns the path of a frame, relative to the store."""
        name = f"{stem(frame.captured_at_ns, frame.id)}{suffix}"
        return day_folder(area, frame.source, frame.captured_at_ns) / name

    def place(self, frame: Frame, decision: Decision, repair: Repair = NOTHING) -> KeptFile:
        """Puts a frame into the store; on return it is on the disk.

        A kept frame goes into kept/, an audit sample into audit/. A still goes there byte for byte,
        a frame of a clip or stream is encoded. Placing the same frame again is no error and changes
        no file that is recorded. A still that has what `repair` asks to be put right is written
        anew; one that cannot be goes there byte for byte as well, and its record says so.

        A still is copied (as a reflink, where the file system can) and never linked: a program that
        writes the next picture into the same file would change the kept one.

        Raises:
            StoreFull: there is no room.
            OriginalChanged: the still has changed since it was decided about, or cannot be opened,
                and the frame does not hold its `data` or nothing took its name.
            StoreError: any other failure, also other content under the same name.
        """
        if frame.file is None or frame.content_hash is None:
            return self._place_encoded(frame, decision, repair)
        still = (frame, frame.file, frame.content_hash, decision, repair)
        try:
            with _opened(frame.file) as source, os_errors_about(frame.file):
                return self._place_still(source, *still)
        except OriginalChanged:
            # `Path.exists` raises where a disk fails. What is gone is read again where it turns up.
            if frame.data is None or not os.path.exists(frame.file):  # noqa: PTH110
                raise
            with _in_memory(frame.data) as source:
                return self._place_still(source, *still)

    def _place_still(
        self,
        source: BinaryIO,
        frame: Frame,
        original: Path,
        content_hash: str,
        decision: Decision,
        repair: Repair,
    ) -> KeptFile:
        done: str | None = None
        if repair.asked:
            made, done = self.repaired(source, original, content_hash, repair)
            if made is not None and made.data is not None:
                return self._place_repaired(frame, decision, made, made.data)
        self.require_room(source.seek(0, os.SEEK_END))
        source.seek(0)
        suffix = still_suffix(source.read(32), original.suffix)
        source.seek(0)
        area = _area(decision)
        path = self.path_of(frame, suffix, area)
        with self.temporary(area) as temporary:
            self._copy(source, temporary)
            sha256, size = self._synced(temporary)
            if sha256 != content_hash:
                raise _changed(original)
            self._name(temporary, self.root / path, sha256)
        return replace(kept_as(frame, decision, path, size, sha256), repairs=done)

    def repaired(
        self, source: BinaryIO, original: Path, content_hash: str, repair: Repair
    ) -> tuple[Repaired | None, str | None]:
        """Returns an open still as it is to be written, and what is recorded of that.

        None: it stays as it is; nothing is recorded where nothing was wrong. Raises OriginalChanged
        and OSError.
        """
        data = source.read()
        if hashlib.sha256(data).hexdigest() != content_hash:
            raise _changed(original)
        try:
            made = repaired(data, original, repair, self.jpeg_quality)
        except DecodeError as error:
            if repair.cover is not None:
                raise StoreError(
                    f"{original}: not kept, as it cannot be made anonymous: {error.reason}"
                ) from error
            log.warning("%s: kept as it is: %s", original, error.reason)
            return None, unrepaired(error)
        if made is None:
            return None, None
        return made, made.done

    def _place_repaired(
        self, frame: Frame, decision: Decision, made: Repaired, data: bytes
    ) -> KeptFile:
        area = _area(decision)
        path = self.path_of(frame, made.suffix, area)
        sha256 = self._place_data(data, path, area)
        kept = kept_as(frame, decision, path, len(data), sha256)
        return replace(kept, width=made.width, height=made.height, repairs=made.done)

    def _place_data(self, data: bytes | memoryview, path: Path, area: Path) -> str:
        """Writes data to a path of the store, relative to it; returns its SHA-256 (hex)."""
        self.require_room(len(data))
        with self.temporary(area) as temporary:
            with os_errors_about(temporary), temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            sha256 = hashlib.sha256(data).hexdigest()
            self._name(temporary, self.root / path, sha256)
        return sha256

    def _place_encoded(self, frame: Frame, decision: Decision, repair: Repair) -> KeptFile:
        area = _area(decision)
        path = self.path_of(frame, self._suffix, area)
        pixels = frame.picture.bgr()
        assert pixels.shape[:2] == (frame.picture.height, frame.picture.width), "decoded smaller"
        covered = None
        if repair.cover is not None:
            pixels, covered = repair.cover(pixels)
        try:
            done, encoded = cv2.imencode(self._suffix, pixels, self._parameters)
        except cv2.error as error:
            raise StoreError(
                f"{path.name}: {frame.picture.width}x{frame.picture.height} cannot be encoded as "
                f"{self._suffix[1:]}: {error.err}; choose another `store: format:`"
            ) from error
        if not done:
            raise StoreError(f"{path.name}: OpenCV could not encode it as {self._suffix[1:]}")
        data = encoded.data
        sha256 = self._place_data(data, path, area)
        return replace(kept_as(frame, decision, path, len(data), sha256), repairs=covered)

    def holds(self, kept: KeptFile) -> bool:
        """Tells whether the file of a kept frame is there with its size."""
        try:
            return (self.root / kept.path).stat().st_size == kept.bytes
        except OSError:
            return False

    def lacks(self, kept: KeptFile) -> bool:
        """Tells whether the file of a kept frame is certainly gone."""
        try:
            return (self.root / kept.path).stat().st_size != kept.bytes
        except (FileNotFoundError, NotADirectoryError):
            return _is_folder(self.root / KEPT)  # else the disk of the store is away
        except OSError:
            return False

    def discard(self, paths: Iterable[Path]) -> None:
        """Removes files (relative to the store) that the ledger no longer needs."""
        for path in paths:
            with os_errors_about(path):
                (self.root / path).unlink(missing_ok=True)

    def temporary_folder(self, area: Path) -> Path:
        """Returns the folder for files that are being written into an area."""
        return self.root / area / TEMPORARY

    @contextmanager
    def temporary(self, area: Path) -> Iterator[Path]:
        """Gives a path for writing a file into an area; removes what is left of it afterwards."""
        folder = self.temporary_folder(area)
        self.make_folder(folder)
        path = folder / f"{os.getpid()}-{next(self._numbers)}"
        try:
            yield path
        finally:
            # Recovery removes a leftover. An error here must not hide the one that led here.
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def make_folder(self, folder: Path) -> None:
        """Makes a folder and its parents, and syncs them to the disk."""
        if folder in self._folders and folder.is_dir():
            return
        with self._folders_lock, os_errors_about(folder):
            make_folder(folder)
        self._folders.add(folder)

    def _copy(self, source: BinaryIO, target: Path) -> None:
        with os_errors_about(target), target.open("xb") as file:
            copy_data(source, file)

    def _synced(self, path: Path) -> tuple[str, int]:
        """Syncs a file to the disk and returns its SHA-256 (hex) and its size (bytes)."""
        with os_errors_about(path), path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
            return sha256, os.fstat(file.fileno()).st_size

    def _name(self, temporary: Path, target: Path, sha256: str) -> None:
        """Renames a finished file to `target` without overwriting what is recorded.

        Where `target` holds the same content already, it stays. Other content gives way where it
        `is_unfinished`: what was asked for has changed since a crash. Else raises `StoreError`.
        """
        self.make_folder(target.parent)
        with os_errors_about(target):
            try:
                move_without_overwrite(temporary, target)
            except FileExistsError as error:
                with target.open("rb") as there:
                    same = hashlib.file_digest(there, "sha256").hexdigest() == sha256
                if not same and not self.is_unfinished(target.relative_to(self.root)):
                    raise StoreError(
                        f"{target}: another picture is there under this name; nothing is "
                        "overwritten. Move that file away"
                    ) from error
                if not same:
                    temporary.replace(target)
            sync_folder(target.parent)


def _changed(original: Path) -> OriginalChanged:
    return OriginalChanged(f"{original}: changed after it was read; it is looked at again")


@contextmanager
def _opened(original: Path) -> Iterator[BinaryIO]:
    """Opens an original; raises `OriginalChanged` where that fails.

    The cause is never the store's disk, so the error must not be one about that disk.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(original))
        except OSError as error:
            raise OriginalChanged(
                f"{original}: {error.strerror} after it was read; it is looked at again once it is "
                "back"
            ) from error
        yield file


@contextmanager
def _in_memory(data: bytes) -> Iterator[BinaryIO]:
    """Gives a file without a name that holds this content."""
    with os.fdopen(os.memfd_create("still"), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield file


def _area(decision: Decision) -> Path:
    return AUDIT if decision.reason is Reason.AUDIT else KEPT


def kept_as(frame: Frame, decision: Decision, path: Path, size: int, sha256: str) -> KeptFile:
    """Returns the record of a frame that is kept at `path`."""
    return KeptFile(
        id=decision.id,
        source=frame.source,
        path=path,
        bytes=size,
        sha256=sha256,
        width=frame.picture.width,
        height=frame.picture.height,
        captured_at_ns=frame.captured_at_ns,
    )


def _is_folder(path: Path) -> bool:
    """Tells whether a folder is there. `Path.is_dir` raises where a disk fails; this does not."""
    return os.path.isdir(path)  # noqa: PTH112
