"""The settings: the reference in config.yaml, their values, and what they write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from configured import DIRECTORY, REFERENCE, camera, example_sources
from stillsift.config import Config, ConfigError, SourceConfig, load
from stillsift.config.field_types import Address
from stillsift.config.settings import (
    DetectorSettings,
    MetricsSettings,
    SourceSettings,
    StoreSettings,
)
from stillsift.config.yaml_file import parse
from stillsift.detection import Kind
from stillsift.selection.targets import Target, Targets
from stillsift.sources.times import NamePattern


def test_the_reference_equals_the_built_in_defaults() -> None:
    assert load(REFERENCE) == Config() == load(None)


def keys_of(model: type[BaseModel], within: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, info in model.model_fields.items():
        yield (*within, key)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys_of(info.annotation, (*within, key))


def test_the_reference_shows_every_key_under_a_comment() -> None:
    lines = REFERENCE.read_text().splitlines()
    shown: dict[tuple[str, ...], str] = {}
    stack: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if match := re.match(r"( *)(\w+):", line):
            stack[len(match[1]) // 2 :] = [match[2]]
            shown[tuple(stack)] = before.strip()
    assert set(shown) == set(keys_of(Config))
    assert [key for key, comment in shown.items() if not comment.startswith("# ")] == []


def test_the_examples_of_the_reference_are_valid_and_show_every_key_of_a_source() -> None:
    parsed = parse(example_sources(), environ={"BACK_DOOR_PASSWORD": "x"})
    assert [source.name for source in parsed.sources] == ["front-door", "back-door", "uploads"]
    used = set().union(*(source.model_fields_set for source in parsed.sources))
    assert used >= set(SourceConfig.model_fields) - set(SourceSettings.model_fields)


def test_objects_are_asked_for_by_label_or_in_full() -> None:
    text = (
        "detector: {path: own.onnx, kind: yolov8, labels: [bolt]}\n"
        "defaults: {require: [person, {label: car, min_size: 0.1}], inhibit: [bolt]}\n"
        "sources:\n- name: a\n  directory: /a\n  trigger:\n"
        "  - {label: dog, every: 1m, uncertain: [0.3, 0.6]}"
    )
    parsed = parse(text)
    targets = parsed.sources[0].limits(0.4).targets
    assert targets == Targets(
        require=(Target("person"), Target("car", min_size=0.1)),
        inhibit=(Target("bolt"),),
        trigger=(Target("dog", 0.3, most=0.6, every_s=60),),
    )
    assert parse(parsed.to_yaml()) == parsed
    assert parsed.defaults.limits(0.4).targets.trigger == ()


def test_every_kind_of_detector_can_be_named() -> None:
    known = get_args(DetectorSettings.model_fields["kind"].annotation)
    assert known == ("auto", *get_args(Kind))


def test_sources_override_the_defaults() -> None:
    parsed = parse(
        "defaults: {rate: 12/min, gallery: 4}\n"
        "sources:\n- {name: a, directory: /a, rate: all}\n- {name: b, directory: /b}"
    )
    a, b = parsed.sources
    assert (a.rate, a.gallery) == (None, 4)
    assert (b.rate, b.gallery) == (0.2, 4)


@pytest.mark.parametrize(
    ("given", "looks_per_s"),
    [
        ("news: things", 5.0),
        ("news: changes", None),
        ("news: changes, rate: auto", None),
        ("news: changes, rate: 2/s", 2.0),
        ("news: things, rate: all", None),
    ],
)
def test_every_change_is_looked_for_in_every_frame_unless_a_rate_is_given(
    given: str, looks_per_s: float | None
) -> None:
    (source,) = parse(f"sources:\n- {{name: a, directory: /a, {given}}}").sources
    assert source.looks_per_s == looks_per_s
    assert source.limits(0.4).every_change is ("changes" in given)


@pytest.mark.parametrize("nothing", ["none", "null", "~", ""])
def test_no_limit_has_a_word_and_can_be_null(nothing: str) -> None:
    text = f"defaults: {{max_per_hour: 5, keep_ratio: 0.5}}\n{DIRECTORY[:-2]}, "
    parsed = parse(f"{text}max_per_hour: {nothing}, keep_ratio: {nothing}}}]")
    assert (parsed.defaults.max_per_hour, parsed.defaults.keep_ratio) == (5, 0.5)
    assert (parsed.sources[0].max_per_hour, parsed.sources[0].keep_ratio) == (None, None)
    assert "max_per_hour: none" in parsed.to_yaml()


def test_anchors_and_merge_keys_work() -> None:
    parsed = parse(
        "sources:\n- &door\n  name: a\n  directory: /a\n  rate: 1/s\n  settle: 3s\n"
        "- <<: *door\n  name: b\n  directory: /b\n  rate: 2/s"
    )
    assert [(each.name, each.rate, each.settle) for each in parsed.sources] == [
        ("a", 1.0, 3.0),
        ("b", 2.0, 3.0),
    ]


def test_a_mistake_in_a_merged_section_is_named_where_it_stands() -> None:
    text = "defaults: &d\n  gallery: 0\nsources:\n- name: a\n  directory: /a\n  <<: *d"
    with pytest.raises(ConfigError) as caught:
        parse(text, "c")
    assert [(each.line, each.path) for each in caught.value.mistakes] == [
        (2, "defaults.gallery"),
        (2, "sources.a.gallery"),
    ]


def test_words_that_older_yaml_takes_for_something_else_stay_words() -> None:
    parsed = parse(
        "metrics: {listen: off}\ndefaults: {polling: yes}\n"
        "sources: [{name: on, directory: 2024-01-01}]"
    )
    assert parsed.metrics.listen is None
    assert parsed.defaults.polling is True
    assert parsed.sources[0].name == "on"
    assert parsed.sources[0].directory == Path("2024-01-01")


def test_an_empty_section_means_its_defaults() -> None:
    assert parse("store:\nsources:\n") == Config()


def test_text_takes_values_from_the_environment() -> None:
    parsed = parse(
        "store: {path: '${ROOT}/x$${y}'}\nmodel: {threads: '${N}'}",
        environ={"ROOT": "/r", "N": "3"},
    )
    assert parsed.store.path == Path("/r/x${y}")
    assert parsed.model.threads == 3


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9478", Address("127.0.0.1", 9478)),
        (":0", Address("", 0)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    parsed = parse(f"metrics: {{listen: '{text}'}}")
    assert parsed.metrics.listen == address
    assert str(parsed.metrics.listen) == text


def test_what_code_builds_is_held_to_the_same_rules() -> None:
    with pytest.raises(ValidationError, match="names neither"):
        SourceConfig(name="a")
    source = SourceConfig(name="a", directory=Path("/a"))
    with pytest.raises(ValidationError, match="earlier source"):
        Config(sources=(source, source))
    with pytest.raises(ValidationError, match="holds the store"):
        Config(store=StoreSettings(path=Path("/a/b")), sources=(source,))
    assert Config(defaults=SourceSettings(gallery=3), sources=(source,)).sources[0].gallery == 3


@pytest.mark.parametrize(
    "pattern", ["%Y%m%d", "cam_%Y-%m-%d_%H-%M-%S", "%Y/%j/%H%M%S", "%s", "%y%b%d_%I%p_%f%z"]
)
def test_a_pattern_that_is_accepted_is_one_that_file_names_are_read_with(pattern: str) -> None:
    assert parse(f"defaults: {{filename_time: '{pattern}'}}").defaults.filename_time
    NamePattern(pattern)


def test_the_hash_changes_with_a_value_and_not_with_the_password() -> None:
    def made(password: str, rate: str) -> Config:
        return parse(
            camera(f"user: u\n  password: ${{PW}}\n  rate: {rate}"), environ={"PW": password}
        )

    assert made("a", "1/s").hash == made("b", "1/s").hash
    assert made("a", "1/s").hash != made("a", "2/s").hash
    assert made("a", "1/s") != made("b", "1/s")


source_settings = st.builds(
    SourceSettings,
    rate=st.none() | st.just("auto") | st.floats(1e-6, 1e3),
    news=st.sampled_from(["things", "changes"]),
    gallery=st.integers(1, 4096),
    novelty_limit=st.floats(1e-6, 1e3),
    min_sharpness=st.floats(0, 1),
    max_per_hour=st.none() | st.integers(1, 10**6),
    keep_ratio=st.none() | st.floats(1e-6, 1),
    min_gap=st.floats(0, 1e6),
    settle=st.floats(0, 1e6),
    max_pixels=st.integers(1, 10**10),
    max_clip_pixels=st.integers(1, 10**10),
    filename_time=st.sampled_from([None, "%Y%m%d", "${x}%s", "in%06d@30000/1001"]),
    sequence=st.sampled_from(["auto", "off"]) | st.floats(1e-6, 1e3),
    recursive=st.booleans(),
)


names = st.sampled_from(["a", "on", "1e5", "0x1", "~x", "12", "null", "öl"])


@settings(deadline=None)
@given(source_settings, names, st.sampled_from([None, Address("", 1), Address("::1", 9)]))
def test_what_is_written_as_yaml_is_read_back(
    defaults: SourceSettings, name: str, listen: Address | None
) -> None:
    made = Config(
        metrics=MetricsSettings(listen=listen),
        defaults=defaults,
        sources=(SourceConfig(name=name.strip("~"), directory=Path("/a"), rate=None),),
    )
    assert parse(made.to_yaml(), environ={}) == made
