"""`repair:` of `sift`: what is kept is fit for trainers, and the original is known by its bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_better_copies import write

from conftest import Command
from photographs import resized, textured
from running import decided

ALL = "repair={orientation: true, colour: rgb, suffix: true}"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """One still that is as it should be; one turned, one grey, one that lies; copies of two."""
    folder = tmp_path / "photos"
    write(folder, "fine", textured(1))
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(textured(2)).save(folder / "turned.jpg", exif=turned, quality=95)
    Image.fromarray(textured(3)).convert("L").save(folder / "grey.png")
    Image.fromarray(textured(4)).save(folder / "lies.jpg", "PNG")
    (folder / "z").mkdir()
    for name in ("turned.jpg", "fine.jpg"):
        (folder / "z" / name).write_bytes((folder / name).read_bytes())
    return folder


def kept(store: Path) -> dict[str, dict[str, object]]:
    """The lines of metadata.jsonl by the name of the original, each with its picture's `path`."""
    found = {}
    for listing in (store / "kept").rglob("metadata.jsonl"):
        for line in listing.read_text().splitlines():
            row = json.loads(line)
            found[Path(row["file"]).name] = {**row, "path": listing.parent / row["file_name"]}
    return found


def test_only_what_needs_it_is_written_anew(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    before = {path: sha256(path) for path in photos.rglob("*.*")}
    for _ in range(2):  # the second run keeps nothing again
        done = stillsift("sift", photos, "--output", store, "--set", ALL)
        assert done.status == 0, done
    rows = kept(store)
    assert {name: row["repairs"] for name, row in rows.items()} == {
        "fine.jpg": "",
        "turned.jpg": "EXIF orientation 6 applied",
        "grey.png": "grey to RGB of 8 bits",
        "lies.jpg": "named .jpg, and is a PNG: now .png",
    }
    for name, row in rows.items():
        path = Path(str(row["path"]))
        assert row["original_sha256"] == sha256(photos / name)
        assert row["sha256"] == sha256(path)
        assert (row["sha256"] == row["original_sha256"]) == (name in ("fine.jpg", "lies.jpg"))
        with Image.open(path) as image:
            assert image.size == (row["width"], row["height"])
            assert (image.mode, image.getexif().get(274, 1)) == ("RGB", 1)
            if name == "turned.jpg":  # by a quarter, clockwise
                upright = np.rot90(textured(2), -1)
                assert np.abs(np.asarray(image, int) - upright).mean() < 6
    assert {path: sha256(path) for path in photos.rglob("*.*")} == before
    reasons = {r.decision.file: r.decision.reason.value for r in decided(store)}
    assert reasons[photos / "z" / "turned.jpg"] == "exact_duplicate"
    shown = stillsift("decisions", "--store", store, "--file", "photos/turned.jpg", "--json")
    assert json.loads(shown.out)["repairs"] == "EXIF orientation 6 applied"


def test_nothing_is_changed_by_default(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert stillsift("sift", photos, "--output", store).status == 0
    for name, row in kept(store).items():
        assert (row["repairs"], row["sha256"]) == ("", sha256(photos / name))


def test_copies_are_repaired_under_the_name_that_fits_and_only_once(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    Image.fromarray(textured(5)).save(photos / "two.bmp")
    Image.fromarray(textured(6)).save(photos / "two.tif")
    to, words = (
        tmp_path / "to",
        "repair={colour: rgb, suffix: true, longest_side: 320, format: png}",
    )
    command = ("sift", photos, "--copy-to", to, "--set", words)
    done = stillsift(*command)
    assert done.status == 0, done
    made = {str(path.relative_to(to)): path for path in to.rglob("*.png")}
    assert set(made) == {"fine.png", "turned.png", "grey.png", "lies.png", "two.png", "two.tif.png"}
    for path in made.values():
        with Image.open(path) as image:
            assert (image.format, image.mode, max(image.size)) == ("PNG", "RGB", 320)
    times = {path: path.stat().st_ino for path in made.values()}
    assert (photos / "fine.jpg").stat().st_mtime_ns == made["fine.png"].stat().st_mtime_ns
    assert stillsift(*command).status == 0
    assert {path: path.stat().st_ino for path in to.rglob("*.png")} == times
    made["two.tif.png"].unlink()  # what is missing is copied again
    assert stillsift(*command).status == 0
    assert made["two.tif.png"].is_file()
    shown = stillsift("decisions", "--store", to, "--file", "two.tif", "--json")
    assert json.loads(shown.out)["repairs"] == "640x480 to 320x240; a TIFF to PNG"


@pytest.mark.parametrize("words", ["suffix: true", "format: png", "longest_side: 320"])
def test_what_stays_in_place_is_not_repaired(
    words: str, stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    for way in ((), ("--dry-run",)):
        command = ("sift", photos, "--remove-to", tmp_path / "to", *way)
        done = stillsift(*command, "--set", f"repair={{{words}}}")
        assert done.status == 2, done
        assert "--remove-to leaves what is kept as it is, and repair must not" in done.err
    assert not (tmp_path / "to").exists()
    assert stillsift(*command, "--set", "repair={suffix: false, colour: keep}").status == 0


def test_what_cannot_be_repaired_is_kept_as_it_is(stillsift: Command, tmp_path: Path) -> None:
    """A WebP has 16,383 pixels a side at most."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.tile(textured(1), (1, 27, 1))[:64]).save(folder / "wide.png")
    store = tmp_path / "store"
    done = stillsift("sift", folder, "--output", store, "--set", "repair={format: webp}")
    assert done.status == 0, done
    row = kept(store)["wide.png"]
    assert str(row["repairs"]).startswith("not repaired: 17280x64 cannot be written as WEBP")
    assert row["sha256"] == sha256(folder / "wide.png")
    assert "kept as it is" in done.err


@pytest.mark.parametrize("retire", ["move", "delete"])
def test_retiring_moves_the_original_of_a_repaired_still(
    stillsift: Command, photos: Path, tmp_path: Path, retire: str
) -> None:
    store, before = tmp_path / "store", sha256(photos / "turned.jpg")
    words = ("--set", ALL, "--set", f"retire={retire}")
    assert stillsift("sift", photos, "--output", store, *words).status == 0
    assert list(photos.rglob("*.*")) == []
    assert stillsift("restore", "--store", store, "--all").status == 0
    back = {path.name for path in photos.iterdir() if path.is_file()}
    if retire == "move":
        # What is kept byte for byte is in kept/, and the original of nothing else is gone.
        assert back == {"turned.jpg", "grey.png"}
        assert sha256(photos / "turned.jpg") == before
    else:
        assert back == set()


@pytest.mark.parametrize("retire", ["leave", "move", "delete"])
def test_a_better_copy_replaces_a_repaired_one_and_nothing_is_lost(
    stillsift: Command, tmp_path: Path, retire: str
) -> None:
    folder, store = tmp_path / "photos", tmp_path / "store"
    large = textured(7, 1200, 900)
    folder.mkdir()
    small = folder / "a small.png"
    Image.fromarray(resized(large, 0.4)).save(small)
    for number in range(3):  # so that the small one is kept before the large one is seen
        Image.fromarray(textured(20 + number)).save(folder / f"k{number}.png")
    Image.fromarray(large).save(folder / "z large.png")
    was = sha256(small)
    words = ("--set", "repair={format: jpeg}", "--set", f"retire={retire}")
    done = stillsift("sift", folder, "--output", store, *words)
    assert done.status == 0, done
    assert set(kept(store)) == {"z large.png", "k0.png", "k1.png", "k2.png"}
    assert "replaced 1 kept frame" in done.out
    restored = stillsift("restore", "--store", store, "--all")
    assert restored.status == 0, restored
    if retire == "delete":
        with Image.open(folder / "a small_repaired.jpg") as image:
            assert image.size == (480, 360)
        assert not small.exists()
    else:
        assert sha256(small) == was
        assert not (folder / "a small_repaired.jpg").exists()


def test_what_is_decided_does_not_depend_on_it(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    """Photographs are compared with the originals of what was kept, as long as those are there."""
    small = tmp_path / "small"
    for number in range(1, 5):
        write(small, f"small{number}", resized(textured(number), 0.6))
    reasons = []
    for name, words in (("plain", ()), ("tiny", ("--set", "repair={longest_side: 24}"))):
        store = tmp_path / name
        assert stillsift("sift", photos, "--output", store, *words).status == 0
        # Another process has nothing in memory of what was kept.
        assert stillsift("sift", photos, small, "--output", store, *words).status == 0
        reasons.append([(r.decision.file, r.decision.reason) for r in decided(store)])
    assert reasons[0] == reasons[1]
    assert "near_duplicate" in {reason.value for _, reason in reasons[0]}
