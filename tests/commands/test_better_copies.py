"""A better copy that comes later takes the place of what was kept, until the folder is sifted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import Command
from footage import write_clip
from photographs import blurred, compressed, cropped, grey, noisy, resized, textured
from running import assert_agree, decided, kept_on_disk
from scripted import config
from stillsift.arrays import Image
from stillsift.commands.tally import Tally
from stillsift.config import SourceConfig
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.ledger import LedgerReader
from stillsift.pipeline import Engine, Line
from stillsift.service import Metrics
from stillsift.sources import Finished, Item

ORIGINAL = textured(1, 960, 720)


def write(folder: Path, name: str, pixels: Image, quality: int = 92) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.jpg"
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def write_all(folder: Path, pictures: dict[str, Image]) -> None:
    for name, pixels in pictures.items():
        write(folder, name, pixels)


def others(names: Iterable[str]) -> dict[str, Image]:
    """A picture of its own for each name."""
    return {name: textured(100 + number) for number, name in enumerate(names)}


THUMBNAIL_FIRST = {"a": resized(ORIGINAL, 0.25), **others("bcd"), "z": ORIGINAL}


def records(store: Path) -> dict[str, Decision]:
    """The decision about each file, by its name without the suffix."""
    return {
        record.decision.file.stem: record.decision
        for record in decided(store)
        if record.decision.file
    }


def kept_of(store: Path) -> str:
    """The names of the kept files, one after the other."""
    return "".join(name for name, one in records(store).items() if one.outcome is Outcome.KEPT)


def assert_true(store: Path) -> None:
    """Every record names what is kept and on the disk, a near duplicate within its limit."""
    assert_agree(store)
    there = {one.id for one in records(store).values() if one.shown_by == one.id}
    for one in records(store).values():
        assert one.nearest_kept is None or one.nearest_kept in there, one
        if one.reason is Reason.NEAR_DUPLICATE:
            assert one.distance is not None
            assert one.distance <= 1, one
    with LedgerReader(store / "ledger.sqlite") as ledger:
        for source in ledger.sources():
            for file in ledger.files(source):
                assert set(file.named) <= there, file
    for listing in store.rglob("metadata.jsonl"):
        for line in map(json.loads, listing.read_text().splitlines()):
            assert line["nearest_kept"] in {"", *there}


def sift(stillsift: Command, folder: Path, store: Path, *options: object) -> dict[str, Any]:
    """The summary of a run that must end well."""
    done = stillsift("sift", folder, "-o", store, "--json", *options)
    assert done.status == 0, done.err
    (summary,) = json.loads(done.out)["sources"]
    return dict(summary)


def test_the_original_takes_the_place_of_its_thumbnail(stillsift: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, THUMBNAIL_FIRST)
    done = stillsift("sift", folder, "-o", store)
    assert "in: 5 frames, 4 kept (80.0%)" in done.out
    assert "  replaced 1 kept frame, by better copies\n" in done.out
    assert kept_of(store) == "bcdz"
    assert_true(store)
    assert len(kept_on_disk(store)) == 4
    old, new = records(store)["a"], records(store)["z"]
    assert (old.reason, old.nearest_kept) == (Reason.NEAR_DUPLICATE, new.id)
    assert (old.detail or "").endswith("at 25 % of the size; kept until one came that is larger")
    assert new.detail == "replaces a.jpg, as it is larger"
    assert (new.reason, new.nearest_kept) != (Reason.NOVEL, old.id)
    (told,) = json.loads(stillsift("stats", "--store", store, "--json").out)
    assert (told["kept"], told["dropped"], told["missing"]) == (4, 1, 0)
    assert told["kept_bytes"] == sum((folder / f"{name}.jpg").stat().st_size for name in "bcdz")
    assert stillsift("restore", "--list", "--store", store).out == "nothing in quarantine\n"
    assert (folder / "a.jpg").is_file()


def test_the_summary_counts_what_is_kept_at_the_end(stillsift: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_all(folder, THUMBNAIL_FIRST)
    told = sift(stillsift, folder, tmp_path / "out")
    sizes = [(folder / f"{name}.jpg").stat().st_size for name in "bcdz"]
    assert (told["frames"], told["kept"], told["dropped"]) == (5, 4, 1)
    assert (told["replaced"], told["kept_bytes"]) == (1, sum(sizes))
    assert told["reasons"] == {"near_duplicate": 1, "novel": 4}


def test_a_dry_run_decides_the_same(stillsift: Command, tmp_path: Path) -> None:
    folder, rows = tmp_path / "in", {}
    write_all(
        folder, {**THUMBNAIL_FIRST, "m": resized(ORIGINAL, 0.5), "n": resized(ORIGINAL, 0.27)}
    )
    for name, where in (("dry", ["--dry-run"]), ("real", ["-o", tmp_path / "out"])):
        file = tmp_path / f"{name}.jsonl"
        done = stillsift("sift", folder, *where, "--decisions", file)
        assert "replaced 2 kept frames, by better copies" in done.out
        found = map(json.loads, file.read_text().splitlines())
        rows[name] = [row | {"kept_path": None} for row in found]
    assert rows["dry"] == rows["real"]
    assert kept_of(tmp_path / "out") == "bcdz"


def test_the_best_of_three_sizes_is_kept_and_named_by_all(
    stillsift: Command, tmp_path: Path
) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    sizes = {"a": resized(ORIGINAL, 0.25), "h": resized(ORIGINAL, 0.5), "z": ORIGINAL}
    write_all(folder, {**sizes, **others("bcijk")})
    assert sift(stillsift, folder, store)["replaced"] == 2
    assert kept_of(store) == "bcijkz"
    assert_true(store)
    found = records(store)
    assert found["a"].nearest_kept == found["h"].nearest_kept == found["z"].id


@pytest.mark.parametrize(
    ("worse", "quality", "why"),
    [
        (grey(ORIGINAL), 92, "is in colour"),
        (noisy(ORIGINAL, 9), 92, "is less noisy"),
        (ORIGINAL, 30, "is less compressed"),
        (blurred(ORIGINAL, 4), 92, "is not blurred"),
        (cropped(ORIGINAL, 0.08), 92, "shows more of the scene"),
    ],
    ids=["grey", "noisy", "compressed", "blurred", "cropped"],
)
def test_what_is_plainly_worse_gives_way(
    worse: Image, quality: int, why: str, stillsift: Command, tmp_path: Path
) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {**others("bc"), "z": ORIGINAL})
    write(folder, "a", worse, quality)
    sift(stillsift, folder, store)
    assert kept_of(store) == "bcz"
    assert records(store)["z"].detail == f"replaces a.jpg, as it {why}"
    assert_true(store)


def test_what_is_only_a_little_better_does_not_take_its_place(
    stillsift: Command, tmp_path: Path
) -> None:
    """Which of two is sharpened, and which a little blurred, cannot be told apart."""
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {"a": blurred(ORIGINAL, 1), **others("bc"), "z": ORIGINAL})
    assert sift(stillsift, folder, store)["replaced"] == 0
    assert kept_of(store) == "abc"


@pytest.mark.parametrize("audit", [0, 1])
def test_what_named_the_thumbnail_names_the_original(
    audit: int, stillsift: Command, tmp_path: Path
) -> None:
    """Its repeats, copies of it and of them before and after, and pictures it was nearest to."""
    folder, store = tmp_path / "in", tmp_path / "out"
    small = resized(ORIGINAL, 0.3)
    repeats = {"b": resized(ORIGINAL, 0.28), "d": compressed(small, 80)}
    write_all(folder, {"a": small, **repeats, **others("cef"), "u": ORIGINAL, **others("w")})
    for copy, of in {"g": "a", "h": "b", "v": "a", "x": "d"}.items():
        shutil.copy(folder / f"{of}.jpg", folder / f"{copy}.jpg")
    assert sift(stillsift, folder, store, "--set", f"audit={audit}")["replaced"] == 1
    assert_true(store)
    found = records(store)
    kept = [name for name, one in found.items() if one.shown_by == one.id]
    assert "".join(kept) == "cefuw"[: len(kept)]
    assert {found[name].nearest_kept for name in "abdghvx"} == {found["u"].id}
    assert [found[name].reason for name in "ghvx"] == [Reason.EXACT_DUPLICATE] * 4
    aside = Reason.AUDIT if audit else Reason.NEAR_DUPLICATE
    assert [found[name].reason for name in "abd"] == [Reason.NEAR_DUPLICATE, aside, aside]
    assert found["b"].detail is not None
    assert found["b"].detail.endswith("; the kept one took the place of another")


def reddened(picture: Image, levels: int) -> Image:
    """The same with more red in the middle."""
    made = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    height, width = picture.shape[:2]
    middle = made[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4, 1]
    middle[:] = np.minimum(middle.astype(np.int16) + levels, 255)
    return np.asarray(cv2.cvtColor(made, cv2.COLOR_YCrCb2BGR), np.uint8)


@pytest.mark.parametrize(("levels", "kept"), [(3, "bcz"), (7, "abc")])
def test_nothing_gives_way_where_the_better_one_does_not_show_a_repeat_of_it(
    levels: int, kept: str, stillsift: Command, tmp_path: Path
) -> None:
    """The first differs a little from the last, and the second as much from the first."""
    folder, store = tmp_path / "in", tmp_path / "out"
    pictures = {
        "a": resized(reddened(ORIGINAL, levels), 0.3),
        "aa": resized(reddened(ORIGINAL, 2 * levels), 0.28),
    }
    write_all(folder, {**pictures, **others("bc"), "z": ORIGINAL})
    sift(stillsift, folder, store)
    assert kept_of(store) == kept
    assert_true(store)


def test_what_a_frame_of_a_clip_names_stays(stillsift: Command, tmp_path: Path) -> None:
    """The frame is in no file of its own to be compared again."""
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {"a": resized(ORIGINAL, 0.3), "z": ORIGINAL})
    clip = write_clip(folder / "b.mp4", [1], frames=3)
    sift(stillsift, folder, store)
    assert records(store)["b"].nearest_kept == records(store)["a"].id
    assert records(store)["z"].nearest_kept == records(store)["a"].id
    assert_true(store)
    clip.unlink()
    sift(stillsift, folder, tmp_path / "without")
    assert kept_of(tmp_path / "without") == "z"


def test_a_second_sift_replaces_nothing_of_the_first(stillsift: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, THUMBNAIL_FIRST)
    (folder / "z.jpg").rename(tmp_path / "z.jpg")
    assert sift(stillsift, folder, store)["kept"] == 4
    shutil.move(tmp_path / "z.jpg", folder)
    told = sift(stillsift, folder, store)
    assert (told["frames"], told["kept"], told["replaced"]) == (1, 0, 0)
    assert kept_of(store) == "abcd"
    assert sift(stillsift, folder, store)["frames"] == 0
    assert_true(store)


def run(folder: Path, store: Path, after: Callable[[str, Line], None]) -> Tally:
    """Sifts a folder as the command does; `after` is called with the name of each file read."""
    settings, tally = config(store), Tally("in", "", store)
    source = SourceConfig.model_validate({"name": "in", "directory": folder})
    with Engine(settings, Metrics()) as engine:
        line = engine.line(
            source.under(settings.defaults),
            watch=False,
            replacing=True,
            on_decision=tally.note,
            on_replaced=tally.replace,
        )
        items = line.source.items

        def watched() -> Iterator[Item]:
            for item in items():
                yield item
                if isinstance(item, Finished):
                    after(item.file.stem, line)

        line.source.items = watched  # type: ignore[method-assign]
        line.run()
    return tally


def test_an_interrupted_sift_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """What it has kept by then may still give way, and what named that is known."""
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {**THUMBNAIL_FIRST, "e": resized(ORIGINAL, 0.24)})

    def stop(name: str, line: Line) -> None:
        if name == "e":
            line.stop()

    runs = [run(folder, store, stop), run(folder, store, stop)]
    assert [(one.frames, one.kept, one.replaced) for one in runs] == [(5, 4, 0), (1, 1, 1)]
    assert kept_of(store) == "bcdz"
    assert_true(store)


def test_what_was_to_be_replaced_stays_where_the_better_one_cannot_be_written(
    stillsift: Command, tmp_path: Path
) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {**THUMBNAIL_FIRST, "zz": resized(ORIGINAL, 0.8)})
    sift(stillsift, folder, tmp_path / "before")
    place = next(
        r.kept_path for r in decided(tmp_path / "before") if r.decision.file == folder / "z.jpg"
    )
    assert place is not None

    def after(name: str, _line: Line) -> None:
        if name == "d":  # the next one is z
            (store / place).write_bytes(b"another picture of this name")
        if name == "z":
            (store / place).unlink()

    told = run(folder, store, after)
    assert (told.count(Outcome.FAILED), told.kept, told.replaced) == (1, 4, 1)
    assert records(store)["z"].reason is Reason.WRITE_ERROR
    assert records(store)["zz"].detail == "replaces a.jpg, as it is larger"
    assert kept_of(store) == "bcdzz"
    assert_true(store)


def test_what_could_not_be_written_names_the_better_one_too(
    stillsift: Command, tmp_path: Path
) -> None:
    """It was kept, as it seemed, when the better one came."""
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {"a": resized(ORIGINAL, 0.25), **others("b"), "z": ORIGINAL})
    sift(stillsift, folder, tmp_path / "before")
    (place,) = [
        r.kept_path for r in decided(tmp_path / "before") if r.decision.file == folder / "b.jpg"
    ]
    assert place is not None

    def after(name: str, _line: Line) -> None:
        if name == "b":  # it waits
            (store / place).write_bytes(b"another picture of this name")
        if name == "z":
            (store / place).unlink()

    assert run(folder, store, after).kept == 1
    found = records(store)
    assert (found["b"].reason, found["b"].nearest_kept) == (Reason.WRITE_ERROR, found["z"].id)
    assert "another picture is there under this name" in (found["b"].detail or "")
    assert kept_of(store) == "z"
    assert_true(store)


def test_what_a_daemon_has_kept_stays(stillsift: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, THUMBNAIL_FIRST)
    settings = config(store)
    source = SourceConfig.model_validate({"name": "in", "directory": folder})
    with Engine(settings, Metrics()) as engine:
        engine.line(source.under(settings.defaults), watch=False).run()
    assert kept_of(store) == "abcd"
    write(folder, "zz", resized(ORIGINAL, 0.9))
    sift(stillsift, folder, store)
    assert kept_of(store) == "abcd"


@pytest.mark.parametrize("retire", ["move", "delete"])
def test_the_only_copy_of_a_replaced_picture_goes_into_quarantine_and_comes_back(
    retire: str, stillsift: Command, tmp_path: Path
) -> None:
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, THUMBNAIL_FIRST)
    thumbnail = folder / "a.jpg"
    before, changed_ns = thumbnail.read_bytes(), thumbnail.stat().st_mtime_ns
    assert sift(stillsift, folder, store, "--set", f"retire={retire}")["replaced"] == 1
    assert_true(store)
    assert kept_of(store) == "bcdz"
    assert list(folder.iterdir()) == []
    (told,) = json.loads(stillsift("restore", "--list", "--store", store, "--json").out)
    assert (told["file"], told["bytes"]) == (str(thumbnail), len(before))
    assert stillsift("restore", "a.jpg", "--store", store).status == 0
    assert thumbnail.read_bytes() == before
    assert thumbnail.stat().st_mtime_ns == changed_ns
    assert sift(stillsift, folder, store)["frames"] == 0, "it is known"
    assert_true(store)


@pytest.mark.parametrize(("retire", "kept"), [("move", "cdz"), ("delete", "acd")])
def test_nothing_gives_way_where_a_repeat_of_it_is_deleted(
    retire: str, kept: str, stillsift: Command, tmp_path: Path
) -> None:
    """Whether its original has gone by then makes no difference; in a group it has."""
    folder, store = tmp_path / "in", tmp_path / "out"
    sizes = {"a": resized(ORIGINAL, 0.3), "b": resized(ORIGINAL, 0.28)}
    write_all(folder, {**sizes, **others("cd"), "z": ORIGINAL})
    options = ("--set", f"retire={retire}")
    stillsift("sift", folder, "--dry-run", *options, "--decisions", tmp_path / "dry")
    shutil.copytree(folder, tmp_path / "again", copy_function=shutil.copy2)
    for number, more in enumerate(((), ("--set", "group=all"))):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "again", folder, copy_function=shutil.copy2)
        sift(stillsift, folder, store / str(number), *options, *more)
        assert kept_of(store / str(number)) == kept
        assert_true(store / str(number))
    dry = [json.loads(line) for line in (tmp_path / "dry").read_text().splitlines()]
    assert "".join(Path(r["file"]).stem for r in dry if r["outcome"] == "kept") == kept


def test_a_better_copy_takes_the_place_in_the_budget_too(
    stillsift: Command, tmp_path: Path
) -> None:
    """All are of one day, which takes three."""
    folder, store = tmp_path / "in", tmp_path / "out"
    write_all(folder, {"a": resized(ORIGINAL, 0.25), **others("bcd"), "z": ORIGINAL})
    for path in folder.iterdir():
        os.utime(path, (1_772_366_400, 1_772_366_400))
    assert sift(stillsift, folder, store, "--set", "max_per_day=3")["replaced"] == 1
    assert kept_of(store) == "bcz"
    assert records(store)["d"].reason is Reason.BUDGET
    assert_true(store)


def test_what_a_source_of_the_group_has_kept_stays(stillsift: Command, tmp_path: Path) -> None:
    """Its folder has been read to its end; within a folder the better copy takes the place."""
    one, two, store = tmp_path / "one", tmp_path / "two", tmp_path / "out"
    write_all(one, THUMBNAIL_FIRST)
    second = textured(7, 960, 720)
    write_all(two, {"f": resized(second, 0.25), **others("ij"), "y": second})
    write(one, "e", resized(second, 0.4))
    done = stillsift("sift", one, two, "-o", store, "--set", "group=all")
    assert done.status == 0
    assert kept_of(store) == "bcdez"
    found = records(store)
    assert {found["f"].nearest_kept, found["y"].nearest_kept} == {found["e"].id}
    assert_true(store)


@pytest.mark.parametrize("retire", ["leave", "move", "delete"])
def test_an_enlarged_picture_gives_way_wherever_its_own_file_is_by_then(
    stillsift: Command, tmp_path: Path, retire: str
) -> None:
    """How fine its detail is, is asked for when the original comes; it was decoded smaller."""
    folder, store = tmp_path / "photos", tmp_path / "store"
    original = textured(3, 800, 600)
    write(folder, "a", resized(original, 4), 95)
    write_all(folder, others("bcd"))
    write(folder, "z", original, 95)
    for path in folder.iterdir():  # nobody writes to them any more
        os.utime(path, (1_700_000_000, 1_700_000_000))
    words = ("--set", f"retire={retire}", "--set", "group=g")
    assert stillsift("sift", folder, "--output", store, *words).status == 0
    found = records(store)
    assert found["z"].reason is Reason.NOVEL
    assert "not enlarged" in str(found["z"].detail)
    assert found["a"].nearest_kept == found["z"].id
