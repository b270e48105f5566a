"""Tags: from the configuration to the records, and what is told where there are none."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from clips import real_pictures
from conftest import Command
from photographs import slide
from stillsift.config import Config, SourceConfig
from stillsift.config.reload import reload_plan
from stillsift.config.settings import ModelSettings, StoreSettings
from stillsift.ledger import LedgerReader
from stillsift.pipeline.engine import Engine
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL
from stillsift.service import Metrics


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A street, a rabbit of a film, a man with a tie, and a slide."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("bigbuckbunny", "bikes", "carphone_pristine"):
        bgr = cv2.cvtColor(real_pictures(name, 61)[60], cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{name}.png"), bgr)
    cv2.imwrite(str(folder / "slide.png"), slide("Results", "of the year"))
    return folder


def config(folder: Path, model: str = CUDA_MODEL, **keys: Any) -> Path:
    path = folder / "config.yaml"
    given = {"model": {"name": model, "provider": "cpu"}, **keys}
    path.write_text(yaml.safe_dump(given), "utf-8")
    return path


def test_kept_frames_are_tagged_in_all_records(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    given, store = config(tmp_path, defaults={"tags": True}), tmp_path / "store"
    done = stillsift("sift", photos, "-c", given, "-o", store)
    assert done.status == 0, done.err
    with LedgerReader(store / "ledger.sqlite") as ledger:
        recorded = {record.decision.id: record.decision.tags for record in ledger.decisions()}
    assert all(tags is not None for tags in recorded.values())
    assert any(recorded.values())
    told = stillsift("decisions", "--store", store, "--format", "jsonl").out.splitlines()
    for row in map(json.loads, told):
        expected = [
            {"label": each.label, "confidence": round(each.confidence, 3)}
            for each in recorded[row["id"]] or ()
        ]
        assert json.loads(row["tags"]) == expected
    (listing,) = store.glob("kept/*/*/*/*/metadata.jsonl")
    for row in map(json.loads, listing.read_text().splitlines()):
        expected_tags = recorded[row["id"]] or ()
        assert row.get("tags", {"label": []})["label"] == [tag.label for tag in expected_tags]
    words = ("--store", store, "--format", "parquet", "-o", tmp_path / "parquet")
    assert stillsift("export", *words).status == 0
    parquet: Any = importlib.import_module("pyarrow.parquet")
    exported = parquet.read_table(tmp_path / "parquet" / "train-000001.parquet").to_pylist()
    assert {row["id"]: row["tags"] for row in exported} == {
        row["id"]: [
            {"label": tag.label, "confidence": round(tag.confidence, 3)}
            for tag in recorded[row["id"]] or ()
        ]
        or None
        for row in exported
    }
    counted = json.loads(stillsift("balance", "--store", store, "--json").out)
    (by_tag,) = (each for each in counted if each["by"] == "tag")
    labels = {tag.label for tags in recorded.values() for tag in tags or ()}
    assert {each["label"] for each in by_tag["labels"]} == labels
    shown = stillsift("decisions", "--store", store, next(k for k, v in recorded.items() if v)).out
    assert "tags" in shown


def test_nothing_is_tagged_unless_asked(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    stillsift("sift", photos, "-c", config(tmp_path), "-o", store)
    with LedgerReader(store / "ledger.sqlite") as ledger:
        assert {record.decision.tags for record in ledger.decisions()} == {None}


def test_the_small_model_has_no_tags_and_it_is_said_how_to_get_them(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    given = config(tmp_path, CPU_MODEL, defaults={"tags": True})
    done = stillsift("sift", photos, "-c", given, "-o", tmp_path / "store")
    assert done.status == 0
    assert f"the model {CPU_MODEL} gives no tags; set model.name to {CUDA_MODEL}" in done.err

    sources = [
        {"name": "inherits", "directory": str(photos)},
        {"name": "asks", "directory": str(photos), "tags": True},
        {"name": "declines", "directory": str(photos), "tags": False},
    ]
    given = config(tmp_path, CPU_MODEL, defaults={"tags": True}, sources=sources)
    told = json.loads(stillsift("check-config", given, "--json").out)
    warned = {each["key"]: each["message"] for each in told["warnings"] if "tags" in each["key"]}
    assert warned.keys() == {"defaults.tags", "sources.asks.tags"}
    assert CUDA_MODEL in warned["defaults.tags"]
    given = config(tmp_path, CUDA_MODEL, defaults={"tags": True}, sources=sources)
    told = json.loads(stillsift("check-config", given, "--json").out)
    assert not [each for each in told["warnings"] if "tags" in each["key"]]


def test_tags_can_be_switched_on_while_a_daemon_runs(tmp_path: Path, photos: Path) -> None:
    def given(tags: bool) -> Config:
        model = ModelSettings(name=CUDA_MODEL, provider="cpu")
        source = SourceConfig(name="gate", directory=photos, tags=tags)
        return Config(model=model, sources=(source,), store=StoreSettings(path=tmp_path / "s"))

    with Engine(given(tags=False), Metrics(), dry_run=True) as engine:
        assert engine.tuning(engine.config.sources[0]).tagger is None
        plan = reload_plan(engine.config, given(tags=True))
        assert [source.name for source in plan.retuned] == ["gate"]
        engine.reconfigure(given(tags=True))
        assert engine.tuning(engine.config.sources[0]).tagger is not None
