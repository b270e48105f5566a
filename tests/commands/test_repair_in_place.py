"""`stillsift repair` lists what trainers trip over and puts it right in place; it can be undone."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips import SHARED_MEDIA
from conftest import Command, Disks
from footage import write_clip
from photographs import textured
from stillsift.sources.files import DecodeError
from stillsift.sources.files.header import read_header
from stillsift.sources.files.pixels import decoded_pixels, refuse_damaged
from stillsift.store import in_place_repair, quarantine
from stillsift.store.durable_files import exchange

CUT_OFF = (sys.executable, Path(__file__).with_name("cut_off_repair.py"))


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path below the folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".stillsift" not in path.parts
    }


def turned(path: Path, seed: int) -> None:
    exif = Image.Exif()
    exif[274] = 8
    Image.fromarray(textured(seed, 160, 120)).save(path, exif=exif, quality=95)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    Image.fromarray(textured(1, 160, 120)).save(folder / "fine.jpg")
    turned(folder / "turned.jpg", 2)
    Image.fromarray(textured(3, 160, 120)).convert("L").save(folder / "b" / "lies.jpg", "PNG")
    os.utime(folder / "turned.jpg", (1_700_000_000, 1_700_000_000))
    (folder / "turned.jpg").chmod(0o640)
    return folder


@pytest.fixture
def all_kinds(photos: Path) -> Path:
    whole = (photos / "fine.jpg").read_bytes()
    (photos / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").touch()
    (photos / "text.png").write_text("no picture")
    pages = [Image.fromarray(textured(number, 64, 48)) for number in (5, 6)]
    pages[0].convert("L").save(photos / "pages.tif", save_all=True, append_images=pages[1:])
    write_clip(photos / "a.mp4", [1, 2])
    (photos / "fine.txt").write_text("0 0.5 0.5 0.1 0.1")
    (photos / "link.jpg").symlink_to(photos / "turned.jpg")
    return photos


def test_a_list_names_what_is_wrong_and_changes_nothing(
    stillsift: Command, all_kinds: Path
) -> None:
    before = contents(all_kinds)
    done = stillsift("repair", all_kinds, "--json")
    assert done.status == 1
    found = json.loads(done.out)
    assert (found["files"], found["wrong"], found["repaired"]) == (7, 5, 0)
    rows = {(Path(row["file"]).name, row["fault"]): row for row in found["faults"]}
    assert set(rows) == {
        *(("turned.jpg", "orientation"), ("lies.jpg", "suffix"), ("lies.jpg", "colour")),
        *(("cut off.jpg", "unreadable"), ("empty.png", "unreadable"), ("text.png", "unreadable")),
    }
    assert rows["turned.jpg", "orientation"]["what"] == "EXIF orientation 8"
    assert rows["lies.jpg", "suffix"]["way_out"] == "name it .png"
    assert "end marker is missing" in rows["cut off.jpg", "unreadable"]["what"]
    shown = stillsift("repair", all_kinds)
    assert f"{all_kinds / 'turned.jpg'}: EXIF orientation 8: turn its pixels" in shown.out
    assert "7 stills: 5 wrong, 0 repaired" in shown.err
    assert "--backup-to originals" in shown.err
    assert contents(all_kinds) == before


def test_of_a_still_that_is_too_large_the_limit_is_named(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("defaults: {max_pixels: 1000}\n")
    found = json.loads(stillsift("repair", photos, "-c", config, "--json").out)
    assert {row["way_out"] for row in found["faults"]} == {"raise max_pixels, with -c"}


@pytest.mark.parametrize("progressive", [False, True])
def test_a_damaged_jpeg_that_gives_a_picture_is_named(
    stillsift: Command, photos: Path, progressive: bool
) -> None:
    """Its lower half is grey, or smeared by bytes that are none of its own."""
    file = io.BytesIO()
    image = Image.fromarray(textured(4, 320, 240))
    image.save(file, "JPEG", quality=90, progressive=progressive)
    whole = file.getvalue()
    half = whole.rfind(b"\xff\xda") + 200 if progressive else len(whole) // 2
    noise = bytes(np.random.default_rng(1).integers(0, 255, 400, np.uint8))
    damaged = {
        "grey.jpg": whole[:half] + b"\xff\xd9",
        "smeared.jpg": whole[:half] + noise + whole[half + 400 :],
        "zeros.jpg": whole[:half] + bytes(len(whole) - half - 2) + b"\xff\xd9",
    }
    for name, data in damaged.items():
        (photos / name).write_bytes(data)
        with Image.open(photos / name) as read:
            read.load()  # no decoder that trainers use refuses it
    (photos / "padded.jpg").write_bytes(whole[:-2] + bytes(9) + whole[-2:] + b"of a camera")
    image.convert("CMYK").save(photos / "cmyk.jpg", progressive=progressive, subsampling=1)
    before = contents(photos)
    done = stillsift("repair", photos, "--backup-to", photos.parent / "originals", "--json")
    found = json.loads(done.out)
    unreadable = {row["file"] for row in found["faults"] if row["fault"] == "unreadable"}
    assert unreadable == {str(photos / name) for name in damaged}
    whats = {row["what"] for row in found["faults"] if row["fault"] == "unreadable"}
    assert whats == {"is damaged: its coded data breaks off or makes no sense somewhere"}
    now = contents(photos)
    assert {name: now[name] for name in damaged} == {name: before[name] for name in damaged}
    assert done.status == 1


@pytest.mark.skipif(not SHARED_MEDIA.is_dir(), reason="needs the shared footage")
def test_no_right_jpeg_is_called_damaged() -> None:
    damaged, files = [], list(SHARED_MEDIA.rglob("*.jp*g"))
    for path in files:
        data = path.read_bytes()
        try:
            header = read_header(data, path, 10**8)
            decoded_pixels(data, header, path, 1)
        except DecodeError:
            continue
        try:
            refuse_damaged(data, header, path)
        except DecodeError:
            damaged.append(path.name)
    # Looked at: both are striped or smeared.
    assert (sorted(damaged), len(files) > 50) == (["bitflip.jpg", "pil_hopper_bad_exif.jpg"], True)


VOC = """<annotation><filename>{name}</filename>
<size><width>{width}</width><height>{height}</height></size>
<object><name>cat</name>
<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>50</xmax><ymax>60</ymax></bndbox></object></annotation>
"""


def test_a_still_whose_labels_would_not_fit_it_is_left_as_it_is(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    images, labels = photos / "images", photos / "labels"
    for folder in (images, labels, photos / "Annotations"):
        folder.mkdir()
    for seed, name in enumerate(("yolo", "stored", "upright", "coco", "empty", "free")):
        turned(images / f"{name}.jpg", seed)
    Image.fromarray(textured(9, 300, 200)).save(images / "large.jpg")
    Image.fromarray(textured(8, 100, 80)).save(images / "named.jpg", "PNG")
    (labels / "yolo.txt").write_text("0 0.5 0.5 0.2 0.1\n")
    (labels / "empty.txt").touch()
    sizes = {"stored": (160, 120), "upright": (120, 160), "large": (300, 200), "named": (100, 80)}
    for name, (width, height) in sizes.items():
        voc = VOC.format(name=f"{name}.jpg", width=width, height=height)
        (photos / "Annotations" / f"{name}.xml").write_text(voc)
    coco = {
        "images": [{"id": 1, "file_name": "coco.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (labels / "instances.json").write_text(json.dumps(coco))
    before, originals = contents(photos), tmp_path / "originals"
    words = ("repair", images, "--longest-side", 200, "--json")
    listed = json.loads(stillsift(*words).out)["faults"]
    done = stillsift(*words, "--backup-to", originals)
    now = contents(photos)
    changed = {Path(name).stem for name in before if before[name] != now.get(name)}
    assert changed == {"upright", "empty", "free", "stored", "large"}
    for rows in (listed, json.loads(done.out)["faults"]):
        why = {Path(row["file"]).stem: row["done"] for row in rows if row["now"] is None}
        stays = {name: each for name, each in why.items() if each is not None}
        turning = (
            "boxes in {} may have been drawn on it as it is stored or as it is looked at; say which"
            " with --drawn-on stored, and they are turned along, or --drawn-on upright, and they"
            " stay"
        )
        assert stays == {
            "yolo": turning.format("yolo.txt"),
            "coco": turning.format("instances.json"),
            "named": "named.xml names it; change that first",
        }
    assert done.status == 1
    assert "coco.jpg: EXIF orientation 8: turn its pixels; not done: boxes in instances.json" in (
        stillsift("repair", images / "coco.jpg").out
    )


def test_a_clean_folder_ends_with_0_and_limits_can_be_asked_for(
    stillsift: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(textured(1, 160, 120)).save(folder / "fine.jpg")
    assert stillsift("repair", folder).status == 0
    assert stillsift("repair", folder, "--longest-side", 160, "--format", "jpeg").status == 0
    done = stillsift("repair", folder, "--longest-side", 100, "--format", "png")
    assert (done.status, done.out.count("160x120: make its longer side 100")) == (1, 1)
    assert "a JPEG, not png: write it as png" in done.out
    for words in (("--longest-side", "0"), ("--only", "size")):
        assert stillsift("repair", folder, *words).status == 2
    assert stillsift("repair", tmp_path / "nowhere").status == 2


def test_stills_are_repaired_and_originals_lie_below_the_other_folder(
    stillsift: Command, all_kinds: Path, tmp_path: Path
) -> None:
    before, originals = contents(all_kinds), tmp_path / "originals"
    facts = (all_kinds / "turned.jpg").stat()
    done = stillsift("repair", all_kinds, "--backup-to", originals)
    assert done.status == 1  # three cannot be repaired
    assert "7 stills: 5 wrong, 2 repaired" in done.err
    now = contents(all_kinds)
    changed = {"turned.jpg", "b/lies.jpg", "b/lies.png", "link.jpg"}
    assert {name for name in before.keys() | now if before.get(name) != now.get(name)} == changed
    with Image.open(all_kinds / "turned.jpg") as image:
        assert image.getexif().get(274, 1) == 1
        upright = np.rot90(textured(2, 160, 120))
        assert np.abs(np.asarray(image, int) - upright).mean() < 15  # two JPEGs lie between them
        assert np.abs(np.asarray(image, int) - upright[::-1]).mean() > 40
    with Image.open(all_kinds / "b" / "lies.png") as image:
        assert image.mode == "RGB"
    assert contents(originals) == {
        "turned.jpg": before["turned.jpg"],
        "b/lies.jpg": before["b/lies.jpg"],
        "repaired.csv": contents(originals)["repaired.csv"],
    }
    new = (all_kinds / "turned.jpg").stat()
    assert (new.st_mtime_ns, new.st_mode) == (facts.st_mtime_ns, facts.st_mode)
    with (originals / "repaired.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert rows["turned.jpg"]["repairs"] == "EXIF orientation 8 applied"
    assert rows["lies.jpg"]["now"] == str(all_kinds / "b" / "lies.png")
    assert rows["lies.jpg"]["sha256"] == before["b/lies.jpg"]
    assert "2 repaired" not in stillsift("repair", all_kinds, "--backup-to", originals).err


def test_restore_puts_all_back_and_a_second_run_leaves_it(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, originals = contents(photos), tmp_path / "originals"
    assert stillsift("repair", photos, "--backup-to", originals).status == 0
    assert stillsift("restore", "--store", originals, "turned.jpg").status == 0
    assert contents(photos)["turned.jpg"] == before["turned.jpg"]
    assert (photos / "b" / "lies.png").is_file()
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(photos) == before
    assert list(contents(originals)) == ["repaired.csv"]
    done = stillsift("repair", photos, "--backup-to", originals)
    assert done.status == 1
    assert done.out.count("it was repaired before, and brought back") == 2
    assert contents(photos) == before


def test_what_was_repaired_twice_is_undone_to_its_first_original(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, words = contents(photos), ("--backup-to", tmp_path / "originals")
    assert stillsift("repair", photos, *words).status == 0
    assert stillsift("repair", photos, *words, "--longest-side", 100).status == 0
    assert {"turned.jpg", "2_turned.jpg"} <= set(contents(tmp_path / "originals"))
    with Image.open(photos / "turned.jpg") as image:
        assert image.size == (75, 100)
    assert stillsift("restore", "--store", tmp_path / "originals", "--all").status == 0
    assert contents(photos) == before


def test_restore_overwrites_nothing_that_was_changed_since(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, originals = contents(photos), tmp_path / "originals"
    stillsift("repair", photos, "--backup-to", originals)
    Image.fromarray(textured(9, 160, 120)).save(photos / "turned.jpg")
    changed = contents(photos)["turned.jpg"]
    done = stillsift("restore", "--store", originals, "--all")
    assert (done.status, "nothing overwritten" in done.out) == (1, True)
    assert contents(photos) == {**before, "turned.jpg": changed}
    done = stillsift("restore", "--store", originals, "--all", "--output", tmp_path / "back")
    assert done.status == 0, done
    assert contents(tmp_path / "back") == {"turned.jpg": before["turned.jpg"]}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_restore_overwrites_nothing_that_is_put_there_meanwhile(
    stillsift: Command,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    can_exchange: bool,
) -> None:
    before, originals = contents(photos), tmp_path / "originals"
    assert stillsift("repair", photos, "--backup-to", originals).status == 0
    another = tmp_path / "another.jpg"
    Image.fromarray(textured(9, 160, 120)).save(another)

    def after_another_came(one: str, other: str, folder: int) -> bool:
        if another.exists():
            another.replace(photos / "turned.jpg")
        return can_exchange and exchange(one, other, folder)

    monkeypatch.setattr(quarantine, "exchange", after_another_came)
    done = stillsift("restore", "--store", originals, "turned.jpg")
    assert (done.status, "another file was put there meanwhile" in done.out) == (1, True)
    with Image.open(photos / "turned.jpg") as image:
        assert image.size == (160, 120)  # the other one; the repaired still was 120x160
    assert contents(originals)["turned.jpg"] == before["turned.jpg"]
    assert not [*photos.glob(".*")]


def test_a_full_disk_leaves_the_repaired_still_and_room_brings_the_original_back(
    stillsift: Command, photos: Path, tmp_path: Path, disks: Disks
) -> None:
    disk, originals = disks("size=2m"), tmp_path / "originals"
    here = disk.path / "photos"
    shutil.copytree(photos, here)
    before = contents(here)
    words = ("--longest-side", 40, "--backup-to", originals)
    assert stillsift("repair", here, *words).status == 0
    repaired = contents(here)  # smaller than the originals
    disk.fill()
    done = stillsift("restore", "--store", originals, "--all")
    assert contents(here) == repaired
    assert (done.status, done.out.count("the disk is full")) == (1, 3)
    disk.free()
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(here) == before


def test_names_that_are_taken_are_left_to_their_files(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "b" / "lies.png").write_bytes((photos / "fine.jpg").read_bytes())
    before, originals = contents(photos), tmp_path / "originals"
    (originals / "b").mkdir(parents=True)
    (originals / "b" / "lies.jpg").write_text("somebody else's")
    words = ("--only", "orientation", "--only", "colour", "--backup-to", originals)
    assert stillsift("repair", photos, *words).status == 0
    made = {*contents(photos)} - {*before}
    assert made == {"b/lies.jpg.png"}
    assert (originals / "b" / "lies.jpg").read_text() == "somebody else's"
    assert contents(originals)["b/2_lies.jpg"] == before["b/lies.jpg"]
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(photos) == before


def test_files_of_one_name_and_the_same_bytes_have_an_original_each(
    stillsift: Command, tmp_path: Path
) -> None:
    photos, words = tmp_path / "photos", ("--backup-to", tmp_path / "originals")
    for folder in ("x", "y"):
        (photos / folder).mkdir(parents=True)
        turned(photos / folder / "a.jpg", 2)
    before = contents(photos)
    for folder in ("x", "y"):  # of each it is a.jpg
        assert stillsift("repair", photos / folder, *words).status == 0
    assert stillsift("restore", "--store", tmp_path / "originals", "--all").status == 0
    assert contents(photos) == before


def test_an_original_with_other_names_is_copied_and_so_is_one_on_another_disk(
    stillsift: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(photos / "turned.jpg", tmp_path / "other name")
    for module in (in_place_repair, quarantine):
        monkeypatch.setattr(module, "exchange", lambda *_: False)  # as on an old kernel
    before, originals = contents(photos), tmp_path / "originals"
    assert stillsift("repair", photos, "--backup-to", originals).status == 0
    assert (originals / "turned.jpg").stat().st_nlink == 1
    with (tmp_path / "other name").open("r+b") as file:
        file.write(b"changed by who has the other name")
    assert contents(originals)["turned.jpg"] == before["turned.jpg"]
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(photos) == before


def test_what_somebody_writes_to_stays(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    before = contents(photos)
    with (photos / "turned.jpg").open("r+b"):
        done = stillsift("repair", photos, "--backup-to", tmp_path / "originals")
    assert (done.status, "not done: somebody has it open for writing" in done.out) == (1, True)
    assert contents(photos)["turned.jpg"] == before["turned.jpg"]


def test_folders_of_other_commands_are_refused(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    originals, store = tmp_path / "originals", tmp_path / "store"
    stillsift("repair", photos, "--backup-to", originals)
    assert stillsift("sift", photos, "--remove-to", originals).status == 2
    assert "made by repair --backup-to" in stillsift("sift", photos, "--output", originals).err
    stillsift("sift", photos, "--output", store)
    assert stillsift("repair", photos, "--backup-to", store).status == 2
    assert stillsift("repair", originals, "--backup-to", originals).status == 2
    # What lies in a folder of originals is never looked at.
    stillsift("repair", photos, "--backup-to", photos / "originals", "--only", "suffix")
    assert "originals" not in stillsift("repair", photos).out


def test_killed_at_any_step_nothing_is_lost_and_the_next_run_ends_alike(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, into = contents(photos), tmp_path / "into"
    subprocess.run([*CUT_OFF, photos, into], check=True, capture_output=True)
    cut_off = sorted(into.iterdir(), key=lambda folder: int(folder.name))
    assert len(cut_off) > 20
    expected = contents(cut_off[-1] / "photos")
    assert set(expected) == {"fine.jpg", "turned.jpg", "b/lies.png"}
    for folder in cut_off:
        here, originals = folder / "photos", folder / "originals"
        safe = contents(originals) if originals.is_dir() else {}
        there = {*contents(here).values(), *safe.values()}
        assert {*before.values()} <= there, folder
        for path in here.rglob("[!.]*.*"):
            with Image.open(path) as image:
                image.load()  # a whole file under each name
        for name in ("turned.jpg", "fine.jpg"):
            assert (here / name).is_file(), folder
        if int(folder.name) % 3 == 0 and originals.is_dir():
            assert stillsift("restore", "--store", originals, "--all").status == 0
            found = {name: each for name, each in contents(here).items() if "/." not in f"/{name}"}
            assert {**found, **before} == found, folder
            continue
        assert stillsift("repair", here, "--backup-to", originals).status == 0
        assert contents(here) == expected, folder
        assert stillsift("restore", "--store", originals, "--all").status == 0
        assert contents(here) == before, folder


def test_undoing_killed_at_any_step_leaves_a_whole_file_under_each_name(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, into = contents(photos), tmp_path / "into"
    subprocess.run([*CUT_OFF, photos, into, "restore"], check=True, capture_output=True)
    cut_off = sorted(into.iterdir(), key=lambda folder: int(folder.name))
    assert len(cut_off) > 10
    assert contents(cut_off[-1] / "photos") == before
    for folder in cut_off:
        here, originals = folder / "photos", folder / "originals"
        assert {*before.values()} <= {*contents(here).values(), *contents(originals).values()}
        names = {str(path.relative_to(here)) for path in here.rglob("[!.]*.*")}
        assert {"turned.jpg", "fine.jpg"} <= names, folder
        assert {"b/lies.jpg", "b/lies.png"} & names, folder
        for name in names:
            with Image.open(here / name) as image:
                image.load()
        assert stillsift("restore", "--store", originals, "--all").status == 0, folder
        assert contents(here) == before, folder
