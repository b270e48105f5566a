"""What a changed configuration asks of a running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from configured import DIRECTORY, REFERENCE
from stillsift.config import Config, SourceConfig
from stillsift.config.reload import LIVE_KEYS, reload_plan
from stillsift.config.settings import (
    CustomModel,
    LogSettings,
    SourceSettings,
)
from stillsift.config.yaml_file import parse


def test_nothing_changed_is_an_empty_plan() -> None:
    assert not reload_plan(parse(DIRECTORY), parse(DIRECTORY))


def test_a_plan_tells_what_can_change_at_once_and_what_needs_a_restart() -> None:
    def sources(*rows: str) -> str:
        return "sources:\n" + "\n".join(f"- {{{row}}}" for row in rows) + "\n"

    old = parse(
        sources("name: a, directory: /a", "name: b, directory: /b", "name: c, directory: /c")
    )
    new = parse(
        "store: {path: /x, min_free: 2GB}\nmetrics: {listen: off}\nlog: {level: debug}\n"
        + sources(
            "name: b, directory: /b, gallery: 3",
            "name: c, directory: /c, rate: all, gallery: 3",
            "name: d, directory: /d",
        )
    )
    plan = reload_plan(old, new)
    assert plan
    assert [source.name for source in plan.added] == ["d"]
    assert plan.removed == ("a",)
    assert [source.name for source in plan.reopened] == ["c"]
    assert [source.name for source in plan.retuned] == ["b"]
    assert plan.log
    assert plan.restart == ("store.min_free", "store.path", "metrics.listen")
    assert plan.summary() == "d: added; a: removed; b: gallery; c: gallery, rate; log"


def test_a_change_of_many_sources_is_told_in_a_word() -> None:
    def parsed(rate: str, names: str) -> Config:
        sources = "".join(f"- {{name: {name}, directory: /{name}}}\n" for name in names)
        return parse(f"defaults: {{rate: {rate}}}\nsources:\n{sources}")

    assert reload_plan(parsed("1/s", "abc"), parsed("2/s", "abc")).summary() == "a, b, c: rate"
    many = reload_plan(parsed("1/s", "abcdef"), parsed("2/s", "abcdefg")).summary()
    assert many == "g: added; 6 sources: rate"


def test_a_change_of_the_defaults_reaches_the_sources_in_the_plan() -> None:
    old = Config(sources=(SourceConfig(name="a", directory=Path("/a")),))
    new = Config(
        defaults=SourceSettings(min_sharpness=0.5),
        log=LogSettings(),
        sources=(SourceConfig(name="a", directory=Path("/a")),),
    )
    plan = reload_plan(old, new)
    assert [source.min_sharpness for source in plan.retuned] == [0.5]
    assert (plan.reopened, plan.restart, plan.log) == ((), (), False)


def test_the_reference_tells_which_keys_a_reload_takes_up_between_two_frames() -> None:
    keys = list(yaml.safe_load(REFERENCE.read_text())["defaults"])
    reopening = {"rate", "news", "ignore", "roi", *keys[keys.index("recursive") :]}
    assert "rate, news, ignore, roi or anything from recursive on" in REFERENCE.read_text()
    assert set(keys) - LIVE_KEYS == reopening


def test_custom_models_are_described_beside_their_path() -> None:
    text = "model: {path: /m.onnx, custom: {size: 320x180, cell_limit: 0.2, grid: g}}"
    parsed: Any = parse(text).model.custom
    assert parsed == CustomModel(size=(320, 180), cell_limit=0.2, grid="g")
