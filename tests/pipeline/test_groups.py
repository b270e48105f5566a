"""Sources of one group: what one has kept, no other keeps again."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clips import real_pictures, write_clip
from conftest import Command
from footage import taken, write_still, write_stills
from running import Daemon, assert_agree, decided, kept_on_disk, until
from scripted import Script
from stillsift.arrays import Image
from stillsift.config import Config, SourceConfig, load
from stillsift.decisions import Reason
from stillsift.ledger import LedgerReader
from stillsift.pipeline import Engine, Line
from stillsift.pipeline.persistence import Storage
from stillsift.service import Metrics
from stillsift.sources import Item, Repeated
from stillsift.store import Quarantine
from stillsift.store.quarantine import Retired

Row = dict[str, Any]
Sift = Callable[..., list[Row]]


def still(path: Path, pixels: Image, number: int, quality: int = 95) -> Path:
    """A JPEG of these pixels, taken when the picture with this number was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return taken(path, number)


def photo(index: int) -> Image:
    """(180, 320, 3) BGR: a street, or a face."""
    name = ("bikes", "carphone_pristine", "bigbuckbunny")[index]
    return np.ascontiguousarray(real_pictures(name, 1)[0][:, :, ::-1])


@pytest.fixture
def sift(stillsift: Command, tmp_path: Path) -> Sift:
    """`sift` these folders into one store, as one group; every decision about them."""

    def run(*names: str, group: str = "all") -> list[Row]:
        told = tmp_path / "told.jsonl"
        options = ["--set", f"group={group}", "--set", "rate=all"]
        places = [tmp_path / name for name in names]
        done = stillsift("sift", *places, "-o", tmp_path / "out", "--decisions", told, *options)
        assert done.status == 0, done.err
        assert_agree(tmp_path / "out")
        return [json.loads(line) for line in told.read_text().splitlines()]

    return run


def reasons(rows: list[Row], source: str) -> list[str]:
    return [row["reason"] for row in rows if row["source"] == source]


# -- exact duplicates ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_copy_in_a_later_folder_is_an_exact_duplicate(
    sift: Sift, tmp_path: Path, order: str
) -> None:
    first, second = order[0], order[1]
    for folder in order:
        write_still(tmp_path / folder / "x.jpg", 1)
    kept, copy = sift(*order)
    assert (kept["source"], kept["reason"]) == (first, "novel")
    assert (copy["source"], copy["reason"]) == (second, "exact_duplicate")
    assert copy["nearest_kept"] == kept["id"]
    assert copy["detail"] == f"same content as {tmp_path / first / 'x.jpg'}"


def test_without_a_group_every_source_keeps_its_own(sift: Sift, tmp_path: Path) -> None:
    for folder in "ab":
        write_still(tmp_path / folder / "x.jpg", 1)
    assert [row["reason"] for row in sift("a", "b", group="null")] == ["novel", "novel"]


def test_a_copy_of_a_clip_is_not_read_again(sift: Sift, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    clip = write_clip(tmp_path / "a" / "x.mp4", real_pictures(count=8))
    shutil.copy(clip, tmp_path / "b" / "y.mp4")
    rows = sift("a", "b")
    first = next(row for row in rows if row["outcome"] == "kept")
    assert reasons(rows, "b") == ["exact_duplicate"]
    assert rows[-1]["nearest_kept"] == first["id"]


def test_a_copy_of_what_a_sibling_dropped_names_what_shows_it(sift: Sift, tmp_path: Path) -> None:
    still(tmp_path / "a" / "1.jpg", photo(0), 1)
    again = still(tmp_path / "a" / "2.jpg", photo(0), 2, quality=80)
    (tmp_path / "b").mkdir()
    shutil.copy(again, tmp_path / "b" / "copy.jpg")
    rows = sift("a", "b")
    dropped, copy = rows[1], rows[2]
    assert (dropped["outcome"], copy["reason"]) == ("dropped", "exact_duplicate")
    assert copy["nearest_kept"] == dropped["nearest_kept"] == rows[0]["id"]


# -- near duplicates -------------------------------------------------------------------------------


def test_a_smaller_copy_in_a_later_folder_is_a_near_duplicate(sift: Sift, tmp_path: Path) -> None:
    for index in range(3):
        still(tmp_path / "a" / f"{index}.jpg", photo(index), index)
        small = np.asarray(
            cv2.resize(photo(index), (256, 144), interpolation=cv2.INTER_AREA), np.uint8
        )
        still(tmp_path / "b" / f"{index}.jpg", small, 10 + index, quality=80)
        still(tmp_path / "b" / f"later {index}.jpg", photo(index), 20 + index, quality=70)
    rows = sift("a", "b")
    kept = [row["id"] for row in rows if row["outcome"] == "kept"]
    assert reasons(rows, "a") == ["novel"] * 3
    assert reasons(rows, "b") == ["near_duplicate"] * 6
    assert [row["nearest_kept"] for row in rows[3:]] == kept * 2
    for row in rows[3:]:
        assert 0 < row["novelty"] <= row["novelty_limit"] == 1
    # Asked about once; then this source knows the picture, too.
    assert sum(row["detail"].endswith("kept by a") for row in rows) == 3


def test_a_clip_written_again_in_another_folder_brings_little(sift: Sift, tmp_path: Path) -> None:
    """Where all moves, two encodings may take frames for the best that are too far apart."""
    pictures = real_pictures(count=30)
    for folder, crf in (("a", "18"), ("b", "26")):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "x.mp4", pictures, options={"crf": crf})
    alone = reasons(sift("b", group="null"), "b").count("novel")
    shutil.rmtree(tmp_path / "out")
    rows = sift("a", "b")
    kept = {row["id"]: row["source"] for row in rows if row["outcome"] == "kept"}
    assert len(reasons(rows, "b")) == 30
    assert reasons(rows, "b").count("novel") < alone
    named = [kept[row["nearest_kept"]] for row in rows if row["source"] == "b"]
    assert named[0] == "a"


def test_a_restart_between_the_folders_changes_nothing(sift: Sift, tmp_path: Path) -> None:
    for index in range(3):
        still(tmp_path / "a" / f"{index}.jpg", photo(index), index)
        still(tmp_path / "b" / f"{index}.jpg", photo(index), 10 + index, quality=80)
        still(tmp_path / "c" / f"{index}.jpg", photo(index), 20 + index, quality=70)
    at_once = sift("a", "b", "c")
    shutil.rmtree(tmp_path / "out")
    sift("a")
    sift("a", "b")
    still(tmp_path / "b" / "9.jpg", photo(0), 30, quality=60)
    rows = sift("a", "b", "c")
    late = next(row for row in rows if row["file"].endswith("b/9.jpg"))
    assert [row for row in rows if row is not late] == at_once
    assert (late["reason"], late["nearest_kept"]) == ("near_duplicate", at_once[0]["id"])


# -- originals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_sibling_s_picture_shows_something_only_while_it_is_there(
    stillsift: Command, tmp_path: Path, there: bool, near: bool
) -> None:
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    original = still(a / "x.jpg", photo(0), 1)
    copy = still(b / "x.jpg", photo(0), 2, quality=80 if near else 95)
    data = copy.read_bytes()
    options = ["-o", out, "--set", "group=all", "--set", "retire=delete"]
    assert stillsift("sift", a, *options).status == 0
    assert not original.exists()
    (picture,) = out.glob("kept/**/*.jpg")
    if not there:
        picture.unlink()
    assert stillsift("sift", a, b, *options).status == 0
    (record,) = decided(out, "b")
    dropped = "near_duplicate" if near else "exact_duplicate"
    assert record.decision.reason == (dropped if there else "novel")
    assert not copy.exists()
    (now,) = out.glob("kept/**/*.jpg")
    assert picture.exists() == there
    assert now == picture or now.read_bytes() == data


def test_copies_in_a_group_are_moved_not_removed(stillsift: Command, tmp_path: Path) -> None:
    """Also where the kept original and its copies have other names, or lie in one folder."""
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    data = still(a / "x.jpg", photo(0), 1).read_bytes()
    b.mkdir()
    copies = [a / "y.jpg", b / "x.jpg", b / "z.jpg"]
    for number, copy in enumerate(copies):
        shutil.copy(a / "x.jpg", copy)
        taken(copy, 2 + number)
    options = ["-o", out, "--set", "group=all", "--set", "retire=move"]
    assert stillsift("sift", a, b, *options).status == 0
    taken(still(a / "x.jpg", photo(0), 9), 9)  # the kept one again, at its own place
    assert stillsift("sift", a, b, *options).status == 0
    assert not [*a.iterdir(), *b.iterdir()]
    with LedgerReader(out / "ledger.sqlite") as ledger:
        lying = {one.original for one in ledger.quarantined()}
    assert lying == {*copies, a / "x.jpg"}
    assert stillsift("restore", "--all", "--store", out).status == 0
    assert {path: path.read_bytes() for path in lying} == dict.fromkeys(lying, data)


# -- side by side ----------------------------------------------------------------------------------


def grouped(store: Path, *folders: Path) -> Config:
    base = load(None)
    settings = base.store.model_copy(update={"path": store, "min_free": 0})
    sources = tuple(
        SourceConfig.model_validate({"name": folder.name, "directory": folder, "group": "yard"})
        for folder in folders
    )
    return base.model_copy(update={"store": settings, "sources": sources})


def test_lines_at_work_at_the_same_time_keep_nothing_twice(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        write_stills(folder, range(12))
    with Engine(grouped(tmp_path / "out", *folders), Metrics()) as engine:
        lines = [engine.line(source, watch=False) for source in engine.config.sources]
        at_once = threading.Barrier(len(lines))

        def run(line: Line) -> None:
            at_once.wait()
            line.run()

        threads = [threading.Thread(target=run, args=(line,)) for line in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(decided(tmp_path / "out")) == 36
    assert len(kept_on_disk(tmp_path / "out")) == 12
    assert_agree(tmp_path / "out")


@pytest.mark.parametrize("audit", ["0", "1"])
def test_a_frame_that_is_gone_from_the_store_shows_nothing(
    stillsift: Command, tmp_path: Path, audit: str
) -> None:
    still(tmp_path / "a" / "1.jpg", photo(0), 1)
    again = tmp_path / "b" / "again.jpg"
    again.parent.mkdir()
    options = ["--set", "group=all", "--set", "retire=delete", "--set", f"audit={audit}"]
    command = ("sift", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out", *options)
    stillsift(*command)
    for path in (tmp_path / "out" / "kept").rglob("*.jpg"):
        path.unlink()
    data = still(again, photo(0), 2, quality=80).read_bytes()
    assert stillsift(*command).status == 0
    # It is kept, so what is in the store now is what was in the folder.
    (now,) = (tmp_path / "out" / "kept").rglob("*.jpg")
    assert now.read_bytes() == data


class Observed(Quarantine):
    """A quarantine that tells how long a sibling would wait for its turn meanwhile, in seconds."""

    def __init__(self, engine: Engine, storage: Storage) -> None:
        super().__init__(storage.store, engine.ledger)
        self.engine = engine
        self.waited_s: list[float] = []

    def retire(self, source: str | None = None) -> list[Retired]:
        sibling = self.engine.groups.member(self.engine.config.sources[1])
        assert sibling is not None
        begin = time.monotonic()
        sibling.elsewhere()
        self.waited_s.append(time.monotonic() - begin)
        sibling.end_turn()
        return super().retire(source)


def test_nobody_waits_while_originals_are_retired(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    still(folders[0] / "1.jpg", photo(0), 1)
    folders[1].mkdir()
    config = grouped(tmp_path / "out", *folders)
    with Engine(config, Metrics()) as engine:
        assert engine.storage is not None
        observed = Observed(engine, engine.storage)
        engine.storage = replace(engine.storage, quarantine=observed)
        source = config.sources[0].model_copy(update={"retire": "move"})
        engine.line(source, watch=False).run()
    assert not (folders[0] / "1.jpg").exists()
    assert 0 < max(observed.waited_s) < 2


def test_a_daemon_takes_up_a_group_without_a_restart(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    still(folders[0] / "1.jpg", photo(0), 1)
    still(folders[1] / "1.jpg", photo(1), 1)
    sources = [{"name": each.name, "directory": str(each)} for each in folders]
    made = Daemon(tmp_path, sources)
    try:
        made.start()
        made.until_done(2)
        made.config["defaults"]["group"] = "yard"
        made.write_config()
        made.signal(signal.SIGHUP)
        until(lambda: "read again: 2 sources" in made.log, made.log)
        still(folders[0] / "2.jpg", photo(1), 2, quality=80)
        still(folders[1] / "2.jpg", photo(0), 2, quality=80)
        made.until_done(4)
        assert made.stop() == 0
    finally:
        made.kill()
    kept = {record.decision.source: record for record in decided(made.store) if record.kept_path}
    late = [record.decision for record in decided(made.store) if not record.kept_path]
    assert {each.source: each.nearest_kept for each in late} == {
        "a": kept["b"].decision.id,
        "b": kept["a"].decision.id,
    }


def test_a_copy_names_what_shows_it_although_its_group_ends_at_that_moment(tmp_path: Path) -> None:
    """A reload comes between the look at the file and its record."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        write_still(folder / "x.jpg", 1)
    config = grouped(tmp_path / "out", *folders)
    with Engine(config, Metrics()) as engine:
        first, second = config.sources
        engine.line(first, watch=False).run()
        line = engine.line(second, watch=False)
        items = line.source.items()

        def dissolved() -> Iterator[Item]:
            for item in items:
                if isinstance(item, Repeated):
                    line.retune(engine.tuning(second.model_copy(update={"group": None})))
                yield item

        line.source = Script(dissolved())
        line.run()
    shown, copy = (record.decision for record in decided(tmp_path / "out"))
    assert (copy.reason, copy.nearest_kept) == (Reason.EXACT_DUPLICATE, shown.id)


def test_groups_do_not_hear_of_each_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        write_still(folder / "x.jpg", 1)
    config = grouped(tmp_path / "out", *folders)
    apart = config.sources[1].model_copy(update={"group": "house"})
    config = config.model_copy(update={"sources": (config.sources[0], apart)})
    with Engine(config, Metrics()) as engine:
        for source in config.sources:
            engine.line(source, watch=False).run()
    assert len(kept_on_disk(tmp_path / "out")) == 2
