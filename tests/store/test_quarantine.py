"""Originals leave only after the commit, and come back byte for byte."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disks import FaultyDisk, why_not
from stillsift.decisions import Reason, about
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.lifetime import Uptime
from stillsift.ledger.records import Batch, Checkpoint, FileState, KeptFile, Quarantined, Retire
from stillsift.sources import FileIdentity, origin_of
from stillsift.store import Quarantine, Store, StoreError, StoreFull, original, quarantine
from stillsift.store.durable_files import move_without_overwrite
from stillsift.store.quarantine import AGAIN_S, Fate, Retired

NOW_NS = 1_764_000_000_000_000_000
DAY_NS = 86_400 * 1_000_000_000
JPEG = b"\xff\xd8\xff"


class Box:
    """A store with a folder that is being emptied into it."""

    def __init__(self, root: Path) -> None:
        self.incoming = root / "in"
        self.incoming.mkdir()
        self.store = Store(root / "store", min_free=0)
        self.store.prepare()
        self.now = NOW_NS
        self.ledger = Ledger(
            self.store.ledger_path,
            clock=lambda: self.now,
            uptime=lambda: Uptime("boot", self.now),
        )
        self.quarantine = Quarantine(self.store, self.ledger)

    def close(self) -> None:
        self.ledger.close()

    def decide(
        self,
        path: Path,
        retire: Retire,
        *,
        keep: bool = False,
        state: FileState = FileState.DONE,
        device: int | None = None,
    ) -> KeptFile | None:
        """Decides about a still and commits; the original is not retired yet.

        `device`: the number that its disk had then; None: the one that it has.
        """
        identity = FileIdentity.of(path)
        if device is not None:
            identity = replace(identity, device=device)
        content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = still(path, identity, content_hash)
        decision = about(frame, Reason.NOVEL if keep else Reason.BLURRY)
        kept = self.store.place(frame, decision) if keep else None
        mark = Checkpoint("in", path, identity, content_hash, 1, state, retire=retire)
        self.ledger.commit(Batch("c", "m", [(decision, kept)], [mark]))
        return kept

    def file(self, name: str, data: bytes = JPEG) -> Path:
        path = self.incoming / name
        path.write_bytes(data)
        return path

    def moved(self, name: str, data: bytes = JPEG) -> Quarantined:
        """A file that lies in quarantine."""
        self.decide(self.file(name, data), Retire.MOVE)
        (retired,) = self.quarantine.retire()
        assert retired.fate is Fate.MOVED
        return self.ledger.quarantined()[-1]


def still(path: Path, identity: FileIdentity, content_hash: str) -> Frame:
    return Frame(
        source="in",
        origin=origin_of(path, identity),
        frame_index=0,
        captured_at_ns=NOW_NS,
        captured_at_origin=TimeOrigin.MTIME,
        picture=PICTURE,
        file=path,
        content_hash=content_hash,
    )


PICTURE = ArrayPicture(np.zeros((8, 8, 3), np.uint8))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with closing(Box(tmp_path)) as made:
        yield made


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder in another file system than tmp_path."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_nothing_is_touched_before_it_is_asked_for(box: Box) -> None:
    for retire in Retire:
        box.decide(box.file(f"{retire}.jpg"), retire)
    assert len(files_in(box.incoming)) == 3
    box.quarantine.retire("another source")
    assert len(files_in(box.incoming)) == 3


def test_a_dropped_file_is_left_moved_or_deleted(box: Box) -> None:
    paths = {retire: box.file(f"{retire}.jpg", JPEG + retire.encode()) for retire in Retire}
    for retire, path in paths.items():
        box.decide(path, retire)
    fates = {one.file.file: one.fate for one in box.quarantine.retire("in")}
    assert fates == {paths[Retire.MOVE]: Fate.MOVED, paths[Retire.DELETE]: Fate.DELETED}
    assert files_in(box.incoming) == [paths[Retire.LEAVE]]
    (lying,) = box.ledger.quarantined()
    data = (box.store.root / lying.path).read_bytes()
    assert data == JPEG + b"move"
    assert (lying.original, lying.size, lying.at_ns) == (paths[Retire.MOVE], len(data), NOW_NS)
    assert lying.sha256 == hashlib.sha256(data).hexdigest()
    assert box.quarantine.retire() == []


@pytest.mark.parametrize("retire", [Retire.MOVE, Retire.DELETE])
def test_a_kept_still_leaves_one_copy(box: Box, retire: Retire) -> None:
    kept = box.decide(box.file("a.jpg"), retire, keep=True)
    assert kept is not None
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.KEPT
    assert files_in(box.incoming) == files_in(box.store.root / "quarantine") == []
    assert (box.store.root / kept.path).read_bytes() == JPEG
    assert (box.store.root / kept.path).stat().st_nlink == 1


@pytest.mark.parametrize("retire", [Retire.MOVE, Retire.DELETE])
def test_an_original_whose_kept_copy_vanished_is_left(box: Box, retire: Retire) -> None:
    kept = box.decide(box.file("a.jpg"), retire, keep=True)
    assert kept is not None
    (box.store.root / kept.path).unlink()
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.LEFT
    assert "no longer in the store" in str(one.detail)
    assert (box.incoming / "a.jpg").read_bytes() == JPEG


@pytest.mark.parametrize("state", [FileState.FAILED, FileState.READING])
def test_a_file_that_is_not_done_stays(box: Box, state: FileState) -> None:
    box.decide(box.file("a.jpg"), Retire.DELETE, state=state)
    assert box.quarantine.retire() == []
    assert (box.incoming / "a.jpg").exists()


@pytest.mark.parametrize("retire", [Retire.MOVE, Retire.DELETE])
def test_a_file_that_changed_since_it_was_read_is_left(box: Box, retire: Retire) -> None:
    path = box.file("a.jpg")
    box.decide(path, retire)
    path.write_bytes(JPEG + b"another picture")
    (one,) = box.quarantine.retire()
    assert (one.fate, one.detail) == (
        Fate.LEFT,
        f"{path}: not {'moved' if retire is Retire.MOVE else 'deleted'}: "
        "it changed after it was read",
    )
    assert path.read_bytes() == JPEG + b"another picture"
    assert box.quarantine.retire() == []


def test_a_file_that_somebody_removed_is_no_trouble(box: Box) -> None:
    for name, retire in (("a.jpg", Retire.MOVE), ("b.jpg", Retire.DELETE)):
        box.decide(box.file(name), retire)
        (box.incoming / name).unlink()
    assert [(one.fate, one.detail) for one in box.quarantine.retire()] == [(Fate.GONE, None)] * 2


def test_a_folder_that_may_not_be_changed_keeps_its_file(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs root and a file system with immutable files")
    try:
        (one,) = box.quarantine.retire()
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    assert one.fate is Fate.LEFT
    assert str(one.detail).endswith("not deleted: Operation not permitted")


def test_two_files_of_one_name_lie_side_by_side(box: Box) -> None:
    for folder in ("x", "y"):
        (box.incoming / folder).mkdir()
        box.decide(box.file(f"{folder}/a.jpg", JPEG + folder.encode()), Retire.MOVE)
    box.quarantine.retire()
    lying = box.ledger.quarantined()
    assert len({one.path for one in lying}) == 2
    for one in lying:
        data = (box.store.root / one.path).read_bytes()
        assert data == JPEG + one.original.parent.name.encode()


def test_what_lies_in_quarantine_is_never_overwritten(box: Box) -> None:
    path = box.file("a.jpg", JPEG + b"1")
    os.utime(path, ns=(NOW_NS, NOW_NS))
    box.decide(path, Retire.MOVE)
    box.quarantine.retire()
    path = box.file("a.jpg", JPEG + b"2")  # the same name, size and time
    os.utime(path, ns=(NOW_NS, NOW_NS))
    box.decide(path, Retire.MOVE)
    box.quarantine.retire()
    lying = [(box.store.root / one.path).read_bytes() for one in box.ledger.quarantined()]
    assert lying == [JPEG + b"1", JPEG + b"2"]


def test_moving_from_another_file_system(box: Box, elsewhere: Path) -> None:
    path = elsewhere / "a.jpg"
    path.write_bytes(JPEG + os.urandom(2_000_000))
    os.utime(path, ns=(NOW_NS, NOW_NS))
    path.chmod(0o640)
    data = path.read_bytes()
    box.decide(path, Retire.MOVE)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.MOVED
    assert not path.exists()
    (lying,) = box.ledger.quarantined()
    there = box.store.root / lying.path
    assert there.read_bytes() == data
    assert (there.stat().st_mtime_ns, there.stat().st_mode & 0o777) == (NOW_NS, 0o640)
    (back,) = box.quarantine.restore([lying])
    assert (back.target, back.detail) == (path, None)
    assert path.read_bytes() == data
    assert path.stat().st_mtime_ns == NOW_NS
    assert box.ledger.next_frame("in", FileIdentity.of(path)) is None
    assert files_in(box.store.root / "quarantine") == []
    assert files_in(elsewhere) == [path]


def test_no_room_for_a_copy_leaves_the_original_for_later(box: Box, elsewhere: Path) -> None:
    path = elsewhere / "a.jpg"
    path.write_bytes(JPEG)
    near = box.file("near.jpg")
    box.decide(near, Retire.MOVE)
    box.decide(path, Retire.MOVE)
    box.store.min_free = 2**62
    with pytest.raises(StoreFull):
        box.quarantine.retire()
    assert path.exists()
    assert not near.exists()
    assert [one.original for one in box.ledger.quarantined()] == [near]
    box.store.min_free = 0
    assert [one.fate for one in box.quarantine.retire()] == [Fate.MOVED]
    assert not path.exists()


@pytest.mark.parametrize("code", ["EROFS", "EIO", "EDQUOT", "ESTALE"])
def test_what_a_disk_refuses_now_is_moved_later(box: Box, code: str) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    path = box.file("a.jpg", JPEG + bytes(10_000))
    box.decide(path, Retire.MOVE)
    with closing(FaultyDisk(box.store.root / "quarantine")) as disk:
        box.store.prepare()
        disk.fail(code, "write,create,openw")
        with pytest.raises(StoreError, match="quarantine"):
            box.quarantine.retire()
        assert disk.mend() > 0
        assert path.read_bytes() == JPEG + bytes(10_000)
        assert list((disk.path / ".placing").iterdir()) == []
        assert [one.fate for one in box.quarantine.retire()] == [Fate.MOVED]
        assert not path.exists()


def test_size_and_age_are_held_oldest_first(box: Box) -> None:
    lying = []
    for day in range(6):
        box.now = NOW_NS + day * DAY_NS
        lying.append(box.moved(f"{day}.jpg", JPEG + bytes(97)))
    assert box.ledger.quarantine_total() == 600
    assert box.quarantine.enforce(1000, 10 * DAY_NS) == []
    assert box.quarantine.enforce(1000, 4 * DAY_NS) == lying[:1]
    assert box.quarantine.enforce(250, 10 * DAY_NS) == lying[1:4]
    assert box.ledger.quarantined() == lying[4:]
    left = {box.store.root / one.path for one in lying[4:]}
    assert set(files_in(box.store.root / "quarantine")) == left
    assert box.quarantine.enforce(0, 0) == lying[4:]
    assert box.quarantine.enforce(0, 0) == []


def test_a_restored_file_is_not_taken_again(box: Box, tmp_path: Path) -> None:
    here, there = box.moved("a.jpg"), box.moved("b.jpg", JPEG + b"b")
    (first,) = box.quarantine.restore([here])
    (second,) = box.quarantine.restore([there], to=tmp_path / "back")
    assert (first.target, second.target) == (box.incoming / "a.jpg", tmp_path / "back" / "b.jpg")
    for target in (first.target, second.target):
        assert target is not None
        assert box.ledger.next_frame("in", FileIdentity.of(target)) is None
    assert box.ledger.quarantined() == []
    assert box.ledger.retiring() == []


def test_restoring_overwrites_nothing(box: Box, tmp_path: Path) -> None:
    lying = box.moved("a.jpg", JPEG + b"old")
    path = box.file("a.jpg", JPEG + b"new")
    (refused,) = box.quarantine.restore([lying])
    assert (refused.target, refused.detail) == (
        None,
        f"{path}: another file is there; nothing overwritten. --output DIR puts it elsewhere",
    )
    assert path.read_bytes() == JPEG + b"new"
    assert box.ledger.quarantined() == [lying]
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "a.jpg").write_bytes(b"mine")
    (beside,) = box.quarantine.restore([lying], to=tmp_path / "back")
    assert beside.target is not None
    assert beside.target.read_bytes() == JPEG + b"old"
    assert (tmp_path / "back" / "a.jpg").read_bytes() == b"mine"


def test_restoring_what_is_there_already_only_empties_the_quarantine(box: Box) -> None:
    lying = box.moved("a.jpg")
    box.file("a.jpg")
    (one,) = box.quarantine.restore([lying])
    assert one.target == box.incoming / "a.jpg"
    assert files_in(box.store.root / "quarantine") == []


@pytest.mark.parametrize("aside", [False, True])
def test_restoring_goes_on_after_its_last_step_but_the_record(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aside: bool
) -> None:
    lying, to = box.moved("a.jpg"), tmp_path / "back" if aside else None
    with monkeypatch.context() as patch:
        patch.setattr(box.ledger, "left_quarantine", lambda _keys: None)  # killed before it
        (one,) = box.quarantine.restore([lying], to)
    assert box.ledger.quarantined() == [lying]
    (again,) = box.quarantine.restore([lying], to)
    assert again == one
    assert again.target is not None
    assert again.target.read_bytes() == JPEG
    assert box.ledger.quarantined() == []


def test_restoring_what_is_gone_is_told(box: Box) -> None:
    lying = box.moved("a.jpg")
    (box.store.root / lying.path).unlink()
    (one,) = box.quarantine.restore([lying])
    assert one.target is None
    assert "no longer in quarantine" in str(one.detail)
    assert box.ledger.quarantined() == []


names = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


@settings(max_examples=40, deadline=None)
@given(name=names, data=st.binary(max_size=2000), at=st.integers(0, 2**33))
def test_whatever_is_moved_comes_back_byte_for_byte(name: bytes, data: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Box(Path(folder))) as box:
        path = box.incoming / os.fsdecode(name)
        path.write_bytes(data)
        os.utime(path, ns=(at * 1_000_000_000, at * 1_000_000_000))
        before = path.stat()
        box.decide(path, Retire.MOVE)
        assert [one.fate for one in box.quarantine.retire()] == [Fate.MOVED]
        assert not path.exists()
        (one,) = box.quarantine.restore(box.ledger.quarantined())
        assert one.target == path
        assert path.read_bytes() == data
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert files_in(box.store.root / "quarantine") == []


def test_a_retired_file_tells_what_it_was(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    (one,) = box.quarantine.retire()
    assert one == Retired(one.file, Fate.DELETED)
    assert (one.file.file, one.file.source, one.file.retire) == (path, "in", Retire.DELETE)


# --- what others do meanwhile


@pytest.fixture
def box_elsewhere(tmp_path: Path, elsewhere: Path) -> Iterator[Box]:
    """A box whose folder lies in another file system than its store."""
    with closing(Box(tmp_path)) as made:
        made.incoming = elsewhere
        yield made


@pytest.mark.parametrize("what", ["replaced", "appended to"])
def test_what_comes_under_the_name_while_an_original_is_copied_stays(
    box_elsewhere: Box, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, path = box_elsewhere, box_elsewhere.file("rec.mp4", JPEG + b"first")
    box.decide(path, Retire.MOVE)
    real = quarantine.copy_with_facts
    still_open = path.open("ab", buffering=0) if what == "appended to" else None

    def copying(source: BufferedReader, target: Path) -> None:
        real(source, target)
        if still_open is None:
            path.write_bytes(b"the next recording")
        else:
            still_open.write(b"more footage")

    if still_open is not None:  # as where nobody can tell who has it open
        monkeypatch.setattr(original, "being_written", lambda _descriptor: None)
        monkeypatch.setattr(original, "QUIET_S", 0.0)
    monkeypatch.setattr(quarantine, "copy_with_facts", copying)
    (one, *_) = box.quarantine.retire()
    if still_open is None:
        assert one.fate is Fate.MOVED
        assert path.read_bytes() == b"the next recording"
        (lying,) = box.ledger.quarantined()
        assert (box.store.root / lying.path).read_bytes() == JPEG + b"first"
    else:
        still_open.close()
        assert one.fate is Fate.LEFT
        assert path.read_bytes() == JPEG + b"firstmore footage"
        assert box.ledger.quarantined() == []
    assert [each.name for each in box.incoming.iterdir()] == ["rec.mp4"]


def test_an_original_that_is_open_for_writing_waits(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file("a.mp4")
    box.decide(path, Retire.DELETE)
    with path.open("ab"):
        (one,) = box.quarantine.retire()
        assert one.fate is Fate.WAITS
        assert path.exists()
        assert box.quarantine.waits("in")
    assert box.quarantine.retire() == []  # it is not looked at all the time
    monkeypatch.setattr(quarantine, "AGAIN_S", 0.0)
    box.quarantine = Quarantine(box.store, box.ledger)  # as after a restart
    with path.open("ab"):
        box.quarantine.retire()
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.DELETED
    assert not box.quarantine.waits("in")
    assert files_in(box.incoming) == []


def test_where_nobody_can_tell_who_writes_an_original_must_be_quiet_for_minutes(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(original, "being_written", lambda _descriptor: None)
    monkeypatch.setattr(quarantine, "AGAIN_S", 0.0)
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    os.utime(path, (1, 1))  # as a server does whose clock is behind
    box.decide(path, Retire.DELETE)
    fates = {one.fate for one in box.quarantine.retire()}
    assert fates == {Fate.WAITS, Fate.LEFT}  # left: as it was before its time was set
    monkeypatch.setattr(original, "QUIET_S", 0.0)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.DELETED


def test_a_link_in_the_place_of_the_folder_is_not_followed(box: Box, tmp_path: Path) -> None:
    box.incoming = box.incoming / "cam"
    box.incoming.mkdir()
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    victim = tmp_path / "victim"
    victim.mkdir()
    os.link(path, victim / "a.jpg")
    box.incoming.rename(tmp_path / "away")
    box.incoming.symlink_to(victim)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.LEFT
    assert [each.name for each in victim.iterdir()] == ["a.jpg"]


def test_restoring_follows_no_link_that_was_put_in(box: Box, tmp_path: Path) -> None:
    box.incoming = box.incoming / "cam"
    box.incoming.mkdir()
    lying = box.moved("a.jpg")
    box.incoming.rmdir()
    (tmp_path / "victim").mkdir()
    box.incoming.symlink_to(tmp_path / "victim")
    (one,) = box.quarantine.restore([lying])
    assert one.target is None
    assert one.detail is not None
    assert list((tmp_path / "victim").iterdir()) == []
    assert (box.store.root / lying.path).exists()


def test_an_original_stays_if_a_frame_that_shows_it_is_gone(box: Box) -> None:
    shown_by = box.decide(box.file("kept.jpg"), Retire.LEAVE, keep=True)
    assert shown_by is not None
    (kept_id,) = [record.file.id for record in box.ledger.kept_in(shown_by.path.parent)]
    path = box.file("near.jpg", JPEG + b"near")
    identity = FileIdentity.of(path)
    content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    mark = Checkpoint(
        "in",
        path,
        identity,
        content_hash,
        1,
        FileState.DONE,
        retire=Retire.DELETE,
        named=(kept_id,),
    )
    decision = about(still(path, identity, content_hash), Reason.NEAR_DUPLICATE)
    box.ledger.commit(Batch("c", "m", [(decision, None)], [mark]))
    (box.store.root / shown_by.path).write_bytes(b"cut off")
    (one,) = box.quarantine.retire()
    assert (one.fate, one.missing) == (Fate.LEFT, (kept_id,))
    assert path.exists()
    assert box.ledger.next_frame("in", identity, path) == 0
    assert box.ledger.kept_file(kept_id) is None


def test_the_same_file_under_another_device_number_is_the_same_file(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    there = FileIdentity.of(path)
    moved = FileIdentity(there.device + 1, there.inode + 7, there.size, there.mtime_ns)
    assert box.ledger.next_frame("in", moved, path) is None
    assert box.ledger.next_frame("in", moved, box.incoming / "b.jpg") == 0


def test_an_attempt_that_was_cut_off_after_the_name_was_taken_is_finished(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.MOVE)
    (record,) = box.ledger.retiring()
    path.rename(path.with_name(original.private_name(record)))
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.MOVED
    assert files_in(box.incoming) == []


@pytest.mark.parametrize("retire", [Retire.MOVE, Retire.DELETE])
def test_what_was_uploaded_in_the_place_of_a_kept_still_is_not_deleted(
    box: Box, retire: Retire
) -> None:
    """It has the same name, size and time, as from a server that keeps whole seconds."""
    path = box.file("snapshot.bmp", b"BM first")
    os.utime(path, (1_764_000_000,) * 2)
    box.decide(path, retire, keep=True)
    (box.incoming / ".part").write_bytes(b"BM other")
    os.utime(box.incoming / ".part", (1_764_000_000,) * 2)
    (box.incoming / ".part").rename(path)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.LEFT
    assert path.read_bytes() == b"BM other"


def test_an_original_is_quiet_once_time_has_passed_and_not_once_the_clock_was_set(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(original, "being_written", lambda _descriptor: None)
    box.quarantine = Quarantine(box.store, box.ledger, patient=True)
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)
    clock, passed = [time.time()], [time.monotonic()]
    monkeypatch.setattr("time.time", lambda: clock[0])
    monkeypatch.setattr("time.monotonic", lambda: passed[0])

    def fate() -> Fate:
        (one,) = box.quarantine.retire()
        return one.fate

    assert fate() is Fate.WAITS
    clock[0] += 14 * 86400
    passed[0] += AGAIN_S
    assert fate() is Fate.WAITS
    passed[0] += original.QUIET_S
    assert fate() is Fate.DELETED


def test_an_attempt_that_was_cut_off_is_finished_though_the_name_was_given_to_another_file(
    box: Box,
) -> None:
    path = box.file("snapshot.jpg")
    box.decide(path, Retire.MOVE)
    (record,) = box.ledger.retiring()
    path.rename(path.with_name(original.private_name(record)))
    box.file("snapshot.jpg", JPEG + b"the next")
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.MOVED
    assert files_in(box.incoming) == [path]
    assert path.read_bytes() == JPEG + b"the next"


def test_an_original_with_the_longest_name_gets_one_beside_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file("ä" * 125 + "x.jpg")
    box.decide(path, Retire.MOVE)

    def overtaken(*_: object) -> None:
        path.write_bytes(b"another")
        raise original.OriginalDiffers

    monkeypatch.setattr(original.ClaimedOriginal, "move", overtaken)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.LEFT
    (beside,) = set(files_in(box.incoming)) - {path}
    assert beside.name.endswith(" (2).jpg")


def test_an_original_that_cannot_be_given_its_name_back_waits(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE)

    def read_only(source: str, target: str, **folders: int | None) -> None:
        if source.startswith(".stillsift-"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        move_without_overwrite(source, target, **folders)

    def changed(_self: object) -> None:
        raise original.OriginalDiffers("it changed")

    with monkeypatch.context() as broken:
        broken.setattr(original, "move_without_overwrite", read_only)
        broken.setattr(original.ClaimedOriginal, "delete", changed)
        (one,) = box.quarantine.retire()
    assert one.fate is Fate.WAITS
    assert "Read-only file system" in str(one.detail)
    box.quarantine = Quarantine(box.store, box.ledger)
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.DELETED
    assert files_in(box.incoming) == []


def test_an_original_whose_disk_is_away_waits(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE, device=path.stat().st_dev + 1)
    path.unlink()  # as under a mount point without its mount
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.WAITS


def test_one_original_that_its_disk_does_not_give_holds_up_no_other(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [box.file(name, JPEG + name.encode()) for name in ("a.jpg", "b.jpg", "c.jpg")]
    for path in paths:
        box.decide(path, Retire.DELETE)
    has_the_content = original.ClaimedOriginal.has_the_content

    def failing(one: original.ClaimedOriginal) -> bool:
        if os.fstat(one.data.fileno()).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return has_the_content(one)

    bad = paths[0].stat().st_ino
    monkeypatch.setattr(original.ClaimedOriginal, "has_the_content", failing)
    with pytest.raises(StoreError):
        box.quarantine.retire()
    assert files_in(box.incoming) == [paths[0]]
    assert [record.file for record in box.ledger.retiring()] == [paths[0]]


@pytest.mark.parametrize("retire", [Retire.MOVE, Retire.DELETE])
def test_an_original_whose_kept_copy_is_damaged_is_left(box: Box, retire: Retire) -> None:
    path = box.file("a.jpg", JPEG + b"whole")
    kept = box.decide(path, retire, keep=True)
    assert kept is not None
    (box.store.root / kept.path).write_bytes(JPEG + b"whale")
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.LEFT
    assert path.read_bytes() == JPEG + b"whole"


def test_an_original_that_is_gone_is_gone_under_another_device_number_too(box: Box) -> None:
    path = box.file("a.jpg")
    box.decide(path, Retire.DELETE, device=path.stat().st_dev + 1)
    path.unlink()
    box.file("b.jpg")  # so that the disk is there
    (one,) = box.quarantine.retire()
    assert one.fate is Fate.GONE


def test_what_lies_in_quarantine_is_nobody_elses_inode(box: Box, tmp_path: Path) -> None:
    """Whoever made another name for an upload may write by it after the upload was moved."""
    path = box.file("linked.jpg")
    os.link(path, other := tmp_path / "uploaders own")
    box.decide(path, Retire.MOVE)
    (retired,) = box.quarantine.retire()
    assert retired.fate is Fate.MOVED
    assert not path.exists()
    other.write_bytes(b"something else")
    (restored,) = box.quarantine.restore(box.ledger.quarantined())
    assert restored.detail is None
    assert path.read_bytes() == JPEG


def test_what_was_changed_in_quarantine_is_not_given_out_as_the_original(box: Box) -> None:
    one = box.moved("changed.jpg")
    lying = box.store.root / one.path
    lying.write_bytes(b"something else")
    (restored,) = box.quarantine.restore([one])
    assert restored.target is None
    assert restored.detail is not None
    assert restored.detail.startswith(f"{lying}: not the bytes that were put there")
    assert box.ledger.quarantined() == [one]
    assert lying.read_bytes() == b"something else"


def test_an_original_that_there_is_no_room_to_copy_holds_up_no_other(
    box: Box, tmp_path: Path
) -> None:
    linked, other = box.file("a linked.jpg"), box.file("b.jpg", JPEG + b"b")
    os.link(linked, tmp_path / "another name")
    for path in (linked, other):
        box.decide(path, Retire.MOVE)
    box.store.min_free = 2**62
    with pytest.raises(StoreFull):
        box.quarantine.retire()
    assert linked.exists()
    assert not other.exists()
    box.store.min_free = 0
    assert [one.fate for one in box.quarantine.retire()] == [Fate.MOVED]
