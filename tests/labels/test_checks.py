"""Labels are held against their pictures: each mistake has its line, its kind and its way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stillsift.labels import Checked, Kind, checked
from stillsift.labels.checks import mended
from stillsift.labels.coco import read_coco
from stillsift.labels.voc import number, read_voc
from stillsift.labels.yolo import mended_yolo, read_yolo

Check = Callable[[], Checked]

VOC = """\
<?xml version="1.0" encoding="UTF-8"?>
<annotation>
  <filename>a.jpg</filename><!-- a > comment -->
  <size><width>200</width><height>100</height><depth>3</depth></size>
{objects}</annotation>
"""
OBJECT = """\
  <object>
    <name>{name}</name>
    <bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
  </object>
"""


def picture(path: Path, size: tuple[int, int] = (200, 100)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def check(root: Path) -> Checked:
    return checked([root], [path for path in root.rglob("*") if path.is_file()], 10**6)


def told(found: Checked) -> set[tuple[str, int | None, Kind]]:
    return {(one.file.name, one.line, one.kind) for one in found.wrong}


def after(root: Path, name: str) -> str:
    """A file of a folder with all mended that can be."""
    path = next(root.rglob(name))
    wrong = [one for one in check(root).wrong if one.file == path]
    made = mended(path.read_bytes(), path, wrong)
    assert made is not None
    return made.decode()


# -- YOLO ------------------------------------------------------------------------------------------


def yolo(root: Path, *lines: str, names: str = "names: [cat, dog]\n") -> Path:
    picture(root / "images" / "train" / "a.png")
    write(root / "labels" / "train" / "a.txt", "\n".join(lines) + "\n")
    write(root / "data.yaml", names)
    return root


@pytest.mark.parametrize(
    ("line", "kind", "way_out"),
    [
        ("0 0.5 0.5 0.2 0.2", None, ""),
        ("1 0.1 0.1 0.3 0.1 0.3 0.9", None, ""),  # an outline
        ("1 0.5 0.5 1.001 1", None, ""),  # by a fifth of a pixel
        ("2 0.5 0.5 0.2 0.2", Kind.NO_NAME, "name the class"),
        ("-1 0.5 0.5 0.2 0.2", Kind.NO_NAME, "correct the number"),
        ("1 0.95 0.5 0.2 0.2", Kind.OUTSIDE, "clip it"),
        ("1 1.5 0.5 0.2 0.2", Kind.OUTSIDE, "draw it again"),
        ("1 100 50 20 20", Kind.OUTSIDE, "draw it again"),  # in pixels
        ("1 0.1 0.1 1.3 0.1 0.3 0.9", Kind.OUTSIDE, "clip it"),
        ("1 0.5 0.5 -0.2 0.2", Kind.SWAPPED, "swap them"),
        ("1 0.5 0.5 0 0.2", Kind.NO_AREA, "draw it again"),
        ("1 0.5 0.5 0.2", Kind.UNPARSABLE, "mend the line"),
        ("1 0.5 0.5 0.2 0.2 0.9", Kind.UNPARSABLE, "mend the line"),
        ("cat 0.5 0.5 0.2 0.2", Kind.UNPARSABLE, "mend the line"),
        ("1.5 0.5 0.5 0.2 0.2", Kind.UNPARSABLE, "mend the line"),
        ("1 nan 0.5 0.2 0.2", Kind.UNPARSABLE, "mend the line"),
    ],
)
def test_a_line_of_yolo(tmp_path: Path, line: str, kind: Kind | None, way_out: str) -> None:
    found = check(yolo(tmp_path, "0 0.25 0.25 0.1 0.1", "", line))
    assert told(found) == (set() if kind is None else {("a.txt", 3, kind)})
    assert all(way_out in one.way_out for one in found.wrong)


def test_yolo_is_mended_line_by_line(tmp_path: Path) -> None:
    keep = "0  0.5 0.5 0.20 0.2\r"
    lines = (keep, "1 0.95 0.5 0.2 0.2", keep, "1 0.5 0.5 -0.2 0.2", "bad", "1 .1 .1 1.3 .1 .3 .9")
    yolo(tmp_path, *lines)
    mended_lines = [
        "1 0.925000 0.500000 0.150000 0.200000",
        "1 0.500000 0.500000 0.200000 0.200000",
    ]
    assert after(tmp_path, "a.txt").split("\n") == [
        *(keep, *mended_lines, "bad", "1 0.1 0.1 1 0.1 0.3 0.9", "")
    ]


def test_names_are_looked_for_above_and_in_other_files(tmp_path: Path) -> None:
    line = "2 0.5 0.5 0.2 0.2"
    root = yolo(tmp_path, line, names="names: {0: cat, 2: dog}\n")
    assert told(check(root)) == set()
    (root / "data.yaml").unlink()
    assert told(check(root)) == set()  # nobody knows how many there are
    write(root / "labels" / "classes.txt", "cat\ndog\n")
    assert told(check(root)) == {("a.txt", 1, Kind.NO_NAME)}
    write(root / "data.yaml", "names: [a, b, c]\nkpt_shape: [2, 2]\n")
    write(root / "labels" / "train" / "a.txt", line + " 0.5 0.5 0.6 0.6\n")
    (root / "labels" / "classes.txt").unlink()
    assert told(check(root)) == set()


def test_pictures_and_labels_that_lack_each_other(tmp_path: Path) -> None:
    root = yolo(tmp_path, "0 0.5 0.5 0.2 0.2")
    write(root / "labels" / "train" / "gone.txt", "0 0.5 0.5 0.2 0.2\n")
    write(root / "labels" / "train" / "empty.txt", "")
    write(root / "labels" / "train" / "cut.txt", "")
    picture(root / "images" / "train" / "empty.png")
    alone = picture(root / "images" / "train" / "alone.png")
    cut = picture(root / "images" / "train" / "cut.png")
    cut.write_bytes(cut.read_bytes()[:-20])
    beside = picture(root / "more" / "b.png")
    write(beside.with_suffix(".txt"), "a caption, and no label")
    write(root / "more" / "notes.txt", "no label")
    found = check(root)
    assert told(found) == {
        ("gone.txt", None, Kind.NO_IMAGE),
        ("cut.txt", None, Kind.UNREADABLE_IMAGE),
    }
    assert found.unlabelled == [alone, beside]
    assert (found.files, found.boxes, found.pictures) == (4, 2, 5)


# -- Pascal VOC ------------------------------------------------------------------------------------


def voc(root: Path, *boxes: tuple[object, ...], name: str = "cat") -> Path:
    picture(root / "JPEGImages" / "a.jpg")
    objects = "".join(OBJECT.format(*box, name=name) for box in boxes)
    write(root / "Annotations" / "a.xml", VOC.format(objects=objects))
    return root


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((1, 1, 200, 100), None),
        ((0, 0, 200, 100), None),
        ((0.5, 1, 20, 10), None),
        ((150, 10, 201, 50), Kind.OUTSIDE),
        ((-3, 10, 20, 50), Kind.OUTSIDE),
        ((90, 10, 20, 50), Kind.SWAPPED),
        ((20, 10, 20, 50), Kind.NO_AREA),
        ((20, 10, "", 50), Kind.UNPARSABLE),
        ((20, 10, "wide", 50), Kind.UNPARSABLE),
    ],
)
def test_a_box_of_voc(tmp_path: Path, box: tuple[object, ...], kind: Kind | None) -> None:
    found = check(voc(tmp_path, (5, 5, 10, 10), box))
    assert told(found) == (set() if kind is None else {("a.xml", 9, kind)})


def test_voc_is_mended_and_all_else_stays_byte_for_byte(tmp_path: Path) -> None:
    root = voc(tmp_path, (150, 10, 250, 50), (5, 5, 10, 10), (90, 10, 20, 50), (5, 5, 10, 10))
    expected = "".join(
        OBJECT.format(*box, name="cat")
        for box in ((150, 10, 200, 50), (5, 5, 10, 10), (20, 10, 90, 50))
    )
    assert after(root, "a.xml") == VOC.format(objects=expected)


def test_boxes_of_another_size_are_not_clipped(tmp_path: Path) -> None:
    """They fit the size that the labels say, and have to be scaled; so it is without a picture."""
    root = voc(tmp_path, (150, 10, 190, 90))
    picture(root / "JPEGImages" / "a.jpg", (100, 50))
    found = check(root)
    assert told(found) == {("a.xml", 3, Kind.SIZE)}
    assert not any(one.fixable for one in found.wrong)
    (root / "JPEGImages" / "a.jpg").unlink()
    assert {one.kind for one in check(root).wrong} == {Kind.NO_IMAGE}


def test_voc_names_its_picture_and_its_size(tmp_path: Path) -> None:
    root = voc(tmp_path, (5, 5, 10, 10), name="")
    assert told(check(root)) == {("a.xml", 5, Kind.NO_NAME)}
    voc(root, (5, 5, 10, 10))
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (100, 200)).save(root / "JPEGImages" / "a.jpg", exif=turned)
    assert told(check(root)) == set()  # upright it is 200x100
    for exif in (turned, Image.Exif()):  # labels of it as it is stored; and after it was turned
        size = (200, 100) if exif else (100, 200)
        Image.new("RGB", size).save(root / "JPEGImages" / "a.jpg", exif=exif)
        found = check(root)
        assert told(found) == {("a.xml", 3, Kind.SIZE)}
        side = "a.jpg is 100x200, and the labels say 200x100: they fit it lying on its side"
        assert (found.wrong[0].what, found.wrong[0].way_out[:14]) == (side, "turn the boxes")
    picture(root / "JPEGImages" / "a.jpg", (400, 200))
    found = check(root)
    assert told(found) == {("a.xml", 3, Kind.SIZE)}
    assert found.wrong[0].what == "a.jpg is 400x200, and the labels say 200x100"
    (root / "JPEGImages" / "a.jpg").rename(root / "JPEGImages" / "a.png")
    found = check(root)
    assert told(found) == {("a.xml", 3, Kind.NO_IMAGE)}
    assert "there is no picture a.jpg, only a.png" in found.wrong[0].what


BOMB = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>\n<annotation>&b;</annotation>"
OUTER = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>'


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (BOMB, None, "DOCTYPE"),
        (OUTER, None, "DOCTYPE"),
        ("<annotation>\n<object>\n</annotation>", 3, "mismatched tag"),
        ("", 1, "no element found"),
        ("<annotation>&a;</annotation>", 1, "undefined entity"),
        ("<annotation>" + "<a>" * 100_000, None, "deep"),
        *(
            (VOC.replace("UTF-8", encoding).format(objects=""), None, "encoding that is not read")
            for encoding in ("gbk", "shift_jis", "nonsense", "idna")
        ),
    ],
)
def test_bad_xml_is_told_and_never_expanded(
    tmp_path: Path, text: str, line: int | None, why: str
) -> None:
    write(tmp_path / "Annotations" / "a.xml", text)
    found = check(tmp_path)
    assert told(found) == {("a.xml", line, Kind.UNPARSABLE)}
    assert why in found.wrong[0].what


def test_a_size_of_thousands_of_digits_is_none() -> None:
    text = VOC.format(objects="").replace("200", "2" * 5000)
    (labels,) = read_voc(text.encode(), Path("a.xml")).labels
    assert labels.size is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["", VOC.format(objects=""), "<annotation>"]))
def test_any_bytes_are_read_or_told(data: bytes, before: str) -> None:
    whole = before.encode() + data
    read_voc(whole, Path("a.xml"))
    read_yolo(whole, Path("a.txt"))
    read_coco(whole, Path("a.json"))


# -- COCO ------------------------------------------------------------------------------------------


def coco(root: Path, *annotations: dict[str, object], indent: int | None = 2) -> Path:
    picture(root / "images" / "a.jpg")
    told = {
        "images": [{"id": 1, "file_name": "images/a.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 7, "name": "Käfer"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 7, **each}
            for number, each in enumerate(annotations, 1)
        ],
    }
    write(root / "ann.json", json.dumps(told, indent=indent, ensure_ascii=False))
    return root


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ({"bbox": [0, 0, 200, 100]}, None),
        ({"bbox": []}, None),
        ({"segmentation": []}, None),
        ({"bbox": [150, 10, 51, 20]}, Kind.OUTSIDE),
        ({"bbox": [50, 10, -20, 20]}, Kind.SWAPPED),
        ({"bbox": [50, 10, 0, 20]}, Kind.NO_AREA),
        ({"bbox": [50, 10, 20]}, Kind.UNPARSABLE),
        ({"bbox": [50, 10, 20, "20"]}, Kind.UNPARSABLE),
        ({"bbox": [50, 10, 20, float("nan")]}, Kind.UNPARSABLE),
        ({"bbox": [50, 10, 20, 10**400]}, Kind.UNPARSABLE),
        ({"bbox": [50, 10, 20, 20], "category_id": 8}, Kind.NO_NAME),
        ({"bbox": [50, 10, 20, 20], "image_id": 99}, Kind.NO_IMAGE),
        ({"bbox": [5, 5, 10, 10]}, Kind.DUPLICATE),
    ],
)
def test_an_annotation_of_coco(
    tmp_path: Path, annotation: dict[str, object], kind: Kind | None
) -> None:
    found = check(coco(tmp_path, {"bbox": [5, 5, 10, 10]}, annotation))
    assert told(found) == (set() if kind is None else {("ann.json", None, kind)})
    named = kind not in (None, Kind.NO_IMAGE)
    assert [one.what.startswith("annotation 2") for one in found.wrong] == [
        True
    ] * named or not named


PACKED = "P:X1l100000fV4kN_jK" + "0" * 77 + "jf:"
"""Two rectangles in 200x100, as pycocotools writes them."""


@pytest.mark.parametrize(
    ("mask", "kind", "why"),
    [
        ([[10, 10, 50, 10, 50, 40]], None, ""),
        ([[0, 0, 200.5, 0, 200, 100], [1, 1, 2, 2, 3, 1]], None, ""),
        ({"size": [100, 200], "counts": [300, 50, 19650]}, None, ""),
        ({"size": [100, 200], "counts": PACKED}, None, ""),
        ("outline", Kind.UNPARSABLE, "is neither polygons nor runs"),
        ([10, 10, 50, 10, 50, 40], Kind.UNPARSABLE, "no list of lists of numbers"),
        ([[10, 10, 50, "10", 50, 40]], Kind.UNPARSABLE, "no list of lists of numbers"),
        ([[10, 10, float("inf"), 10, 50, 40]], Kind.UNPARSABLE, "no list of lists of numbers"),
        ([[10, 10, 50, 10]], Kind.UNPARSABLE, "a polygon of 4 numbers"),
        ([[10, 10, 50, 10, 50, 40, 7]], Kind.UNPARSABLE, "a polygon of 7 numbers"),
        ([[10, 10, 50, 10, 70, 10]], Kind.NO_AREA, "without area"),
        ([[10, 10, 250, 10, 50, 40]], Kind.OUTSIDE, "reaches beyond the picture"),
        ([[10, -9, 50, 10, 50, 40]], Kind.OUTSIDE, "reaches beyond the picture"),
        ({"counts": [20000]}, Kind.UNPARSABLE, "runs without size"),
        ({"size": [200, 100], "counts": [20000]}, Kind.UNPARSABLE, "is 100x200, and the picture"),
        ({"size": [100, 200], "counts": [300, 50]}, Kind.UNPARSABLE, "runs over 350 pixels"),
        ({"size": [100, 200], "counts": [-300, 20300]}, Kind.UNPARSABLE, "cannot be read"),
        ({"size": [100, 200], "counts": PACKED[:-4]}, Kind.UNPARSABLE, "runs over"),
        ({"size": [100, 200], "counts": PACKED + "\u00e4"}, Kind.UNPARSABLE, "cannot be read"),
        ({"size": [100, 200], "counts": "o" * 100_000}, Kind.UNPARSABLE, "cannot be read"),
        ({"size": [100, 200], "counts": None}, Kind.UNPARSABLE, "cannot be read"),
    ],
)
def test_a_mask_of_coco(tmp_path: Path, mask: object, kind: Kind | None, why: str) -> None:
    found = check(coco(tmp_path, {"bbox": [5, 5, 10, 10], "segmentation": mask}))
    assert told(found) == (set() if kind is None else {("ann.json", None, kind)})
    assert [why in one.what for one in found.wrong] == [True] * (kind is not None)


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_coco_is_mended_with_the_same_values(tmp_path: Path, indent: int | None) -> None:
    box = {"bbox": [150, 10, 100, 20], "area": 2000, "note": "größer"}
    root = coco(tmp_path, box, box, {"bbox": [50, 10.5, -20, 20], "area": 3}, indent=indent)
    text = after(root, "ann.json")
    found = json.loads(text)["annotations"]
    assert [(each["id"], each["bbox"], each["area"]) for each in found] == [
        (1, [150, 10, 50, 20], 1000),
        (3, [30, 10.5, 20, 20], 3),
    ]
    was = json.loads((root / "ann.json").read_text())
    assert {**was, "annotations": found} == json.loads(text)
    assert text == json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
    assert "größer" in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"images": [],\n "annotations": [}', 2),
        ('{"images": {}, "annotations": []}', None),
        ('{"images": [1], "annotations": []}', None),
        (f'{{"images": [{"7" * 5000}], "annotations": []}}', None),
        ('{"images": [], "annotations": [' * 100_000, None),
    ],
)
def test_bad_json_is_told(tmp_path: Path, text: str, line: int | None) -> None:
    write(tmp_path / "a.json", text)
    assert told(check(tmp_path)) == {("a.json", line, Kind.UNPARSABLE)}


def test_pictures_of_coco_are_found_by_their_path(tmp_path: Path) -> None:
    root = coco(tmp_path, {"bbox": [5, 5, 10, 10]})
    other = picture(root / "other" / "a.jpg", (10, 10))  # of the same name
    found = check(root)
    assert told(found) == set()
    assert found.unlabelled == [other]
    (root / "images" / "a.jpg").unlink()
    assert told(check(root)) == {("ann.json", None, Kind.NO_IMAGE)}
    write(root / "settings.json", '{"no": "labels"}')
    assert check(root).files == 1


# -- what holds for all ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (-2.0, "-2"), (0.1, "0.1"), (1 / 3, "0.333333")]
)
def test_numbers_are_written_short(value: float, text: str) -> None:
    assert number(value) == text


SHARE = st.floats(-0.4, 1.4).map(lambda value: round(value, 4))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), SHARE, SHARE, SHARE, SHARE), min_size=1, max_size=6))
def test_what_was_mended_is_not_fixable_again(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, ...]]
) -> None:
    root = tmp_path_factory.mktemp("set")
    yolo(root, *(" ".join(map(str, box)) for box in boxes))
    path = root / "labels" / "train" / "a.txt"
    for _ in range(2):  # two that were clipped may be the same then
        made = mended(path.read_bytes(), path, check(root).wrong)
        if made is not None:
            path.write_bytes(made)
    assert not [one for one in check(root).wrong if one.fixable]
    assert mended_yolo(b"0 1\n", {}) == b"0 1\n"
