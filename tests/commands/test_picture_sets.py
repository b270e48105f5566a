"""The set as a whole: groups, odd ones and leaks, of folders and of a store."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from conftest import Command
from photographs import blurred, compressed, cropped, real_photo, resized, slide, textured
from stillsift.arrays import Image
from stillsift.commands import picture_sets
from stillsift.config.settings import ModelSettings
from stillsift.dataset.contact_sheet import Row, Tile, write_sheet
from tiny_onnx import float_nchw_with_grid


def write(path: Path, picture: Image, quality: int = 92) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three copies of one picture, three frames of one clip, one other, and one that is broken."""
    folder = tmp_path / "photos"
    one = textured(1)
    for number, picture in enumerate((one, resized(one, 0.6), compressed(one, 50))):
        write(folder / "one" / f"a{number}.jpg", picture)
    for number in range(3):
        write(folder / "ride" / f"b{number}.jpg", real_photo(number))
    write(folder / "c.jpg", slide("Results", "of the year"))
    (folder / "broken.jpg").write_bytes((folder / "c.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("none")
    return folder


def asked(done_out: str) -> Any:
    return json.loads(done_out)


def test_groups_of_a_folder(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    done = stillsift("groups", photos, "--similarity", "0.93", "--json", "--sheet", sheet)
    assert done.status == 0
    told = asked(done.out)
    names = [{Path(member["file"]).name for member in group["members"]} for group in told["groups"]]
    assert {"a0.jpg", "a1.jpg", "a2.jpg"} in names
    assert {"b0.jpg", "b1.jpg", "b2.jpg"} in names
    assert {"c.jpg"} in names
    assert told["unread"] == [{"file": str(photos / "broken.jpg"), "why": told["unread"][0]["why"]}]
    assert "cut off" in told["unread"][0]["why"]
    assert "broken.jpg: is cut off" in done.err
    assert told["left_alone"] == {".txt": 1}
    with Pillow.open(sheet) as drawn:
        assert drawn.width > 600
    text = stillsift("groups", photos, "--sheet", sheet).out  # its own sheet is replaced
    assert text.startswith("7 pictures in ")
    assert "taken from the set" in text


def test_a_sheet_replaces_nothing_but_a_sheet(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    photo = photos / "c.jpg"
    before = photo.read_bytes()
    done = stillsift("groups", photos, "--sheet", photo)
    assert (done.status, done.out) == (1, "")
    assert "is no contact sheet" in done.err
    assert photo.read_bytes() == before
    assert "is a JPEG" in stillsift("groups", photos, "--sheet", photos / "a.gif").err
    sheet = tmp_path / "sheet.png"
    for _ in range(2):  # its own one is replaced
        assert stillsift("groups", photos, "--sheet", sheet).status == 0
    with Pillow.open(sheet) as drawn:
        assert drawn.format == "PNG"
        drawn.convert("RGB").save(sheet)  # without the note that says what it is
    assert "is no contact sheet" in stillsift("groups", photos, "--sheet", sheet).err


def test_the_odd_one_comes_first(stillsift: Command, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(12):
        write(folder / f"{number}.jpg", real_photo(number))
    cap = write(folder / "cap.jpg", textured(5) // 16)
    told = asked(stillsift("outliers", folder, "--json").out)
    assert told["outliers"][0]["file"] == str(cap)
    assert told["outliers"][0]["score"] > 2
    assert told["odd"] == 1
    text = stillsift("outliers", folder, "--most", "1").out
    assert text.startswith("13 pictures, 1 odd")
    assert str(cap) in text.splitlines()[2]
    assert len(text.splitlines()) == 3


def test_of_a_store_of_a_users_own_model_too(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    """It is known by its file, not by its name."""
    store, config = tmp_path / "store", tmp_path / "own.yaml"
    model = float_nchw_with_grid(tmp_path / "mine.onnx")
    described = {"size": "48x32", "embedding": "vector", "grid": "map", "cell_limit": 0.1}
    config.write_text(yaml.safe_dump({"model": {"path": str(model), "custom": described}}))
    assert stillsift("sift", photos, "-o", store, "-c", config).status == 0
    told = asked(stillsift("groups", "--store", store, "--json", "-c", config).out)
    assert (told["embedded_anew"], told["pictures"] >= 1) == (0, True)
    with model.open("ab") as file:
        file.write(b"\x32\x00")  # an empty field: another file under the same name
    told = asked(stillsift("groups", "--store", store, "--json", "-c", config).out)
    assert told["embedded_anew"] == told["pictures"]


def test_of_a_store_the_vectors_in_the_ledger_are_used(
    stillsift: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    assert stillsift("sift", photos, "-o", store).status == 0

    def none_opened(_settings: ModelSettings) -> None:
        raise AssertionError("no model is needed")

    with monkeypatch.context() as patched:
        patched.setattr(picture_sets, "open_model", none_opened)
        first = asked(stillsift("groups", "--store", store, "--json").out)
    assert first["embedded_anew"] == 0
    assert first["pictures"] >= 3

    with sqlite3.connect(store / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM embeddings")
        ledger.execute("UPDATE album SET model = 'another'")
    done = stillsift("groups", "--store", store, "--json")
    again = asked(done.out)
    assert again["embedded_anew"] == again["pictures"] == first["pictures"]
    assert "embedded anew" in done.err
    # What the ledger held is what its files give.
    assert again["similarity"] == pytest.approx(first["similarity"], abs=1e-3)
    assert [group["size"] for group in again["groups"]] == [
        group["size"] for group in first["groups"]
    ]


def test_folders_or_a_store_and_what_is_missing(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    stillsift("sift", photos, "-o", store)
    assert stillsift("groups", photos, "--store", store).status == 2
    assert "name it with --store" in stillsift("outliers", store).err
    gone = stillsift("groups", tmp_path / "gone")
    assert (gone.status, gone.err) == (
        1,
        f"stillsift: {tmp_path / 'gone'}: there is no such file or folder\n",
    )
    (tmp_path / "empty").mkdir()
    assert stillsift("groups", tmp_path / "empty").out.startswith("0 pictures in 0 groups")
    assert stillsift("outliers", tmp_path / "empty").status == 0
    assert stillsift("leaks", tmp_path / "empty").status == 0


def test_leaks_are_copies_and_not_what_is_alike(stillsift: Command, tmp_path: Path) -> None:
    train, val = tmp_path / "train", tmp_path / "val"
    pictures = [textured(seed) for seed in range(8)]
    for number, picture in enumerate(pictures[:7]):
        write(train / ("cat" if number % 2 else "dog") / f"{number}.jpg", picture)
    write(train / "cat" / "again.jpg", resized(pictures[0], 0.7))
    write(val / "dog" / "new.jpg", pictures[7])
    none = stillsift("leaks", val)
    assert (none.status, none.out) == (0, "1 picture of 1 split: no leak\n")

    shutil.copy(train / "dog" / "0.jpg", val / "exact.jpg")
    write(val / "cat" / "small.jpg", resized(pictures[1], 0.5))
    write(val / "dog" / "coded.jpg", pictures[2], 40)
    write(val / "cat" / "cropped.jpg", cropped(pictures[3], 0.04))
    write(val / "dog" / "turned.jpg", pictures[4][:, ::-1])
    write(val / "dog" / "other.jpg", pictures[5], 70)
    sheet = tmp_path / "leaks.jpg"
    done = stillsift("leaks", train, val, "--json", "--sheet", sheet)
    assert done.status == 1
    found = {
        Path(leak["file"]).name: (leak["kind"], Path(leak["repeats"]).name)
        for leak in asked(done.out)["leaks"]
    }
    assert found == {
        "exact.jpg": ("exact", "0.jpg"),
        "small.jpg": ("same", "1.jpg"),
        "coded.jpg": ("same", "2.jpg"),
        "cropped.jpg": ("same", "3.jpg"),
        "turned.jpg": ("mirrored", "4.jpg"),
        "other.jpg": ("same", "5.jpg"),
        "0.jpg": ("same", "again.jpg"),  # within train, under two labels
    }
    labels = {
        Path(leak["file"]).name: (leak["label"], leak["repeats_label"])
        for leak in asked(done.out)["leaks"]
    }
    assert labels["other.jpg"] == ("dog", "cat")
    assert labels["exact.jpg"] == (None, "dog")
    assert sheet.stat().st_size > 10_000


def test_what_is_nearly_the_same_is_told_apart_from_copies(
    stillsift: Command, tmp_path: Path
) -> None:
    train, val = tmp_path / "train", tmp_path / "val"
    write(train / "0.jpg", real_photo(0))
    write(val / "1.jpg", blurred(real_photo(0), 4))
    told = asked(stillsift("leaks", train, val, "--json").out)
    assert [leak["kind"] for leak in told["leaks"]] == ["nearly"]
    assert stillsift("leaks", train, val, "--copies").status == 0
    inside = stillsift("leaks", tmp_path, val)
    assert inside.status == 2
    assert "one lies in the other" in inside.err


def test_find_shows_the_most_similar_first(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    asked_for = write(tmp_path / "asked.jpg", resized(real_photo(0), 0.5))
    found = asked(stillsift("find", asked_for, photos, "--most", "4", "--json").out)["found"]
    assert [Path(each["file"]).name for each in found[:3]] == ["b0.jpg", "b1.jpg", "b2.jpg"]
    similarity = [each["similarity"] for each in found]
    assert similarity == sorted(similarity, reverse=True)
    assert similarity[3] < similarity[2] - 0.1

    store = tmp_path / "store"
    stillsift("sift", photos, "-o", store)
    original = photos / "c.jpg"
    sheet = tmp_path / "found.jpg"
    told = asked(stillsift("find", original, "--store", store, "--json", "--sheet", sheet).out)
    assert (told["found"][0]["same_bytes"], told["found"][1]["same_bytes"]) == (True, False)
    assert told["found"][0]["source"] == "photos"
    assert sheet.exists()
    broken = stillsift("find", photos / "broken.jpg", photos)
    assert (broken.status, broken.out) == (1, "")
    assert "broken.jpg: is cut off" in broken.err
    assert "no such picture" in stillsift("find", "gone.jpg", photos).err


def test_balance_of_folders_and_of_a_store(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    (told,) = asked(stillsift("balance", photos, "--json").out)
    assert (told["by"], told["pictures"], told["unlabelled"]) == ("folder", 8, 2)
    assert [(each["label"], each["pictures"]) for each in told["labels"]] == [
        ("one", 3),
        ("ride", 3),
    ]
    assert told["effective"] == pytest.approx(2)

    (photos / "one" / "a0.txt").write_text("0 .5 .5 .1 .1\n0 .5 .5 .1 .1\n")
    (photos / "classes.txt").write_text("cat\ndog\n")
    text = stillsift("balance", photos).out
    assert "by yolo: 8 pictures, 7 without a label" in text
    assert "none of: dog" in text
    assert "cat   1         2        100.0%" in text
    (told,) = asked(stillsift("balance", photos, "--labels", "folder", "--json").out)
    assert told["by"] == "folder"

    store = tmp_path / "store"
    stillsift("sift", photos, "-o", store)
    tables = asked(stillsift("balance", "--store", store, "--json").out)
    assert [each["by"] for each in tables] == ["source", "hour", "reason"]
    kept = tables[0]["pictures"]
    assert tables[0]["labels"] == [
        {"label": "photos", "pictures": kept, "objects": kept, "share": 1.0}
    ]
    assert len(tables[1]["labels"]) == 24
    (tmp_path / "bad.json").write_text("{}")
    bad = stillsift("balance", tmp_path / "bad.json")
    told = "bad.json: images and annotations are not both lists of objects; mend it by hand"
    assert (bad.status, told in bad.err) == (1, True)


def test_coverage_of_a_store_and_of_a_folder(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert stillsift("coverage", photos, "--sheet", tmp_path / "cover.jpg").status == 0
    told = asked(stillsift("coverage", photos, "--similarity", "0.93", "--json").out)
    shares = {step["share"]: step["pictures"] for step in told["cover"]}
    assert shares == {0.5: 2, 0.8: 2, 0.95: 3, 1.0: 3}
    assert len(told["order"]) == 3

    stillsift("sift", photos, "-o", store, "--set", "min_contrast=0")
    told = asked(stillsift("coverage", "--store", store, "--json").out)
    (source,) = told["sources"]
    summary = asked(stillsift("stats", "--store", store, "--json").out)[0]
    assert (source["frames"], source["kept"]) == (summary["frames"], summary["kept"])
    duplicates = summary["reasons"].get("near_duplicate", 0)
    assert duplicates >= 1
    assert source["shown"] == summary["kept"] + duplicates
    assert sum(each["frames"] for each in told["stand_for"]) == duplicates
    reasons = {each["reason"]: each for each in told["appearance"]}
    assert reasons["near_duplicate"]["frames"] == duplicates
    assert reasons["near_duplicate"]["99% within"] <= 1
    text = stillsift("coverage", "--store", store, "--by", "hour").out
    assert "kept frames that stand for the most others" in text
    assert stillsift("coverage", "--store", store, "--similarity", "0.9").status == 2
    empty = stillsift("coverage", "--store", tmp_path)
    assert (empty.status, "there is no ledger" in empty.err) == (1, True)


def test_a_store_tells_which_model_it_was_made_with(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store, other = tmp_path / "store", tmp_path / "other.yaml"
    other.write_text("model: {name: efficientnet-lite0-fp32}\n")
    stillsift("sift", photos, "-o", store)
    made = "efficientnet-lite0-trunk-int8"
    told = f"the store was made with {made}, and efficientnet-lite0-fp32 is not used"
    assert told in stillsift("groups", "--store", store, "-c", other).err
    assert "was made with" not in stillsift("groups", "--store", store).err
    write(photos / "new.jpg", textured(77, 320, 240))
    again = stillsift("sift", photos, "-o", store, "-c", other).err
    assert f"made with {made} so far, which `model:` or -c can name" in again

    own = tmp_path / "own.yaml"
    described = {"size": "48x32", "embedding": "vector", "grid": "map", "cell_limit": 0.1}
    model = {"path": str(float_nchw_with_grid(tmp_path / "mine.onnx")), "custom": described}
    own.write_text(yaml.safe_dump({"model": model}))
    mine = tmp_path / "mine"
    assert stillsift("sift", photos, "-o", mine, "-c", own).status == 0
    asked = stillsift("groups", "--store", mine).err
    assert f"had no vector of {made} in the ledger: embedded anew" in asked
    assert "; -c with a configuration that names it saves time" in asked


def test_no_heading_of_a_sheet_is_cut_off(tmp_path: Path) -> None:
    """It takes more lines, and the ink of each of its words is there."""
    Pillow.new("RGB", (40, 30), (90, 90, 90)).save(tmp_path / "a.png")
    row = Row("title", [Tile(tmp_path / "a.png", "a.png")])
    words = " ".join(f"word{number}" for number in range(40))

    def ink(heading: str) -> float:
        write_sheet(tmp_path / "sheet.jpg", heading, [row], 10**6, 1)
        with Pillow.open(tmp_path / "sheet.jpg") as sheet:
            return float((np.asarray(sheet.convert("L"), int) > 128).sum())

    nothing = ink(" ")
    alone = [ink(word) - nothing for word in words.split()]
    assert ink(words) - nothing == pytest.approx(sum(alone), rel=0.1)
