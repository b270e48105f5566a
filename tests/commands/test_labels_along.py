"""Labels go along when `repair` turns pictures or makes them smaller, and come back with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from conftest import Command
from stillsift.store.in_place_repair import InPlaceRepair

STORED = (160, 96)
BOX = (24, 16, 72, 40)
"""Of a red rectangle in the picture as it is stored: left, top, right, bottom."""
DOT = (120, 72)
"""Middle of a blue square of 8 pixels."""
UPRIGHT = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
VOC = """\
<annotation><filename>a.jpg</filename>
<size><width>{0}</width><height>{1}</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult>
 <bndbox><xmin>24</xmin><ymin>16</ymin><xmax>72</xmax><ymax>40</ymax></bndbox>
 <part><name>eye</name><bndbox><xmin>116</xmin><ymin>68</ymin><xmax>124</xmax><ymax>76</ymax></bndbox>
 </part></object></annotation>
"""


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def drawn(path: Path, orientation: int) -> None:
    pixels = np.full((STORED[1], STORED[0], 3), 255, np.uint8)
    left, top, right, bottom = BOX
    pixels[top:bottom, left:right] = (255, 0, 0)
    pixels[DOT[1] - 4 : DOT[1] + 4, DOT[0] - 4 : DOT[0] + 4] = (0, 0, 255)
    exif = Image.Exif()
    exif[274] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95, subsampling=0, exif=exif)


def seen(path: Path) -> tuple[tuple[int, ...], tuple[float, ...], tuple[int, int]]:
    """The red rectangle's edges, the blue square's middle and the size, as pixels lie."""
    with Image.open(path) as image:
        pixels, size = np.asarray(image.convert("RGB"), int), image.size
    found = []
    for mask in (
        (pixels[..., 0] > 150) & (pixels[..., 2] < 120),
        (pixels[..., 2] > 150) & (pixels[..., 0] < 120),
    ):
        ys, xs = np.nonzero(mask)
        found.append((int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1))
    dot = found[1]
    return found[0], ((dot[0] + dot[2]) / 2, (dot[1] + dot[3]) / 2), size


def data_set(root: Path, orientation: int, *, pose: bool = False) -> None:
    width, height = STORED
    left, top, right, bottom = BOX
    drawn(root / "images" / "a.jpg", orientation)
    labels = root / "labels"
    labels.mkdir()
    box = [(left + right) / 2 / width, (top + bottom) / 2 / height]
    box += [(right - left) / width, (bottom - top) / height]
    dot = (DOT[0] / width, DOT[1] / height)
    corners = (left / width, top / height, right / width, top / height, *dot)
    extra = (*dot, 2, left / width, top / height, 1, 0, 0, 0) if pose else ()
    lines = [("0", *box, *extra), *([] if pose else [("0", *corners)])]
    (labels / "a.txt").write_text("".join(" ".join(map(str, line)) + "\r\n" for line in lines))
    shape = "kpt_shape: [3, 3]\nflip_idx: [1, 0, 2]\n" if pose else ""
    (root / "data.yaml").write_text("names: [cat]\n" + shape)
    (root / "annotations").mkdir()
    (root / "annotations" / "a.xml").write_text(VOC.format(*STORED))
    points = [DOT[0], DOT[1], 2, left, top, 1, 0, 0, 0]
    coco = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": width, "height": height},
            {"id": 8, "file_name": "b.jpg", "width": 5, "height": 5},
        ],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["left_eye", "right_eye", "nose"]}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "segmentation": [[left, top, right, top, DOT[0], DOT[1]]],
                "keypoints": points,
            },
            {"id": 2, "image_id": 8, "category_id": 1, "bbox": [1, 1, 2, 2]},
        ],
    }
    (root / "annotations" / "all.json").write_text(json.dumps(coco))


def values(root: Path) -> list[list[float]]:
    text = (root / "labels" / "a.txt").read_text()
    return [[float(word) for word in line.split()] for line in text.splitlines()]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("longest", [None, 80])
@pytest.mark.parametrize("pose", [False, True])
def test_the_pixels_in_a_box_stay_the_same(
    stillsift: Command, tmp_path: Path, orientation: int, longest: int | None, pose: bool
) -> None:
    root, originals = tmp_path / "set", tmp_path / "originals"
    data_set(root, orientation, pose=pose)
    before = contents(root)
    words = ["repair", root / "images", "--drawn-on", "stored", "--backup-to", originals]
    words += [] if longest is None else ["--longest-side", longest]
    done = stillsift(*words)
    assert done.status == 0, done
    red, dot, (width, height) = seen(root / "images" / "a.jpg")
    turn = UPRIGHT[orientation]
    if longest is None:  # the picture itself is upright
        with Image.open(root / "images" / "a.jpg") as image:
            assert image.getexif().get(274, 1) == 1
            upright = Image.new("RGB", STORED, "white")
            upright.paste((255, 0, 0), BOX)
            upright = upright if turn is None else upright.transpose(turn)
            ys, xs = np.nonzero(np.asarray(upright)[..., 1] == 0)
            assert red == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    near = pytest.approx(red, abs=1)
    near_dot = pytest.approx(dot, abs=1)
    mirrored = orientation in (2, 4, 5, 7)
    first = values(root)[0]
    x, y, wide, high = (v * s for v, s in zip(first[1:5], (width, height) * 2, strict=True))
    assert (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2) == near
    at = 1 if mirrored else 0  # left is right in a mirror
    if pose:
        point = first[5 + 3 * at : 8 + 3 * at]
        assert (point[0] * width, point[1] * height) == near_dot
        assert (point[2], first[-3:]) == (2, [0, 0, 0])
    else:
        corner = values(root)[1][-2:]
        assert (corner[0] * width, corner[1] * height) == near_dot
    xml = (root / "annotations" / "a.xml").read_text()
    numbers = [float(part.split("<")[0]) for part in xml.split(">") if part[:1].isdecimal()]
    assert numbers[:2] == [width, height]
    assert tuple(numbers[4:8]) == near
    eye = numbers[8:]
    assert ((eye[0] + eye[2]) / 2, (eye[1] + eye[3]) / 2) == near_dot
    told = json.loads((root / "annotations" / "all.json").read_text())
    image, other = told["images"]
    assert (image["width"], image["height"]) == (width, height)
    assert (other["width"], told["annotations"][1]["bbox"]) == (5, [1, 1, 2, 2])
    one = told["annotations"][0]
    x, y, wide, high = one["bbox"]
    assert (x, y, x + wide, y + high) == near
    assert one["area"] == pytest.approx(wide * high, rel=0.01)
    assert one["segmentation"][0][-2:] == near_dot
    assert one["keypoints"][3 * at : 3 * at + 2] == near_dot
    assert one["keypoints"][-3:] == [0, 0, 0]
    if orientation != 1 or longest:
        changed = {name for name, each in contents(root).items() if before[name] != each}
        assert changed == {
            *("images/a.jpg", "annotations/a.xml", "annotations/all.json"),
            *(["labels/a.txt"] if orientation != 1 else []),
        }
        assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(root) == before
    assert stillsift("labels", root).out.count("outside") == 0


@pytest.mark.parametrize(("orientation", "size"), [(6, (96, 160)), (3, STORED)])
def test_labels_that_were_drawn_upright_stay(
    stillsift: Command, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    root = tmp_path / "set"
    drawn(root / "images" / "a.jpg", orientation)
    (root / "annotations").mkdir()
    (root / "annotations" / "a.xml").write_text(VOC.format(*size))
    before = contents(root)
    words = ("repair", root, "--backup-to", tmp_path / "originals")
    if orientation == 3:  # the size does not tell
        assert "say which with --drawn-on stored" in stillsift(*words).out
        assert contents(root) == before
    assert stillsift(*words, "--drawn-on", "upright").status == 0
    now = contents(root)
    assert [name for name in now if now[name] != before[name]] == ["images/a.jpg"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("[[24, 16, 72, 16, 120, 72]]", '{"size": [96, 160], "counts": [15360]}'), "mask of runs"),
        (('"left_eye"', '"eye"'), "change sides in a mirror"),
        (("[24, 16, 48, 24]", '[24, 16, "x"]'), "not as COCO has them"),
        (('"width": 160', '"width": 161'), "says it is 161x96"),
    ],
)
def test_what_cannot_be_moved_is_told_and_all_stays(
    stillsift: Command, tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    root = tmp_path / "set"
    data_set(root, 7)
    coco = root / "annotations" / "all.json"
    text = coco.read_text().replace(*change)
    assert text != coco.read_text()
    coco.write_text(text)
    before = contents(root)
    words = ("repair", root, "--drawn-on", "stored", "--backup-to", tmp_path / "originals")
    done = stillsift(*words)
    assert (done.status, why in done.out) == (1, True), done
    assert contents(root) == before


@pytest.mark.parametrize("line", ["0 .1 .1 .3 .1 .3 .9", "0 .5 .5 .2 .2 .9", "0 x"])
def test_a_line_that_may_be_a_pose_is_told(stillsift: Command, tmp_path: Path, line: str) -> None:
    root = tmp_path / "set"
    data_set(root, 6)
    (root / "data.yaml").unlink()
    (root / "labels" / "a.txt").write_text(line + "\n")
    before = contents(root)
    words = ("repair", root, "--drawn-on", "stored", "--backup-to", tmp_path / "originals")
    done = stillsift(*words)
    assert (done.status, "not done: line 1 is" in done.out) == (1, True), done
    assert contents(root) == before


def test_labels_come_back_where_the_still_is_not_repaired(
    stillsift: Command, tmp_path: Path
) -> None:
    root, originals = tmp_path / "set", tmp_path / "originals"
    data_set(root, 6)
    before = contents(root)
    words = ("repair", root, "--drawn-on", "stored", "--backup-to", originals)
    with (root / "images" / "a.jpg").open("r+b"):
        done = stillsift(*words)
    assert (done.status, "somebody has it open" in done.out) == (1, True)
    assert contents(root) == before
    assert stillsift(*words).status == 0
    assert seen(root / "images" / "a.jpg")[2] == STORED[::-1]
    assert values(root)[0][3:5] == [0.25, 0.3]
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert contents(root) == before


def test_a_run_that_was_cut_off_after_the_labels_is_carried_on(
    stillsift: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = tmp_path / "set", tmp_path / "other"
    for each in (root, other):
        data_set(each, 3)
    before = contents(root)
    words = ("--drawn-on", "stored", "--backup-to")
    assert stillsift("repair", other, *words, tmp_path / "there").status == 0
    replace = InPlaceRepair.replace

    def cut_off(self: InPlaceRepair, still, made, below):  # type: ignore[no-untyped-def]
        if still.path.suffix == ".jpg":
            raise SystemExit(9)
        return replace(self, still, made, below)

    with monkeypatch.context() as patched:
        patched.setattr(InPlaceRepair, "replace", cut_off)
        assert stillsift("repair", root, *words, tmp_path / "originals").status == 9
    assert contents(root) != before
    assert stillsift("repair", root, *words, tmp_path / "originals").status == 0
    assert contents(root) == contents(other)
    assert stillsift("restore", "--store", tmp_path / "originals", "--all").status == 0
    assert contents(root) == before
