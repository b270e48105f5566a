"""Labels from class folders, YOLO and COCO files, and how even they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stillsift.dataset.annotations import Yolo, of_coco
from stillsift.dataset.balance import Labelling, balance_of
from stillsift.dataset.pictures import Entry, SetError
from stillsift.labels import Kind, checked
from stillsift.labels.coco import read_coco


def test_rare_labels_come_first_and_none_is_forgotten() -> None:
    pictures = [["cat", "cat", "dog"], ["cat"], [], None, ["dog", "cow"], None]
    found = balance_of(Labelling("yolo", pictures, ("cat", "dog", "hen"), of_objects=True))
    assert [(c.label, c.pictures, c.objects) for c in found.counts] == [
        ("hen", 0, 0),
        ("cow", 1, 1),
        ("dog", 2, 2),
        ("cat", 2, 3),
    ]
    assert (found.pictures, found.unlabelled, found.empty) == (6, 2, 1)
    assert sum(each.share for each in found.counts) == pytest.approx(1)
    assert found.entropy == pytest.approx(1.4591, abs=1e-4)  # of 1/6, 1/3, 1/2
    assert found.effective == pytest.approx(2.7496, abs=1e-3)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_even_labels_are_as_many_as_they_are(count: int) -> None:
    found = balance_of(Labelling("folder", [[str(n % count)] for n in range(3 * count)]))
    assert found.effective == pytest.approx(count)
    assert balance_of(Labelling("folder", [[]])).effective == 0


def entry(path: Path) -> Entry:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return Entry(path.name, path)


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        ("a.jpg", "a.txt"),
        ("a.jpg", "labels/a.txt"),
        ("val/a.jpg", "val/labels/a.txt"),
        ("val/a.jpg", "labels/val/a.txt"),
        ("images/val/a.jpg", "labels/val/a.txt"),
    ],
)
def test_yolo_files_are_found_where_they_are_kept(tmp_path: Path, picture: str, text: str) -> None:
    entries = [entry(tmp_path / picture), entry(tmp_path / "other.jpg")]
    file = tmp_path / text
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("1 0.5 0.5 0.1 0.1\n0 .1 .1 .1 .1 .2 .2\n\n1 x y 0 0\n")
    (tmp_path / "data.yaml").write_text("names: [person, dog, hen]\n")
    yolo = Yolo(tmp_path, entries)
    assert yolo.is_there()
    labelling = yolo.labelling()
    assert list(labelling.pictures) == [["dog", "person"], None]
    assert list(labelling.names) == ["person", "dog", "hen"]
    assert yolo.unread == [(f"{file}:4", "is no label: class and numbers are wanted")]


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("images/a.png", "labels/a.txt"),
        ("obj_train_data/a.png", "obj_train_data/a.txt"),
    ],
)
@pytest.mark.parametrize("names", ["data.yaml", "classes.txt", "obj.names"])
def test_balance_and_labels_know_the_same_names_from_any_folder(
    tmp_path: Path, picture: str, text: str, names: str
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / names).write_text("names: [wrong]\n")  # of something else
    listed = "names: [person, cat]\n" if names == "data.yaml" else "person\ncat\n"
    (tmp_path / "set" / names).write_text(listed)
    path, label = tmp_path / "set" / picture, tmp_path / "set" / text
    path.parent.mkdir(parents=True)
    label.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20)).save(path)
    label.write_text("1 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.2 0.2\n")
    folders = [each for each in path.parents if each.is_relative_to(tmp_path / "set")]
    for folder in folders:
        labelling = Yolo(folder, [Entry(path.name, path)]).labelling()
        assert (list(labelling.pictures), list(labelling.names)) == (
            [["cat", "2"]],
            ["person", "cat"],
        )
        found = checked([folder], [path, label], 10**6).wrong
        assert [one.what for one in found] == ["class 2 has no name"], folder
    # The nearest to the labels counts.
    (label.parent / "classes.txt").write_text("a\nb\nc\n")
    assert list(Yolo(folders[-1], [Entry(path.name, path)]).labelling().pictures) == [["b", "c"]]
    assert checked([folders[0]], [path, label], 10**6).wrong == []


def test_names_of_the_folder_above_are_those_of_another_set(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("wrong\n")
    picture = entry(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert list(Yolo(tmp_path / "photos", [picture]).labelling().pictures) == [["0"]]


def test_names_that_cannot_be_read_are_told_by_labels_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: [a, b\n")
    found = checked([tmp_path], list(tmp_path.iterdir()), 10**6).wrong
    assert [(one.file.name, one.kind) for one in found] == [("data.yaml", Kind.UNPARSABLE)]


def test_a_caption_beside_a_picture_is_no_yolo(tmp_path: Path) -> None:
    entries = [entry(tmp_path / "a.jpg")]
    (tmp_path / "a.txt").write_text("3 dogs on a lawn in the sun\n")
    assert not Yolo(tmp_path, entries).is_there()


@pytest.mark.parametrize(
    "text",
    [b"names: [a, b\n", b"names: " + b"[" * 3000 + b"]" * 3000, b"names: 5", b"\xff", b"- a"],
)
def test_names_that_cannot_be_read_are_an_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "data.yaml").write_bytes(text)
    with pytest.raises(SetError, match=r"data\.yaml: the names of the classes cannot be read"):
        Yolo(tmp_path, []).labelling()


def test_an_empty_file_is_a_label_as_for_labels(tmp_path: Path) -> None:
    """`balance` and `labels` agree on which pictures nobody has labelled."""
    names = ("labels", "empty", "blank", "caption", "none")
    paths = [tmp_path / f"{name}.png" for name in names]
    for path in paths:
        Image.new("RGB", (20, 20)).save(path)
    texts = {"labels": "0 0.5 0.5 0.2 0.2", "empty": "", "blank": "\n \n", "caption": "a dog"}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "classes.txt").write_text("cat\n")
    yolo = Yolo(tmp_path, [Entry(path.name, path) for path in paths])
    labelling = yolo.labelling()
    assert (list(labelling.pictures), yolo.unread) == ([["cat"], [], [], None, None], [])
    found = balance_of(labelling)
    assert (found.unlabelled, found.empty) == (2, 2)
    assert checked([tmp_path], list(tmp_path.iterdir()), 10**6).unlabelled == paths[3:]


def test_coco(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in (1, 2)]
    told = {
        "images": images,
        "annotations": [
            {"image_id": 1, "category_id": 7, "bbox": [1, 1, 5, 5]},
            {"image_id": 1, "category_id": 7},  # a mask, or points
            {"image_id": 1, "category_id": 9},
            {"id": 8, "image_id": 1, "category_id": 7, "bbox": "wide"},
            {"image_id": 3, "category_id": 7},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
    }
    file.write_text(json.dumps(told))
    labelling, unread = of_coco(file)
    found = balance_of(labelling)
    assert [(c.label, c.objects) for c in found.counts] == [
        ("dog", 0),
        ("category 9", 1),
        ("cat", 2),
    ]
    assert (found.pictures, found.unlabelled, found.empty) == (2, 0, 1)
    assert unread == [(str(one.file), one.what) for one in read_coco(file.read_bytes(), file).wrong]
    assert [why for _, why in unread] == [
        "annotation 8: its bbox is not four numbers",
        "annotations name image 3 (1 of them), which is not listed",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"train\.json:1: is no JSON"),
        ("[" * 100_000, r"train\.json: is no JSON"),
        ("[]", "images and annotations are not both lists of objects; mend it by hand"),
        ('{"images": [], "categories": []}', "images and annotations are not both"),
        ('{"images": [], "categories": [], "annotations": [{}]}', "image null"),
    ],
)
def test_what_is_no_coco_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "train.json"
    file.write_text(text)
    with pytest.raises(SetError, match=message):
        of_coco(file)
