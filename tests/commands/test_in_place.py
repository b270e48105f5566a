"""`sift --remove-to` and `--copy-to`: the folder is left clean, and all can be undone."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from test_better_copies import write

from conftest import Command, Disks
from footage import write_clip, write_still
from photographs import compressed, resized, textured
from raws import dng
from running import decided
from stillsift.decisions import Outcome
from stillsift.frames import ArrayPicture
from stillsift.ledger import Ledger
from stillsift.ledger.reader import LedgerReader
from stillsift.sources.decoding import MAX_PIXELS
from stillsift.sources.files.directory import is_still
from stillsift.sources.files.read_ahead import ReadAhead

CUT_OFF = (sys.executable, Path(__file__).with_name("cut_off_sift.py"))


def contents(*folders: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path below its folder; the state is left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and ".stillsift" not in path.parts
    }


def listed(gone: Path) -> dict[str, dict[str, str]]:
    """The rows of the list by the name of the file."""
    return {Path(row["file"]).name: row for row in rows_of(gone)}


def rows_of(gone: Path) -> list[dict[str, str]]:
    with (gone / "removed.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures; of each a smaller copy, of one a second file with its bytes, deeper down."""
    folder = tmp_path / "photos"
    first, second = textured(1, 800, 600), textured(2, 800, 600)
    original = write(folder, "a", first)
    write(folder, "a small", resized(first, 0.5))
    write(folder / "b", "second", second)
    write(folder / "b", "second small", resized(second, 0.4))
    (folder / "c").mkdir()
    shutil.copy2(original, folder / "c" / "a again.jpg")
    (folder / "notes.txt").write_text("no picture")
    return folder


DROPPED = {"a small.jpg", "b/second small.jpg", "c/a again.jpg"}


# -- removing --------------------------------------------------------------------------------------


def test_what_repeats_is_moved_and_what_is_kept_is_not_touched(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, gone = contents(photos), tmp_path / "gone"
    times = {path: path.stat() for path in photos.rglob("*.jpg")}
    done = stillsift("sift", photos, "--remove-to", gone)
    assert done.status == 0, done
    assert {name for name in contents(gone) if name != "removed.csv"} == DROPPED
    assert contents(photos) == {name: each for name, each in before.items() if name not in DROPPED}
    for path in photos.rglob("*.jpg"):
        now, was = path.stat(), times[path]
        assert (now.st_ino, now.st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    rows = listed(gone)
    assert set(rows) == {Path(name).name for name in DROPPED}
    assert rows["second small.jpg"]["shown_by"] == str(photos / "b" / "second.jpg")
    assert rows["second small.jpg"]["reason"] == "near_duplicate"
    assert rows["a again.jpg"]["reason"] == "exact_duplicate"
    for row in rows.values():
        data = Path(row["now"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
    assert f"stillsift restore --store {gone} --all" in done.out


def beside(photos: Path) -> set[str]:
    """Puts files beside pictures; returns those that belong to nothing but dropped ones."""
    names = {
        *("a small.xmp", "a small.jpg.XMP", "a small.txt", "b/second small.json"),
        *("c/a again.aae", "c/a again.xml"),
    }
    stays = {"a.xmp", "a.md", "b/second.txt", "a small again.xmp", "c/a small.xmp"}
    for name in names | stays:
        (photos / name).write_text(f"of {name}")
    return names


def test_what_belongs_to_a_still_goes_with_it_and_comes_back(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    going = beside(photos)
    before, gone = contents(photos), tmp_path / "gone"
    done = stillsift("sift", photos, "--remove-to", gone)
    assert {name for name in contents(gone) if name != "removed.csv"} == DROPPED | going
    expected = {name: each for name, each in before.items() if name not in DROPPED | going}
    assert contents(photos) == expected
    assert ", and 6 files beside them, to" in done.out
    assert listed(gone)["a small.jpg.XMP"]["detail"] == "belongs to a small.jpg"
    assert stillsift("restore", "--store", gone, "a small.jpg").status == 0
    assert set(contents(photos)) - set(expected) == {
        *("a small.jpg", "a small.xmp", "a small.jpg.XMP", "a small.txt")
    }
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == before
    (photos / "a small.txt").write_text("changed since")
    again = json.loads(stillsift("sift", photos, "--remove-to", gone, "--json").out)
    assert sum(each["sidecars"] for each in again["sources"]) == 0


def test_what_may_belong_to_another_picture_or_clip_stays(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    write(photos, "other", textured(7, 800, 600)).rename(photos / "a small.jpeg")
    write_clip(photos / "b" / "second small.mp4", [1, 2])
    shutil.copy2(photos / "a.jpg", photos / "c" / "a again.jpeg")  # dropped, too
    going = beside(photos)
    gone = tmp_path / "gone"
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    lying = {name for name in contents(gone) if name != "removed.csv"}
    assert lying == {*DROPPED, "c/a again.jpeg"} | (
        going - {"a small.xmp", "a small.txt", "b/second small.json"}
    )


def test_a_file_of_the_same_name_that_is_not_read_keeps_what_may_be_its_own(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    for name in ("a small.psd", "a small.xmp", "a small.jpg.xmp"):
        (photos / name).write_text(name)
    assert stillsift("sift", photos, "--remove-to", tmp_path / "gone").status == 0
    lying = {name for name in contents(tmp_path / "gone") if name != "removed.csv"}
    assert lying == {*DROPPED, "a small.jpg.xmp"}


@pytest.mark.parametrize("below", ["", "images", "images/train"])
def test_labels_of_yolo_go_and_come_back_with_their_pictures(
    stillsift: Command, photos: Path, tmp_path: Path, below: str
) -> None:
    folder, gone = tmp_path / "set", tmp_path / "gone"
    (folder / "images").mkdir(parents=True)
    photos.rename(folder / "images" / "train")
    labels = {f"labels/train/{name.removesuffix('.jpg')}.txt" for name in DROPPED}
    for name in labels | {"labels/train/a.txt", "labels/a small.txt"}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    before = contents(folder)
    done = stillsift("sift", folder / below, "--remove-to", gone)
    assert done.status == 0
    assert ", and 3 files beside them, to" in done.out
    assert set(before) - set(contents(folder)) == labels | {
        f"images/train/{name}" for name in DROPPED
    }
    assert listed(gone)["a small.txt"]["detail"] == "belongs to a small.jpg"
    assert stillsift("restore", "--store", gone, "a small.jpg").status == 0
    assert (folder / "labels/train/a small.txt").is_file()
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(folder) == before


def test_what_belongs_to_a_still_does_not_come_back_beside_another_file(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    (photos / "a small.xmp").write_text("rating 5")
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    (photos / "a small.jpg").write_bytes(b"another one")
    done = stillsift("restore", "--store", gone, "--all")
    assert done.status == 1
    assert "a small.xmp: stays with its picture, which could not be restored" in done.out
    assert not (photos / "a small.xmp").exists()
    (photos / "a small.jpg").unlink()
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert (photos / "a small.xmp").read_text() == "rating 5"


def test_a_dry_run_lists_and_counts_what_would_go_with_a_still(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    going = beside(photos)
    words = ("sift", photos, "--remove-to", tmp_path / "gone", "--dry-run")
    done = stillsift(*words, "--list", "jsonl")
    rows = list(map(json.loads, done.out.splitlines()))
    assert {row["file"] for row in rows} == {str(photos / name) for name in DROPPED | going}
    told = {row["file"]: row["detail"] for row in rows if row["reason"] is None}
    assert told[str(photos / "a small.jpg.XMP")] == "belongs to a small.jpg"
    assert len(told) == len(going)
    assert ", and 6 files beside them, would go" in done.err
    summary = json.loads(stillsift(*words, "--json").out)
    assert (summary["would_move"], summary["would_move_sidecars"]) == (len(DROPPED), len(going))


def test_a_read_only_folder_is_told_once_and_as_such(
    stillsift: Command, photos: Path, tmp_path: Path, disks: Disks
) -> None:
    disk = disks("size=16m")
    folder = shutil.copytree(photos, disk.path / "photos")
    shutil.copy2(photos / "a.jpg", folder / "a again.jpg")
    disk.remount("ro")
    done = stillsift("sift", folder, "--remove-to", tmp_path / "gone")
    assert done.status == 1
    for place in (folder, folder / "b", folder / "c"):
        assert done.out.count(f"  stays    {place}: nothing can be taken out of it") == 1
    assert "the file system is read-only; mount it writable" in done.out
    assert "chmod" not in done.out + done.err
    done = stillsift("sift", folder, "--dry-run", "--decisions", folder / "decisions.jsonl")
    assert done.status == 1
    assert "cannot be written: Read-only file system. Name another file" in done.err
    assert "A dry run: nothing was kept." in done.out


def test_a_folder_that_lets_nothing_go_is_told_with_a_way_out_that_helps(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "b").chmod(0o555)
    # Root may write anywhere; without this capability it may not.
    weak = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()
    words = (*weak, sys.executable, "-m", "stillsift", "sift", photos, "--remove-to")
    done = subprocess.run([*words, tmp_path / "gone"], capture_output=True, text=True)
    (photos / "b").chmod(0o755)
    assert (done.returncode, "may not take files out of it" in done.stdout) == (1, True), done
    assert "or copy what is kept with --copy-to" in done.stdout
    assert "retire" not in done.stdout  # that key says nothing here


def test_what_cannot_go_with_its_still_is_named(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "elsewhere.xmp").write_text("edits")
    (photos / "a small.xmp").symlink_to("elsewhere.xmp")
    (photos / "a small.txt").write_text("label")
    with (photos / "a small.txt").open("a"):
        done = stillsift("sift", photos, "--remove-to", tmp_path / "gone")
    assert f"{photos / 'a small.txt'}: not moved: somebody has it open for writing" in done.out
    assert (photos / "a small.xmp").is_symlink()
    assert (photos / "elsewhere.xmp").read_text() == "edits"
    assert {*listed(tmp_path / "gone")} == {Path(name).name for name in DROPPED}


def test_restore_brings_all_back_and_a_second_run_leaves_it(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, gone = contents(photos), tmp_path / "gone"
    facts = {path.name: path.stat().st_mtime_ns for path in photos.rglob("*.jpg")}
    stillsift("sift", photos, "--remove-to", gone)
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == before
    assert {path.name: path.stat().st_mtime_ns for path in photos.rglob("*.jpg")} == facts
    assert contents(gone) == {"removed.csv": contents(gone)["removed.csv"]}
    assert listed(gone) == {}
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    assert contents(photos) == before


def test_a_copy_of_a_blurred_picture_names_no_other_picture(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    for number in range(8):  # most are sharp
        write(photos, f"sharp{number}", textured(20 + number, 800, 600))
    blurred = write(photos, "soft", np.asarray(cv2.GaussianBlur(textured(9, 800, 600), (0, 0), 9)))
    (photos / "z").mkdir()
    shutil.copy2(blurred, photos / "z" / "soft again.jpg")
    gone = tmp_path / "gone"
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    rows = listed(gone)
    assert rows["soft.jpg"]["reason"] == "blurry"
    assert rows["soft again.jpg"]["reason"] == "exact_duplicate"
    assert rows["soft.jpg"]["shown_by"] == rows["soft again.jpg"]["shown_by"] == ""
    assert rows["a again.jpg"]["shown_by"] == str(photos / "a.jpg")


def test_what_was_restored_stays_also_as_a_part_of_another_folder(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, gone = contents(photos), tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    assert stillsift("restore", "--store", gone, "--all").status == 0
    done = stillsift("sift", photos / "b", photos / "c", "--remove-to", gone)
    assert done.status == 0, done
    assert "1 file that somebody has brought back before" in done.out
    assert contents(photos) == before
    write(photos / "b", "new small", resized(textured(2, 800, 600), 0.5))
    assert stillsift("sift", photos / "b", "--remove-to", gone).status == 0
    assert set(listed(gone)) == {"new small.jpg"}


def test_files_of_one_name_are_restored_side_by_side(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "c" / "a again.jpg").rename(photos / "c" / "a small.jpg")
    gone, back = tmp_path / "gone", tmp_path / "back"
    before = contents(photos)
    stillsift("sift", photos, "--remove-to", gone)
    assert stillsift("restore", "--store", gone, "--all", "--output", back).status == 0
    assert contents(photos, back) == before
    assert contents(back).keys() == {"a small.jpg", "b/second small.jpg", "c/a small.jpg"}


def test_stills_given_one_by_one_are_compared(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    files = sorted(photos.rglob("*.jpg"))
    done = stillsift("sift", *files, "--remove-to", tmp_path / "gone")
    assert done.status == 0, done
    assert {name for name in contents(tmp_path / "gone") if name != "removed.csv"} == DROPPED
    assert done.out.count(": 1 frame,") == 5  # a line for each
    for number in range(4):
        write(photos, f"more{number}", textured(30 + number, 800, 600))
    done = stillsift("sift", *sorted(photos.rglob("*.jpg")), "--dry-run")
    assert "6 files: 6 frames, would keep 6" in done.out
    assert ": 1 frame," not in done.out


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("b", {"b/second small.jpg"}),
        ("b/second small.jpg", {"b/second small.jpg"}),
        ("./a small.jpg", {"a small.jpg"}),
        ("again.jpg", set()),
    ],
)
def test_restored_is_what_is_named_by_a_part_of_its_path(
    stillsift: Command,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    back: set[str],
) -> None:
    gone = tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    monkeypatch.chdir(photos)
    done = stillsift("restore", "--store", gone, asked)
    assert done.status == (0 if back else 2), done
    assert {str(path.relative_to(photos)) for path in photos.rglob("*.jpg")} & DROPPED == back


def test_a_dry_run_knows_copies_by_their_bytes(stillsift: Command, photos: Path) -> None:
    for _ in range(3):
        done = stillsift("sift", photos, "--dry-run", "--list", "csv")
        rows = {Path(row["file"]).name: row for row in csv.DictReader(done.out.splitlines())}
        assert rows["a again.jpg"]["reason"] == "exact_duplicate"


def test_a_store_in_the_folder_is_not_taken_for_photographs(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = photos / "sifted"
    assert stillsift("sift", photos, "--output", store).status == 0
    before = contents(store)
    assert before
    assert stillsift("sift", photos, "--remove-to", tmp_path / "gone").status == 0
    assert contents(store) == before


def test_one_file_comes_back_and_nothing_is_overwritten(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    (photos / "a small.jpg").write_bytes(b"another")
    done = stillsift("restore", "--store", gone, "a small.jpg")
    assert done.status == 1
    assert "another file is there" in done.out
    assert (photos / "a small.jpg").read_bytes() == b"another"
    assert stillsift("restore", "--store", gone, "a again.jpg").status == 0
    assert set(listed(gone)) == {"a small.jpg", "second small.jpg"}


def test_what_lies_there_already_is_not_overwritten(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "a small.jpg").write_bytes(b"mine")
    stillsift("sift", photos, "--remove-to", gone)
    assert (gone / "a small.jpg").read_bytes() == b"mine"
    moved = Path(listed(gone)["a small.jpg"]["now"])
    assert moved.is_file()
    assert moved != gone / "a small.jpg"


def test_later_files_are_compared_with_what_stayed(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    write(photos, "later", compressed(textured(2, 800, 600), 40))
    write(photos, "new", textured(3, 800, 600))
    done = stillsift("sift", photos, "--remove-to", gone)
    assert "2 frames, 1 kept" in done.out
    assert listed(gone)["later.jpg"]["shown_by"] == str(photos / "b" / "second.jpg")


def test_a_file_stays_where_the_one_that_shows_it_has_gone(photos: Path, tmp_path: Path) -> None:
    """Somebody removes the keeper while the folder is decided; nothing shows its copy then."""
    gone = tmp_path / "gone"
    done = subprocess.run(
        [*CUT_OFF, "without", photos / "b" / "second.jpg", photos, "--remove-to", gone],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert (photos / "b" / "second small.jpg").is_file()
    assert "second small.jpg" not in listed(gone)
    assert "stays" in done.stdout


def test_clips_and_pages_stay(stillsift: Command, tmp_path: Path) -> None:
    folder, gone = tmp_path / "in", tmp_path / "gone"
    folder.mkdir()
    clip = write_clip(folder / "a.mp4", [1, 2])
    shutil.copy2(clip, folder / "b.mp4")
    pages = [Image.fromarray(textured(number)) for number in (1, 2)]
    pages[0].save(folder / "p.tif", save_all=True, append_images=pages[1:])
    write(folder, "q", textured(1))
    before = contents(folder)
    for _ in range(2):
        done = stillsift("sift", folder, "--remove-to", gone)
        assert done.status == 0, done
        assert contents(folder) == before
        for name in ("b.mp4", "p.tif"):
            os.utime(folder / name, (1_700_000_000, 1_700_000_000))


def test_a_raw_stays_beside_its_jpeg(stillsift: Command, tmp_path: Path) -> None:
    folder, gone = tmp_path / "in", tmp_path / "gone"
    picture = textured(1, 1200, 900)
    write(folder, "a", picture)
    preview = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    (folder / "b.dng").write_bytes(dng(picture, preview))
    told = tmp_path / "told"
    assert stillsift("sift", folder, "--remove-to", gone, "--decisions", told).status == 0
    reasons = [json.loads(line)["reason"] for line in told.read_text().splitlines()]
    assert sorted(reasons) == ["near_duplicate", "novel"]
    assert (folder / "b.dng").is_file()


def test_nothing_is_deleted_where_dropped_files_lie(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    """The limits of a quarantine are for a store's."""
    gone, config = tmp_path / "gone", tmp_path / "c.yaml"
    config.write_text("store: {quarantine: {max_size: 1kB, max_age: 1s}, keep_decisions: 1s}\n")
    for _ in range(2):
        stillsift("sift", photos, "-c", config, "--remove-to", gone)
        assert {name for name in contents(gone) if name != "removed.csv"} == DROPPED
        time.sleep(1.1)
    assert all(row["shown_by"] for row in rows_of(gone))


def test_the_same_bytes_at_the_place_are_another_file(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    """As where the folder is a backup, or where two folders have gone to one."""
    gone = tmp_path / "gone"
    shutil.copytree(photos, gone)
    before, backup = contents(photos), contents(gone)
    stillsift("sift", photos, "--remove-to", gone)
    assert len(rows_of(gone)) == len(DROPPED)
    assert backup.items() <= contents(gone).items()
    other = tmp_path / "other"
    shutil.copytree(gone, other, ignore=shutil.ignore_patterns(".stillsift", "removed.csv", "2_*"))
    stillsift("sift", other, "--remove-to", gone)
    assert len(rows_of(gone)) == 2 * len(DROPPED)
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == contents(other) == before
    assert {k: v for k, v in contents(gone).items() if k != "removed.csv"} == backup


def test_a_copy_of_what_was_restored_and_is_gone_stays(stillsift: Command, tmp_path: Path) -> None:
    folder, gone = tmp_path / "in", tmp_path / "gone"
    one = write(folder, "a", textured(1))
    shutil.copy2(one, folder / "b.jpg")
    stillsift("sift", folder, "--remove-to", gone)
    stillsift("restore", "--store", gone, "--all")
    data = one.read_bytes()
    for path in folder.iterdir():
        path.unlink()
    (folder / "new.jpg").write_bytes(data)
    stillsift("sift", folder, "--remove-to", gone)
    assert [path.name for path in folder.iterdir()] == ["new.jpg"]


@pytest.mark.parametrize("how", ["touched", "edited", "renamed"])
def test_a_kept_file_that_changes_is_looked_at_again(
    stillsift: Command, photos: Path, tmp_path: Path, how: str
) -> None:
    gone, kept = tmp_path / "gone", photos / "b" / "second.jpg"
    stillsift("sift", photos, "--remove-to", gone)
    if how == "touched":
        os.utime(kept, (1_700_000_000, 1_700_000_000))
    elif how == "edited":
        write(photos / "b", "second", textured(7, 800, 600))
    else:
        kept.rename(photos / "b" / "third.jpg")
        write(photos / "b", "second", textured(7, 800, 600))
    for _ in range(2):
        done = stillsift("sift", photos, "--remove-to", gone)
        assert done.status == 0, done
        assert kept.is_file()


def test_a_way_with_dots_and_links_keeps_the_tree(
    stillsift: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert stillsift("sift", f"../{photos.name}", "--remove-to", "../gone").status == 0
    assert {name for name in contents(tmp_path / "gone") if name != "removed.csv"} == DROPPED


def test_what_lies_there_is_read_by_no_source(stillsift: Command, photos: Path) -> None:
    gone = photos / "dropped"
    stillsift("sift", photos, "--remove-to", gone)
    assert stillsift("sift", photos, "--dry-run", "--list").out == ""
    assert "2 frames" in stillsift("sift", photos, "--dry-run").out


def test_what_a_budget_drops_names_no_file(stillsift: Command, tmp_path: Path) -> None:
    folder, gone = tmp_path / "in", tmp_path / "gone"
    for number in range(4):
        write(folder, f"{number}", textured(number))
    stillsift("sift", folder, "--remove-to", gone, "--set", "max_per_hour=2")
    assert [(row["reason"], row["shown_by"]) for row in rows_of(gone)] == [("budget", "")] * 2


def test_folders_of_numbered_frames_are_left_clean(stillsift: Command, tmp_path: Path) -> None:
    tree, gone = tmp_path / "tree", tmp_path / "gone"
    for name, scenes in (("one", (1, 2)), ("two", (3, 4))):
        (tree / name).mkdir(parents=True)
        for place in range(24):
            write_still(tree / name / f"in{place + 1:06d}.jpg", scenes[place // 12])
    done = stillsift("sift", tree, "--remove-to", gone, "--set", "sequence=5/s")
    assert done.status == 0, done
    left = sorted(str(path.relative_to(tree)) for path in tree.rglob("*.jpg"))
    assert 4 <= len(left) <= 8
    assert len(left) + len(rows_of(gone)) == 48
    for row in rows_of(gone):
        assert Path(row["shown_by"]).is_file(), row
        assert Path(row["now"]) == gone / Path(row["file"]).relative_to(tree)


def test_names_that_are_no_utf8(stillsift: Command, tmp_path: Path) -> None:
    folder, gone = tmp_path / "in", tmp_path / "gone"
    kept = write(folder, "a", textured(1))
    bad = os.fsdecode(os.fsencode(folder) + b"/b\xff.jpg")
    shutil.copy2(kept, bad)
    kept.rename(os.fsdecode(os.fsencode(folder) + b"/a\xfe.jpg"))
    done = stillsift("sift", folder, "--remove-to", gone)
    assert done.status == 0, done
    assert len([*folder.iterdir()]) == 1
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert sorted(os.fsencode(path.name) for path in folder.iterdir()) == [
        b"a\xfe.jpg",
        b"b\xff.jpg",
    ]


def test_another_file_system(stillsift: Command, photos: Path, disks: Disks) -> None:
    before, gone = contents(photos), disks("size=16m").path / "gone"
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    assert {name for name in contents(gone) if name != "removed.csv"} == DROPPED
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == before


# -- cut off ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(2, 92, 6))
def test_killed_at_any_step_the_next_run_ends_it(
    stillsift: Command, photos: Path, tmp_path: Path, step: int
) -> None:
    going = DROPPED | beside(photos)
    before, gone = contents(photos), tmp_path / "gone"
    done = subprocess.run(
        [*CUT_OFF, "kill", str(step), photos, "--remove-to", gone],
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done
    there = sorted([*contents(photos).values(), *contents(gone).values()])
    assert set(before.values()) <= set(there)
    assert stillsift("sift", photos, "--remove-to", gone).status == 0
    assert {name for name in contents(gone) if name != "removed.csv"} == going
    assert set(listed(gone)) == {Path(name).name for name in going}
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == before


# -- copying ---------------------------------------------------------------------------------------


def test_what_is_kept_is_copied_under_its_own_name(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, copies = contents(photos), tmp_path / "copies"
    for _ in range(2):
        done = stillsift("sift", photos, "--copy-to", copies)
        assert done.status == 0, done
        assert contents(photos) == before
        assert contents(copies) == {name: before[name] for name in ("a.jpg", "b/second.jpg")}


def test_kept_frames_of_a_clip_become_files(stillsift: Command, tmp_path: Path) -> None:
    clip, copies = write_clip(tmp_path / "in" / "door.mp4", [1, 2]), tmp_path / "copies"
    assert stillsift("sift", clip.parent, "--copy-to", copies).status == 0
    names = sorted(contents(copies))
    assert 2 <= len(names) <= 3
    assert all(name.startswith("door.mp4_0000") and name.endswith(".jpg") for name in names)


# -- what is asked ---------------------------------------------------------------------------------


def test_a_dry_run_lists_what_would_go(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    before = contents(photos)
    text = stillsift("sift", photos, "--dry-run", "--list").out.splitlines()
    assert {str(Path(line.split("\t")[0]).relative_to(photos)) for line in text} == DROPPED
    bare = stillsift("sift", photos, "--dry-run", "--print0").out.split("\0")
    assert {str(Path(each).relative_to(photos)) for each in bare if each} == DROPPED
    rows = stillsift("sift", photos, "--dry-run", "--list", "jsonl").out.splitlines()
    shown = {Path(row["file"]).name: row["shown_by"] for row in map(json.loads, rows)}
    assert shown["second small.jpg"] == str(photos / "b" / "second.jpg")
    table = stillsift("sift", photos, "--dry-run", "--list", "csv").out.splitlines()
    assert [row["file"] for row in csv.DictReader(table)] == [line.split("\t")[0] for line in text]
    done = stillsift("sift", photos, "--dry-run", "--remove-to", tmp_path / "gone", "--list")
    assert done.out.splitlines() == text
    told = stillsift("sift", photos, "--dry-run", "--remove-to", tmp_path / "gone", "--json").out
    size = sum((photos / name).stat().st_size for name in DROPPED)
    assert json.loads(told)["would_move"] == len(DROPPED)
    assert json.loads(told)["would_move_bytes"] == size
    assert not (tmp_path / "gone").exists()
    assert contents(photos) == before


@pytest.mark.parametrize("mode", ["--remove-to", "--copy-to"])
def test_a_dry_run_goes_where_an_earlier_run_has_been(
    mode: str, stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    assert stillsift("sift", photos, mode, tmp_path / "out").status == 0
    done = stillsift("sift", photos, mode, tmp_path / "out", "--dry-run")
    assert done.status == 0, done.err
    assert ("0 files, 0.0 kB, would go" in done.out) == (mode == "--remove-to")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["PHOTOS", "--remove-to", "PHOTOS"], "which takes files and is not read"),
        (["PHOTOS", "--remove-to", "PHOTOS/b"], "holds pictures or clips, which would not be read"),
        (["PHOTOS", "--output", "PHOTOS/b", "--dry-run"], "which would not be read; name a folder"),
        (["rtsp://127.0.0.1:1/x", "--remove-to", "OUT"], "a camera has no files"),
        (["PHOTOS", "--remove-to", "STORE"], "a store"),
        (["PHOTOS", "--copy-to", "REMOVED"], "made by --remove-to"),
        (["PHOTOS", "--output", "REMOVED"], "made by --remove-to"),
        (["PHOTOS", "--dry-run", "--json", "--list"], "--list jsonl"),
        (["PHOTOS", "--remove-to", "OUT", "--print0"], "with --dry-run"),
        (["PHOTOS", "PHOTOS/b", "--remove-to", "OUT"], "which is read whole"),
        (["PHOTOS", "PHOTOS", "--dry-run", "--list"], "named twice"),
    ],
)
def test_what_cannot_be(
    stillsift: Command, photos: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    stillsift("sift", photos, "--output", tmp_path / "store")
    stillsift("sift", photos, "--remove-to", tmp_path / "removed")
    before = contents(tmp_path)
    places = {"PHOTOS": photos, "OUT": tmp_path / "out"}
    places |= {"STORE": tmp_path / "store", "REMOVED": tmp_path / "removed"}
    places["PHOTOS/b"] = photos / "b"
    done = stillsift("sift", *(places.get(word, word) for word in words))
    assert done.status == 2, done
    assert told in done.err
    assert contents(tmp_path) == before


# -- threads ---------------------------------------------------------------------------------------


def test_decisions_do_not_depend_on_the_number_of_threads(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    write(photos, "broken", textured(5)).write_bytes(b"\xff\xd8\xff no picture")
    write_clip(photos / "d.mp4", [1, 2])
    write(photos / "e", "last", compressed(textured(2, 800, 600), 30))
    told = []
    for jobs in (1, 2, 8):
        file = tmp_path / f"{jobs}.jsonl"
        done = stillsift("sift", photos, "--dry-run", "--jobs", jobs, "--decisions", file)
        assert done.status == 0, done
        told.append(file.read_text())
    assert told[0] == told[1] == told[2]
    assert stillsift("sift", photos, "--dry-run", "--jobs", 0).status == 2


def test_a_still_that_changes_after_it_was_read_ahead_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "in", "a", textured(1))
    ahead = ReadAhead(1, MAX_PIXELS, is_still)
    try:
        ahead.begin([path])
        data = path.read_bytes()
        read = ahead.take(path, data)
        assert read is not None
        assert read.picture.width == 640
        ahead.begin([path])
        path.write_bytes(b"other bytes")
        assert ahead.take(path, b"other bytes") is None
        assert ahead.take(path, data) is None
    finally:
        ahead.close()


def test_a_still_that_is_being_read_ahead_is_waited_for_only_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "in", "a", textured(1))
    data, go_on = path.read_bytes(), threading.Event()
    ahead = ReadAhead(1, MAX_PIXELS, is_still)
    measured: list[bool] = []

    def measure(_picture: ArrayPicture, photograph: bool) -> object:
        go_on.wait(60)
        measured.append(photograph)
        return len(measured)

    ahead.measure, ahead.photographs = measure, False
    try:
        ahead.begin([path])
        assert ahead.take(path, data, wait=False) is None
        go_on.set()
        read = ahead.take(path, data)
        assert read is not None
        assert (read.measured, measured) == (1, [False])
        assert ahead.take(path, data) is None
    finally:
        go_on.set()
        ahead.close()


# -- names -----------------------------------------------------------------------------------------


def test_a_folder_keeps_its_name_in_any_order(stillsift: Command, tmp_path: Path) -> None:
    train, val, store = tmp_path / "train/images", tmp_path / "val/images", tmp_path / "store"
    for folder, number in ((train, 1), (val, 2)):
        folder.parent.mkdir()
        write(folder, "a", textured(number))
    for paths in ([val], [train], [train, val], [val, train]):
        assert stillsift("sift", *paths, "--output", store).status == 0
    by_file = {record.decision.file: record.decision.source for record in decided(store)}
    assert by_file == {val / "a.jpg": "images", train / "a.jpg": "train-images"}
    with LedgerReader(store / "ledger.sqlite") as ledger:
        assert ledger.places() == {"images": val.resolve(), "train-images": train.resolve()}
        assert len(list(ledger.decisions(outcome=Outcome.KEPT))) == 2


def test_a_folder_that_the_store_knows_in_part_is_told(stillsift: Command, tmp_path: Path) -> None:
    """Its pictures are decided again under another source, which nobody would expect."""
    folder, store = tmp_path / "photos", tmp_path / "store"
    (folder / "2025").mkdir(parents=True)
    write(folder / "2024", "a", textured(1))
    write(folder / "2025" / "may", "b", textured(2))
    told = {}
    for path in (folder / "2024", folder, folder / "2025", folder):
        done = stillsift("sift", path, "--output", store)
        assert done.status == 0
        told[path] = done.err
    assert told[folder / "2024"] == ""
    assert f"{folder / '2025'}: lies in {folder}, a source of this store" in told[folder / "2025"]
    assert "is decided, and kept, again" in told[folder / "2025"]
    assert told[folder] == ""  # the second time it is a source itself


def test_a_folder_of_known_ones_is_told(stillsift: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "photos", tmp_path / "store"
    folder.mkdir()
    for number, year in enumerate(("2023", "2024", "2025")):
        write(folder / year, "a", textured(number))
    assert stillsift("sift", *sorted(folder.iterdir()), "--output", store).status == 0
    done = stillsift("sift", folder, "--output", store)
    assert f"{folder}: holds {folder / '2023'} and 2 more; they are sources of it" in done.err
    assert "name them as before" in done.err


def test_a_store_from_before_goes_on_under_its_name(stillsift: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "img", tmp_path / "store"
    write(folder, "a", textured(1))
    stillsift("sift", folder, "--output", store)
    with Ledger(store / "ledger.sqlite") as ledger, ledger._writing() as db:
        db.execute("DELETE FROM places")
    done = stillsift("sift", folder, "--output", store)
    assert "img: nothing new" in done.out


def test_repeats_across_folders_are_found(stillsift: Command, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write(one, "a", textured(1, 800, 600))
    write(other, "b", resized(textured(1, 800, 600), 0.5))
    done = stillsift("sift", one, other, "--dry-run", "--list")
    assert done.out.split("\t")[::2] == [str(other / "b.jpg"), f"{one / 'a.jpg'}\n"]
    done = stillsift("sift", one, other, "--dry-run", "--list", "--set", "group=null")
    assert done.out == ""
