"""`stillsift labels`: as a linter it ends with 1; what it mends can be had back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from conftest import Command
from stillsift.commands import labels as command
from stillsift.labels import Checked, checked

LINES = "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n1 0.95 0.5 0.2 0.2\n"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (200, 100)).save(root / "images" / f"{name}.png")
    (root / "labels" / "a.txt").write_text(LINES)
    return root


def test_each_mistake_has_its_line_and_a_clean_set_ends_with_0(
    stillsift: Command, dataset: Path
) -> None:
    file = dataset / "labels" / "a.txt"
    done = stillsift("labels", dataset)
    assert done.status == 1
    assert done.out.splitlines() == [
        f"{file}:2: duplicate: the same box as line 1: take one out",
        f"{file}:3: outside: (0.85, 0.4, 1.05, 0.6) reaches beyond the picture:"
        " clip it to the picture",
    ]
    assert "1 label file, 3 boxes, 2 pictures: 2 wrong, 0 mended" in done.err
    assert "1 picture without a label: b.png" in done.err
    assert file.read_text() == LINES
    file.write_text("0 0.5 0.5 0.2 0.2\n")
    assert stillsift("labels", dataset).status == 0
    assert stillsift("labels", dataset / "nowhere").status == 2


def test_what_needs_no_guess_is_mended_and_can_be_undone(
    stillsift: Command, dataset: Path, tmp_path: Path
) -> None:
    file, originals = dataset / "labels" / "a.txt", tmp_path / "originals"
    with file.open("a") as more:
        more.write("no label\n")
    was = file.read_text()
    done = stillsift("labels", dataset, "--backup-to", originals, "--json")
    assert done.status == 1  # one line is left
    rows = json.loads(done.out)["wrong"]
    assert [(row["line"], row["kind"], row["mended"]) for row in rows] == [
        *((2, "duplicate", True), (3, "outside", True), (4, "unparsable", False))
    ]
    assert (
        file.read_text() == "0 0.5 0.5 0.2 0.2\n1 0.925000 0.500000 0.150000 0.200000\nno label\n"
    )
    assert (originals / "labels" / "a.txt").read_text() == was
    assert "duplicate the same box as line 1" in (originals / "repaired.csv").read_text()
    assert stillsift("restore", "--store", originals, "--all").status == 0
    assert file.read_text() == was
    again = stillsift("labels", dataset, "--backup-to", originals)
    assert again.out.count("not done: it was repaired before, and brought back") == 2
    assert file.read_text() == was


def test_equal_files_of_one_name_are_mended_and_undone_each(
    stillsift: Command, dataset: Path, tmp_path: Path
) -> None:
    words = ("--backup-to", tmp_path / "originals")
    files = [dataset / folder / "labels" / "a.txt" for folder in ("x", "y")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text(LINES)
        Image.new("RGB", (200, 100)).save(file.with_suffix(".png"))
        assert stillsift("labels", file.parents[1], *words).status == 0
    assert stillsift("restore", "--store", tmp_path / "originals", "--all").status == 0
    assert [file.read_text() for file in files] == [LINES, LINES]


@pytest.mark.parametrize(
    ("shape", "line", "clipped"),
    [
        # a point: x, y and whether it is seen, 2: it is
        ("[2, 3]", "0 .9 .5 .4 .2 .85 .5 2 .95 .45 2", "0.850000 0.500000 0.300000 0.200000"),
        ("[1, 2]", "0 .5 .95 .2 .2 .5 1.02", "0.500000 0.925000 0.200000 0.150000"),
    ],
)
def test_of_a_pose_the_box_is_mended_and_no_point_of_it(
    stillsift: Command, dataset: Path, tmp_path: Path, shape: str, line: str, clipped: str
) -> None:
    file, points = dataset / "labels" / "a.txt", line.split()[5:]
    (dataset / "data.yaml").write_text(f"names: [person]\nkpt_shape: {shape}\n")
    file.write_text(f"{line}\n")
    assert stillsift("labels", dataset, "--backup-to", tmp_path / "originals").status == 0
    assert file.read_text() == f"0 {clipped} {' '.join(points)}\n"
    assert stillsift("labels", dataset).status == 0


def coco(*boxes: list[float]) -> str:
    told = {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
        "categories": [{"id": 7, "name": "cat"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 7, **({"bbox": box} if box else {})}
            for number, box in enumerate(boxes, 1)
        ],
    }
    return json.dumps(told)


@pytest.mark.parametrize(
    ("name", "was", "edited"),
    [
        ("labels/a.txt", LINES, "1 0.1 0.1 0.1 0.1\n" + LINES),
        ("ann.json", coco([150, 10, 100, 20]), coco([], [150, 10, 100, 20])),
    ],
    ids=["yolo", "coco"],
)
def test_what_was_edited_after_the_check_is_left_as_it_is(
    stillsift: Command,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    was: str,
    edited: str,
) -> None:
    (dataset / name).write_text(was)

    def edited_meanwhile(roots: Sequence[Path], files: Sequence[Path], most: int) -> Checked:
        found = checked(roots, files, most)
        (dataset / name).write_text(edited)
        return found

    monkeypatch.setattr(command, "checked", edited_meanwhile)
    done = stillsift("labels", dataset, "--backup-to", tmp_path / "originals")
    assert (dataset / name).read_text() == edited
    assert done.status == 1
    told = [line for line in done.out.splitlines() if line.startswith(str(dataset / name))]
    assert told
    assert all(line.endswith("not done: it changed after it was read") for line in told)
