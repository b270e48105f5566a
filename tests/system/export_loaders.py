"""Loads exports with the libraries that read them elsewhere; run by `exports` in their environments.

export_loaders.py LOADER DIR: loads what lies in DIR/FORMAT, and prints as JSON how many frames and
boxes there are, by the splits, and one of them in words.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

Told = dict[str, Any]
_NONE: dict[str, list[str]] = {"label": []}


def told(frames: dict[str, int], boxes: int | None, one: object) -> Told:
    return {"frames": frames, "boxes": boxes, "one": " ".join(str(one).split())[:160]}


def _hugging_face(sets: Any, picture: str, boxes: Any, one: Any) -> Told:
    frames, number = {}, 0
    for split, rows in sets.items():
        frames[{"validation": "val"}.get(split, split)] = len(rows)
        for row in rows:
            row[picture].load()
            number += boxes(row)
    return told(frames, number, one(sets["train"][0]))


def datasets_imagefolder(root: Path) -> Told:
    from datasets import load_dataset

    sets = load_dataset("imagefolder", data_dir=str(root / "imagefolder"))
    return _hugging_face(
        sets,
        "image",
        lambda row: len(row["objects"]["label"]),
        lambda row: {key: row[key] for key in ("image", "source", "captured_at", "objects")},
    )


def datasets_parquet(root: Path) -> Told:
    from datasets import load_dataset

    sets = load_dataset(str(root / "parquet"))
    return _hugging_face(
        sets,
        "image",
        lambda row: len(row["objects"] or ()),
        lambda row: (row["image"], f"{len(row['embedding'])} numbers", row["objects"]),
    )


def datasets_webdataset(root: Path) -> Told:
    from datasets import load_dataset

    sets = load_dataset("webdataset", data_dir=str(root / "webdataset"))
    return _hugging_face(
        sets,
        "jpg",
        lambda row: len((row["json"].get("objects") or _NONE)["label"]),
        lambda row: (row["__key__"], row["jpg"], row["json"]["source"]),
    )


def webdataset(root: Path) -> Told:
    from webdataset import WebDataset

    frames, boxes = {}, 0
    samples: list[Any] = []
    for split in ("train", "val"):
        shards = sorted(str(path) for path in (root / "webdataset").glob(f"{split}-*.tar"))
        samples = list(WebDataset(shards, shardshuffle=False).decode("pil"))
        frames[split] = len(samples)
        boxes += sum(len(sample["json"].get("objects", _NONE)["label"]) for sample in samples)
    return told(frames, boxes, {k: samples[0][k] for k in ("__key__", "jpg")})


def pycocotools(root: Path) -> Told:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    frames, boxes = {}, 0
    for split in ("train", "val"):
        read = COCO(str(root / "coco" / "annotations" / f"instances_{split}.json"))
        for image in read.imgs.values():
            assert (root / "coco" / "images" / split / image["file_name"]).is_file()
        frames[split] = len(read.imgs)
        boxes += len(read.anns)
        if split == "train":  # against itself: all found
            found = read.loadRes(list(read.anns.values()))
            judged = COCOeval(read, found, "bbox")
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
    return told(frames, boxes, f"AP of the pre-labels against themselves {judged.stats[0]:.2f}")


def _datumaro(path: Path, format: str) -> Told:
    from datumaro.components.dataset import Dataset

    read = Dataset.import_from(str(path), format)
    frames: dict[str, int] = {}
    boxes, one = 0, None
    for item in read:
        split = "val" if item.subset == "val" else "train"
        frames[split] = frames.get(split, 0) + 1
        boxes += len(item.annotations)
        assert item.media.data.ndim == 3
        one = item.annotations[0] if item.annotations else one
    return told(frames, boxes, one)


def datumaro_coco(root: Path) -> Told:
    return _datumaro(root / "coco", "coco_instances")


def datumaro_yolo(root: Path) -> Told:
    return _datumaro(root / "yolo", "yolo")


def datumaro_cvat(root: Path) -> Told:
    frames, boxes, one = 0, 0, ""
    for path in sorted((root / "cvat").glob("*.zip")):
        with tempfile.TemporaryDirectory() as folder, ZipFile(path) as packed:
            packed.extractall(folder)
            part = _datumaro(Path(folder), "cvat")
        frames += sum(part["frames"].values())
        boxes += part["boxes"]
        one = part["one"]
    return told({"": frames}, boxes, one)


def cvat_sdk(root: Path) -> Told:
    """No server: the labels are what its client sends to make a project, and the file its form."""
    from cvat_sdk import models

    labels = json.loads((root / "cvat" / "labels.json").read_text())
    asked = [models.PatchedLabelRequest(**label) for label in labels]
    project = models.ProjectWriteRequest(name="stillsift", labels=asked)
    return told({}, None, project.to_dict())


def label_studio_sdk(root: Path) -> Told:
    from label_studio_sdk.label_interface import LabelInterface

    folder = root / "label-studio"
    interface = LabelInterface((folder / "labels.xml").read_text())
    interface.validate()
    frames, boxes, task = 0, 0, None
    for path in sorted(folder.glob("tasks-*.json")):
        for task in json.loads(path.read_text()):
            frames += 1
            assert interface.validate_task({"data": task["data"]})
            for made in task.get("predictions", []):
                assert interface.validate_prediction(made)
                boxes += len(made["result"])
    return told({"": frames}, boxes, task)


def fiftyone(root: Path) -> Told:
    """Without its database: its importers, which read what `Dataset.from_dir` reads."""
    from fiftyone.utils.coco import COCODetectionDatasetImporter
    from fiftyone.utils.yolo import YOLOv5DatasetImporter

    frames, boxes, one = {}, 0, None
    for split in ("train", "val"):
        importer = COCODetectionDatasetImporter(
            data_path=str(root / "coco" / "images" / split),
            labels_path=str(root / "coco" / "annotations" / f"instances_{split}.json"),
        )
        with importer:
            rows = list(importer)
        frames[split] = len(rows)
        found = [each for *_, label in rows if label for each in label["detections"].detections]
        boxes += len(found)
        one = one or f"{found[0].label} {found[0].confidence} {found[0].bounding_box}"
    yolo = YOLOv5DatasetImporter(str(root / "yolo"), yaml_path="data.yaml", split="train")
    with yolo:
        assert len(list(yolo)) == frames["train"]
    return told(frames, boxes, one)


def pyarrow(root: Path) -> Told:
    import pyarrow.dataset

    frames, boxes = {}, 0
    for split in ("train", "val"):
        files = sorted(map(str, (root / "parquet").glob(f"{split}-*.parquet")))
        table = pyarrow.dataset.dataset(files).to_table(columns=["objects", "embedding"])
        frames[split] = len(table)
        boxes += sum(len(each or ()) for each in table["objects"].to_pylist())
    return told(frames, boxes, table.schema.field("embedding"))


def duckdb(root: Path) -> Told:
    import duckdb

    files = f"'{root}/parquet/*.parquet'"
    rows = duckdb.sql(
        "SELECT parse_filename(filename)[:3], count(*), sum(len(objects))"
        f" FROM read_parquet({files}, filename=true) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    nearest = duckdb.sql(
        "SELECT a.source, round(max(list_cosine_similarity(a.embedding, b.embedding)), 3)"
        f" FROM {files} a JOIN {files} b ON a.source = b.source AND a.id < b.id GROUP BY 1"
    ).fetchall()
    frames = {{"tra": "train"}.get(split, split): number for split, number, _ in rows}
    return told(frames, int(sum(row[2] or 0 for row in rows)), f"most alike: {nearest}")


def frictionless(root: Path) -> Told:
    """Its schemas lie in the net: the tables are read, and keys checked, with what it infers."""
    from frictionless import Package, Schema

    package = json.loads((root / "camtrap-dp" / "datapackage.json").read_text())
    keys = {
        "deployments": {"primaryKey": "deploymentID"},
        "media": {"primaryKey": "mediaID", "foreignKeys": [_key("deploymentID", "deployments")]},
        "observations": {
            "primaryKey": "observationID",
            "foreignKeys": [_key("deploymentID", "deployments"), _key("mediaID", "media")],
        },
    }
    for resource in package["resources"]:
        path = root / "camtrap-dp" / resource["path"]
        resource["schema"] = {**Schema.describe(str(path)).to_dict(), **keys[resource["name"]]}
    package.pop("profile")
    report = Package(package, basepath=str(root / "camtrap-dp")).validate()
    assert report.valid, report.flatten(["type", "message"])
    return told({}, None, "valid, with primary and foreign keys")


def _key(name: str, table: str) -> dict[str, object]:
    return {"fields": [name], "reference": {"resource": table, "fields": [name]}}


def trap_schema(root: Path) -> Told:
    """Camtrap DP 1.0.2 with all its types, ranges and vocabularies."""
    from trap_schema.dataset import Dataset

    read = Dataset.load(root / "camtrap-dp")
    boxes = [row for row in read.observations.rows if row.bboxX is not None]
    return told({"": len(read.media.rows)}, len(boxes), boxes[0])


def camtrapdp(root: Path) -> Told:
    from camtrapdp import Deployment, Media, Observation

    made: dict[str, list[Any]] = {}
    for kind, table in (
        (Deployment, "deployments"),
        (Media, "media"),
        (Observation, "observations"),
    ):
        made[table] = [kind(**row) for row in _rows(root / "camtrap-dp" / f"{table}.csv")]
    boxes = [each for each in made["observations"] if each.bboxX]
    return told({"": len(made["media"])}, len(boxes), made["deployments"][0])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    loader, folder = sys.argv[1:]
    result = globals()[loader](Path(folder))
    print(f"\n{json.dumps(result)}")
