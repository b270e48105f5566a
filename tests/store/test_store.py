"""The store: whole files under names that are never taken twice, and plain words when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Disks
from stillsift.decisions import Decision, Reason, about
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch, KeptFile
from stillsift.store import Store, StoreError, StoreFull, durable_files
from stillsift.store import store as store_module
from stillsift.store.errors import OriginalChanged, StoreInUse
from stillsift.store.metadata_jsonl import Listing
from stillsift.store.names import folder_name, parse_name, still_suffix
from stillsift.store.repair import Repair

# 2026-11-24 06:58:01.123456789 UTC
AT_NS = 1_795_503_481_123_456_789


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", min_free=0)
    made.prepare()
    return made


def picture(seed: int = 0) -> ArrayPicture:
    small = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return ArrayPicture(np.asarray(cv2.resize(small, (160, 120)), np.uint8))


def frame(index: int = 0, *, source: str = "door", at_ns: int = AT_NS, seed: int = 0) -> Frame:
    return Frame(source, "rtsp://door|1", index, at_ns, TimeOrigin.PTS, picture(seed))


def still(path: Path, data: bytes | None = None) -> Frame:
    if data is None:
        data = cv2.imencode(".jpg", picture().pixels)[1].tobytes()
    path.write_bytes(data)
    return replace(frame(), file=path, content_hash=hashlib.sha256(data).hexdigest())


def place(store: Store, one: Frame) -> KeptFile:
    return store.place(one, novel(one))


def novel(one: Frame) -> Decision:
    return about(one, Reason.NOVEL, sharpness=1.0)


def files_in(store: Store) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_a_frame_lies_under_its_source_day_and_time(store: Store) -> None:
    kept = place(store, frame())
    assert kept.path == Path(f"kept/door/2026/11/24/20261124T065801.123456Z_{frame().id}.jpg")
    data = (store.root / kept.path).read_bytes()
    assert (kept.bytes, kept.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (kept.width, kept.height, kept.captured_at_ns) == (160, 120, AT_NS)
    assert parse_name(kept.path.name) == (AT_NS // 1000 * 1000, frame().id)


@pytest.mark.parametrize(
    ("image_format", "magic", "error"),
    [("jpeg", b"\xff\xd8\xff", 4), ("png", b"\x89PNG", 0), ("webp", b"RIFF", 4)],
)
def test_frames_are_encoded_as_asked(
    tmp_path: Path, image_format: Any, magic: bytes, error: float
) -> None:
    store = Store(tmp_path, min_free=0, image_format=image_format)
    path = store.root / place(store, frame()).path
    assert path.read_bytes().startswith(magic)
    back = cv2.imread(str(path))
    assert back is not None
    assert np.abs(back.astype(int) - picture().pixels).mean() <= error


def test_jpeg_quality_is_heeded(tmp_path: Path) -> None:
    sizes = [
        place(Store(tmp_path / str(q), min_free=0, jpeg_quality=q), frame()).bytes for q in (50, 95)
    ]
    assert sizes[0] < sizes[1]


def test_a_still_is_kept_byte_for_byte(store: Store, tmp_path: Path) -> None:
    data = b"\xff\xd8\xff" + os.urandom(3_000_000)
    one = still(tmp_path / "IMG.JPG", data)
    kept = place(store, one)
    path = store.root / kept.path
    assert path.suffix == ".jpg"
    assert path.read_bytes() == data
    assert kept.sha256 == one.content_hash


def test_a_symbolic_link_in_the_place_of_a_still_or_its_folder_is_not_followed(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    one = still(tmp_path / "in" / "a.jpg")
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    (tmp_path / "in").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OriginalChanged, match=r"a\.jpg: .* after it was read"):
        place(store, one)
    (tmp_path / "in").unlink()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    with pytest.raises(OriginalChanged, match="symbolic links"):
        place(store, one)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_who_writes_into_the_original_does_not_change_what_is_kept(
    store: Store, tmp_path: Path, elsewhere: bool
) -> None:
    """As a camera does that writes each picture into the same file."""
    shm = Path("/dev/shm")
    if elsewhere and (not shm.is_dir() or shm.stat().st_dev == store.root.stat().st_dev):
        pytest.skip("needs a second file system at /dev/shm")
    original = (shm if elsewhere else tmp_path) / f"stillsift-test-{os.getpid()}.jpg"
    try:
        kept = place(store, still(original))
        data = original.read_bytes()
        original.write_bytes(b"the next one")
        assert (store.root / kept.path).read_bytes() == data
    finally:
        original.unlink()


@pytest.mark.parametrize(
    ("head", "suffix", "expected"),
    [
        (b"\xff\xd8\xff\xe0", ".JPEG", ".jpeg"),
        (b"\xff\xd8\xff\xe0", ".png", ".jpg"),
        (b"\x89PNG\r\n\x1a\n", ".jpg", ".png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "", ".webp"),
        (b"BM6\x00", ".BMP", ".bmp"),
        (b"II*\x00\x08", ".tiff", ".tiff"),
        (b"MM\x00*\x00", ".TIF", ".tif"),
        (b"\x00\x00\x00\x1cftypavif", ".x", ".avif"),
        (b"P6 8 8 255", ".ppm", ".ppm"),
        (b"what is this", "", ".bin"),
        (b"what is this", ".a b/c", ".bin"),
    ],
)
def test_the_suffix_tells_what_the_still_really_is(head: bytes, suffix: str, expected: str) -> None:
    assert still_suffix(head, suffix) == expected


@pytest.mark.parametrize("at_ns", [-1, 0, -(2**62), 2**62, 2**63 - 1])
def test_strange_times_have_a_place(store: Store, at_ns: int) -> None:
    kept = place(store, frame(at_ns=at_ns))
    assert (store.root / kept.path).is_file()
    assert parse_name(kept.path.name) is not None


safe_name = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(max_examples=200, deadline=None)
@given(safe_name, safe_name)
def test_every_source_has_its_own_folder(one: str, other: str) -> None:
    folder = folder_name(one)
    assert "/" not in folder
    assert "\0" not in folder
    assert not folder.startswith(".")
    assert 0 < len(folder.encode()) <= 255
    assert (folder == folder_name(other)) == (one == other)


def test_placing_the_same_frame_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    for one in (frame(), still(tmp_path / "a.jpg")):
        first = place(store, one)
        before = (store.root / first.path).stat()
        assert place(store, one) == first
        assert (store.root / first.path).stat() == before


def test_another_picture_under_the_same_name_is_refused(store: Store) -> None:
    kept = place(store, frame())
    data = (store.root / kept.path).read_bytes()
    with pytest.raises(StoreError, match=rf"{kept.path.name}.*nothing is overwritten"):
        place(store, frame(seed=1))
    assert (store.root / kept.path).read_bytes() == data
    assert len(files_in(store)) == 1


def test_a_still_that_changed_meanwhile_is_not_kept(store: Store, tmp_path: Path) -> None:
    one = still(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xffother")
    with pytest.raises(OriginalChanged, match=r"a\.jpg: changed after it was read"):
        place(store, one)
    assert files_in(store) == []


@pytest.mark.parametrize("repair", [Repair(), Repair(longest_side=64)])
def test_a_still_that_was_overwritten_is_kept_as_it_was_read(
    store: Store, tmp_path: Path, repair: Repair
) -> None:
    path = tmp_path / "snapshot.jpg"
    one = still(path)
    data = path.read_bytes()
    expected = store.place(one, novel(one), repair)
    shown = (store.root / expected.path).read_bytes()
    (store.root / expected.path).unlink()
    path.write_bytes(b"\xff\xd8\xffother")
    kept = store.place(replace(one, data=data), novel(one), repair)
    assert kept == expected
    assert (store.root / kept.path).read_bytes() == shown
    assert (shown == data) == (not repair.asked)


def test_a_still_that_is_gone_is_told(store: Store, tmp_path: Path) -> None:
    one = still(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(StoreError, match=r"a\.jpg: No such file .* after it was read"):
        place(store, one)


def test_a_picture_too_large_for_its_format_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, min_free=0, image_format="webp")
    wide = ArrayPicture(np.zeros((2, 17000, 3), np.uint8))
    with pytest.raises(StoreError, match=r"17000x2|could not encode"):
        place(store, replace(frame(), picture=wide))


def test_data_then_name_then_folder_are_on_the_disk_in_this_order(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = still(tmp_path / "a.jpg")
    place(store, replace(one, frame_index=1))  # makes the folders
    calls: list[tuple[str, str]] = []
    real_fsync, real_move = os.fsync, durable_files.move_without_overwrite

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append(("fsync", name.parent.name if name.is_file() else "folder"))
        real_fsync(descriptor)

    def named(source: Path, target: Path) -> None:
        real_move(source, target)
        calls.append(("name", ""))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(store_module, "move_without_overwrite", named)
    place(store, one)
    assert calls[0] == ("fsync", ".placing")
    assert calls[-2:] == [("name", ""), ("fsync", "folder")]


def test_below_the_floor_nothing_is_kept(tmp_path: Path) -> None:
    free = Store(tmp_path).free_bytes()
    store = Store(tmp_path / "store", min_free=free * 2)
    for one in (frame(), still(tmp_path / "a.jpg")):
        with pytest.raises(StoreFull, match=r"min_free.*originals stay.*lower min_free"):
            place(store, one)
    assert files_in(store) == []


def test_a_limit_on_file_size_leaves_nothing_half_written(store: Store) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StoreError, match=r"File too large.*ulimit"):
            place(store, frame())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert files_in(store) == []
    assert place(store, frame()).bytes > 100


def test_a_store_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "store", min_free=0)
    for call in (store.prepare, store.lock, lambda: place(store, frame())):
        with pytest.raises(
            StoreError, match=r"(Not a directory|File exists): a part of the path is a file"
        ):
            call()


@pytest.mark.parametrize("kind", ["encoded", "still"])
def test_a_really_full_disk_is_told_and_heals(disks: Disks, tmp_path: Path, kind: str) -> None:
    disk = disks("size=256k")
    store = Store(disk.path, min_free=0)
    store.prepare()
    one = frame() if kind == "encoded" else still(tmp_path / "a.jpg")
    # Asking first is not enough: another program may take the room in between.
    store.min_free = -(2**62)
    disk.fill()
    with pytest.raises(StoreFull, match=r"No space left.*originals stay.*Free some space"):
        place(store, one)
    assert [path.name for path in files_in(store)] == ["ballast"]
    disk.free()
    assert (disk.path / place(store, one).path).is_file()


def test_a_disk_without_inodes_is_told(disks: Disks) -> None:
    few_inodes = disks("size=10m,nr_inodes=14").path
    store = Store(few_inodes, min_free=0)
    store.prepare()
    for index in range(20):
        if os.statvfs(few_inodes).f_ffree < 2:
            break
        place(store, frame(index))
    with pytest.raises(StoreFull, match="inodes"):
        place(store, frame(20, source="another"))
    assert list((few_inodes / "kept" / ".placing").iterdir()) == []


def test_a_read_only_disk_is_told(disks: Disks) -> None:
    disk = disks("size=256k")
    store = Store(disk.path, min_free=0)
    store.prepare()
    disk.remount("ro")
    for call in (store.prepare, store.lock, lambda: place(store, frame())):
        with pytest.raises(StoreError, match="read-only; mount it writable"):
            call()


_HOLDER = """
import sys, time
from pathlib import Path
from stillsift.store import Store
lock = Store(Path(sys.argv[1])).lock()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_dies(store: Store) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        with holder.stdout:
            assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreInUse, match=rf"process {holder.pid}\)") as refused:
            store.lock()
        assert refused.value.exit_status == 75
    finally:
        holder.kill()
        holder.wait()
    with store.lock():
        assert (store.root / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
            store.lock()
    store.lock().close()


class GalleryFrame:
    """Frames kept, committed and listed."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self.store = store
        self.ledger = ledger
        self.listing = Listing(store, ledger)

    def add(self, *frames: Frame) -> None:
        pairs: list[tuple[Decision, KeptFile | None]] = [
            (novel(one), place(self.store, one)) for one in frames
        ]
        self.ledger.commit(Batch("c", "m", pairs))
        self.listing.append(pairs)

    def lines(self) -> list[dict[str, object]]:
        text = (self.store.root / "kept/door/2026/11/24/metadata.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def unlisted(self) -> list[Path]:
        return self.ledger.unlisted_folders()


@pytest.fixture
def kept(store: Store) -> Iterator[GalleryFrame]:
    with Ledger(store.ledger_path) as ledger:
        yield GalleryFrame(store, ledger)


def test_every_kept_frame_has_its_line_at_once(kept: GalleryFrame, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    kept.add(frame(0), frame(1), replace(still(odd), origin=f"{odd}|1|2"))
    first, _, last = kept.lines()
    assert first["file_name"] == f"20261124T065801.123456Z_{frame(0).id}.jpg"
    assert first["captured_at"] == "2026-11-24T06:58:01.123456Z"
    assert (first["source"], first["reason"], first["frame_index"]) == ("door", "novel", 0)
    assert (first["sharpness"], first["width"], first["height"]) == (1.0, 160, 120)
    assert str(last["file"]).endswith("caf\\xe9.jpg")
    assert all(value is not None for line in (first, last) for value in line.values())
    assert first.keys() == last.keys()


def test_lines_are_made_safe_in_groups_and_at_the_end(kept: GalleryFrame) -> None:
    folder = Path("kept/door/2026/11/24")
    kept.add(frame(0))
    assert kept.unlisted() == [folder]
    kept.add(*(frame(index) for index in range(1, 64)))
    assert kept.unlisted() == []
    kept.add(frame(64))
    assert kept.unlisted() == [folder]
    kept.listing.close()
    assert kept.unlisted() == []
    assert len(kept.lines()) == 65


def test_a_line_that_could_not_be_written_comes_with_the_next(kept: GalleryFrame) -> None:
    kept.add(frame(0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    pairs = [(novel(frame(1)), place(kept.store, frame(1)))]
    kept.ledger.commit(Batch("c", "m", list(pairs)))
    path = kept.store.root / "kept/door/2026/11/24/metadata.jsonl"
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(StoreError, match="only a part of a line"):
            kept.listing.append(pairs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    kept.add(frame(2))
    assert [line["frame_index"] for line in kept.lines()] == sorted([0, 1, 2])


def test_a_line_written_ahead_by_another_thread_is_not_written_twice(kept: GalleryFrame) -> None:
    kept.add(frame(0))
    late = [(novel(frame(1)), place(kept.store, frame(1)))]
    kept.ledger.commit(Batch("c", "m", list(late)))
    kept.ledger.mark_missing([place(kept.store, frame(0))], missing=False)  # asks for a rewriting
    kept.add(frame(2, source="yard"))
    kept.listing.append(late)
    kept.add(frame(3))
    assert [line["frame_index"] for line in kept.lines()] == [0, 1, 3]


def test_lines_that_had_to_wait_come_without_a_new_frame(kept: GalleryFrame) -> None:
    kept.add(frame(0))
    path = kept.store.root / "kept/door/2026/11/24/metadata.jsonl"
    late = [(novel(frame(1)), place(kept.store, frame(1)))]
    kept.ledger.commit(Batch("c", "m", list(late)))
    whole = path.rename(path.with_name("aside"))
    path.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        kept.listing.append(late)
    path.rmdir()
    whole.rename(path)
    kept.listing.append([])
    assert sorted(str(line["id"]) for line in kept.lines()) == sorted([frame(0).id, frame(1).id])
