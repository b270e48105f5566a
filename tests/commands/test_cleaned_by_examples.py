"""Cleaning by examples: the report, mistakes with their lines, sifting, a reload."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import cv2
import pytest

from conftest import Command
from photographs import page, textured
from running import daemon, decided, until
from stillsift.arrays import Image
from stillsift.config import load
from stillsift.config.settings import ExampleSettings
from stillsift.decisions import Outcome, Reason
from stillsift.embedding import Embedder, Embedding
from stillsift.frames import Picture
from stillsift.pipeline.example_folders import ExamplesError, ExampleShelf
from stillsift.pipeline.model_choice import open_model


def put(folder: Path, **pictures: Image) -> Path:
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        aside = folder / f".{name}.jpg"
        cv2.imwrite(str(aside), picture)
        aside.rename(folder / f"{name}.jpg")
    return folder


def photos(first: int, count: int = 6) -> dict[str, Image]:
    return {f"photo{seed}": textured(seed, 320, 240) for seed in range(first, first + count)}


def pages(first: int, count: int = 6) -> dict[str, Image]:
    return {
        f"page{seed}": page(seed, width=310, height=440) for seed in range(first, first + count)
    }


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put(tmp_path / "good", **photos(0))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return put(tmp_path / "bad", **pages(0))


# -- the report ------------------------------------------------------------------------------------


def report(stillsift: Command, *words: object) -> dict[str, Any]:
    done = stillsift("examples", *words, "--json")
    assert done.status in (0, 1), done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_what_separates_is_told_in_text_and_json(stillsift: Command, good: Path, bad: Path) -> None:
    done = stillsift("examples", good, bad)
    assert (done.status, done.err) == (0, "")
    assert "good: 6 pictures, 6 prototypes; left out in turn, 100% told right" in done.out
    assert "AUC 1.00" in done.out
    found = report(stillsift, good, bad)
    assert found["auc"] == 1.0
    assert found["negative"] == {"pictures": 6, "prototypes": 6, "passing": 1.0}
    assert found["contradictions"] == []


def test_a_page_among_the_good_ones_is_named_and_so_is_a_picture_in_both(
    stillsift: Command, good: Path, bad: Path
) -> None:
    put(good, odd=page(9, width=310, height=440))
    shutil.copy2(good / "photo1.jpg", bad / "again.jpg")
    done = stillsift("examples", good, bad)
    assert done.status == 1
    assert "in both folders: photo1.jpg (bad: again.jpg); take it out of one" in done.out
    assert "good, but nearer to the bad ones: odd.jpg (" in done.out
    found = report(stillsift, good, bad)
    assert found["in_both"] == [{"positive": "photo1.jpg", "negative": "again.jpg"}]
    assert found["contradictions"][0]["name"] == "odd.jpg"
    assert found["positive"]["pictures"] == 6, "without the one that is in both"


def test_one_folder_is_said_to_separate_badly(stillsift: Command, good: Path) -> None:
    done = stillsift("examples", good)
    assert done.status == 0
    assert "one folder alone separates badly" in done.out
    assert report(stillsift, good)["auc"] is None


def test_what_is_broken_is_named_and_left_out(stillsift: Command, good: Path, bad: Path) -> None:
    (good / "torn.jpg").write_bytes((good / "photo1.jpg").read_bytes()[:200])
    done = stillsift("examples", good, bad)
    assert done.status == 0
    assert "positive: left out: torn.jpg: " in done.out
    assert list(report(stillsift, good, bad)["left_out"]) == ["positive"]


@pytest.mark.parametrize(
    ("count", "broken", "said"),
    [
        (None, 0, "which is not there; name a folder"),
        (0, 0, "which holds 0 pictures; put 5 or more into it"),
        (4, 0, "which holds 4 pictures; put 5 or more into it"),
        (4, 3, "of 3 pictures in it that cannot be read, the first is torn0.jpg"),
    ],
)
def test_a_folder_that_is_of_no_use_is_one_error(
    stillsift: Command, good: Path, tmp_path: Path, count: int | None, broken: int, said: str
) -> None:
    folder = tmp_path / "few"
    if count is not None:
        put(folder, **photos(0, count))
    for number in range(broken):
        (folder / f"torn{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    done = stillsift("examples", good, folder)
    assert (done.status, done.out) == (78, "")
    assert done.err.count("\n") == 1
    assert f"examples.negative is {str(folder)!r}" in done.err
    assert said in done.err


@pytest.mark.usefixtures("bad")
def test_the_examples_of_a_source_are_asked_for_by_its_name(
    stillsift: Command, good: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "sources:\n"
        "  - {name: gate, directory: gate, examples: {positive: good, negative: bad}}\n"
        "  - {name: yard, directory: yard, examples: {positive: good}}\n"
        "  - {name: hall, directory: hall}\n"
    )
    assert report(stillsift, "-c", config, "--source", "yard")["negative"] is None
    assert report(stillsift, "-c", config, "--source", "gate")["auc"] == 1.0
    for words in ((), ("--source", "hall")):
        done = stillsift("examples", "-c", config, *words)
        assert done.status == 2
        assert "--source gate, yard" in done.err
    assert stillsift("examples", good, "--source", "gate", "-c", config).status == 2


# -- the configuration -----------------------------------------------------------------------------


@pytest.mark.usefixtures("good")
def test_a_folder_of_no_use_is_a_mistake_with_its_line(stillsift: Command, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "store: {path: s}\n"
        "defaults:\n"
        "  examples:\n"
        "    positive: good\n"
        "    negative: nowhere\n"
        "sources:\n"
        "  - {name: gate, directory: gate}\n"
        "  - {name: yard, directory: yard}\n"
    )
    for words in (("check-config", config), ("run", "-c", config)):
        done = stillsift(*words)
        assert done.status == 78
        assert f"{config}:5: defaults.examples.negative is 'nowhere'" in done.err.replace(
            "negative: is", "negative is"
        )
        assert done.err.count("nowhere") == 1, "two sources, one mistake"


def test_a_probe_tells_how_well_they_separate(
    stillsift: Command, good: Path, bad: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    (tmp_path / "gate").mkdir()
    text = (
        "store: {path: s, min_free: 0}\nmetrics: {listen: off}\nsources:\n"
        "  - {name: gate, directory: gate, examples: {positive: good, negative: bad}}\n"
    )
    config.write_text(text)
    done = stillsift("check-config", config, "--probe")
    assert done.status == 0, done.err
    told = "good pictures, 100% told right; 6 bad pictures, 100% told right; AUC 1.00"
    assert f"examples of gate: ok; 6 {told}" in done.out
    shutil.copy2(good / "photo1.jpg", bad / "again.jpg")
    done = stillsift("check-config", config, "--probe")
    assert done.status == 78
    assert "the same picture is good (good/photo1.jpg) and bad (bad/again.jpg)" in done.out


# -- sifting ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("good", "bad")
def test_what_resembles_the_bad_ones_is_dropped(stillsift: Command, tmp_path: Path) -> None:
    inbox = put(tmp_path / "inbox", **photos(20, 3), **pages(20, 3))
    given = ("--set", "examples={positive: good, negative: bad}")
    done = stillsift("sift", inbox, "-o", tmp_path / "store", *given)
    assert done.status == 0, done.err
    assert "unlike_examples 3" in done.out
    found = {
        record.decision.file.name: record.decision
        for record in decided(tmp_path / "store")
        if record.decision.file is not None
    }
    assert {name for name, one in found.items() if one.outcome is Outcome.KEPT} == {
        "photo20.jpg",
        "photo21.jpg",
        "photo22.jpg",
    }
    dropped = found["page21.jpg"]
    assert dropped.reason is Reason.UNLIKE_EXAMPLES
    assert "nearer to the bad examples (page" in (dropped.detail or "")
    assert "good ones (photo" in (dropped.detail or "")


def test_examples_lie_outside_of_what_is_sifted(
    stillsift: Command, good: Path, tmp_path: Path
) -> None:
    out = ("--output", tmp_path / "store")
    done = stillsift("sift", tmp_path, *out, "--set", f"examples={{positive: {good}}}")
    assert done.status == 2
    assert f"lies in {tmp_path}, which is sifted; put it elsewhere" in done.err
    config = tmp_path / "config.yaml"
    config.write_text(
        "store: {path: /nowhere/s}\nsources:\n"
        f"  - {{name: all, directory: {tmp_path}, examples: {{positive: {good}}}}}\n"
    )
    done = stillsift("check-config", config)
    assert done.status == 78
    assert f"{config}:3: " in done.err
    assert "put it elsewhere" in done.err


def test_a_folder_that_is_not_there_ends_sift_with_one_error(
    stillsift: Command, good: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "store")
    done = stillsift("sift", good, *out, "--set", "examples={negative: x}")
    assert (done.status, done.out) == (2, "")
    assert "--set: examples.negative" in done.err
    assert "is 'x', which is not there; name a folder" in done.err
    config = tmp_path / "config.yaml"
    config.write_text("defaults:\n  examples:\n    positive: y\n")
    done = stillsift("sift", good, *out, "-c", config)
    assert (done.status, done.out) == (78, "")
    assert f"{config}:3: defaults.examples.positive" in done.err
    assert not (tmp_path / "store").exists()


def test_folders_that_contradict_each_other_are_read_and_told_once(
    good: Path, bad: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A source that cannot begin with them tries again every minute."""
    caplog.set_level("INFO")
    shutil.copy2(good / "photo1.jpg", bad / "again.jpg")
    (bad / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    asked = 0

    def embed(picture: Picture) -> Embedding:
        nonlocal asked
        asked += 1
        return embedder(picture)

    embedder = Embedder(open_model(load(None).model))
    folders = ExampleSettings(positive=good, negative=bad)
    settings = load(None).defaults.model_copy(update={"examples": folders})
    shelf = ExampleShelf(embed)
    for _ in range(3):
        with pytest.raises(ExamplesError, match="the same picture is good"):
            shelf.examples(settings)
    assert asked == 13
    assert len(caplog.records) == 3, caplog.text
    (bad / "again.jpg").unlink()
    assert shelf.examples(settings) is not None
    assert len(caplog.records) == 5, "the number of bad ones is another now"


# -- a reload --------------------------------------------------------------------------------------


def test_a_reload_notices_a_changed_folder_and_refuses_one_of_no_use(
    good: Path, bad: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    examples = {"positive": str(good), "negative": str(bad)}
    source = {"name": "gate", "directory": str(gate), "examples": examples}
    with daemon(tmp_path, [source]) as running:
        running.start()
        put(gate, a=page(30, width=310, height=440))
        running.until_done(1)

        def reloaded(said: str) -> None:
            before = running.log.count(said)
            running.signal(signal.SIGHUP)
            until(lambda: running.log.count(said) > before, f"{said}: {running.log}")

        reloaded("configuration read again: nothing changed")
        aside = tmp_path / "aside"
        bad.rename(aside)
        reloaded("configuration not changed")
        assert "is not there; name a folder" in running.log
        bad.mkdir()
        for number in range(6):
            (bad / f"torn{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
        reloaded("configuration not changed: gate: examples.negative is")
        shutil.rmtree(bad)
        # Pages are wanted now, and photographs are not.
        good.rename(bad)
        aside.rename(good)
        reloaded("configuration read again: 1 source; gate: examples")
        until(lambda: "goes on with its new settings" in running.log, "the new examples")
        put(gate, b=page(31, width=310, height=440), c=textured(31, 320, 240))
        running.until_done(3)
        found = {
            record.decision.file.name: record.decision.reason
            for record in decided(running.store)
            if record.decision.file is not None
        }
        assert running.stop() == 0
    unlike = Reason.UNLIKE_EXAMPLES
    assert found == {"a.jpg": unlike, "b.jpg": Reason.NOVEL, "c.jpg": unlike}
