"""`stillsift find` by words, and by a text with a pair of models."""

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

import tiny_onnx
from clips import real_pictures
from conftest import Command
from photographs import textured
from stillsift.commands import picture_sets
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL

COLOURS = {"red": (20, 20, 230), "green": (20, 230, 20), "blue": (230, 20, 20)}


def config(folder: Path, **keys: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(keys), "utf-8")
    return path


def pair(folder: Path, **keys: Any) -> Path:
    """A configuration with a pair of tiny files."""
    search = {
        "image": str(tiny_onnx.image_half(folder / "image.onnx")),
        "text": str(tiny_onnx.text_half(folder / "text.onnx")),
        "tokenizer": str(tiny_onnx.tokenizer(folder / "tokenizer.json")),
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    }
    return config(folder, search=search, **keys)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Frames of a film with an animal in it, and of a street with cars, in folders."""
    folder = tmp_path / "film"
    for place, name, numbers in (
        ("rabbit", "bigbuckbunny", (20, 60)),
        ("street", "bikes", (60, 100)),
    ):
        (folder / place).mkdir(parents=True)
        pictures = real_pictures(name, 101)
        for number in numbers:
            bgr = cv2.cvtColor(pictures[number], cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / place / f"img{number}.png"), bgr)
    return folder


@pytest.fixture
def tinted(tmp_path: Path) -> Path:
    """Three pictures with much of one colour each."""
    folder = tmp_path / "tinted"
    folder.mkdir()
    for number, (name, colour) in enumerate(COLOURS.items()):
        picture = textured(number) // 3 + np.array(colour, np.uint8) // 2
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        assert name
    return folder


def found(done_out: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(done_out)["found"]
    return rows


def test_words_find_tags_and_names_in_a_store(
    stillsift: Command, film: Path, tmp_path: Path
) -> None:
    keys = {"model": {"name": CUDA_MODEL, "provider": "cpu"}, "defaults": {"tags": True}}
    store, sheet = tmp_path / "store", tmp_path / "sheet.jpg"
    assert stillsift("sift", film, "-c", config(tmp_path, **keys), "-o", store).status == 0
    by_word = found(stillsift("find", "img20", "--store", store, "--json").out)
    assert [row["matches"] for row in by_word] == [
        [{"kind": "file", "text": "img20.png", "confidence": 1.0}]
    ]
    told = json.loads(
        stillsift("find", "animals", "--store", store, "--json", "--sheet", sheet).out
    )
    assert told["by"] == "words"
    assert told["untagged"] == 0
    assert told["matching"] == len(told["found"]) >= 1
    assert {row["matches"][0]["text"] for row in told["found"]} == {"animal"}
    assert sheet.is_file()
    as_text = stillsift("find", "animals", "--store", store)
    assert as_text.out.splitlines()[0].split() == ["matches", "file"]
    assert as_text.err == ""
    nothing = stillsift("find", "giraffe", "--store", store)
    assert nothing.status == 0
    assert "none of" in nothing.out
    assert "there is animal" in nothing.out


def test_what_is_not_tagged_is_told_and_can_be_tagged_while_searching(
    stillsift: Command, film: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    keys = {"model": {"name": CPU_MODEL, "provider": "cpu"}}
    assert stillsift("sift", film, "-c", config(tmp_path, **keys), "-o", store).status == 0
    done = stillsift("find", "animal", "--store", store, "--json")
    assert found(done.out) == []
    assert "have no tags" in done.err
    assert f"name the folder: {store / 'kept'}" in done.err
    rows = found(stillsift("find", "animal", store / "kept", "--json").out)
    assert rows
    assert {row["matches"][0]["kind"] for row in rows} == {"tag"}
    by_folder = found(stillsift("find", "rabbit", film, "--json").out)
    assert {row["matches"][0]["kind"] for row in by_folder} == {"label"}
    assert len(by_folder) == 2


def test_objects_are_found_by_their_labels(stillsift: Command, tmp_path: Path) -> None:
    photos, store = tmp_path / "in", tmp_path / "store"
    photos.mkdir()
    for number in range(2):
        picture = textured(number) // 2
        if number:
            picture[200:320, 100:220] = 250
        cv2.imwrite(str(photos / f"{number}.png"), picture)
    detector = {"path": str(tiny_onnx.bright_box(tmp_path / "l.onnx")), "labels": ["lamp"]}
    given = config(tmp_path, detector=detector, defaults={"require": ["lamp"]})
    assert stillsift("sift", photos, "-c", given, "-o", store).status == 0
    (row,) = found(stillsift("find", "lamps", "--store", store, "--json").out)
    assert row["matches"][0]["kind"] == "object"


def test_what_is_ambiguous_is_told(
    stillsift: Command, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film / "rabbit" / "img20.png", tmp_path / "rabbit")
    done = stillsift("find", "rabbit", film, "--json")
    assert json.loads(done.out)["by"] == "picture"
    assert "searched by the file rabbit; --by words searches for the word" in done.err
    done = stillsift("find", "rabbit", film, "--by", "words", "--json")
    assert json.loads(done.out)["by"] == "words"
    for gone in ("gone.jpg", "no/such"):
        done = stillsift("find", gone, film)
        assert done.status == 1
        assert f"{gone}: there is no such picture; --by words" in done.err
    assert "no word to search for" in stillsift("find", "?!", film).err
    assert "search.image" in stillsift("find", "rabbit", film, "--by", "text").err
    assert stillsift("find", "x" * 5000, film).status == 0


def test_words_without_quotes_are_answered_with_quotes(stillsift: Command, tmp_path: Path) -> None:
    for rest in ((), ("--store", tmp_path)):
        done = stillsift("find", "white", "rabbit", "hole", *rest)
        assert done.status == 2
        assert "rabbit: there is no such folder; put several words in quotes" in done.err
        assert "stillsift find 'white rabbit hole'" in done.err
    done = stillsift("find")
    assert done.status == 2
    assert "the following arguments are required: TEXT|PICTURE\n" in done.err


def test_a_pair_finds_what_a_text_says(stillsift: Command, tinted: Path, tmp_path: Path) -> None:
    given = pair(tmp_path)
    done = stillsift("find", "a green one", tinted, "-c", given, "--json")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["by"] == "text"
    assert Path(told["found"][0]["file"]).name == "1.png"
    assert told["found"][0]["similarity"] > told["found"][1]["similarity"]
    words = stillsift("find", "green", tinted, "-c", given, "--by", "words", "--json")
    assert json.loads(words.out)["by"] == "words"


def vectors_in(store: Path) -> dict[str, str]:
    with sqlite3.connect(store / "ledger.sqlite") as db:
        return dict(db.execute("SELECT id, model FROM search_vectors"))


def test_vectors_of_a_store_are_made_once_and_an_interrupted_search_goes_on(
    stillsift: Command, tinted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, store = pair(tmp_path), tmp_path / "store"
    assert stillsift("sift", tinted, "-c", given, "-o", store).status == 0
    monkeypatch.setattr("stillsift.dataset.reading._SAVED_AT_ONCE", 1)
    whole = picture_sets._Saving.__call__

    def stopped(*what: Any) -> None:
        whole(*what)
        raise KeyboardInterrupt

    monkeypatch.setattr(picture_sets._Saving, "__call__", stopped)
    assert stillsift("find", "blue", "--store", store, "-c", given).status == 130
    assert len(vectors_in(store)) == 1
    monkeypatch.setattr(picture_sets._Saving, "__call__", whole)
    told = json.loads(stillsift("find", "blue", "--store", store, "-c", given, "--json").out)
    assert told["embedded_anew"] == 2
    assert told["found"][0]["file"].endswith(".png")
    told = json.loads(stillsift("find", "red", "--store", store, "-c", given, "--json").out)
    assert told["embedded_anew"] == 0
    first = set(vectors_in(store).values())
    assert len(vectors_in(store)) == 3

    other = tmp_path / "other"
    other.mkdir()
    given = pair(other)  # the same files, another place
    text = yaml.safe_load(given.read_text())
    text["search"]["size"] = "64x64"
    given.write_text(yaml.safe_dump(text))
    told = json.loads(stillsift("find", "red", "--store", store, "-c", given, "--json").out)
    assert told["embedded_anew"] == 3
    assert first.isdisjoint(vectors_in(store).values())


def test_a_ledger_that_takes_nothing_is_told(
    stillsift: Command, tinted: Path, tmp_path: Path
) -> None:
    given, store = pair(tmp_path), tmp_path / "store"
    assert stillsift("sift", tinted, "-c", given, "-o", store).status == 0
    with sqlite3.connect(store / "ledger.sqlite") as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON search_vectors"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    done = stillsift("find", "green", "--store", store, "-c", given, "--json")
    assert done.status == 0
    assert len(found(done.out)) == 3
    assert "not recorded, and made anew the next time: " in done.err


def test_a_pair_that_is_not_whole_or_not_there_is_named(
    stillsift: Command, tinted: Path, tmp_path: Path
) -> None:
    search = {"image": str(tiny_onnx.image_half(tmp_path / "image.onnx"))}
    done = stillsift("find", "red", tinted, "-c", config(tmp_path, search=search))
    assert done.status == 78
    assert "search.text: is missing; image, text and tokenizer belong together" in done.err
    given = pair(tmp_path)
    (tmp_path / "text.onnx").unlink()
    done = stillsift("find", "red", tinted, "-c", given)
    assert done.status == 78
    assert "text.onnx: there is no such file; correct search.text" in done.err
    whole = yaml.safe_load(given.read_text()) | {
        "sources": [{"name": "in", "directory": str(tinted)}],
        "store": {"path": str(tmp_path / "store"), "min_free": 0},
        "metrics": {"listen": "off"},
    }
    given.write_text(yaml.safe_dump(whole))
    said = json.loads(stillsift("check-config", given, "--json").out)
    assert [each["key"] for each in said["mistakes"]] == ["search.text"]
    tiny_onnx.text_half(tmp_path / "text.onnx", size=3)
    said = json.loads(stillsift("check-config", given, "--probe", "--json").out)
    probes = {each["what"]: each["problem"] for each in said["probes"]}
    assert probes["search"] is None
