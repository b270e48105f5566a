"""A directory of footage, read once or watched, with writers of every manner."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import queue
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest
from PIL import Image
from watchdog.events import FileModifiedEvent, FileMovedEvent

from clips import SHARED_MEDIA, real_pictures, write_clip
from collected import Collected
from disks import FaultyDisk, bind, unmount, why_not
from stillsift.frames import Frame, TimeOrigin
from stillsift.sources import (
    Failed,
    FileIdentity,
    Finished,
    Idle,
    Item,
    LeftAlone,
    Numbering,
    Opened,
    Overload,
    Position,
    Repeated,
    Shorter,
)
from stillsift.sources.files import DirectorySource, SourceMissing, arrivals, directory, opening
from stillsift.sources.files.events import Events
from stillsift.sources.files.tree import trees

SETTLE_S = 0.4


class Remembered:
    """The past, as the ledger tells it."""

    def __init__(self) -> None:
        self.next: dict[FileIdentity, int | None] = {}
        self.contents: dict[str, Path] = {}
        self.numberings: dict[Path, Numbering] = {}

    def begin(self, _file: Path, _identity: FileIdentity, _next_frame: int) -> str | None:
        return None

    def leave(self) -> None:
        """Nothing is remembered of a file that is being read."""

    def grown_from(self, _file: Path, _identity: FileIdentity) -> Shorter | None:
        return None

    def next_frame(self, _file: Path, identity: FileIdentity) -> int | None:
        return self.next.get(identity, 0)

    def earlier(self, content_hash: str) -> Path | None:
        return self.contents.get(content_hash)

    def numbering(self, folder: Path) -> Numbering | None:
        return self.numberings.get(folder)

    def begin_numbering(self, folder: Path, numbering: Numbering) -> None:
        self.numberings[folder] = numbering


def photo(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = real_pictures()[number]
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


def photo_bytes(number: int = 0) -> bytes:
    picture = cv2.cvtColor(real_pictures()[number], cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def source(root: Path | list[Path], **options: Any) -> DirectorySource:
    return DirectorySource("yard", root, **{"known": Remembered(), **options})


def names(items: list[Item]) -> list[str]:
    return [item.file.name for item in items if isinstance(item, Opened)]


# --- what is there


def test_tells_how_far_it_is(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / f"{number}.jpg", number)
    write_clip(tmp_path / "clip.mp4", real_pictures()[:1] * 20)
    (tmp_path / "notes.txt").write_text("no footage")
    known = Remembered()
    known.next[FileIdentity.of(tmp_path / "0.jpg")] = None
    reading = source(tmp_path, known=known, rate=None)
    assert reading.position == Position(0, listed=False)
    done, shares = [], []
    for item in reading.items():
        at = reading.position
        assert (at.found, at.listed) == (4, not isinstance(item, LeftAlone)), "0.jpg counts, too"
        done.append(at.done)
        if isinstance(item, Frame) and item.file == tmp_path / "clip.mp4":
            assert at.clip is not None
            shares.append(at.clip.share)
            assert at.clip.file.name == "clip.mp4"
            assert at.clip.lasts_s == pytest.approx(2)
            assert at.clip.at_s == pytest.approx((len(shares) - 1) / 10)
    assert done == sorted(done)
    assert set(done) == {0, 1, 2, 3}
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(0.95)
    assert reading.position == Position(4, True, 4)


def test_reads_all_in_natural_order(tmp_path: Path) -> None:
    for name in (
        "img10.jpg",
        "img9.png",
        "IMG1.JPG",
        "b/img1.jpg",
        "a/deep/img2.jpg",
        "a/img3.jpg",
    ):
        photo(tmp_path / name)
    write_clip(tmp_path / "img9a.mp4", real_pictures()[:3])
    items = list(source(tmp_path).items())
    opened = [item.file for item in items if isinstance(item, Opened)]
    assert [str(path.relative_to(tmp_path)) for path in opened] == [
        "IMG1.JPG",
        "a/deep/img2.jpg",
        "a/img3.jpg",
        "b/img1.jpg",
        "img9.png",
        "img9a.mp4",
        "img10.jpg",
    ]
    assert [type(item) for item in items[:3]] == [Opened, Frame, Finished]
    assert sum(isinstance(item, Frame) for item in items) == 6 + 3
    for item in items:
        if isinstance(item, Frame) and item.pts_s is None:
            assert item.content_hash is not None
        if isinstance(item, Finished):
            assert item.identity == FileIdentity.of(item.file)
    assert {item.source for item in items if isinstance(item, Frame)} == {"yard"}


def test_not_recursive_stays_on_top(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b/b.jpg")
    assert names(list(source(tmp_path, recursive=False).items())) == ["a.jpg"]


def test_leaves_alone_what_is_not_footage(tmp_path: Path) -> None:
    photo(tmp_path / "good.jpg")
    for left in (
        ".hidden.jpg",
        ".hidden/a.jpg",
        "~lock.jpg",
        "@eaDir/thumbnail.jpg",
        "store/kept/a.jpg",
    ):
        photo(tmp_path / left)
    for left in ("a.jpg.part", "a.jpg.tmp", "a.jpg.crdownload", "a.jpg~", "notes.txt", "noname"):
        shutil.copy(tmp_path / "good.jpg", tmp_path / left)
    elsewhere = photo(tmp_path.parent / f"{tmp_path.name}-elsewhere" / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(elsewhere)
    (tmp_path / "linked").symlink_to(elsewhere.parent)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(list(source(tmp_path, exclude=[tmp_path / "store"]).items())) == ["good.jpg"]


def test_one_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    os.link(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert names(list(source(tmp_path).items())) == ["a.jpg"]


def test_a_file_and_a_link_may_be_roots(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", real_pictures()[:2])
    photo(tmp_path / "photos" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert names(list(source([clip, tmp_path / "link"]).items())) == ["clip.mp4", "a.jpg"]


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="nowhere: No such file"):
        list(source(tmp_path / "nowhere").items())


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    photo(tmp_path / "photo.jpg").rename(tmp_path / "photo.mp4")
    write_clip(tmp_path / "clip.mp4", real_pictures()[:3]).rename(tmp_path / "clip.jpg")
    items = list(source(tmp_path).items())
    assert not [item for item in items if isinstance(item, Failed)]
    assert [item.frames for item in items if isinstance(item, Finished)] == [3, 1]


@pytest.mark.parametrize("name", ["a.mjpeg", "a.mjpg", "a.jpg"])
def test_a_motion_jpeg_is_read_to_its_end(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"".join(photo_bytes(number) for number in range(5)))
    frames = [item for item in source(tmp_path).items() if isinstance(item, Frame)]
    assert [frame.frame_index for frame in frames] == list(range(5))


def test_a_photo_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    class Counting(io.FileIO):
        def readinto(self, buffer: Any, /) -> int:
            nonlocal taken
            taken += (count := super().readinto(buffer) or 0)
            return count

        def readall(self) -> bytes:
            nonlocal taken
            taken += len(data := super().readall())
            return data

    @contextmanager
    def counted(path: Path) -> Iterator[BinaryIO]:
        with io.BufferedReader(Counting(path)) as file:
            yield file

    monkeypatch.setattr(directory, "opened", counted)
    random = np.random.default_rng(0)
    path = tmp_path / "a.jpg"
    assert cv2.imwrite(str(path), random.integers(0, 255, (1500, 2000, 3), np.uint8))
    assert any(isinstance(item, Frame) for item in source(tmp_path).items())
    assert path.stat().st_size > 2_000_000
    assert taken < 1.1 * path.stat().st_size


def test_bad_files_are_told_and_the_others_read(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_bytes(b"")
    (tmp_path / "3.mp4").write_bytes(b"<html>")
    (tmp_path / "4.jpg").write_bytes(photo_bytes()[:-100])
    with (tmp_path / "5.jpg").open("wb") as huge:
        huge.write(photo_bytes())
        huge.truncate(70 << 20)
    photo(tmp_path / "6.jpg")
    items = list(source(tmp_path, max_pixels=100_000).items())
    failed = {item.file.name: item.detail for item in items if isinstance(item, Failed)}  # type: ignore[union-attr]
    assert list(failed) == ["2.jpg", "3.mp4", "4.jpg", "5.jpg"]
    assert failed["5.jpg"] == "73,400,320 bytes are too many for one picture of 320x180"
    assert names(items) == [f"{number}.{'mp4' if number == 3 else 'jpg'}" for number in range(1, 7)]
    frames = [item.frames for item in items if isinstance(item, Finished)]
    assert frames == [1, 0, 0, 0, 0, 1]


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    known = Remembered()
    known.next[FileIdentity.of(photo(tmp_path / "done.jpg"))] = None
    clip = write_clip(tmp_path / "half.mp4", real_pictures()[:6])
    known.next[FileIdentity.of(clip)] = 4
    items = list(source(tmp_path, known=known).items())
    assert names(items) == ["half.mp4"]
    assert [item.frame_index for item in items if isinstance(item, Frame)] == [4, 5]


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_a_copy_of_what_was_decided_is_not_read_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.jpg":
        photo(path)
    else:
        write_clip(path, real_pictures()[:3])
    known = Remembered()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known.contents[digest] = Path("/earlier") / name
    items = list(source(tmp_path, known=known).items())
    assert items == [Repeated(path, FileIdentity.of(path), digest, Path("/earlier") / name)]


@pytest.mark.parametrize(
    ("options", "name", "origin"),
    [
        ({}, "a.jpg", None),
        ({"exif_timeline": True}, "a.jpg", TimeOrigin.EXIF),
        ({"filename_time": "%Y%m%d"}, "20240506.jpg", TimeOrigin.FILENAME),
        ({"filename_time": "%Y%m%d"}, "a.jpg", None),
    ],
)
def test_a_copy_tells_its_time_where_it_lies_on_a_time_line(
    options: dict[str, Any], name: str, origin: TimeOrigin | None, tmp_path: Path
) -> None:
    path, exif, known = tmp_path / name, Image.Exif(), Remembered()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 00:00:00"
    Image.fromarray(real_pictures()[0]).save(path, exif=exif)
    known.contents[hashlib.sha256(path.read_bytes()).hexdigest()] = Path("/earlier.jpg")
    (copy,) = source(tmp_path, known=known, **options).items()
    assert isinstance(copy, Repeated)
    at_ns = int(datetime(2024, 5, 6, tzinfo=UTC).timestamp()) * 10**9
    assert copy.captured_at_ns == (None if origin is None else at_ns)
    assert copy.captured_at_origin is (origin or TimeOrigin.MTIME)


def test_a_copy_of_a_clip_tells_the_time_of_its_name(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c_20260606_060606.mkv", real_pictures()[:3])
    known = Remembered()
    known.contents[hashlib.sha256(path.read_bytes()).hexdigest()] = Path("/earlier.mkv")
    (copy,) = source(tmp_path, known=known, filename_time="c_%Y%m%d_%H%M%S").items()
    assert isinstance(copy, Repeated)
    at = datetime(2026, 6, 6, 6, 6, 6, tzinfo=UTC)
    assert copy.captured_at_ns == int(at.timestamp()) * 10**9
    assert copy.captured_at_origin is TimeOrigin.FILENAME
    assert not copy.timed, "a clip that is not read moves no time line on"


@pytest.mark.parametrize("watch", [False, True])
@pytest.mark.parametrize("pattern", ["cam_%Y%m%d", "img_%Y%m%d", None])
def test_a_pattern_that_no_name_matches_is_told_once(
    pattern: str | None, watch: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        photo(tmp_path / f"img_2024010{number}.jpg", number)
    photo(tmp_path / "other.jpg")
    reading = source(tmp_path, filename_time=pattern, watch=watch, settle_s=0.0)
    read = 0
    for item in reading.items():
        read += isinstance(item, Finished)
        if watch and read == 3 and isinstance(item, Finished):
            photo(tmp_path / "late.jpg", 3)
        if read == 4:
            reading.stop()
    assert read == (4 if watch else 3)
    told = [record.message for record in caplog.records]
    if pattern != "cam_%Y%m%d":
        assert told == []
        return
    (line,) = told
    assert "'cam_%Y%m%d' does not match any of 3 files" in line
    assert "img_20240101.jpg" in line


def test_a_photo_that_changes_while_it_is_read_is_read_as_it_became(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", 0)

    class Overwriting(Remembered):
        def next_frame(self, _file: Path, identity: FileIdentity) -> int | None:
            if not self.next:  # the first time it is asked
                self.next[identity] = 0
                path.write_bytes(photo_bytes(9) + b"longer")
            return 0

    items = list(source(tmp_path, known=Overwriting()).items())
    assert [type(item) for item in items] == [Opened, Frame, Finished]
    assert isinstance(items[0], Opened)
    assert items[0].identity == FileIdentity.of(path)


def test_a_file_that_may_not_be_read_is_a_failure() -> None:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        photo(Path(made) / "secret.jpg").chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may read everything
        try:
            items = list(source(Path(made)).items())
        finally:
            if root:
                os.seteuid(0)
    # No `Finished`: the next start tries again.
    assert [type(item) for item in items] == [Failed]
    assert isinstance(items[0], Failed)
    assert items[0].detail == "cannot be read: Permission denied"


def test_stop_ends_in_the_middle_of_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", real_pictures())
    reading = source(tmp_path)
    items = []
    for item in reading.items():
        items.append(item)
        if len(items) == 5:
            reading.stop()
    assert [type(item) for item in items] == [Opened, Frame, Frame, Frame, Frame]


# --- what arrives


class Watching(Collected):
    """A watched directory whose items are collected."""

    def __init__(self, root: Path | list[Path], **options: Any) -> None:
        self.source = source(root, **{"watch": True, "settle_s": SETTLE_S, **options})
        super().__init__(self.source)

    def until(self, kind: type[Item], within_s: float = 8) -> Any:
        return self.first(lambda item: isinstance(item, kind), within_s)

    def opened(self, within_s: float = 8) -> str:
        opened: Opened = self.until(Opened, within_s)
        return opened.file.name

    def nothing_for(self, seconds: float) -> None:
        with pytest.raises(queue.Empty):
            pytest.fail(f"{self.opened(seconds)} was opened")

    def end(self) -> None:
        began = time.monotonic()
        self.source.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        assert time.monotonic() - began < 1


@pytest.fixture
def watch() -> Iterator[Callable[..., Watching]]:
    begun: list[Watching] = []

    def start(root: Path | list[Path], **options: Any) -> Watching:
        watching = Watching(root, **options)
        begun.append(watching)
        watching.until(Idle)
        return watching

    yield start
    for watching in begun:
        watching.end()


def listed(watched: arrivals.Arrivals) -> list[Idle]:
    """Lists the directories to the end; the signs of life meanwhile."""
    return list(watched.rescan(lambda _identity: False, lambda: False))


def test_a_listing_that_was_held_up_does_not_put_off_the_next_for_hours(tmp_path: Path) -> None:
    """By a disk that did not answer, or while its items were being recorded on a full one."""
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    clock = [0.0]
    watched = arrivals.Arrivals(
        *("gate", trees(tmp_path, recursive=True, exclude=())),
        polling=True,
        settle_s=2,
        rescan_s=45,
        clock=lambda: clock[0],
    )

    def not_done(_identity: FileIdentity) -> bool:
        clock[0] += 3600  # this long to answer
        return False

    for _ in watched.rescan(not_done, lambda: False):
        clock[0] += 3600  # and this long to record what was found before
    clock[0] += 30
    assert watched.rescan_due()
    watched.close()


def test_a_directory_that_may_not_be_read_is_told_once_and_is_not_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        root = Path(made) / "in"
        root.mkdir(0)
        watched = arrivals.Arrivals(
            *("gate", trees(root, recursive=True, exclude=())),
            polling=False,
            settle_s=0,
            rescan_s=1,
        )
        is_root = os.geteuid() == 0
        try:
            if is_root:
                os.seteuid(65534)  # root may read everything
            for _ in range(3):
                listed(watched)
                assert not watched.up
        finally:
            if is_root:
                os.seteuid(0)
        root.chmod(0o755)
        for _ in range(2):
            listed(watched)
            assert watched.up
        watched.close()
    assert caplog.messages == [
        f"gate: waiting for {root}: Permission denied",
        f"gate: {root} is there",
    ]


def test_says_that_it_is_alive_while_nothing_comes(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    watching = watch(tmp_path)
    for _ in range(2):
        watching.until(Idle, within_s=1.5)


@pytest.mark.parametrize("polling", [False, True])
def test_a_slow_writer_is_waited_for(
    polling: bool, tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    watching = watch(tmp_path, polling=polling, settle_s=1.0)
    data = photo_bytes()
    with (tmp_path / "slow.jpg").open("wb") as file:
        for part in range(8):
            file.write(data[part * len(data) // 8 : (part + 1) * len(data) // 8])
            file.flush()
            time.sleep(0.3)
    opened: Opened = watching.until(Opened)
    assert opened.identity.size == len(data), "read only when whole"
    assert isinstance(watching.until(Frame), Frame)
    watching.nothing_for(1.5)


def test_a_writer_that_pauses_longer_than_the_settle_time_is_waited_for(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    watching = watch(tmp_path)
    data = photo_bytes()
    with (tmp_path / "pausing.jpg").open("wb") as file:
        file.write(data[:1000])
        file.flush()
        watching.nothing_for(4 * SETTLE_S)
        file.write(data[1000:])
    assert watching.until(Finished).frames == 1
    watching.nothing_for(1)


def test_a_closed_file_is_read_at_once(tmp_path: Path, watch: Callable[..., Watching]) -> None:
    watching = watch(tmp_path, settle_s=30.0)
    photo(tmp_path / "a.jpg")
    assert watching.opened(within_s=2) == "a.jpg"


@pytest.mark.parametrize("how", ["rename in", "hard link", "rename inside", "new folder"])
def test_files_arrive_in_every_manner(
    how: str, tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    root, outside = tmp_path / "root", photo(tmp_path / "outside" / "a.jpg")
    root.mkdir()
    watching = watch(root)
    if how == "rename in":
        outside.rename(root / "a.jpg")
    elif how == "hard link":
        os.link(outside, root / "a.jpg")
    elif how == "rename inside":
        shutil.copy(outside, root / "a.jpg.part")
        watching.nothing_for(0.5)
        (root / "a.jpg.part").rename(root / "a.jpg")
    else:
        outside.parent.rename(root / "folder")
    assert watching.opened() == "a.jpg"
    watching.nothing_for(1)


# watchdog 7.1 says so when it comes upon a new folder twice, by its event and by listing.
@pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")
def test_many_folders_made_and_filled_at_once_lose_nothing(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    watching = watch(tmp_path)
    wanted = {f"{number}.jpg" for number in range(60)}
    for name in wanted:
        photo(tmp_path / name[0] / name.removesuffix(".jpg") / name)
    assert {watching.opened() for _ in wanted} == wanted
    watching.nothing_for(1)


def test_an_event_that_never_came_is_made_up_for(
    tmp_path: Path, watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after an overflow of the kernel's queue: files are there and nobody was told.
    monkeypatch.setattr(arrivals, "EVENTS", [FileMovedEvent])
    watching = watch(tmp_path, rescan_s=1.0)
    photo(tmp_path / "a.jpg")
    assert watching.opened() == "a.jpg"
    watching.nothing_for(2.5)


def test_a_failed_file_is_not_tried_again_until_it_changes(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    watching = watch(tmp_path, rescan_s=0.5)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert watching.until(Finished).frames == 0
    watching.nothing_for(2)
    photo(tmp_path / "a.jpg")
    assert watching.until(Finished).frames == 1


def test_what_was_there_and_what_comes_are_each_read_once(tmp_path: Path) -> None:
    for number in range(5):
        photo(tmp_path / f"{number}.jpg", number)
    watching = Watching(tmp_path)
    try:
        for number in range(5, 10):
            photo(tmp_path / f"{number}.jpg", number)
        assert sorted(watching.opened() for _ in range(10)) == [f"{n}.jpg" for n in range(10)]
        watching.nothing_for(1)
    finally:
        watching.end()


def test_a_directory_that_comes_later_goes_and_comes_back(
    tmp_path: Path, watch: Callable[..., Watching], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "mount"
    watching = watch(root, rescan_s=0.5)
    watching.until(Idle)
    assert not watching.source.up
    photo(root / "a.jpg")
    assert watching.opened() == "a.jpg"
    assert watching.source.up
    shutil.rmtree(root)
    deadline = time.monotonic() + 5
    while watching.source.up and time.monotonic() < deadline:
        watching.until(Idle)
    assert not watching.source.up
    photo(root / "b.jpg")
    assert watching.opened() == "b.jpg"
    photo(root / "c.jpg")
    assert watching.opened(within_s=2) == "c.jpg"
    waiting = [line for line in caplog.messages if "waiting for" in line]
    assert len(waiting) == 2, "one line each time it goes"


def test_a_link_in_the_path_of_a_directory_is_followed_to_where_it_leads_now(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    """As `current`, which somebody makes after the start, and changes."""
    for disk in ("one", "two"):
        photo(tmp_path / disk / f"{disk}.jpg", len(disk))
    watching = watch(tmp_path / "current", rescan_s=0.5)
    assert not watching.source.up
    for disk in ("one", "two"):
        (tmp_path / "new").symlink_to(tmp_path / disk)
        (tmp_path / "new").rename(tmp_path / "current")
        assert watching.opened() == f"{disk}.jpg"
        assert watching.source.up
        photo(tmp_path / disk / f"{disk} later.jpg", 5 + len(disk))
        assert watching.opened() == f"{disk} later.jpg"


# --- many and deep folders


def test_folders_too_deep_are_told_once_and_the_rest_is_read(
    tmp_path: Path, make_deep: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x", "y"):
        make_deep(tmp_path / name)
    deep = tmp_path.joinpath("x", *99 * "a")
    photo(deep / "deep.jpg")
    photo(deep / "a" / "too deep.jpg", 1)
    photo(tmp_path / "top.jpg", 2)
    assert sorted(names(list(source(tmp_path).items()))) == ["deep.jpg", "top.jpg"]
    assert len(caplog.messages) == 1
    assert "folders more than 100 deep are not read" in caplog.text
    (tree,) = trees(tmp_path, recursive=True, exclude=())
    assert tree.holds(deep / "new.jpg")
    assert not tree.holds(deep / "a" / "new.jpg")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("later", [False, True])
def test_deep_folders_stop_no_watched_directory(
    later: bool,
    tmp_path: Path,
    make_deep: Callable[[Path], None],
    watch: Callable[..., Watching],
) -> None:
    if not later:
        make_deep(tmp_path / "x")
    watching = watch(tmp_path, rescan_s=1.0)
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        photo(tmp_path / name, number)
        assert watching.opened() == name
        if later and not number:
            make_deep(tmp_path / "x")


def test_directories_are_listed_with_signs_of_life_and_rests(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").touch()
    now = [0.0]

    def clock() -> float:
        now[0] += 0.2
        return now[0]

    watched = arrivals.Arrivals(
        *("gate", trees(tmp_path, recursive=True, exclude=())),
        polling=False,
        settle_s=0,
        rescan_s=1,
        clock=clock,
    )
    try:
        begun = now[0]
        signs = listed(watched)
        took = now[0] - begun
        assert took / 2 < len(signs) <= took
        (tmp_path / "folder").mkdir()
        while now[0] < begun + took + 5:  # a folder is looked at soon, but not that soon
            watched.wait(0.1)
        assert not watched.rescan_due()
        now[0] = begun + 11 * took
        assert watched.rescan_due()
    finally:
        watched.close()


def test_stop_ends_a_waiting_source(tmp_path: Path, watch: Callable[..., Watching]) -> None:
    watch(tmp_path)  # its end is timed by the fixture


@pytest.mark.skipif(not SHARED_MEDIA.is_dir(), reason="needs the labelled footage")
def test_the_whole_collection_is_read_and_nothing_hangs() -> None:
    items = list(source(SHARED_MEDIA, rate=1).items())
    opened = [item for item in items if isinstance(item, Opened)]
    finished = [item for item in items if isinstance(item, Finished)]
    assert [item.file for item in opened] == [item.file for item in finished]
    failed = {item.file for item in items if isinstance(item, Failed)}
    assert {item.file for item in finished if item.frames == 0} <= failed
    ids = [item.id for item in items if isinstance(item, Frame)]
    assert len(ids) == len(set(ids))


def test_a_folder_that_cannot_be_read_is_told_once_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    locked = photo(tmp_path / "locked" / "a.jpg").parent
    (tree,) = trees(tmp_path, recursive=True, exclude=())
    told: set[Path] = set()
    left_alone: Counter[str] = Counter()

    def refusing(path: Path) -> Any:  # root, which tests may run as, can read any folder
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    scandir = os.scandir
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refusing)
        assert [list(tree.files(told)) for _ in range(2)] == [[], []]
        assert list(tree.files(told, left_alone)) == []
    assert caplog.messages == [f"{locked} cannot be looked at: Permission denied"]
    assert str(LeftAlone(left_alone)) == "1 folder or file cannot be looked at"
    assert [found.path.name for found in tree.files(told)] == ["a.jpg"]
    assert told == set()


# --- files that others still use, or that are none


@pytest.mark.parametrize("polling", [False, True])
def test_a_file_that_is_open_for_writing_is_not_read(
    polling: bool, tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    """Not at the start either, however long its writer pauses."""
    clip = write_clip(tmp_path / "outside.mp4", real_pictures()[:4])
    root = tmp_path / "root"
    root.mkdir()
    data = clip.read_bytes()
    recording = root / "a.mp4"
    with recording.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        os.utime(recording, (1, 1))
        watching = watch(root, polling=polling, rescan_s=0.5)
        watching.nothing_for(4 * SETTLE_S)
        file.write(data[len(data) // 2 :])
    assert watching.until(Finished).frames == 4
    watching.nothing_for(1)


def test_a_file_that_is_open_for_writing_is_told_when_read_once(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    with (tmp_path / "b.jpg").open("wb", buffering=0) as file:
        file.write(photo_bytes()[:1000])
        items = list(source(tmp_path).items())
    assert [type(item) for item in items] == [Opened, Frame, Finished, Failed]
    assert isinstance(items[-1], Failed)
    assert "still writing" in items[-1].detail


def test_a_recording_that_grew_is_read_on_and_not_anew(tmp_path: Path) -> None:
    pictures = real_pictures()[:8]
    whole = write_clip(tmp_path / "whole.mkv", pictures).read_bytes()
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    first = list(source(root).items())
    before = [item.frame_index for item in first if isinstance(item, Frame)]
    assert 1 <= len(before) < 8
    opened = next(item for item in first if isinstance(item, Opened))

    class Grown(Remembered):
        def grown_from(self, _file: Path, _identity: FileIdentity) -> Shorter | None:
            return Shorter(opened.identity.size, opened.content_hash, len(before))

    (root / "a.mkv").write_bytes(whole)
    then = list(source(root, known=Grown()).items())
    after = [item.frame_index for item in then if isinstance(item, Frame)]
    assert before + after == list(range(8))
    # Another recording of the same name is read from its start, however long it is.
    other = write_clip(tmp_path / "other.mkv", real_pictures()[8:16]).read_bytes()
    (root / "a.mkv").write_bytes(other + b"\0" * len(whole))
    anew = list(source(root, known=Grown()).items())
    assert [item.frame_index for item in anew if isinstance(item, Frame)][:3] == [0, 1, 2]


def test_an_empty_file_that_was_just_made_is_no_failure(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    """As servers for uploads make it, before the data."""
    watching = watch(tmp_path, rescan_s=0.5)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(queue.Empty):
        pytest.fail(str(watching.until(Failed, within_s=2)))
    photo(tmp_path / "a.jpg")
    assert watching.until(Finished).frames == 1


@pytest.mark.parametrize("before", [False, True])
def test_a_pipe_does_not_hold_up_what_comes_after(
    before: bool, tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    if before:
        os.mkfifo(tmp_path / "live.jpg")
        os.mkfifo(tmp_path / "live.h264")
    watching = watch(tmp_path, rescan_s=0.5)
    if not before:
        os.mkfifo(tmp_path / "live.jpg")
        os.mkfifo(tmp_path / "live.h264")
        watching.nothing_for(2 * SETTLE_S)
    photo(tmp_path / "a.jpg")
    assert watching.opened() == "a.jpg"
    watching.nothing_for(1)


def test_a_link_put_in_the_place_of_a_folder_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the file waits for its turn."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for number in range(2):
        photo(root / "a" / f"{number}.jpg", number)
        photo(elsewhere / f"{number}.jpg", number + 2)

    class Swapping(Remembered):
        def next_frame(self, file: Path, identity: FileIdentity) -> int | None:
            if not (root / "a").is_symlink():
                (root / "a").rename(tmp_path / "away")
                (root / "a").symlink_to(elsewhere)
            return super().next_frame(file, identity)

    items = list(source(root, known=Swapping()).items())
    assert names(items) == ["0.jpg"]
    frame = next(item for item in items if isinstance(item, Frame))
    assert frame.content_hash == hashlib.sha256(photo_bytes(0)).hexdigest()
    assert caplog.messages == [
        f"yard: {root / 'a'} cannot be read: a symbolic link is on the way, which was none before"
    ]


def test_what_cannot_be_read_for_a_moment_is_told_once_and_read_later(
    tmp_path: Path, watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = opening.open_beneath
    broken = threading.Event()
    broken.set()

    def failing(folder: int, name: str) -> int:
        if broken.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        return real(folder, name)

    monkeypatch.setattr(opening, "open_beneath", failing)
    watching = watch(tmp_path, rescan_s=0.3)
    photo(tmp_path / "a.jpg")
    assert watching.until(Failed).detail == "cannot be read: Input/output error"
    with pytest.raises(queue.Empty):
        pytest.fail(str(watching.until(Failed, within_s=1.5)))
    broken.clear()
    assert watching.until(Finished).frames == 1
    watching.nothing_for(1)


def test_what_a_failing_disk_did_not_give_is_tried_again_before_directories_are_read_again(
    tmp_path: Path, watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    monkeypatch.setattr(arrivals, "_AGAIN_S", 0.5)
    with closing(FaultyDisk(tmp_path / "disk")) as disk:
        watching = watch(disk.path)
        watching.until(Idle)
        disk.fail("EIO", "read", "a.jpg")
        photo(disk.path / "a.jpg")
        assert watching.until(Failed).detail == "cannot be read: Input/output error"
        with pytest.raises(queue.Empty):
            pytest.fail(str(watching.until(Failed, within_s=1.5)))
        assert disk.mend() > 1
        assert watching.until(Finished).frames == 1
        watching.nothing_for(1)
        watching.end()


def test_a_mount_that_is_taken_away_is_noticed_before_directories_are_read_again(
    tmp_path: Path, watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    monkeypatch.setattr(arrivals, "_ROOTS_EVERY_S", 0.2)
    (tmp_path / "camera").mkdir()
    root = tmp_path / "mount"
    root.mkdir()
    bind(tmp_path / "camera", root)
    try:
        watching = watch(root)
        photo(root / "a.jpg")
        assert watching.opened() == "a.jpg"
        unmount(root)
        photo(tmp_path / "camera" / "b.jpg")
        time.sleep(2.5)  # a source that idles looks once a second
        bind(tmp_path / "camera", root)
        seen = {watching.opened(within_s=20), watching.opened(within_s=20)}
        assert seen == {"a.jpg", "b.jpg"}, "both look new to a source that remembers nothing"
        photo(root / "c.jpg")
        assert watching.opened(within_s=10) == "c.jpg"
        watching.end()
    finally:
        unmount(root)


def test_only_the_very_file_is_read_again(tmp_path: Path, watch: Callable[..., Watching]) -> None:
    """What has overwritten it meanwhile is read for itself, and once."""
    path = photo(tmp_path / "in" / "latest.jpg", 1)
    watching = watch(tmp_path / "in")
    first: Opened = watching.until(Opened)
    photo(tmp_path / "next.jpg", 2).rename(path)
    assert watching.opened() == "latest.jpg"
    watching.source.read_again(path, first.identity)
    watching.nothing_for(1.5)
    watching.source.read_again(path, FileIdentity.of(path))
    assert watching.opened() == "latest.jpg"


def test_what_could_not_be_read_is_forgotten_once_it_is_gone(
    tmp_path: Path, watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_folder: int, name: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    monkeypatch.setattr(opening, "open_beneath", failing)
    (tmp_path / "in").mkdir()
    watching = watch(tmp_path / "in", rescan_s=0.3)
    photo(tmp_path / "in" / "a.jpg")
    watching.until(Failed)
    (tmp_path / "in" / "a.jpg").rename(tmp_path / "a.jpg")
    watching.nothing_for(1)
    (tmp_path / "a.jpg").rename(tmp_path / "in" / "a.jpg")
    assert watching.until(Failed).file == tmp_path / "in" / "a.jpg"


class Busy(Remembered):
    """Makes the source wait at one file, as a long clip does."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.go_on = threading.Event(), threading.Event()

    def next_frame(self, file: Path, identity: FileIdentity) -> int | None:
        if file.name == "long.jpg":
            self.waits.set()
            assert self.go_on.wait(10)
        return super().next_frame(file, identity)


@pytest.mark.parametrize("how", ["in place", "renamed", "moved in"])
def test_what_is_overwritten_before_its_turn_is_counted(
    how: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    watch: Callable[..., Watching],
    caplog: pytest.LogCaptureFixture,
) -> None:
    known, outside = Busy(), tmp_path_factory.mktemp("outside")
    watching = watch(tmp_path, known=known)
    photo(tmp_path / "long.jpg", 9)
    assert known.waits.wait(5)
    for number in range(4):
        if how == "renamed":
            # Begun elsewhere: a name of a picture would be counted by itself, if it lasts.
            photo(outside / "upload.jpg", number).rename(tmp_path / "upload")
            (tmp_path / "upload").rename(tmp_path / "snapshot.jpg")
        elif how == "moved in":
            photo(outside / "a.jpg", number).rename(tmp_path / "snapshot.jpg")
        else:
            photo(tmp_path / "snapshot.jpg", number)
        time.sleep(0.05)
    time.sleep(0.8)  # watchdog holds events back for half a second, longer on a busy machine
    deadline = time.monotonic() + 5
    while watching.source.queued != (how != "moved in"):  # that is not known to be whole yet
        assert time.monotonic() < deadline, watching.source.queued
        time.sleep(0.05)
    known.go_on.set()
    lost = watching.until(Overload)
    assert (lost.frames, lost.file) == (3, tmp_path / "snapshot.jpg")
    assert f"overwritten before they are read (3 times, the last {lost.file})" in caplog.text
    frame = watching.until(Frame)
    assert frame.content_hash == hashlib.sha256(photo_bytes(3)).hexdigest()
    watching.nothing_for(1)


def test_a_recording_that_is_appended_to_is_not_lost(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    known = Busy()
    watching = watch(tmp_path, known=known)
    photo(tmp_path / "long.jpg", 9)
    assert known.waits.wait(5)
    (tmp_path / ".made").mkdir()
    data = write_clip(tmp_path / ".made" / "a.mkv", real_pictures()[:4]).read_bytes()
    for part in range(4):
        with (tmp_path / "a.mkv").open("ab") as file:
            file.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
    os.utime(tmp_path / "a.mkv", (1, 1))
    time.sleep(0.8)
    known.go_on.set()
    with pytest.raises(queue.Empty):
        pytest.fail(str(watching.until(Overload, within_s=2)))


def test_many_small_writes_are_one_entry() -> None:
    collected = Events()
    for _ in range(100_000):
        collected.on_any_event(FileModifiedEvent("/nowhere/a.mkv"))
    assert len(collected.take(0)) == 1
    assert collected.take(0) == []


def test_a_file_that_is_to_be_left_alone_fails_and_the_next_is_read(tmp_path: Path) -> None:
    class Marked(Remembered):
        def begin(self, file: Path, _identity: FileIdentity, _next_frame: int) -> str | None:
            return "it ended stillsift" if file.name == "a.mkv" else None

    write_clip(tmp_path / "a.mkv", real_pictures()[:3])
    photo(tmp_path / "b.jpg")
    items = list(source(tmp_path, known=Marked()).items())
    assert [type(item) for item in items] == [Opened, Failed, Finished, Opened, Frame, Finished]


# --- numbered stills


def test_a_watched_folder_with_a_rate_is_a_time_line_and_one_without_is_not(
    tmp_path: Path, watch: Callable[..., Watching]
) -> None:
    asked: list[object] = []

    def recognise(blocks: object, _stopped: object) -> None:
        asked.append(blocks)

    def frame(watching: Watching, name: str, number: int) -> Frame:
        path = photo(tmp_path / f".{name}", number)
        os.utime(path, ns=(0, 7 * 10**9))
        path.rename(tmp_path / name)
        arrived = watching.until(Frame)
        assert isinstance(arrived, Frame)
        return arrived

    told = watch(tmp_path, sequence=25.0)
    frames = [frame(told, f"in{number}.jpg", number % 30) for number in (9, 10, 60)]
    times = [frame.captured_at_ns - 7 * 10**9 for frame in frames]
    assert times == [0, 10**9 // 25, 51 * 10**9 // 25]
    assert {(frame.captured_at_origin, frame.timed) for frame in frames} == {
        (TimeOrigin.SEQUENCE, True)
    }
    told.end()
    auto = watch(tmp_path, recognise=recognise)
    assert not frame(auto, "in61.jpg", 20).timed
    assert not asked, "nobody knows what will come"


@pytest.mark.parametrize("stop_at", [5, 20, 39])
def test_an_interrupted_folder_goes_on_with_the_same_times(tmp_path: Path, stop_at: int) -> None:
    for number in range(40):
        at_ns = (1000 + number % 3) * 10**9
        os.utime(photo(tmp_path / f"in{number}.jpg", number % 30), ns=(at_ns, at_ns))
        with (tmp_path / f"in{number}.jpg").open("ab") as file:
            file.write(bytes([number]))  # else some are copies
        os.utime(tmp_path / f"in{number}.jpg", ns=(at_ns, at_ns))
    asked: list[int] = []

    def recognise(blocks: Sequence[Sequence[Path]], _stopped: object) -> None:
        asked.append(sum(map(len, blocks)))

    def times(known: Remembered, stop: int | None = None) -> list[int]:
        reading = source(tmp_path, known=known, recognise=recognise)
        found: list[int] = []
        for item in reading.items():
            if isinstance(item, Frame):
                found.append(item.captured_at_ns)
                assert item.file is not None
                known.next[FileIdentity.of(item.file)] = None
            if len(found) == stop:
                reading.stop()
        return found

    whole = times(Remembered())
    assert whole == [1000 * 10**9 + number * 10**9 // 2 for number in range(40)]
    known = Remembered()
    first = times(known, stop_at)
    for number in range(stop_at):
        (tmp_path / f"in{number}.jpg").unlink()
    assert first + times(known) == whole
    assert asked == [40, 40], "once for each store"


def test_what_is_stopped_while_it_looks_decides_nothing(tmp_path: Path) -> None:
    for number in range(16):
        photo(tmp_path / f"in{number}.jpg", number)
    known = Remembered()

    def recognise(_blocks: object, _stopped: object) -> str:
        reading.stop()
        return "stopped"

    reading = source(tmp_path, known=known, recognise=recognise)
    assert names(list(reading.items())) == []
    assert not known.numberings
    assert not reading.numbered
