"""What is exported is read back, by the libraries that read it elsewhere, and is what was kept."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import shutil
import sqlite3
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

import cv2
import duckdb
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest
import webdataset
import yaml
from export_stores import BOX, SIZE, add_photos, contents
from pycocotools.coco import COCO

from conftest import Command
from photographs import textured
from stillsift.export.exporting import FORMATS

ODD = """a <"light">, 'odd' & \x1b[31m: ü"""
"""A label as a file of a detector may have it."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three sources: with a light, with none, and where nobody has looked for one."""
    store = tmp_path_factory.mktemp("made") / "store"
    add_photos(store, "gate", range(3))
    add_photos(store, "yard", range(3, 5), asks="inhibit")
    add_photos(store, "lane", range(5, 6), asks=None)
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made.parent, tmp_path / "in") / "store"


def kept(store: Path) -> dict[str, str]:
    """The SHA-256 of each kept picture by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (store / "kept").rglob("*.png")
    }


def ids(names: Any) -> set[str]:
    return {Path(name).stem.partition("_")[2] for name in names}


def exported(stillsift: Command, store: Path, format: str, *words: object) -> Path:
    out = store.parent.parent / format
    done = stillsift("export", "--store", store, "--format", format, "--output", out, *words)
    assert done.status == 0, done
    return out


def test_imagefolder(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "imagefolder")
    lines = list(map(json.loads, (out / "train" / "metadata.jsonl").read_text().splitlines()))
    assert {line["file_name"] for line in lines} == set(kept(store))
    assert {p.name: sha for p, sha in pictures(out / "train").items()} == kept(store)
    with_light = [line for line in lines if line["objects"]["label"]]
    assert {line["source"] for line in with_light} == {"gate"}
    assert all(line["objects"]["label"] == ["light"] for line in with_light)


def pictures(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.png")}


def test_coco(stillsift: Command, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = exported(stillsift, store, "coco")
    read = COCO(str(out / "annotations" / "instances_train.json"))
    assert {image["file_name"] for image in read.loadImgs(read.getImgIds())} == set(kept(store))
    assert {p.name: sha for p, sha in pictures(out / "images").items()} == kept(store)
    boxes = read.loadAnns(read.getAnnIds())
    assert len(boxes) == 3
    for each in boxes:
        left, top, right, bottom = BOX
        assert np.allclose(each["bbox"], (left, top, right - left, bottom - top), atol=4)
        assert each["score"] == 1
    assert [each["name"] for each in read.loadCats(read.getCatIds())] == ["light"]
    capsys.readouterr()  # it prints


def test_yolo(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "yolo")
    data = yaml.safe_load((out / "data.yaml").read_text("utf-8"))
    assert data == {"train": "images/train", "val": "images/train", "names": {0: "light"}}
    texts = {path.stem: path.read_text() for path in (out / "labels" / "train").iterdir()}
    names = {Path(name).stem for name in kept(store)}
    assert set(texts) < names, "where nobody has looked, there is no text"
    assert len(texts) == 5
    lines = [text for text in texts.values() if text]
    assert len(lines) == 3, "where none was found, it is empty"
    for line in lines:
        number, *shares = line.split()
        assert number == "0"
        x, y, width, height = (float(share) for share in shares)
        left, right = (x - width / 2) * SIZE[0], (x + width / 2) * SIZE[0]
        top, bottom = (y - height / 2) * SIZE[1], (y + height / 2) * SIZE[1]
        assert np.allclose((left, top, right, bottom), BOX, atol=4)
    done = stillsift("labels", out, "--json")
    assert done.status == 0, done
    assert "no_picture" not in done.out


def test_cvat(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "cvat")
    with ZipFile(out / "cvat-000001.zip") as packed:
        assert packed.testzip() is None
        told = {Path(n).name: packed.read(n) for n in packed.namelist() if n.startswith("images/")}
        root = ElementTree.fromstring(packed.read("annotations.xml"))
    assert {name: hashlib.sha256(data).hexdigest() for name, data in told.items()} == kept(store)
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "6"
    assert [each.text for each in root.iter("name")][1:] == ["light"]
    images = root.findall("image")
    assert {image.get("name") for image in images} == set(told)
    assert {(image.get("width"), image.get("height")) for image in images} == {("640", "480")}
    boxes = list(root.iter("box"))
    assert len(boxes) == 3
    for box in boxes:
        sides = [float(box.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr")]
        assert np.allclose(sides, BOX, atol=4)
    assert json.loads((out / "labels.json").read_text()) == [{"name": "light", "attributes": []}]


def test_label_studio(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "label-studio")
    tasks = json.loads((out / "tasks-000001.json").read_text())
    assert len(tasks) == 6
    interface = ElementTree.parse(out / "labels.xml")
    (image,), (labels,) = interface.iter("Image"), interface.iter("RectangleLabels")
    assert [each.get("value") for each in labels] == ["light"]
    shown = 0
    for task in tasks:
        place = urlsplit(task["data"][str(image.get("value"))[1:]])
        assert place.path == "/data/local-files/"
        (inside,) = parse_qs(place.query)["d"]
        assert hashlib.sha256((out / inside).read_bytes()).hexdigest() in kept(store).values()
        for made in task.get("predictions", []):
            for region in made["result"]:
                shown += 1
                assert (region["from_name"], region["to_name"]) == (
                    labels.get("name"),
                    image.get("name"),
                )
                value = region["value"]
                left, top = value["x"] / 100 * SIZE[0], value["y"] / 100 * SIZE[1]
                assert np.allclose((left, top), BOX[:2], atol=4)
                assert value["rectanglelabels"] == ["light"]
    assert shown == 3
    assert sum("predictions" in task for task in tasks) == 5


def test_webdataset(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "webdataset")
    with (out / "train-000001.tar").open("rb") as shard:  # the library does not close what it opens
        files = webdataset.tariterators.tar_file_iterator(shard)
        named = ({**each, "__url__": "train-000001.tar"} for each in files)
        grouped = webdataset.tariterators.group_by_keys(named)
        samples = list(
            map(webdataset.autodecode.Decoder([webdataset.imagehandler("rgb8")]), grouped)
        )
    assert {sample["__key__"] for sample in samples} == ids(kept(store))
    for sample in samples:
        assert sample["png"].shape == (*SIZE[::-1], 3)
        assert sample["json"]["id"] == sample["__key__"]
    found = [sample["json"]["objects"]["label"] for sample in samples]
    assert found[0] == ["light"], "the fullest first"
    assert len({tuple(sorted(sample["json"])) for sample in samples}) == 1
    assert sorted(found) == [[], [], [], *[["light"]] * 3]


def test_parquet(stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, "parquet")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    rows = parquet.read_table(out / "train-000001.parquet").to_pylist()
    with sqlite3.connect(store / "ledger.sqlite") as ledger:
        vectors = dict(ledger.execute("SELECT id, vector FROM embeddings").fetchall())
        vectors |= dict(ledger.execute("SELECT id, vector FROM album").fetchall())
    assert {row["id"] for row in rows} == ids(kept(store))
    for row in rows:
        digest = hashlib.sha256(row["image"]["bytes"]).hexdigest()
        assert digest == row["sha256"] == kept(store)[row["file_name"]]
        embedding = np.asarray(row["embedding"], "<f4")
        assert embedding.tobytes() == vectors[row["id"]]
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-3)
    told = duckdb.sql(
        "SELECT source, sum(len(objects)), count(objects), min(captured_at) < max(captured_at)"
        f" FROM '{out}/*.parquet' GROUP BY 1 ORDER BY 1"
    )
    assert told is not None
    assert told.fetchall() == [("gate", 3, 3, True), ("lane", None, 0, False), ("yard", 0, 2, True)]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_camtrap_dp(stillsift: Command, store: Path) -> None:
    out = store.parent.parent / "package"
    words = ("--store", store, "--format", "camtrap-dp", "-o", out)
    done = stillsift("export", *words, "--location", "gate=52.7,-23.85")
    assert done.status == 0
    assert "asks for latitude and longitude, and lane, yard has none" in done.err
    assert "name the project and who made it in datapackage.json" in done.err
    deployments = {row["deploymentID"]: row for row in rows_of(out / "deployments.csv")}
    assert set(deployments) == {"gate", "lane", "yard"}
    assert (deployments["gate"]["latitude"], deployments["gate"]["longitude"]) == ("52.7", "-23.85")
    assert deployments["gate"]["deploymentStart"] < deployments["gate"]["deploymentEnd"]
    media = {row["mediaID"]: row for row in rows_of(out / "media.csv")}
    assert set(media) == ids(kept(store))
    for row in media.values():
        assert (out / row["filePath"]).is_file()
        assert (row["fileMediatype"], row["filePublic"]) == ("image/png", "false")
    seen = rows_of(out / "observations.csv")
    assert {row["mediaID"] for row in seen} == set(media)
    types = sorted(row["observationType"] for row in seen)
    assert types == ["blank", "blank", *["unclassified"] * 4]
    boxed = [row for row in seen if row["bboxX"]]
    assert {row["observationTags"] for row in boxed} == {"label:light"}
    assert all(abs(float(row["bboxX"]) * SIZE[0] - BOX[0]) < 4 for row in boxed)
    package = json.loads((out / "datapackage.json").read_text())
    assert package["spatial"] == {"type": "MultiPoint", "coordinates": [[-23.85, 52.7]]}
    days = {row["timestamp"][:10] for row in media.values()}
    assert package["temporal"] == {"start": min(days), "end": max(days)}

    project = {**package["project"], "title": "Foxes"}
    mine = {"contributors": [{"title": "Ada", "role": "contact"}], "project": project}
    (out / "datapackage.json").write_text(json.dumps({**package, **mine}))
    places = ("--location", "lane=1,2", "--location", "yard=3,4")
    done = stillsift("export", *words, *places)
    assert done.err == ""
    again = json.loads((out / "datapackage.json").read_text())
    assert (again["project"], again["contributors"]) == (project, mine["contributors"])
    assert rows_of(out / "deployments.csv")[0]["latitude"] == "52.7"


def test_objects_are_the_observations_of_what_they_are(stillsift: Command, tmp_path: Path) -> None:
    store = tmp_path / "in" / "store"
    for number, label in enumerate(("person", "truck", "dog")):
        add_photos(store, label, range(3 * number, 3 * number + 1), label=label)
    out = exported(stillsift, store, "camtrap-dp")
    types = {
        row["deploymentID"]: row["observationType"] for row in rows_of(out / "observations.csv")
    }
    assert types == {"person": "human", "truck": "vehicle", "dog": "animal"}


# -- again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_again_only_what_is_new_is_added(format: str, stillsift: Command, store: Path) -> None:
    out = exported(stillsift, store, format)
    first = contents(out)
    words = ("--store", store, "--format", format, "--output", out)
    told = json.loads(stillsift("export", *words, "--json").out)
    assert (told["added"], told["already"]) == (0, 6)
    assert contents(out) == first
    add_photos(store, "dock", range(7, 9), label=ODD)
    told = json.loads(stillsift("export", *words, "--json").out)
    assert (told["added"], told["already"], told["labels"]) == (2, 6, ["light", ODD])
    both = contents(out)
    assert set(both) > set(first)
    changed = {name for name in first if both[name] != first[name]}
    assert changed <= {
        *("train/metadata.jsonl", "annotations/instances_train.json", "data.yaml", "labels.json"),
        *("labels.xml", "deployments.csv", "media.csv", "observations.csv", "datapackage.json"),
    }
    told = json.loads(stillsift("export", *words, "--json").out)
    assert told["added"] == 0
    assert contents(out) == both


def test_classes_keep_their_numbers_whatever_they_are_called(
    stillsift: Command, store: Path
) -> None:
    exported(stillsift, store, "yolo")
    add_photos(store, "dock", range(7, 8), label=ODD)
    out = exported(stillsift, store, "yolo")
    assert yaml.safe_load((out / "data.yaml").read_text("utf-8"))["names"] == {0: "light", 1: ODD}
    numbers = {path.read_text()[:1] for path in (out / "labels" / "train").iterdir()}
    assert numbers == {"", "0", "1"}
    read = COCO(str(exported(stillsift, store, "coco") / "annotations" / "instances_train.json"))
    assert {each["name"] for each in read.loadCats(read.getCatIds())} == {"light", ODD}
    shown = ODD.replace("\x1b", "\\x1b")
    with ZipFile(exported(stillsift, store, "cvat") / "cvat-000001.zip") as packed:
        boxes = ElementTree.fromstring(packed.read("annotations.xml")).iter("box")
    assert {box.get("label") for box in boxes} == {"light", shown}
    interface = ElementTree.parse(exported(stillsift, store, "label-studio") / "labels.xml")
    assert [label.get("value") for label in interface.iter("Label")] == ["light", shown]


# -- which frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("--source", "yard"), 2),
        (("--label", "light"), 3),
        (("--reason", "novel"), 6),
        (("--since", "2026-09-23"), 4),
        (("--until", "2026-09-23"), 2),
        (("--source", "gate", "--label", "light", "--until", "2026-09-22"), 1),
    ],
)
def test_only_what_is_asked_for(
    words: tuple[str, ...], number: int, stillsift: Command, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = ("--store", store, "--format", "coco", "--output", out, "--json")
    assert json.loads(stillsift("export", *given, *words).out)["added"] == number
    assert json.loads(stillsift("export", *given).out)["added"] == 6 - number


@pytest.mark.parametrize("format", ["imagefolder", "coco", "yolo", "webdataset", "parquet"])
def test_days_are_set_apart_as_a_whole_and_stay_so(
    format: str, stillsift: Command, store: Path
) -> None:
    exported(stillsift, store, format, "--val", "0.34")
    add_photos(store, "dock", range(0, 9), asks=None, label="x")
    out = exported(stillsift, store, format)
    days: dict[str, set[str]] = {"train": set(), "val": set()}
    with sqlite3.connect(out / ".stillsift-export" / "state.sqlite") as state:
        splits = dict(state.execute("SELECT id, split FROM frames").fetchall())
    for name in kept(store):
        days[splits[Path(name).stem.partition("_")[2]]].add(name[:8])
    assert days["val"]
    assert not days["train"] & days["val"]
    assert json.loads(
        stillsift("export", "--store", store, "--format", format, "-o", out, "--json").out
    )["splits"] == {split: list(splits.values()).count(split) for split in ("train", "val")}
    assert any("val" in name for name in contents(out))


def columns(path: Path) -> list[set[str]]:
    return [set(json.loads(line)) for line in path.read_text().splitlines()]


def test_a_source_is_set_apart_as_a_whole(stillsift: Command, store: Path, tmp_path: Path) -> None:
    words = ("--store", store, "--format", "imagefolder", "-o", tmp_path / "out")
    done = stillsift("export", *words, "--val", "0.2", "--val-by", "source")
    splits = {
        split: (tmp_path / "out" / split / "metadata.jsonl").read_text().splitlines()
        for split in ("train", "val")
    }
    named = {split: {json.loads(line)["source"] for line in splits[split]} for split in splits}
    assert named["val"]
    assert not named["val"] & named["train"]
    # `datasets` loads it only if both have the same columns, of the same types.
    boxes = [
        set(map(str, columns(tmp_path / "out" / split / "metadata.jsonl"))) for split in splits
    ]
    assert boxes[0] == boxes[1]
    lacking = "metadata.jsonl tells no boxes, since all frames of one split have none"
    assert lacking in done.err


def test_what_is_divided_by_day_is_not_divided_by_source_later(
    stillsift: Command, store: Path
) -> None:
    out = exported(stillsift, store, "imagefolder", "--val", "0.34")
    before = contents(out)
    add_photos(store, "dock", range(9), asks=None, label="x")
    words = ("--store", store, "--format", "imagefolder", "-o", out)
    done = stillsift("export", *words, "--val-by", "source")
    assert done.status == 1
    assert "was divided by day; by source, frames that look alike would get into both" in done.err
    assert contents(out) == before
    assert stillsift("export", *words, "--val-by", "day").status == 0


def test_a_label_that_no_frame_shows_is_answered_with_those_there_are(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    words = ("--store", store, "--format", "coco", "-o", tmp_path / "out", "--label", "dog")
    done = stillsift("export", *words)
    assert done.status == 1
    assert "no frame is kept that was asked for: none shows dog; there is light" in done.err
    assert not (tmp_path / "out").exists()


def test_the_first_lines_of_an_imagefolder_have_all_columns(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    add_photos(store, "dock", range(7, 9))
    out = tmp_path / "out"
    words = ("--store", store, "--format", "imagefolder", "-o", out)
    for source in ("lane", "yard", "gate"):
        stillsift("export", *words, "--source", source, "--val-by", "source")
    done = stillsift("export", *words, "--val", "0.5")
    assert done.err == ""
    told = {split: columns(out / split / "metadata.jsonl") for split in ("train", "val")}
    assert set.union(*told["train"]) == set.union(*told["val"])
    first = (out / "train" / "metadata.jsonl").read_text().splitlines()[:3]
    labels = [json.loads(line)["objects"]["label"] for line in first]
    assert ["light"] in labels, "though three without one were exported before"


def test_boxes_are_in_pixels_of_the_picture_upright(
    stillsift: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repair has made it smaller, and has left it on its side."""
    add_photos(tmp_path / "store", "gate", range(1))
    (photo,) = (tmp_path / "gate").iterdir()
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 6
    with PIL.Image.open(photo) as picture:
        picture.save(photo.with_suffix(".jpg"), exif=exif, quality=95)
    photo.unlink()
    words = ("-c", tmp_path / "gate.yaml", "-o", tmp_path / "turned")
    repair = ("--set", "repair={longest_side: 320}")
    assert stillsift("sift", tmp_path / "gate", *words, *repair).status == 0
    out = tmp_path / "coco"
    assert stillsift("export", "--store", tmp_path / "turned", "--format", "coco", "-o", out).out
    read = COCO(str(out / "annotations" / "instances_train.json"))
    (image,), (box,) = read.imgs.values(), read.anns.values()
    with PIL.Image.open(out / "images" / "train" / image["file_name"]) as picture:
        assert picture.size == (320, 240)
        pixels = np.asarray(PIL.ImageOps.exif_transpose(picture).convert("L"))
    assert (image["width"], image["height"]) == (240, 320)
    rows, columns = np.nonzero(pixels > 200)
    seen = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert np.allclose(box["bbox"], seen, atol=4)
    capsys.readouterr()


def test_pictures_that_few_trainers_read_are_told(stillsift: Command, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    assert cv2.imwrite(str(photos / "a.jp2"), textured(1))
    assert stillsift("sift", photos, "-o", tmp_path / "store").status == 0
    words = ("--store", tmp_path / "store", "--format", "camtrap-dp", "-o", tmp_path / "out")
    done = stillsift("export", *words)
    assert "1 picture of a kind that few trainers read" in done.err
    assert "no detector has looked at 1 of 1 frames added" in done.err
    (row,) = rows_of(tmp_path / "out" / "media.csv")
    assert row["fileMediatype"] == "image/jp2"
