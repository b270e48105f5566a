"""From a configuration that asks for objects to the store, its records and its metrics."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest
import yaml
from test_run import sample

import tiny_onnx
from clips import real_clip, real_person, write_clip
from conftest import Command
from photographs import textured
from running import daemon, decided, until
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.detection import Detector, DetectorSpec, detectors, open_detector
from stillsift.embedding.onnx_file import Provider
from stillsift.pipeline import object_finder

CUT_OFF = Path(__file__).with_name("cut_off_sift.py")
DARK: tuple[Image, ...] = tuple(textured(number, 640, 480) // 2 for number in range(4))


def with_light(picture: Image, left: int = 100, top: int = 200, side: int = 120) -> Image:
    made = picture.copy()
    made[top : top + side, left : left + side] = 250
    return made


def written(folder: Path, *pictures: Image) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for number, pixels in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


def config(folder: Path, **defaults: object) -> Path:
    """A configuration with a detector of light."""
    path = folder / "config.yaml"
    detector = {"path": str(tiny_onnx.bright_box(folder / "light.onnx")), "labels": ["light"]}
    path.write_text(yaml.safe_dump({"detector": detector, "defaults": defaults}), "utf-8")
    return path


def test_what_was_found_is_in_the_records_and_beside_the_pictures(
    stillsift: Command, tmp_path: Path
) -> None:
    photos = written(tmp_path / "in", DARK[0], with_light(DARK[1]), DARK[2], with_light(DARK[3]))
    given, out = config(tmp_path, require=["light"]), tmp_path / "out"
    done = stillsift("sift", photos, "-c", given, "-o", out)
    assert done.status == 0, done.err
    assert "  dropped  no_target 2" in done.out
    rows = stillsift("decisions", "--store", out, "--json").out.splitlines()
    told = {Path(row["file"]).stem: row["detections"] for row in map(json.loads, rows)}
    found = {name: json.loads(text) for name, text in told.items()}
    assert (found["0"], found["2"]) == ([], [])
    ((one,), (other,)) = found["1"], found["3"]
    assert one == other
    assert (one["label"], one["confidence"]) == ("light", 1)
    assert np.allclose(one["box"], (100, 200, 220, 320), atol=3)
    (listing,) = (out / "kept").rglob("metadata.jsonl")
    for line in map(json.loads, listing.read_text("utf-8").splitlines()):
        (box,) = line["objects"]["bbox"]
        assert np.allclose(box, (100, 200, 120, 120), atol=4), "left, top, width, height"
        assert (line["objects"]["label"], line["objects"]["confidence"]) == (["light"], [1])
    text = stillsift("decisions", "--store", out).out
    assert "light 1.00" in text
    told = json.loads(stillsift("balance", "--store", out, "--json").out)
    assert next(each for each in told if each["by"] == "object")["labels"] == [
        {"label": "light", "pictures": 2, "objects": 2, "share": 1}
    ]
    assert "require asks for light of 0.3, and it shows nothing of it" in text
    table = stillsift("decisions", "--store", out, "--format", "csv").out
    assert '""label"": ""light""' in table, "as JSON"


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    "repair", ["longest_side: 320", "longest_side: 320, orientation: true", "orientation: true"]
)
def test_boxes_beside_a_picture_that_was_repaired_are_in_its_pixels(
    orientation: int, repair: str, stillsift: Command, tmp_path: Path
) -> None:
    """Upright, as `datasets` turns a picture by its EXIF data when it opens it."""
    photos = tmp_path / "in"
    photos.mkdir()
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    lit = with_light(DARK[0], left=420)
    PIL.Image.fromarray(lit).save(photos / "0.jpg", exif=exif, quality=95)
    given, out = config(tmp_path, require=["light"]), tmp_path / "out"
    words = ("-c", given, "-o", out, "--set", f"repair={{{repair}}}")
    done = stillsift("sift", photos, *words)
    assert done.status == 0, done
    (listing,) = (out / "kept").rglob("metadata.jsonl")
    line = json.loads(listing.read_text("utf-8"))
    with PIL.Image.open(listing.with_name(line["file_name"])) as kept:
        assert max(kept.size) == (320 if "longest_side" in repair else 640)
        pixels = np.asarray(PIL.ImageOps.exif_transpose(kept).convert("L"))
    rows, columns = np.nonzero(pixels > 200)
    (box,) = line["objects"]["bbox"]
    seen = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert np.allclose(box, seen, atol=4), "left, top, width, height"


def test_what_shows_no_object_is_moved_away(stillsift: Command, tmp_path: Path) -> None:
    photos = written(tmp_path / "in", DARK[0], with_light(DARK[1]))
    given, out = config(tmp_path, require=["light"]), tmp_path / "out"
    assert stillsift("sift", photos, "-c", given, "--remove-to", out).status == 0
    assert [path.name for path in photos.iterdir()] == ["1.png"]
    assert "no_target" in (out / "removed.csv").read_text("utf-8")
    assert stillsift("restore", "--store", out, "--all").status == 0
    assert len(list(photos.iterdir())) == 2


def test_a_detector_that_is_not_there_ends_it_before_anything_is_done(
    stillsift: Command, tmp_path: Path
) -> None:
    photos = written(tmp_path / "in", DARK[0])
    given = config(tmp_path, require=["light"])
    (tmp_path / "light.onnx").unlink()
    done = stillsift("sift", photos, "-c", given, "-o", tmp_path / "out")
    assert done.status == 78
    assert f"{tmp_path}/light.onnx" in done.err
    assert not (tmp_path / "out").exists()
    checked = stillsift("check-config", given)
    assert "detector.path: is" in checked.err


def test_an_object_that_the_file_of_a_detector_does_not_name_is_told(
    stillsift: Command, tmp_path: Path
) -> None:
    outputs = {"boxes": np.zeros((1, 1, 4), np.float32), "scores": np.zeros((1, 1, 1), np.float32)}
    path = tiny_onnx.detector(tmp_path / "own.onnx", outputs, names="{0: 'bolt'}")
    given = tmp_path / "config.yaml"
    asked = {"detector": {"path": str(path)}, "defaults": {"inhibit": ["screw"]}}
    given.write_text(yaml.safe_dump(asked), "utf-8")
    done = stillsift("sift", written(tmp_path / "in", DARK[0]), "-c", given, "--dry-run")
    assert done.status == 78
    assert f"{path}: no detector finds 'screw'" in done.err


def test_the_daemon_counts_objects_and_takes_up_other_ones(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    detector = {"path": str(tiny_onnx.bright_box(tmp_path / "light.onnx")), "labels": ["light"]}
    source = {"name": "gate", "directory": str(gate), "require": ["light"]}
    with daemon(tmp_path, [source], detector=detector) as running:
        written(gate, DARK[0], with_light(DARK[1]))
        running.start()
        running.until_done(2)
        assert sample(running, "stillsift_detections_total", source="gate", label="light") == 1
        reasons = {"source": "gate", "outcome": "dropped", "reason": "no_target"}
        assert sample(running, "stillsift_frames_total", **reasons) == 1
        assert sample(running, "stillsift_stage_seconds_count", stage="detect") == 2
        assert running.stop() == 0
    assert [each.decision.reason for each in decided(running.store)] == [
        Reason.NO_TARGET,
        Reason.NOVEL,
    ]


@pytest.mark.parametrize(("label", "kept"), [("person", True), ("zebra", False)])
def test_the_detector_that_comes_along_tells_people_from_zebras(
    label: str, kept: bool, stillsift: Command
) -> None:
    done = stillsift(
        "sift", real_clip("bikes"), "--dry-run", "--json", "--set", f"require=[{label}]"
    )
    (source,) = json.loads(done.out)["sources"]
    assert (source["kept"] > 0) == kept
    assert kept or set(source["reasons"]) == {"no_target"}


def blocks(pixels: Image) -> int:
    """Number of colours in a part of a picture."""
    return len(np.unique(pixels.reshape(-1, 3), axis=0))


@pytest.mark.parametrize("into", ["--output", "--copy-to"])
def test_what_is_covered_cannot_be_had_back(into: str, stillsift: Command, tmp_path: Path) -> None:
    """And no still is kept byte for byte, be there something in it or not."""
    photos = written(tmp_path / "in", with_light(DARK[0], side=60), DARK[1])
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    given, out = config(tmp_path, anonymize=["light"]), tmp_path / "out"
    done = stillsift("sift", photos, "-c", given, into, out)
    assert done.status == 0, done.err
    kept = sorted(out.rglob("*.png"))
    assert len(kept) == 2
    assert not {path.read_bytes() for path in kept} & set(before.values())
    store = out if into == "--output" else out / ".stillsift"
    told = {str(record.decision.file): record.repairs for record in decided(store)}
    assert sorted(map(str, told.values())) == [
        "made anonymous: 1 light",
        "made anonymous: no light found",
    ]
    pictures = [np.asarray(cv2.imread(str(path)), np.uint8) for path in kept]
    (pixels,) = [each for each in pictures if np.array_equal(each[0], DARK[0][0])]
    assert blocks(pixels[200:260, 100:160]) <= 25, "five by five blocks"
    assert np.array_equal(pixels[:180], DARK[0][:180]), "the rest is as it was"
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before


def test_no_detector_is_opened_for_what_no_source_asks_for(
    stillsift: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of `defaults:` that each source overrides are nobody's; `sift` follows those alone."""
    opened = []

    def noted(spec: DetectorSpec, provider: Provider, threads: int) -> Detector:
        opened.append(spec.name)
        return open_detector(spec, provider, threads)

    monkeypatch.setattr(object_finder, "open_detector", noted)
    photos, given = written(tmp_path / "in", DARK[0]), tmp_path / "config.yaml"

    def of(defaults: list[str], source: list[str]) -> tuple[list[str], list[str]]:
        """What `check-config --probe` and `sift` open."""
        sources = [{"name": "in", "directory": str(photos), "require": source}]
        config = {"store": {"path": str(tmp_path / "store")}, "sources": sources}
        given.write_text(yaml.safe_dump(config | {"defaults": {"require": defaults}}))
        opened.clear()
        assert stillsift("check-config", given, "--probe").status == 0
        probed = opened.copy()
        opened.clear()
        assert stillsift("sift", photos, "-c", given, "--dry-run").status == 0
        return probed, opened.copy()

    assert of(["face"], []) == ([], ["centerface-640"])
    assert of([], ["face"]) == (["centerface-640"], [])
    assert of(["face"], ["face"]) == (["centerface-640"], ["centerface-640"])


def test_what_was_kept_before_it_was_asked_for_is_told(stillsift: Command, tmp_path: Path) -> None:
    photos, out = written(tmp_path / "in", with_light(DARK[0]), DARK[1]), tmp_path / "store"
    stillsift("sift", photos, "-c", config(tmp_path), "-o", out)
    kept = len(decided(out))
    assert kept == 2
    cv2.imwrite(str(photos / "9.png"), with_light(DARK[2], side=60))
    words = ("sift", photos, "-c", config(tmp_path), "-o", out, "--set", "anonymize=[light]")
    told = (
        "anonymize covers nothing in 2 frames that were kept before: of `decisions --source in "
        '--outcome kept --format csv` those whose repairs do not begin with "made anonymous"'
    )
    assert f"  earlier  {told}" in stillsift(*words).out
    again = stillsift(*words, "--json")  # what it has covered itself does not count
    assert [each["uncovered"] for each in json.loads(again.out)["sources"]] == [told]
    assert "earlier" not in stillsift(*words[:4], "-o", out).out

    sources = [{"name": "in", "directory": str(photos)}]
    detector = yaml.safe_load(config(tmp_path).read_text())["detector"]
    with daemon(tmp_path, sources, detector=detector) as running:
        assert stillsift("check-config", running.config_file).err == ""
        running.start()
        running.config["defaults"] |= {"anonymize": ["light"]}
        running.write_config()
        checked = stillsift("check-config", running.config_file)
        assert f"warning: sources.in: {told}" in checked.err, checked
        assert checked.status == 0
        running.signal(signal.SIGHUP)
        until(lambda: f"in: {told}" in running.log, "told after a reload")
        assert running.stop() == 0
        running.start()
        until(lambda: running.log.count(f"in: {told}") == 2, "told after a start")
        assert running.stop() == 0


def test_what_was_found_after_a_crash_is_covered_as_well(
    stillsift: Command, tmp_path: Path
) -> None:
    """The first run is killed between the file and its record, and asked for nothing to cover."""
    photos = written(tmp_path / "in", with_light(DARK[0]))
    words, out = (photos, "-c", config(tmp_path), "-o", tmp_path / "out"), tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, CUT_OFF, "record", "1", *words], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed
    (kept,) = (out / "kept").rglob("*.png")
    assert kept.read_bytes() == (photos / "0.png").read_bytes()
    done = stillsift("sift", *words, "--set", "anonymize=[light]")
    assert done.status == 0, done
    assert list((out / "kept").rglob("*.png")) == [kept]
    pixels = np.asarray(cv2.imread(str(kept)), np.uint8)
    assert blocks(pixels[200:320, 100:220]) <= 25, "five by five blocks"
    (record,) = decided(out)
    assert record.repairs == "made anonymous: 1 light"
    assert record.decision.detail == "nothing was kept before"


@pytest.mark.parametrize("earlier", [(), ("--set", "repair={longest_side: 320}")])
def test_a_copy_that_is_not_anonymous_does_not_count_as_the_copy(
    earlier: tuple[str, ...], stillsift: Command, tmp_path: Path
) -> None:
    photos = written(tmp_path / "in", with_light(DARK[0]))
    given, out = config(tmp_path), tmp_path / "out"
    assert stillsift("sift", photos, "-c", given, "--copy-to", out, *earlier).status == 0
    uncovered = (out / "0.png").read_bytes()
    command = ("sift", photos, "-c", given, "--copy-to", out, "--set", "anonymize=[light]")
    done = stillsift(*command)
    assert done.status == 1, done
    assert "0.png: not copied: another file is there: its copy of an earlier run" in done.out
    assert "Copies        0 files" in done.out
    assert (out / "0.png").read_bytes() == uncovered, "nothing is overwritten"
    (out / "0.png").unlink()
    for _ in range(2):  # the second run has nothing to do
        done = stillsift(*command)
        assert (done.status, "Copies        1 file" in done.out) == (0, True), done
    pixels = np.asarray(cv2.imread(str(out / "0.png")), np.uint8)
    assert blocks(pixels[200:320, 100:220]) <= 25, "five by five blocks"


def test_what_cannot_be_covered_stops_no_other_copy(stillsift: Command, tmp_path: Path) -> None:
    """A WebP has 16,383 pixels a side at most."""
    wide = np.tile(DARK[0], (1, 27, 1))[:64]
    photos = written(tmp_path / "in", wide, DARK[1], with_light(DARK[2]))
    given, out = config(tmp_path, anonymize=["light"]), tmp_path / "out"
    words = ("-c", given, "--copy-to", out, "--set", "repair={format: webp}")
    for _ in range(2):
        done = stillsift("sift", photos, *words)
        assert done.status == 1, done
        assert "Copies        2 files" in done.out
        assert f"{photos}/0.png: not copied: not kept, as it cannot be made anonymous" in done.out
        assert sorted(path.name for path in out.iterdir()) == [".stillsift", "1.webp", "2.webp"]


def test_faces_of_a_clip_are_covered(stillsift: Command, tmp_path: Path) -> None:
    """The detector that found them finds none in what was kept."""
    look = open_detector(detectors()["centerface-640"])
    clip = real_clip("carphone_pristine")
    for anonymous in (False, True):
        out = tmp_path / str(anonymous)
        words = ("--set", "anonymize=[face]") if anonymous else ()
        assert stillsift("sift", clip, "-o", out, *words).status == 0
        kept = sorted(out.rglob("*.jpg"))
        assert kept
        faces = [look(np.asarray(cv2.imread(str(path)), np.uint8), 0.5) for path in kept]
        assert all(not found for found in faces) if anonymous else all(faces)


def test_what_stays_in_place_cannot_be_made_anonymous(stillsift: Command, tmp_path: Path) -> None:
    photos = written(tmp_path / "in", DARK[0])
    given = config(tmp_path, anonymize=["light"])
    done = stillsift("sift", photos, "-c", given, "--remove-to", tmp_path / "out")
    assert done.status == 2
    assert "leaves what is kept as it is, and anonymize must not" in done.err


def test_a_person_who_comes_again_is_kept_once(stillsift: Command, tmp_path: Path) -> None:
    """Real people, the detector that comes along: the driver, the driver elsewhere and in another
    light, then the cyclist."""
    empty = textured(7, 640, 480) // 3

    def standing(name: str, x: int, y: int, height: int, light: float = 1.0) -> Image:
        picture, person = empty.copy(), real_person(name)
        size = round(person.shape[1] * height / person.shape[0]), height
        there = cv2.resize(person, size, interpolation=cv2.INTER_AREA)
        picture[y : y + height, x : x + size[0]] = there
        return np.asarray(picture * light, np.uint8)

    shots = [
        *(empty, standing("driver", 40, 200, 200), empty),
        *(standing("driver", 380, 120, 160, light=0.7), empty, standing("cyclist", 200, 150, 260)),
    ]
    pictures = [np.ascontiguousarray(shot[..., ::-1]) for shot in shots for _ in range(25)]
    clip = tmp_path / "door.mp4"
    write_clip(clip, pictures, rate=10, gop=25)

    def kept(*asked: str) -> tuple[list[int], list[dict[str, Any]]]:
        told = tmp_path / "told.jsonl"
        told.unlink(missing_ok=True)
        done = stillsift(
            *("sift", clip, "--dry-run", "--decisions", told, "--set", "require=[person]"), *asked
        )
        assert done.status == 0, done.err
        rows = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
        shown = [row["frame_index"] // 25 for row in rows if row["outcome"] == "kept"]
        return sorted(set(shown)), [row for row in rows if row["frame_index"] // 25 == 3]

    assert kept()[0] == [1, 3, 5]
    shown, again = kept("--set", "compare=object")
    assert shown == [1, 5]
    (looked,) = {
        (row["reason"], row["distance"] <= 1)
        for row in again
        if row["detections"] and "compared by itself" in row["detail"]
    }
    assert looked == ("same_object", True)


def test_a_better_copy_replaces_what_shows_the_same_object(
    stillsift: Command, tmp_path: Path
) -> None:
    picture, person = textured(7, 640, 480) // 3, real_person("driver")
    large = cv2.resize(person, (336, 312), interpolation=cv2.INTER_CUBIC)
    picture[100:412, 200:536] = large
    small = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
    photos = tmp_path / "in"
    photos.mkdir()
    for name, each in (("a", small), ("b", textured(3, 640, 480)), ("z", picture)):
        assert cv2.imwrite(str(photos / f"{name}.png"), each)
    asked = "--set", "require=[person]", "--set", "compare=object"
    done = stillsift("sift", photos, "-o", tmp_path / "out", *asked)
    assert done.status == 0, done.err
    told = {
        Path(str(each.decision.file)).stem: each.decision.reason
        for each in decided(tmp_path / "out")
    }
    assert told == {
        "a": Reason.NEAR_DUPLICATE,
        "b": Reason.NO_TARGET,
        "z": Reason.NOVEL,
    }


@pytest.mark.parametrize("asked", ["compare=object", "compare=thing"])
def test_objects_that_nobody_names_cannot_be_compared(asked: str, stillsift: Command) -> None:
    done = stillsift("sift", real_clip("bikes"), "--dry-run", "--set", asked)
    assert done.status == 2
    assert "compare" in done.err
    assert ("require" in done.err) == (asked == "compare=object")
