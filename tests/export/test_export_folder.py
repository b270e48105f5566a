"""A folder of exports is whole whenever the process ends, and nothing in it is overwritten."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from export_stores import add_photos, contents

from conftest import Command
from stillsift.export import exporting
from stillsift.export.folder import ExportFolder

CUT_OFF = (sys.executable, Path(__file__).with_name("cut_off_export.py"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("small") / "store"
    add_photos(store, "gate", range(5))
    return store


@pytest.fixture
def store(small: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small, tmp_path / "store")


@pytest.mark.parametrize("format", ["coco", "yolo", "label-studio"])
def test_killed_at_any_step_it_goes_on(
    format: str,
    stillsift: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "_BATCH_FRAMES", 2)
    monkeypatch.setattr(exporting, "_PART_FRAMES", 2)
    into = tmp_path / "cut"
    words = ("--until", "2026-09-24")  # three of them
    subprocess.run([*CUT_OFF, store, format, into, *words], check=True, capture_output=True)
    folders = sorted(into.iterdir(), key=lambda path: int(path.name))
    undisturbed = contents(folders.pop())
    assert len(folders) > 15
    for folder in folders:
        before = contents(folder)
        parts = {name: sha for name, sha in before.items() if name in undisturbed}
        assert parts.keys() == before.keys(), "no name that does not belong there"
        done = stillsift("export", "--store", store, "--format", format, "-o", folder, *words)
        assert done.status == 0, done
        assert contents(folder) == undisturbed, folder
        left = {path.name for path in (folder / ".stillsift-export").iterdir()}
        assert left == {"lock", "state.sqlite"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--output", "store/export"), "lies in the store"),
        (("--output", "."), "lies in the store"),
        (("--output", "link"), "lies in the store"),
        (("--output", "other"), "is not empty, and no export is in it"),
        (("--output", "file"), "is no folder"),
        (("--output", "out", "--label", "cow"), "no frame is kept that was asked for"),
        (("--output", "out", "--since", "2030-01-01"), "no frame is kept that was asked for"),
        (("--output", "yolo"), "holds an export of the format yolo"),
    ],
)
def test_what_is_refused_leaves_everything_as_it_was(
    words: tuple[str, ...],
    told: str,
    stillsift: Command,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("all of it")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(store)
    stillsift("export", "--store", store, "--format", "yolo", "-o", "yolo")
    before = contents(tmp_path)
    done = stillsift("export", "--store", store, "--format", "coco", *words)
    assert done.status == 1
    assert told in done.err
    assert contents(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "cvat", "--val", "0.1"), "--val is for the formats imagefolder, coco"),
        (("--format", "coco", "--val", "1"), "a share from 0 to below 1"),
        (("--format", "coco", "--location", "gate=1,2"), "is for --format camtrap-dp"),
        (("--format", "camtrap-dp", "--location", "gate=91,2"), "latitude and longitude"),
        (("--format", "camtrap-dp", "--location", "1,2"), "latitude and longitude"),
        (("--format", "coco", "--source", "gat"), "no such source"),
        (("--format", "coco", "--since", "yesterday"), "not a time"),
    ],
)
def test_what_cannot_be_meant(
    words: tuple[str, ...], told: str, stillsift: Command, store: Path, tmp_path: Path
) -> None:
    done = stillsift("export", "--store", store, "--output", tmp_path / "out", *words)
    assert done.status == 2
    assert told in done.err
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_there_is_no_parquet(
    stillsift: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    out = tmp_path / "out"
    done = stillsift("export", "--store", store, "--format", "parquet", "--output", out)
    assert done.status == 2
    assert "export: --format parquet needs pyarrow" in done.err
    assert not out.exists()


def test_pictures_that_are_gone_or_changed_are_counted_and_come_later(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    gone, changed, *_ = sorted((store / "kept").rglob("*.png"))
    away = gone.rename(tmp_path / "away.png")
    data = changed.read_bytes()
    changed.write_bytes(data + b"x")
    for format in exporting.FORMATS:
        words = ("--store", store, "--format", format, "--output", tmp_path / format, "--json")
        done = stillsift("export", *words)
        assert done.status == 0
        told = json.loads(done.out)
        assert told["added"] == 3
        reasons = {"No such file or directory": 1, "has changed since it was kept": 1}
        assert told["left_out"] == reasons
        assert f"{gone}: No such file" in done.err
    shutil.copy(away, gone)
    changed.write_bytes(data)
    for format in exporting.FORMATS:
        words = ("--store", store, "--format", format, "--output", tmp_path / format, "--json")
        told = json.loads(stillsift("export", *words).out)
        assert (told["added"], told["already"], told["left_out"]) == (2, 3, {})


def test_a_store_whose_pictures_are_all_gone(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    shutil.rmtree(store / "kept")
    for format in ("coco", "webdataset"):
        done = stillsift("export", "--store", store, "--format", format, "-o", tmp_path / format)
        assert done.status == 1
        assert "5 frames have no picture to export; the first are named above" in done.err
        assert contents(tmp_path / format) == {}


def test_what_somebody_has_changed_is_not_overwritten(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("--store", store, "--format", "coco", "--output", out)
    assert stillsift("export", *words).status == 0
    annotations = out / "annotations" / "instances_train.json"
    theirs = annotations.read_text().replace('"score": 1.0', '"score": 0.5')
    annotations.write_text(theirs)
    (picture,) = list((out / "images").rglob("*.png"))[:1]
    picture.write_bytes(b"painted over")
    before = contents(out)
    add_photos(store, "dock", range(7, 8))
    done = stillsift("export", *words)
    assert done.status == 1
    assert f"{annotations}: was changed after it was exported" in done.err
    assert contents(out) == before
    annotations.rename(tmp_path / "mine.json")
    assert stillsift("export", *words).status == 0
    assert picture.read_bytes() == b"painted over"
    assert len(json.loads(annotations.read_text())["images"]) == 6


def test_what_was_taken_away_is_not_exported_again(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("--store", store, "--format", "webdataset", "--output", out)
    assert stillsift("export", *words).status == 0
    (out / "train-000001.tar").unlink()
    assert stillsift("export", *words).status == 0
    assert contents(out) == {}
    add_photos(store, "dock", range(7, 8))
    assert stillsift("export", *words).status == 0
    assert set(contents(out)) == {"train-000002.tar"}


def test_another_file_in_the_place_of_a_picture_stays(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (picture, *_) = (store / "kept").rglob("*.png")
    with ExportFolder(out, "imagefolder"):
        pass
    (out / "train").mkdir()
    (out / "train" / picture.name).write_bytes(b"mine")
    done = stillsift("export", "--store", store, "--format", "imagefolder", "-o", out)
    assert done.status == 1
    assert "another file is there, and nothing is overwritten" in done.err
    assert (out / "train" / picture.name).read_bytes() == b"mine"


def test_one_export_at_a_time(stillsift: Command, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ExportFolder(out, "coco"):
        done = stillsift("export", "--store", store, "--format", "coco", "--output", out)
    assert done.status == 75
    assert str(os.getpid()) in done.err


def test_a_damaged_state_is_told(stillsift: Command, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--store", store, "--format", "coco", "--output", out)
    assert stillsift("export", *words).status == 0
    (out / ".stillsift-export" / "state.sqlite").write_bytes(b"nothing of the kind" * 100)
    done = stillsift("export", *words)
    assert done.status == 1
    assert "state.sqlite" in done.err


def test_what_is_kept_in_place_is_exported_too(stillsift: Command, tmp_path: Path) -> None:
    add_photos(tmp_path / "unused" / "store", "gate", range(3))
    photos, gone, out = tmp_path / "unused" / "gate", tmp_path / "gone", tmp_path / "out"
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    done = stillsift("export", "--store", gone, "--format", "imagefolder", "--output", out)
    assert done.status == 0, done
    copies = {path.read_bytes() for path in out.rglob("*.png")}
    assert copies == {path.read_bytes() for path in photos.iterdir()}
