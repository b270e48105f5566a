"""A daemon on a disk that fails or does not answer. tests/system/disks tries every such trouble."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from disks import FaultyDisk, why_not
from footage import jpeg, taken, write_stills
from running import Daemon, assert_agree, daemon, until


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Daemon, FaultyDisk]]:
    """A daemon that has kept a first still, in a store on a disk that can fail."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    gate: dict[str, Any] = {"name": "gate", "directory": str(tmp_path / "gate"), "retire": "move"}
    with closing(FaultyDisk(tmp_path / "disk")) as disk:
        store = {"path": str(disk.path / "store"), "min_free": 0}
        with daemon(tmp_path, [gate], store=store) as made:
            made.store = disk.path / "store"
            write_stills(tmp_path / "gate", [0])
            made.start()
            until(lambda: not any((tmp_path / "gate").iterdir()), "the first one is kept")
            yield made, disk


def test_stopped_while_the_disk_fails_it_ends_well_and_goes_on_after(
    running: tuple[Daemon, FaultyDisk], tmp_path: Path
) -> None:
    made, disk = running
    disk.fail("EIO", "write,fsync")
    originals = write_stills(tmp_path / "gate", range(1, 4))
    shutil.copyfile(originals[0], tmp_path / "gate" / "img9.jpg")
    taken(tmp_path / "gate" / "img9.jpg", 9)
    until(lambda: made.get("/readyz")[0] == 503, f"not ready: {made.log}")
    why = made.get("/readyz")[1]
    assert "store/" in why
    assert "see the system log" in why
    assert made.get("/healthz")[0] == 200, "a restart would not help"
    assert made.stop() == 0
    assert all(path.is_file() for path in originals)
    assert made.log.count("ERROR") <= 2
    made.start(wait=False)
    assert made.ended() == 1
    assert "Input/output error: the disk does not work as it should" in made.log
    assert disk.mend() > 0
    made.start()
    until(lambda: not any((tmp_path / "gate").iterdir()), f"all is retired: {made.log}")
    assert made.stop() == 0
    assert_agree(made.store)
    assert len(made.decided()) == 5
    (moved,) = (made.store / "quarantine").rglob("*img9.jpg")
    assert moved.read_bytes() == jpeg(1)


def test_a_disk_that_does_not_answer_stops_neither_the_metrics_nor_the_end(
    running: tuple[Daemon, FaultyDisk], tmp_path: Path
) -> None:
    made, disk = running
    disk.hang("write,fsync,statfs,create,lookup,getattr,open,read,link,rename")
    originals = write_stills(tmp_path / "gate", [1, 2])
    begin = time.monotonic()
    assert made.get("/metrics")[0] == made.get("/healthz")[0] == 200
    assert time.monotonic() - begin < 5
    made.signal(signal.SIGTERM)
    assert made.ended(11) in (0, 1)
    assert disk.mend() > 0
    assert all(path.is_file() for path in originals)
    assert "did not end within" in made.log
    made.start()
    until(lambda: not any((tmp_path / "gate").iterdir()), f"all is retired: {made.log}")
    assert made.stop() == 0
    assert_agree(made.store)
