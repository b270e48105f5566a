"""`stillsift sift` over real files: what it promises whatever frames it keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import cv2
import pillow_heif
import pytest
from PIL import Image

from clips import real_pictures
from conftest import Command, Disks
from disks import SmallDisk
from footage import START_S, jpeg, scene, taken, write_clip, write_still, write_stills
from photographs import page, resized, textured
from raws import dng
from running import (
    assert_agree,
    decided,
    free_port,
    kept_on_disk,
    on_terminal,
    started,
    story,
    until,
)
from stillsift.commands.tally import Tally
from stillsift.decisions import Outcome, Reason, without_frame

KEYS = (
    *("source", "file", "frame_index", "pts_s", "captured_at", "outcome", "reason"),
    *("sharpness", "sharpness_limit", "similarity", "novelty", "novelty_limit"),
    *("nearest_kept", "kept_path", "distance"),
)
"""The contract's keys of a decision, in its order."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames: three scenes of a second each."""
    return write_clip(tmp_path_factory.mktemp("clip") / "gate.mp4", [1, 2, 3])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# -- what is sifted --------------------------------------------------------------------------------


def test_a_clip_ends_with_one_decision_for_every_frame_in_order(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    told = tmp_path / "decisions.jsonl"
    done = stillsift(
        "sift", clip, "--output", tmp_path / "out", "--set", "rate=all", "--decisions", told
    )
    assert done.status == 0, done.err
    rows = lines(told)
    assert [row["frame_index"] for row in rows] == list(range(30))
    assert {row["file"] for row in rows} == {str(clip)}
    assert {row["source"] for row in rows} == {"gate"}
    assert [row["pts_s"] for row in rows] == pytest.approx([n / 10 for n in range(30)])
    kept: dict[str, str] = {}
    for row in rows:
        assert tuple(row)[: len(KEYS)] == KEYS
        assert (row["outcome"] == "kept") == (row["kept_path"] is not None)
        if row["kept_path"]:
            assert Path(row["kept_path"]).is_file()
            kept[row["id"]] = row["kept_path"]
    repeated = {row["nearest_kept"] for row in rows if row["reason"] == "near_duplicate"}
    assert repeated <= kept.keys()
    assert kept
    assert_agree(tmp_path / "out")
    assert f"gate: 30 frames, {len(kept)} kept" in done.out
    assert str(tmp_path / "out" / "kept") in done.out


def test_stills_are_taken_in_natural_order_and_kept_byte_for_byte(
    stillsift: Command, tmp_path: Path
) -> None:
    photos = write_stills(tmp_path / "photos", [10, 9, 2, 1])
    told = tmp_path / "decisions.jsonl"
    assert (
        stillsift("sift", tmp_path / "photos", "-o", tmp_path / "out", "--decisions", told).status
        == 0
    )
    rows = lines(told)
    assert [Path(row["file"]).name for row in rows] == [
        *("img1.jpg", "img2.jpg", "img9.jpg", "img10.jpg")
    ]
    kept = [row for row in rows if row["outcome"] == "kept"]
    assert kept
    for row in kept:
        assert Path(row["kept_path"]).read_bytes() == Path(row["file"]).read_bytes()
    assert all(photo.is_file() for photo in photos)


def test_what_is_told_beside_kept_frames_is_strict_json_without_null(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    """What there is not is left out: `datasets` makes None of it."""
    write_stills(tmp_path / "photos", [1, 2])
    assert stillsift("sift", tmp_path / "photos", clip, "-o", tmp_path / "out").status == 0

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    told = {
        line["file"]: line
        for listing in (tmp_path / "out").rglob("metadata.jsonl")
        for line in (
            json.loads(text, parse_constant=refuse) for text in listing.read_text().splitlines()
        )
    }
    assert not any(value is None for line in told.values() for value in line.values())
    first, second = (told[str(tmp_path / "photos" / f"img{n}.jpg")] for n in (1, 2))
    assert first.keys() & {"pts_s", "similarity", "novelty"} == set(), "nothing was kept before"
    assert second.keys() & {"pts_s", "similarity", "novelty"} == {"similarity", "novelty"}
    assert (first["nearest_kept"], second["nearest_kept"]) == ("", first["id"])
    assert "pts_s" in told[str(clip)]


def write_static_camera(folder: Path, name: str, exif: str | None) -> None:
    """Twelve stills of one scene, two seconds apart, in which something comes and goes."""
    folder.mkdir()
    for number in range(12):
        picture = scene(1)
        if number % 6 > 2:
            picture[40:100, 20 + 8 * number : 80 + 8 * number] = 255 - picture[40:100, 20:80]
        data = Image.Exif()
        if exif is not None:
            data.get_ifd(0x8769)[0x9003] = exif.format(2 * number)
        file = folder / name.format(2 * number)
        Image.fromarray(picture).save(file, exif=data, comment=file.name)  # else it is a copy


def test_exif_changes_nothing_where_names_tell_the_time_and_is_one_by_a_key(
    stillsift: Command, tmp_path: Path
) -> None:
    def decided_as(exif: str | None, name: str, setting: str) -> list[dict[str, Any]]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        told = folder.with_suffix(".jsonl")
        write_static_camera(folder, name, exif)
        options = ("--dry-run", "--decisions", told, "--set", setting)
        done = stillsift("sift", folder, *options)
        assert (done.status, done.err) == (0, "")
        keys = ("captured_at", "outcome", "reason", "novelty")
        return [{key: row[key] for key in keys} for row in lines(told)]

    named, pattern = "cam_20260501_1000{:02}.jpg", "filename_time=cam_%Y%m%d_%H%M%S"
    wanted = decided_as(None, named, pattern)
    assert wanted[1]["captured_at"] == "2026-05-01T10:00:02.000000Z"
    for exif in ("2026:05:01 10:00:{:02}", "1970:01:01 00:00:{:02}", "2000:01:01 00:00:{:02}"):
        assert decided_as(exif, named, pattern) == wanted, exif
    numbered = ("2026:05:01 10:00:{:02}", "IMG_{:04}.jpg")
    assert decided_as(*numbered, "exif_timeline=true") == wanted
    photographs = decided_as(*numbered, "exif_timeline=false")
    assert [row["captured_at"] for row in photographs] == [row["captured_at"] for row in wanted]
    assert photographs != wanted


def test_a_pattern_that_no_name_matches_is_told_once(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    photos = write_stills(tmp_path / "photos", [1, 2, 3])

    def told(pattern: str, *paths: Path) -> list[str]:
        done = stillsift("sift", *paths, "--dry-run", "--set", f"filename_time={pattern}")
        assert done.status == 0
        return [line for line in done.err.splitlines() if "filename_time" in line]

    (line,) = told("cam_%Y%m%d", tmp_path / "photos")
    assert "photos: filename_time 'cam_%Y%m%d' does not match any of 3 files" in line
    assert "img1.jpg" in line
    (line,) = told("cam_%Y%m%d", *photos, clip)
    assert "'cam_%Y%m%d' does not match any of 4 files" in line
    assert "img1.jpg" in line
    dated = write_still(tmp_path / "cam_20240102.jpg", 4)
    assert told("cam_%Y%m%d", *photos, dated) == []


@pytest.mark.parametrize("setting", ["heartbeat=1s", "min_gap=1s", "max_per_day=2"])
def test_a_clip_whose_frames_last_68_years_is_decided(
    setting: str, stillsift: Command, tmp_path: Path
) -> None:
    path = tmp_path / "long.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.pix_fmt = "yuvj420p"
        stream.height, stream.width = scene(0).shape[:2]
        for number in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(number), "bgr24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    rate = data.index(b"strh") + 28
    data[rate : rate + 8] = (2**31 - 1).to_bytes(4, "little") + (1).to_bytes(4, "little")
    path.write_bytes(data)
    done = stillsift("sift", path, "--output", tmp_path / "out", "--set", setting)
    assert done.status == 0, done.err
    assert "long: 6 frames" in done.out
    assert_agree(tmp_path / "out")


def test_a_tree_of_stills_and_clips_is_read_to_its_leaves(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    write_still(tree / "b" / "deep" / "er" / "x.jpg", 4)
    write_still(tree / "a.jpg", 5)
    (tree / "c").mkdir()
    taken(Path(shutil.copy(clip, tree / "c" / "gate.mp4")), 6)
    (tree / "c" / "notes.txt").write_text("not footage")
    (tree / ".hidden.jpg").write_bytes(jpeg(7))
    assert stillsift("sift", tree, "-o", tmp_path / "out", "--set", "rate=all").status == 0
    files = [str(r.decision.file.relative_to(tree)) for r in decided(tmp_path / "out")]  # type: ignore[union-attr]
    assert files == ["a.jpg", "b/deep/er/x.jpg", *["c/gate.mp4"] * 30]
    assert_agree(tmp_path / "out")


@pytest.mark.parametrize("dry", [False, True])
def test_a_folder_without_footage_is_told_and_fails(
    stillsift: Command, tmp_path: Path, dry: bool
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    command = ("sift", folder, "-o", out, *(["--dry-run"] if dry else []))
    done = stillsift(*command)
    assert done.status == 1
    assert done.out.splitlines()[0] == f"in: there is no picture or clip in {folder}"
    for name in ("a.xyz", "sub/b.XYZ", "notes.txt", ".hidden.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not footage")
    (folder / "link.jpg").symlink_to(write_still(tmp_path / "other.jpg", 1))
    done = stillsift(*command)
    assert done.status == 1
    assert (
        "3 files are of no kind that stillsift reads (.xyz 2, .txt 1); 1 symbolic link is not"
    ) in done.out
    told = json.loads(stillsift(*command, "--json").out)["sources"][0]["error"]
    assert told.startswith("there is no picture or clip")


def test_what_is_left_alone_beside_footage_is_told(stillsift: Command, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_still(folder / "a.jpg", 1)
    for name in ("a.xmp", "sub/b.XMP", "README", "c.\x1b[31m"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not footage")
    (folder / "link.jpg").symlink_to("a.jpg")
    os.link(folder / "a.jpg", folder / "b.jpg")
    os.mkfifo(folder / "pipe.jpg")
    told = (
        "  unread   4 files are of no kind that stillsift reads (.xmp 2, no suffix 1, other 1); "
        "1 symbolic link is not followed; 1 hard link is read under another name; "
        "1 pipe or device is not read"
    )
    for _ in range(2):  # the second time there is nothing new
        assert told in stillsift("sift", folder, "-o", out).out.splitlines()
    assert told in stillsift("stats", "--store", out).out.splitlines()
    kinds = {".xmp": 2, "": 1, "other": 1, "links": 1, "hard_links": 1, "special": 1}
    done = stillsift("sift", folder, "-o", out, "--json")
    assert json.loads(done.out)["sources"][0]["left_alone"] == kinds
    assert json.loads(stillsift("stats", "--store", out, "--json").out)[0]["left_alone"] == kinds
    for name in ("link.jpg", "b.jpg", "pipe.jpg", "README", "a.xmp", "sub/b.XMP", "c.\x1b[31m"):
        (folder / name).unlink()
    write_still(folder / "b.jpg", 2)
    stillsift("sift", folder, "-o", out)
    assert "unread" not in stillsift("stats", "--store", out).out


OTHER_KINDS = (
    *("a.txt", "a.xmp", "a.aae", "a.thm", "a.json", "a.csv", "a.pdf", "a.psd", "a.xcf", "a.svg"),
    *("a.jxl", "a.zip", "a.mp3", "a.wav", "a.srt", "a.html", "a.docx", "a.db", "a.ini", "a.exe"),
    *("a.part", "a.tmp", "README"),
)


@pytest.mark.parametrize("readable", [True, False])
def test_all_that_lies_in_a_folder_is_accounted_for(
    readable: bool, stillsift: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    for name in (*OTHER_KINDS, ".DS_Store", "._a.jpg", "~a.doc", ".git/a", "@eaDir/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("not footage")
    (folder / "link.jpg").symlink_to("a.jpg")
    if readable:
        (folder / "empty.jpg").touch()
        write_still(folder / "a.jpg", 1)
    told = (
        "23 files are of no kind that stillsift reads (no suffix 1, .aae 1, .csv 1, .db 1, "
        ".docx 1, .exe 1, .html 1, .ini 1, .json 1, .jxl 1, .mp3 1, .part 1, .pdf 1, .psd 1, "
        ".srt 1, .svg 1, .thm 1, .tmp 1, .txt 1, .wav 1 and 3 more kinds); 1 symbolic link is not "
        "followed; 3 hidden files are not read; 2 folders are not entered"
    )
    done = stillsift("sift", folder, "--dry-run")
    assert told in done.out
    assert done.status == (0 if readable else 1)
    if readable:
        assert f"{folder}/empty.jpg: is no picture that can be read: it holds nothing" in done.out
    kinds = {Path(name).suffix: 1 for name in OTHER_KINDS}
    (of_it,) = json.loads(stillsift("sift", folder, "--dry-run", "--json").out)["sources"]
    assert of_it["left_alone"] == {**kinds, "links": 1, "hidden": 3, "folders": 2}


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_each_picture_of_an_animation_is_looked_at_however_short_it_shows(
    suffix: str, stillsift: Command, tmp_path: Path
) -> None:
    """A clip of as many would be looked at five times a second."""
    first, *rest = (Image.fromarray(textured(seed, 320, 240)) for seed in range(6))
    animation = tmp_path / f"a.{suffix}"
    first.save(animation, save_all=True, append_images=rest, duration=100, quality=90)
    for rate, looked_at in (("auto", 6), ("5/s", 3)):
        told = stillsift("sift", animation, "--dry-run", "--json", "--set", f"rate={rate}")
        (of_it,) = json.loads(told.out)["sources"]
        assert of_it["frames"] == of_it["kept"] == looked_at


def test_photos_of_other_kinds_are_kept_byte_for_byte(stillsift: Command, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    pictures = [Image.fromarray(scene(number)) for number in range(6)]
    pillow_heif.from_pillow(pictures[0]).save(folder / "a.HEIC", quality=90)
    pictures[1].save(folder / "b.jp2")
    pictures[2].save(folder / "c.tga")
    pictures[3].save(folder / "d.ppm")
    pictures[4].save(folder / "e.jfif", "JPEG")
    (folder / "f.dng").write_bytes(dng(scene(5)))
    given = {path.suffix.lower(): path.read_bytes() for path in folder.iterdir()}
    done = stillsift("sift", folder, "-o", out, "--set", "retire=delete")
    assert "6 frames, 6 kept" in done.out, done.out
    assert not list(folder.iterdir())
    kept = [path for path in (out / "kept").rglob("*_*.*") if path.is_file()]
    assert {path.suffix: path.read_bytes() for path in kept} == given
    assert_agree(out)


def test_a_folder_whose_files_were_decided_and_retired_is_no_mistake(
    stillsift: Command, tmp_path: Path
) -> None:
    write_stills(tmp_path / "in", [1, 2])
    command = ("sift", tmp_path / "in", "-o", tmp_path / "out", "--set", "retire=delete")
    stillsift(*command)
    assert list((tmp_path / "in").iterdir()) == []
    done = stillsift(*command)
    assert done.status == 0
    assert "in: nothing new in" in done.out


def test_the_store_inside_what_is_sifted_is_not_sifted(stillsift: Command, tmp_path: Path) -> None:
    write_stills(tmp_path / "photos", range(4))
    out = tmp_path / "photos" / "out"
    for _ in range(2):
        assert stillsift("sift", tmp_path / "photos", "-o", out).status == 0
    assert len(decided(out)) == 4
    assert_agree(out)


def test_two_paths_of_one_name_are_two_sources(stillsift: Command, tmp_path: Path) -> None:
    for number, day in enumerate(("monday", "tuesday", "monday2/x")):
        write_still(tmp_path / day / "gate" / "a.jpg", number)
    gates = [tmp_path / day / "gate" for day in ("monday", "tuesday", "monday2/x")]
    assert stillsift("sift", *gates, gates[0] / "a.jpg", "-o", tmp_path / "out").status == 0
    assert [r.decision.source for r in decided(tmp_path / "out")] == [
        *("gate", "tuesday-gate", "x-gate", "a")
    ]


def test_a_name_too_long_for_a_source_is_cut(stillsift: Command, tmp_path: Path) -> None:
    names = ["x" * 90 + end for end in "ab"]
    for number, name in enumerate(names):
        write_still(tmp_path / f"{name}.jpg", number)
    files = [tmp_path / f"{name}.jpg" for name in names]
    assert stillsift("sift", *files, "-o", tmp_path / "out").status == 0
    sources = [r.decision.source for r in decided(tmp_path / "out")]
    assert [source[:40] for source in sources] == ["x" * 40] * 2
    assert len(set(sources)) == 2


def test_a_file_from_the_year_2300_is_as_good_as_any(stillsift: Command, tmp_path: Path) -> None:
    future = write_still(tmp_path / "photos" / "a.jpg", 1)
    os.utime(future, ns=(2**63 + 10**18, 2**63 + 10**18))
    write_still(tmp_path / "photos" / "b.jpg", 2)
    out = tmp_path / "out"
    assert stillsift("sift", tmp_path / "photos", "-o", out).status == 0
    assert [r.decision.outcome for r in decided(out)] == [Outcome.KEPT] * 2
    assert stillsift("sift", tmp_path / "photos", "-o", out).status == 0
    assert len(decided(out)) == 2
    assert_agree(out)


def test_another_source_in_the_same_store_is_left_as_it_was(
    stillsift: Command, tmp_path: Path
) -> None:
    write_stills(tmp_path / "gate", [1, 2])
    write_stills(tmp_path / "yard", [1, 3])
    out = tmp_path / "out"
    stillsift("sift", tmp_path / "gate", "-o", out)
    gate = story(out)
    told = tmp_path / "decisions.jsonl"
    stillsift("sift", tmp_path / "yard", "-o", out, "--decisions", told)
    assert story(out, "gate") == gate
    assert {row["source"] for row in lines(told)} == {"yard"}
    assert len(story(out, "yard")) == 2
    assert_agree(out)


NAMES = (
    *("with space.jpg", "quote'\"s.jpg", "percent%41.jpg", "umläut.jpg", "眼.jpg", "#?&.jpg"),
    "line\nbreak.jpg",
)


def test_odd_names_come_through_and_come_back(stillsift: Command, tmp_path: Path) -> None:
    folder = tmp_path / "odd [names]*"
    files = [write_still(folder / name, number) for number, name in enumerate(NAMES)]
    latin = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg"))
    files.append(write_still(latin, len(NAMES)))
    told, out = tmp_path / "decisions.jsonl", tmp_path / "out"
    done = stillsift("sift", folder, "-o", out, "--decisions", told, "--json")
    assert done.status == 0, done.err
    assert {row["file"] for row in lines(told)} == {str(file) for file in files}
    assert_agree(out)
    for form in ("text", "jsonl", "csv"):
        shown = stillsift("decisions", "--store", out, "--format", form)
        assert shown.status == 0, shown.err
        assert "caf" in shown.out


# -- exact duplicates ------------------------------------------------------------------------------


def test_a_copied_still_names_the_earlier_file_and_the_kept_frame(
    stillsift: Command, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    first = write_still(photos / "a.jpg", 1)
    taken(Path(shutil.copy(first, photos / "b.jpg")), 2)
    stillsift("sift", photos, "-o", out)
    one, other = (record.decision for record in decided(out))
    assert one.outcome is Outcome.KEPT
    assert other.reason is Reason.EXACT_DUPLICATE
    assert other.nearest_kept == one.id
    assert str(first) in (other.detail or "")

    taken(Path(shutil.copy(first, photos / "c.jpg")), 3)  # and across a restart
    stillsift("sift", photos, "-o", out)
    again = decided(out)[-1].decision
    assert (again.reason, again.nearest_kept) == (Reason.EXACT_DUPLICATE, one.id)
    assert again.file == photos / "c.jpg"
    assert str(first) in (again.detail or "")
    assert_agree(out)


@pytest.mark.parametrize("restart", [False, True])
def test_a_copied_clip_is_one_exact_duplicate(
    stillsift: Command, clip: Path, tmp_path: Path, restart: bool
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    first = Path(shutil.copy(clip, clips / "a.mp4"))
    if restart:
        stillsift("sift", clips, "-o", out)
    shutil.copy(clip, clips / "b.mp4")
    stillsift("sift", clips, "-o", out)
    records = decided(out)
    copies = [r.decision for r in records if r.decision.file == clips / "b.mp4"]
    assert [copy.reason for copy in copies] == [Reason.EXACT_DUPLICATE]
    kept = [r.decision.id for r in records if r.decision.outcome is Outcome.KEPT]
    assert copies[0].nearest_kept == kept[0]
    assert str(first) in (copies[0].detail or "")


def test_a_copy_of_a_broken_file_is_broken_too(stillsift: Command, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (photos / name).write_bytes(jpeg(1)[:200])
    done = stillsift("sift", photos, "-o", out)
    assert [r.decision.reason for r in decided(out)] == [Reason.DECODE_ERROR] * 2
    assert done.status == 1, "nothing of the folder could be read"
    for name in ("a.jpg", "b.jpg"):
        assert (done.out + done.err).count(str(photos / name)) == 1, "a failure is told once"


# -- again, interrupted, dry -----------------------------------------------------------------------


def test_the_same_command_again_finds_nothing_new(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    write_stills(tmp_path / "photos", [1, 2])
    out = tmp_path / "out"
    command = ("sift", clip, tmp_path / "photos", "-o", out, "--decisions", tmp_path / "d")
    stillsift(*command)
    before, told, disk = story(out), (tmp_path / "d").read_text(), everything(out / "kept")
    done = stillsift(*command)
    assert done.status == 0
    assert "gate: nothing new in" in done.out
    assert "photos: nothing new in" in done.out
    assert story(out) == before
    assert everything(out / "kept") == disk
    assert (tmp_path / "d").read_text() == told, (
        "of an earlier run too, which this one goes on with"
    )


def test_a_dry_run_decides_the_same_and_writes_nothing(
    stillsift: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    photos = tmp_path / "photos"
    write_stills(photos, [1, 2])
    taken(Path(shutil.copy(photos / "img2.jpg", photos / "img3.jpg")), 3)
    before = everything(tmp_path), everything(clip.parent)
    done = stillsift("sift", clip, photos, "--dry-run", "--json", "--output", tmp_path / "out")
    assert done.status == 0
    assert (everything(tmp_path), everything(clip.parent)) == before
    dry = json.loads(done.out)["sources"]
    stillsift("sift", clip, photos, "--dry-run", "--decisions", tmp_path / "dry.jsonl")
    stillsift("sift", clip, photos, "-o", tmp_path / "out", "--decisions", tmp_path / "wet.jsonl")
    wet = [row | {"kept_path": None} for row in lines(tmp_path / "wet.jsonl")]
    assert lines(tmp_path / "dry.jsonl") == wet
    assert sum(source["frames"] for source in dry) == len(wet)
    kept = sum(row["outcome"] == "kept" for row in wet)
    assert sum(source["kept"] for source in dry) == kept > 0
    assert wet[-1]["reason"] == "exact_duplicate"
    assert wet[-1]["nearest_kept"] is not None


def test_a_dry_run_does_not_look_like_a_real_one(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    dry = stillsift("sift", clip, "--dry-run", "--set", "audit=1").out
    assert "gate: 15 frames, would keep " in dry
    assert "\n  keep     novel " in dry
    assert "to be laid aside" in dry
    assert not any(word in dry for word in ("  kept ", "dropped", " MB", "Kept frames", "Why"))
    wet = stillsift("sift", clip, "-o", tmp_path / "out").out
    assert "\n  kept     novel " in wet
    assert f"\nKept frames   {tmp_path / 'out' / 'kept'}\n" in wet
    again = stillsift("sift", clip, "-o", tmp_path / "out").out
    assert "Kept frames" in again, "those of the run before"


def test_where_nothing_is_kept_no_place_is_named(stillsift: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    done = stillsift("sift", tmp_path / "bad.jpg", "-o", tmp_path / "out")
    assert "Kept frames" not in done.out
    assert "Why  " in done.out
    (tmp_path / "empty").mkdir()
    done = stillsift("sift", tmp_path / "empty", "-o", tmp_path / "other")
    assert "Kept frames" not in done.out
    assert "Why  " not in done.out


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty frames, most of them new: a second of work and more."""
    return write_clip(tmp_path_factory.mktemp("long") / "long.mp4", range(40), frames=2)


def test_ctrl_c_ends_with_the_summary_and_the_next_run_goes_on(
    stillsift: Command, long_clip: Path, tmp_path: Path
) -> None:
    stillsift("sift", long_clip, "-o", tmp_path / "whole", "--set", "rate=all")
    whole, out = story(tmp_path / "whole"), tmp_path / "out"
    log = tmp_path / "log"
    process = started("sift", long_clip, "-o", out, "--set", "rate=all", log=log)
    until(lambda: len(kept_on_disk(out)) >= 3 or process.poll() is not None, "three kept frames")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130, log.read_text()
    assert "Interrupted. The same command goes on where this one stopped." in log.read_text()
    half = story(out)
    assert 0 < len(half) < len(whole)
    assert half == whole[: len(half)]
    assert_agree(out)
    assert stillsift("sift", long_clip, "-o", out, "--set", "rate=all").status == 0
    assert story(out) == whole
    assert_agree(out)


def test_a_full_disk_ends_it_and_the_next_run_goes_on_where_it_stopped(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    stillsift("sift", clip, "-o", tmp_path / "whole")
    full, out = tmp_path / "full.yaml", tmp_path / "out"
    full.write_text("store: {min_free: 999TB}\n")
    done = stillsift("sift", clip, "-o", out, "-c", full)
    assert done.status == 1
    assert "min_free" in done.out, "the summary says what stopped it"
    assert decided(out) == []
    assert stillsift("sift", clip, "-o", out).status == 0
    assert story(out) == story(tmp_path / "whole")


@pytest.mark.parametrize("audit", ["0", "1"])
def test_a_disk_that_fills_up_in_the_middle_costs_no_frame(
    stillsift: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audit: str
) -> None:
    """The sifter had taken the frame into its gallery; the next run must not meet it there."""
    settings = ("--set", "rate=all", "--set", f"audit={audit}")
    stillsift("sift", clip, "-o", tmp_path / "whole", *settings)
    out = tmp_path / "out"
    for times in (1, 2):
        room = iter([1 << 60] * times)
        monkeypatch.setattr("stillsift.store.Store.free_bytes", lambda _, room=room: next(room, 0))
        assert stillsift("sift", clip, "-o", out, *settings).status == 1
        assert len(decided(out)) < len(decided(tmp_path / "whole"))
    monkeypatch.undo()
    assert stillsift("sift", clip, "-o", out, *settings).status == 0
    assert story(out) == story(tmp_path / "whole")
    assert_agree(out)


# -- settings --------------------------------------------------------------------------------------


def test_set_overrides_a_default(stillsift: Command, clip: Path, tmp_path: Path) -> None:
    stillsift("sift", clip, "-o", tmp_path / "out", "--set", "rate=2/s", "--set", "gallery=1")
    assert [r.decision.frame_index for r in decided(tmp_path / "out")] == [0, 5, 10, 15, 20, 25]


def test_a_configuration_file_gives_the_defaults(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("defaults: {rate: 1/s}\nstore: {format: png}\n")
    stillsift("sift", clip, "-o", tmp_path / "out", "-c", tmp_path / "c.yaml")
    records = decided(tmp_path / "out")
    assert [r.decision.frame_index for r in records] == [0, 10, 20]
    assert {r.kept_path.suffix for r in records if r.kept_path} == {".png"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nothere.mp4", "-o", "out"], 2, "nothere.mp4: no such file or directory"),
        (["in.jpg"], 2, "--output"),
        ([], 2, "PATH_OR_URL"),
        (["in.jpg", "-o", "out", "--duration", "soon"], 2, "--duration soon"),
        (["http://x/y", "-o", "out"], 2, "http://x/y"),
        (["in.jpg", "-o", "out", "--set", "galery=3"], 2, "gallery"),
        (["in.jpg", "-o", "out", "--set", "gallery=-3"], 2, "gallery"),
        (["in.jpg", "-o", "out", "-c", "nothere.yaml"], 78, "nothere.yaml"),
        (["in.jpg", "-o", "in.jpg/out"], 1, "in.jpg"),
        (["in.jpg", "-o", "in.jpg"], 2, "which takes files and is not read"),
        ([".", "-o", "."], 2, "which takes files and is not read"),
        (["in.jpg", "-o", "out", "--decisions", "no/where.jsonl"], 2, "no/where.jsonl"),
    ],
)
def test_what_is_wrong_is_said_and_gives_the_exit_status(
    stillsift: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_still(tmp_path / "in.jpg", 1)
    done = stillsift("sift", *arguments)
    assert done.status == status, done.err
    assert said in done.err


def test_a_store_in_use_is_for_later(stillsift: Command, clip: Path, tmp_path: Path) -> None:
    from stillsift.store import Store

    with Store(tmp_path / "out").lock():
        done = stillsift("sift", clip, "-o", tmp_path / "out")
    assert done.status == 75
    assert str(os.getpid()) in done.err


def test_one_bad_path_does_not_keep_the_others(
    stillsift: Command, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    done = stillsift("sift", tmp_path / "bad.mp4", clip, "-o", tmp_path / "out", "--json")
    assert done.status == 1
    bad, good = json.loads(done.out)["sources"]
    assert (bad["source"], bad["failed"], good["failed"]) == ("bad", 1, 0)
    assert good["frames"] == 15
    assert str(tmp_path / "bad.mp4") in bad["failures"][0]
    assert "bad.mp4" not in done.err


def test_of_many_failures_the_rest_is_to_be_asked_for(stillsift: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(b"no picture")
    done = stillsift("sift", tmp_path / "in", "-o", tmp_path / "out")
    assert done.out.count("is no picture") == 10
    asked = f"stillsift decisions --store {tmp_path / 'out'} --outcome failed"
    assert f"and 2 more: {asked}" in done.out
    assert stillsift(*asked.split()[1:]).out.count("is no picture") == 12
    dry = stillsift("sift", tmp_path / "in", "--dry-run")
    assert dry.out.count("is no picture") == 12, "there is nobody else to ask"


# -- what is shown ---------------------------------------------------------------------------------


def test_of_very_many_failures_the_first_are_named_and_all_are_counted() -> None:
    tally, dry = Tally("card", "/card", Path("/s")), Tally("card", "/card")
    for number in range(2500):
        bad = without_frame("card", f"{number}", Reason.DECODE_ERROR, 0, detail=f"no {number}")
        tally.note(bad, None)
        dry.note(bad, None)
    told = tally.as_json()
    assert told["failed"] == 2500
    assert told["failures"] == [f"no {number}" for number in range(1000)]
    assert told["more_failures"] == 1500
    ask = "stillsift decisions --store /s --outcome failed"
    assert tally.as_text().endswith(f"  failed   no 9\n           and 2490 more: {ask}")
    assert dry.as_text().endswith("  failed   no 999\n           and 1500 more")


def test_damaged_places_of_a_clip_are_no_pages() -> None:
    tally = Tally("noise", "/noise.mp4", Path("/s"))
    for number in range(12):
        bad = without_frame(
            *("noise", f"{number}", Reason.DECODE_ERROR, 0), file=Path("/noise.mp4"), detail="bad"
        )
        tally.note(bad, None)
    assert "pages" not in tally.as_text()


def test_one_object_that_is_no_list_is_answered_with_the_list(stillsift: Command) -> None:
    done = stillsift("sift", "photos", "--dry-run", "--set", "require=person")
    assert done.status == 2
    assert "require: must be a list, not 'person'; write [person]" in done.err


def test_json_tells_of_every_source(stillsift: Command, clip: Path, tmp_path: Path) -> None:
    done = stillsift("sift", clip, "-o", tmp_path / "out", "--json")
    told = json.loads(done.out)
    assert told["store"] == str(tmp_path / "out")
    assert told["interrupted"] is False
    (source,) = told["sources"]
    records = decided(tmp_path / "out")
    assert source["frames"] == len(records) == 15
    assert sum(source[outcome.value] for outcome in Outcome) == 15
    assert source["reasons"] == {
        reason.value: n
        for reason in Reason
        if (n := sum(r.decision.reason is reason for r in records))
    }
    assert source["kept_bytes"] == sum(
        (tmp_path / "out" / path).stat().st_size for path in kept_on_disk(tmp_path / "out")
    )


def test_a_terminal_sees_progress_and_a_pipe_sees_plain_lines(
    stillsift: Command, long_clip: Path, tmp_path: Path
) -> None:
    options = ("--set", "rate=all", "--set", "max_wait=0s")
    status, seen, out = on_terminal(
        "sift", long_clip, "-o", tmp_path / "out", *options, stream="stderr"
    )
    assert status == 0, seen
    assert b"\x1b[" in seen
    assert b"80 frames," in seen, "how far it was at last, however quick it was"
    assert b"\x1b[" not in out
    assert b"long: 80 frames" in out
    piped = stillsift("sift", long_clip, "-o", tmp_path / "out")
    assert "\x1b[" not in piped.out + piped.err


def test_a_camera_that_gives_nothing_fails_with_the_reason(
    stillsift: Command, tmp_path: Path
) -> None:
    url = f"rtsp://127.0.0.1:{free_port()}/cam"
    done = stillsift("sift", url, "-o", tmp_path / "out", "--duration", "1s", "--json")
    assert done.status == 1
    (source,) = json.loads(done.out)["sources"]
    assert source["error"] == "no frame came: Connection refused"
    assert source["frames"] == 0


# -- passwords -------------------------------------------------------------------------------------


def everything_written(folder: Path) -> bytes:
    """The names and contents of all files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"\0".join([*map(os.fsencode, folder.rglob("*")), *(f.read_bytes() for f in files)])


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://viewer:geheim@127.0.0.1:1",
        "rtsp://127.0.0.1:1/user=viewer&password=geheim&channel=1.sdp",
        "rtsp://127.0.0.1:1/viewer:geheim/",
        "rtsp://127.0.0.1:1/geheim",
    ],
)
def test_a_secret_of_a_url_is_in_no_name_and_no_record(
    stillsift: Command, tmp_path: Path, url: str
) -> None:
    done = stillsift("sift", url, "-o", tmp_path / "out", "--duration", "1s")
    assert "geheim" not in done.out + done.err
    assert b"geheim" not in everything_written(tmp_path)
    assert done.out.startswith(("127.0.0.1", "user", "cam"))


def test_a_password_comes_from_a_file(stillsift: Command, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheim\n")
    file.chmod(0o600)
    common = ("--dry-run", "--duration", "1s", "--password-file")
    done = stillsift("sift", "rtsp://viewer@127.0.0.1:1/cam", *common, file)
    assert (done.status, "geheim" in done.out + done.err) == (1, False)
    done = stillsift("sift", "rtsp://viewer@127.0.0.1:1/cam", *common, tmp_path / "none")
    assert "none cannot be read: No such file or directory" in done.out
    done = stillsift("sift", "rtsp://127.0.0.1:1/cam", *common, file)
    assert (done.status, "needs a user: rtsp://USER@HOST/PATH" in done.err) == (2, True)
    done = stillsift("sift", "rtsp://u:falsch@127.0.0.1:1/cam", *common, file)
    assert (done.status, "falsch" in done.err) == (2, False)
    done = stillsift("sift", tmp_path, *common, file)
    assert (done.status, "no path is a URL" in done.err) == (2, True)


def test_a_password_on_the_command_line_is_overwritten_in_the_list_of_processes(
    tmp_path: Path,
) -> None:
    url = "rtsp://viewer:geheim@127.0.0.1:1/live?psw=geheim"
    log = tmp_path / "log"
    process = started("sift", url, "--dry-run", "--duration", "30s", log=log)
    try:
        until(lambda: "--password-file FILE" in log.read_text(), "the warning")
        seen = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert "geheim" not in seen + log.read_text()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 ", limits, re.M)
        assert "rtsp://***@127.0.0.1:1/live?psw=***" in seen
    finally:
        process.kill()
        process.wait()


# -- disks -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(disks: Disks) -> SmallDisk:
    return disks("size=400k")


def test_a_disk_that_is_full_is_told_and_the_next_run_goes_on(
    stillsift: Command, tmp_path: Path, small_disk: SmallDisk
) -> None:
    write_stills(tmp_path / "photos", range(12))
    config = tmp_path / "config.yaml"
    config.write_text("store: {min_free: 0}")
    words = ("sift", tmp_path / "photos", "-c", config, "-o", small_disk.path / "out")
    done = stillsift(*words)
    assert done.status == 1
    assert re.search(rf"{small_disk.path}/out.*Free some space", done.out + done.err)
    small_disk.fill()
    done = stillsift(*words)
    assert done.status == 1
    assert re.search(rf"{small_disk.path}/out.*No space left.*Free some space", done.err)
    small_disk.free()
    small_disk.remount("rw,size=20m")
    assert stillsift(*words).status == 0
    assert_agree(small_disk.path / "out")
    assert len(kept_on_disk(small_disk.path / "out")) == 12
    small_disk.remount("ro")
    done = stillsift(*words)
    assert done.status == 1
    assert "Read-only file system: the file system is read-only; mount it writable" in done.err


def test_decisions_that_cannot_be_written_leave_no_part_of_a_file(
    stillsift: Command, tmp_path: Path, small_disk: SmallDisk
) -> None:
    write_stills(tmp_path / "photos", [1, 2])
    words = ("sift", tmp_path / "photos", "-o", tmp_path / "out", "--decisions")
    small_disk.fill()
    done = stillsift(*words, small_disk.path / "why.jsonl")
    assert done.status == 1
    assert f"{small_disk.path}/why.jsonl: cannot be written: No space left on device" in done.err
    assert [path.name for path in small_disk.path.iterdir()] == ["ballast"]
    assert stillsift(*words, tmp_path / "why.jsonl").status == 0
    assert len((tmp_path / "why.jsonl").read_text().splitlines()) == 2


def test_restoring_to_a_disk_that_takes_nothing_leaves_all_in_quarantine(
    stillsift: Command, tmp_path: Path, small_disk: SmallDisk
) -> None:
    write_stills(tmp_path / "photos", [1, 2])
    shutil.copy2(tmp_path / "photos" / "img1.jpg", tmp_path / "photos" / "img9.jpg")
    store = tmp_path / "out"
    assert stillsift("sift", tmp_path / "photos", "-o", store, "--set", "retire=move").status == 0
    for how, why in (("fill", "the disk is full"), ("ro", "Read-only file system")):
        small_disk.fill() if how == "fill" else small_disk.remount(how)
        back = small_disk.path / "back"
        done = stillsift("restore", "--all", "--store", store, "-o", back)
        assert done.status == 1
        assert f"{back}/img9.jpg: {why}; choose another place with --output" in done.out
        assert not [path for path in back.rglob("*") if path.is_file()]
    assert stillsift("restore", "--all", "--store", store).status == 0
    assert (tmp_path / "photos" / "img9.jpg").read_bytes() == jpeg(1)


@pytest.mark.parametrize("suffix", ["tiff", "webp", "avif"])
def test_every_picture_of_a_file_is_looked_at_before_it_goes(
    suffix: str, stillsift: Command, tmp_path: Path
) -> None:
    """The first picture is shown by one that is kept; what follows it is shown by none."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_several(folder, suffix)
    done = stillsift("sift", folder, "-o", tmp_path / "out", "--set", "retire=delete")
    assert done.status == 0
    assert not list(folder.iterdir())
    assert "4 frames, 3 kept" in done.out
    kept = [path for path in (tmp_path / "out" / "kept").rglob("*") if path.suffix != ".jsonl"]
    assert sorted(path.suffix for path in kept if path.is_file()) == [".jpg", ".jpg", ".png"]


def write_several(folder: Path, suffix: str) -> Path:
    """A picture, and a file that holds it and two others."""
    pictures = [Image.fromarray(scene(number)) for number in (1, 2, 3)]
    pictures[0].save(folder / "a.png")
    path = folder / f"b.{suffix}"
    shown: dict[str, Any] = {} if suffix == "tiff" else {"duration": 1500}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **shown)
    return path


@pytest.mark.parametrize("suffix", ["tiff", "webp", "avif"])
def test_a_file_stays_of_which_one_picture_is_damaged(
    suffix: str, stillsift: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_several(folder, suffix)
    data = bytearray(path.read_bytes())
    if suffix == "tiff":  # the directory of the last page is at the end
        del data[-20:]
    elif suffix == "webp":  # behind the size of the last picture
        start = data.rindex(b"\x9d\x01\x2a") + 7
        data[start : start + 20] = bytes(20)
    else:
        middle = len(data) * 3 // 4
        data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    done = stillsift("sift", folder, "-o", tmp_path / "out", "--set", "retire=delete")
    assert [left.name for left in folder.iterdir()] == [path.name]
    assert f"{path}: picture " in done.out
    assert "of several: " in done.out


@pytest.mark.parametrize("dry", [True, False])
def test_the_pages_of_a_scan_are_compared_as_documents(
    dry: bool, stillsift: Command, tmp_path: Path
) -> None:
    """The sixth page differs in a digit from the first, the last is the third again."""
    folder = tmp_path / "in"
    folder.mkdir()
    pages = [*map(page, range(5)), page(0, "471.88"), page(2)]
    first, *more = (Image.fromarray(each) for each in pages)
    first.save(folder / "scan.tif", save_all=True, append_images=more)
    where = ("--dry-run",) if dry else ("-o", tmp_path / "out")
    done = stillsift("sift", folder, *where, "--decisions", tmp_path / "why.jsonl")
    assert done.status == 0
    lines = map(json.loads, (tmp_path / "why.jsonl").read_text("utf-8").splitlines())
    reasons = {line["frame_index"]: line["reason"] for line in lines}
    assert reasons == {**dict.fromkeys(range(6), "novel"), 6: "near_duplicate"}


# -- numbered stills -------------------------------------------------------------------------------


def write_numbered(folder: Path, numbers: range, name: str = "in{}.jpg", *, first: int = 0) -> Path:
    """Frames of a real clip at 25/s by their numbers, from the `first` one of the clip on; all of
    them with the time of the first."""
    folder.mkdir(exist_ok=True)
    pictures = real_pictures(count=80)
    for number, picture in zip(numbers, pictures[first:], strict=False):
        path = folder / name.format(number)
        Image.fromarray(picture).save(path, quality=90)
        os.utime(path, ns=(START_S * 10**9,) * 2)
    return folder


def numbers_line(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("  numbers  ")]
    return line.removeprefix("  numbers  ")


def test_numbered_frames_of_a_clip_are_a_time_line(stillsift: Command, tmp_path: Path) -> None:
    folder, told = write_numbered(tmp_path / "in", range(5, 45)), tmp_path / "told"
    done = stillsift("sift", folder, "--dry-run", "--decisions", told)
    taken_as = "in/in#.jpg: 40 frames in the order of their numbers, taken as 2/s"
    assert numbers_line(done.out) == taken_as
    rows = lines(told)
    assert [Path(row["file"]).name for row in rows] == [f"in{n}.jpg" for n in range(5, 45)]
    times = [datetime.fromisoformat(row["captured_at"]).timestamp() for row in rows]
    assert times == [START_S + n / 2 for n in range(40)]
    assert {row["captured_at_origin"] for row in rows} == {"sequence"}
    (summary,) = json.loads(stillsift("sift", folder, "--dry-run", "--json").out)["sources"]
    assert summary["numbered"] == [
        {"folder": str(folder), "names": "in#.jpg", "frames": 40, "rate": 2.0, "why": None}
    ]


def test_numbered_frames_are_decided_as_if_their_names_told_the_time(
    stillsift: Command, tmp_path: Path
) -> None:
    write_numbered(tmp_path / "in", range(60), "in{:06}.jpg")
    (tmp_path / "named").mkdir()
    for number, path in enumerate(sorted((tmp_path / "in").iterdir())):
        seconds, tenth = divmod(number, 10)
        shutil.copy2(path, tmp_path / "named" / f"cam_20251124_16000{seconds}.{tenth}.jpg")
    keys = ("captured_at", "outcome", "reason", "novelty", "novelty_limit", "detail")

    def decided_as(place: str, setting: str) -> list[dict[str, Any]]:
        told = tmp_path / "told"
        options = ("--dry-run", "--decisions", told, "--set", setting)
        assert stillsift("sift", tmp_path / place, *options).status == 0
        return [{key: row[key] for key in keys} for row in lines(told)]

    wanted = decided_as("named", "filename_time=cam_%Y%m%d_%H%M%S.%f")
    assert wanted[59]["captured_at"] == "2025-11-24T16:00:05.900000Z"
    assert decided_as("in", "sequence=10/s") == wanted
    assert decided_as("in", "filename_time=in%06d@10") == wanted
    assert decided_as("in", "sequence=off") != wanted


def test_a_folder_goes_on_as_it_began_when_its_stills_are_gone(
    stillsift: Command, tmp_path: Path
) -> None:
    folder, store, told = tmp_path / "in", tmp_path / "store", tmp_path / "told"
    sift = ("sift", folder, "-o", store, "--set", "retire=delete", "--decisions", told)
    write_numbered(folder, range(40))
    assert "40 frames in the order" in stillsift(*sift).out
    assert not list(folder.iterdir())
    # Others than those that went: they may get their inodes, and would be the same files.
    write_numbered(folder, range(42, 47), first=42)
    assert "5 frames in the order of their numbers, taken as 2/s" in stillsift(*sift).out
    last = datetime.fromisoformat(lines(told)[-1]["captured_at"]).timestamp()
    assert last == START_S + 23
    # A set of photographs stays one, though frames come to it.
    plates = write_stills(tmp_path / "plates", range(20))[0].parent
    other = ("sift", plates, "-o", store, "--decisions", told)
    assert "photographs, because" in stillsift(*other).out
    for photo in plates.iterdir():
        photo.unlink()
    write_numbered(plates, range(40))
    assert numbers_line(stillsift(*other).out).startswith(
        "plates/in#.jpg: 40 frames are taken for photographs; if they are"
    )


def test_numbered_photographs_stay_photographs_and_the_way_out_is_told(
    stillsift: Command, tmp_path: Path
) -> None:
    write_stills(tmp_path / "photos", range(20))
    done = stillsift("sift", tmp_path / "photos", "--dry-run")
    line = numbers_line(done.out)
    assert line.startswith("photos/img#.jpg: 20 frames are taken for photographs, because ")
    assert line.endswith("; if they are one camera's frames: --set sequence=2/s")
    off = stillsift("sift", tmp_path / "photos", "--dry-run", "--set", "sequence=off")
    assert off.out.splitlines()[1] == done.out.splitlines()[1]
    assert "  numbers  " not in off.out
    told = stillsift("sift", tmp_path / "photos", "--dry-run", "--set", "sequence=2/s")
    assert numbers_line(told.out).endswith("taken as 2/s")


def test_where_names_tell_the_time_numbers_do_not(stillsift: Command, tmp_path: Path) -> None:
    write_numbered(tmp_path / "in", range(10, 60), "cam_20260501_1000{0}_{0}.jpg")
    told, pattern = tmp_path / "told", "filename_time=cam_%Y%m%d_%H%M%S"
    for sequence in ("auto", "25/s"):
        setting = ("--set", pattern, "--set", f"sequence={sequence}")
        done = stillsift("sift", tmp_path / "in", "--dry-run", "--decisions", told, *setting)
        assert "  numbers  " not in done.out
        assert {row["captured_at_origin"] for row in lines(told)} == {"filename"}


def test_a_pattern_of_numbers_that_no_name_matches_is_told(
    stillsift: Command, tmp_path: Path
) -> None:
    write_numbered(tmp_path / "in", range(3))
    done = stillsift("sift", tmp_path / "in", "--dry-run", "--set", "filename_time=out%d@25")
    assert "filename_time 'out%d@25' does not match any of 3 files" in done.err


def photographs_and_copies(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of six photographs, and one of their copies at half the size."""
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder in (whole, halves):
        folder.mkdir()
    for seed in range(6):
        picture = textured(seed)
        cv2.imwrite(str(whole / f"{seed}.png"), picture)
        cv2.imwrite(str(halves / f"{seed}.png"), resized(picture, 0.5))
    return whole, halves


def test_copies_of_photographs_are_found_in_the_next_run(
    tmp_path: Path, stillsift: Command
) -> None:
    """And however many were kept since: the gallery holds one."""
    whole, halves = photographs_and_copies(tmp_path)
    options = ("--output", tmp_path / "out", "--set", "gallery=1", "--json")
    first = json.loads(stillsift("sift", whole, *options).out)
    assert first["sources"][0]["kept"] == 6
    for copy in halves.iterdir():
        copy.rename(whole / f"half_{copy.name}")
    again = json.loads(stillsift("sift", whole, *options).out)
    assert again["sources"][0]["kept"] == 0
    assert again["sources"][0]["reasons"] == {"near_duplicate": 6}


@pytest.mark.parametrize("place", ["--dry-run", "--output"])
def test_copies_of_photographs_are_found_across_a_group(
    place: str, tmp_path: Path, stillsift: Command
) -> None:
    folders = photographs_and_copies(tmp_path)
    where = (place,) if place == "--dry-run" else (place, tmp_path / "out")
    options = ("--set", "gallery=1", "--set", "group=all", "--json", *where)
    done = json.loads(stillsift("sift", *folders, *options).out)
    assert [source["kept"] for source in done["sources"]] == [6, 0]


@pytest.mark.parametrize("into", ["--dry-run", "--output", "--remove-to"])
def test_larger_copies_that_go_for_an_earlier_folder_are_told(
    into: str, tmp_path: Path, stillsift: Command
) -> None:
    whole, halves = photographs_and_copies(tmp_path)
    where = (into,) if into == "--dry-run" else (into, tmp_path / "out")
    name_it_first = stillsift("sift", whole, halves, *where)
    assert name_it_first.status == 0
    assert "  larger" not in name_it_first.out
    where = (into,) if into == "--dry-run" else (into, tmp_path / "other")
    if into == "--remove-to":
        stillsift("restore", "--store", tmp_path / "out", "--all")
    done = stillsift("sift", halves, whole, *where)
    told = "6 of these have over twice the pixels of the copy that halves has kept;"
    assert told in done.out
    assert ("undo this" in done.out) == (into == "--remove-to")
    again = json.loads(stillsift("sift", halves, whole, *where, "--json").out)
    assert [each["larger_dropped"] for each in again["sources"]] == [0, 6 * (into == "--dry-run")]


def test_a_photograph_removed_from_the_store_is_kept_again(
    tmp_path: Path, stillsift: Command
) -> None:
    whole, halves = photographs_and_copies(tmp_path)
    options = ("--output", tmp_path / "out", "--set", "gallery=1", "--json")
    stillsift("sift", whole, *options)
    kept = sorted((tmp_path / "out" / "kept").rglob("*.png"))
    kept[0].unlink()
    for copy in halves.iterdir():
        copy.rename(whole / f"half_{copy.name}")
    again = json.loads(stillsift("sift", whole, *options).out)
    assert again["sources"][0]["kept"] == 1


def test_settings_that_do_nothing_for_photographs_are_told(
    stillsift: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    write_stills(folder, [1, 2])
    words = ("--dry-run", "--set", "min_gap=10s", "--set", "heartbeat=1h")
    assert (
        "min_gap and heartbeat did nothing for 2 photographs"
        in stillsift("sift", folder, *words).err
    )
    assert "did nothing" not in stillsift("sift", folder, *words, "--set", "sequence=2/s").err
    assert "did nothing" not in stillsift("sift", folder, "--dry-run").err
    clip = write_clip(tmp_path / "gate.mp4", [1, 2])
    assert "did nothing" not in stillsift("sift", clip, *words).err


def test_clips_side_by_side_are_decided_as_one_after_the_other(
    stillsift: Command, tmp_path: Path
) -> None:
    clips = [write_clip(tmp_path / f"{n}.mp4", [n, n + 1, n], number=n) for n in range(4)]
    write_stills(tmp_path / "photos", [1, 2])
    told = []
    for jobs in (1, 3):
        store, file = tmp_path / f"store{jobs}", tmp_path / f"{jobs}.jsonl"
        words = ("--output", store, "--jobs", jobs, "--decisions", file)
        assert stillsift("sift", *clips, tmp_path / "photos", *words).status == 0
        rows = lines(file)
        assert {row["source"] for row in rows} == {"0", "1", "2", "3", "photos"}
        for row in rows:
            row["kept_path"] = None if row["kept_path"] is None else Path(row["kept_path"]).name
        told.append(rows)
        assert_agree(store)
    assert told[0] == told[1]
