"""The configuration: what is accepted, what each mistake is answered with, what is never shown."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from stillsift.config import Config, ConfigError, SourceConfig, json_schema, load
from stillsift.config.errors import OverrideError
from stillsift.config.field_types import Address
from stillsift.config.password import password_of
from stillsift.config.reload import LIVE_KEYS, reload_plan
from stillsift.config.secrets import redacted
from stillsift.config.settings import (
    CustomModel,
    LogSettings,
    MetricsSettings,
    SourceSettings,
    StoreSettings,
)
from stillsift.config.yaml_file import parse, with_overrides
from stillsift.sources.times import NamePattern

REFERENCE = Path(__file__).parents[1] / "config.yaml"
DIRECTORY = "sources: [{name: a, directory: /a}]"


def camera(rest: str) -> str:
    """A camera with whatever else a row says."""
    return f"sources:\n- name: door\n  rtsp: rtsp://h/1\n  {rest}\n"


MISTAKES = [
    ("empty file", "", "c: holds no settings; the config.yaml of the project shows them all"),
    (
        "only comments",
        "# x\n",
        "c: holds no settings; the config.yaml of the project shows them all",
    ),
    ("a list", "- a", "c: must be sections of keys, not a list"),
    ("a tab", "log:\n\tlevel: info", "c:2: a tab stands here; YAML is indented with spaces"),
    (
        "syntax",
        "log: level: info",
        "c:1: is no valid YAML: mapping values are not allowed here; is a quote missing, or the "
        "indentation wrong?",
    ),
    (
        "two documents",
        "log: {}\n---\nlog: {}",
        "c:2: is no valid YAML: expected a single document in the stream, but found another "
        "document",
    ),
    (
        "an odd character",
        "log:\n  level: a\x00b",
        "c:2: special characters are not allowed: #x0000",
    ),
    ("a number as \\U", 'log: "\\UFFFFFFFF"', "c: holds a \\U escape of no character"),
    ("unknown anchor", "log: *x", "c:1: is no valid YAML: found undefined alias 'x'"),
    ("endless alias", "log: &a [*a]", "c:1: an alias (*) stands inside its own anchor (&)"),
    (
        "a tag",
        "log: !!python/name:os.system {}",
        "c:1: the tag 'tag:yaml.org,2002:python/name:os.system' means nothing here",
    ),
    ("unknown section", "stroe: {}", "c:1: stroe: unknown key; did you mean store?"),
    (
        "unknown key",
        "defaults:\n  min_sharpnes: 1",
        "c:2: defaults.min_sharpnes: unknown key; did you mean min_sharpness?",
    ),
    (
        "key in the wrong section",
        "threads: 2",
        "c:1: threads: unknown key here; it belongs under model:",
    ),
    (
        "nothing near",
        "log:\n  xyz: 1",
        "c:2: log.xyz: unknown key; known here: level, format",
    ),
    (
        "duplicate key",
        "store:\n  min_free: 1GB\n  path: /x\n  min_free: 2GB",
        "c:4: store.min_free: appears twice, first on line 2",
    ),
    (
        "text for a number",
        "model:\n  threads: many",
        "c:2: model.threads: must be a whole number, not 'many'",
    ),
    (
        "brighter than white",
        "defaults:\n  min_brightness: 300\n  max_brightness: -1",
        "c:2: defaults.min_brightness: must be at most 255, not 300\n"
        "c:3: defaults.max_brightness: must be at least 0, not -1",
    ),
    (
        "a word for a gate",
        "defaults: {min_contrast: dark}",
        "c:1: defaults.min_contrast: must be a number, not 'dark'",
    ),
    (
        "a half",
        "defaults: {gallery: 1.5}",
        "c:1: defaults.gallery: must be a whole number, not 1.5",
    ),
    (
        "true as number",
        "defaults: {gallery: true}",
        "c:1: defaults.gallery: must be a number, not true",
    ),
    (
        "text for yes or no",
        "defaults: {polling: maybe}",
        "c:1: defaults.polling: must be true or false, not 'maybe'",
    ),
    ("number for text", "model: {name: 12}", "c:1: model.name: must be text; put 12 in quotes"),
    ("nothing for text", "model: {name: ''}", "c:1: model.name: must not be empty"),
    (
        "null",
        "store: {min_free: }",
        "c:1: store.min_free: is null; write a number with kB, MB, GB, "
        "TB, MiB or GiB, such as 20GB",
    ),
    (
        "no unit",
        "store: {min_free: 5}",
        "c:1: store.min_free: is 5 without a unit; write a number "
        "with kB, MB, GB, TB, MiB or GiB, such as 20GB",
    ),
    (
        "no unit of time",
        "defaults: {settle: 2.5}",
        "c:1: defaults.settle: is 2.5 without a unit; "
        "write a number with ms, s, m, h or d, such as 10s",
    ),
    (
        "bad rate",
        "defaults: {rate: 5}",
        "c:1: defaults.rate: is 5; write frames per s, min, h or d, such as 5/s, or all",
    ),
    (
        "rate of nothing",
        "defaults: {rate: 0/s}",
        "c:1: defaults.rate: is 0/s, which never takes a "
        "frame; write frames per s, min, h or d, such as 5/s, or all",
    ),
    (
        "bad choice",
        "store:\n  format: gif",
        "c:2: store.format: must be jpeg, png or webp, not 'gif'",
    ),
    ("too little", "defaults: {gallery: 0}", "c:1: defaults.gallery: must be at least 1, not 0"),
    (
        "too much",
        "store: {jpeg_quality: 101}",
        "c:1: store.jpeg_quality: must be at most 100, not 101",
    ),
    (
        "no time at all",
        "defaults: {timeout: 0s}",
        "c:1: defaults.timeout: must be more than 0, not 0",
    ),
    (
        "not a number",
        "defaults: {novelty_limit: .nan}",
        "c:1: defaults.novelty_limit: must be a number, not nan",
    ),
    (
        "no frames at all",
        "defaults: {max_per_hour: 0}",
        "c:1: defaults.max_per_hour: must be at least 1, not 0",
    ),
    (
        "half a frame",
        "defaults: {max_per_day: 0.5}",
        "c:1: defaults.max_per_day: must be a whole number, not 0.5",
    ),
    (
        "a word for a budget",
        "defaults: {max_per_minute: few}",
        "c:1: defaults.max_per_minute: must be a whole number, or none for no limit, not 'few'",
    ),
    (
        "true as a budget",
        "defaults: {max_per_minute: true}",
        "c:1: defaults.max_per_minute: must be a number, not true",
    ),
    (
        "a ratio of nothing",
        "defaults: {keep_ratio: 0}",
        "c:1: defaults.keep_ratio: must be more than 0, not 0",
    ),
    (
        "more than all",
        "defaults: {keep_ratio: 5}",
        "c:1: defaults.keep_ratio: must be at most 1, not 5",
    ),
    (
        "per cent",
        "defaults: {keep_ratio: 1%}",
        "c:1: defaults.keep_ratio: must be a share such as 0.01, or none for no share, not '1%'",
    ),
    (
        "a gap without a unit",
        "defaults: {min_gap: 5}",
        "c:1: defaults.min_gap: is 5 without a unit; write a number with ms, s, m, h or d, such "
        "as 10s",
    ),
    (
        "no heartbeat",
        "defaults: {heartbeat: none}",
        "c:1: defaults.heartbeat: is 'none'; write a number with ms, s, m, h or d, such as 10s",
    ),
    ("value for a section", "store: 5", "c:1: store: must be a section of keys, not 5"),
    (
        "path for the store",
        "store: /tmp/x",
        "c:1: store: must be a section of keys, not '/tmp/x'; write store: {path: /tmp/x}",
    ),
    (
        "level for the log",
        "log: a, b",
        "c:1: log: must be a section of keys, not 'a, b'; write log: {level: 'a, b'}",
    ),
    ("value for a list", "sources: 5", "c:1: sources: must be a list, not 5"),
    (
        "value in the list",
        "sources:\n- door",
        "c:2: sources[0]: must be a section of keys, not 'door'",
    ),
    (
        "port",
        "metrics: {listen: 9478}",
        "c:1: metrics.listen: is 9478; write HOST:PORT such as 127.0.0.1:9478, or off",
    ),
    (
        "port too large",
        "metrics: {listen: ':70000'}",
        "c:1: metrics.listen: is ':70000'; write HOST:PORT such as 127.0.0.1:9478, or off",
    ),
    (
        "time zone",
        "defaults: {timezone: Mars}",
        "c:1: defaults.timezone: is 'Mars', which is no time "
        "zone of this machine; write UTC or a name such as Europe/Berlin",
    ),
    (
        "pattern without a day",
        "defaults: {filename_time: '%H%M'}",
        "c:1: defaults.filename_time: is '%H%M', which tells no year, month and day",
    ),
    (
        "pattern without a time",
        "defaults: {filename_time: cam}",
        "c:1: defaults.filename_time: is "
        "'cam', and it tells no time; write one such as cam1_%Y%m%d_%H%M%S",
    ),
    (
        "unknown directive",
        "defaults: {filename_time: '%Y%Q'}",
        "c:1: defaults.filename_time: is "
        "'%Y%Q', and %Q in it means nothing; write one such as cam1_%Y%m%d_%H%M%S",
    ),
    (
        "missing variable",
        "store:\n  path: ${NOWHERE}/x",
        "c:2: store.path: the environment variable NOWHERE is not set",
    ),
    ("list too short", "model: {custom: {mean: [1, 2]}}", "c:1: model.custom.mean[2]: is missing"),
    (
        "list too long",
        "model: {custom: {std: [1, 2, 3, 4]}}",
        "c:1: model.custom.std: must be a list of 3",
    ),
    (
        "custom without path",
        "model:\n  custom: {grid: g}",
        "c:1: model.path: is missing, and custom describes a model of your own",
    ),
    (
        "path without limit",
        "model:\n  path: /m.onnx",
        "c:1: model.custom.novelty_limit: is missing; a model of your own needs its limit",
    ),
    ("no name", "sources:\n- directory: /a", "c:2: sources[0].name: is missing"),
    (
        "no place",
        "sources:\n- name: a",
        "c:2: sources.a: names neither a directory nor an rtsp address",
    ),
    (
        "two places",
        camera("directory: /a"),
        "c:4: sources.door.directory: and rtsp exclude each other; make two sources of them",
    ),
    (
        "same name",
        f"{DIRECTORY[:-1]},\n  {{name: a, directory: /b}}]",
        "c:2: sources.a.name: is 'a', as that of an earlier source",
    ),
    (
        "unfit name",
        "sources: [{name: ../x, directory: /a}]",
        "c:1: sources.../x.name: is '../x', "
        "which cannot be a folder's name; use letters, digits, '-', '_' and '.', at most 64, "
        "beginning with a letter or digit",
    ),
    (
        "unfit group",
        "defaults: {group: my folders}",
        "c:1: defaults.group: is 'my folders', which cannot be a group's name; use letters, "
        "digits, '-', '_' and '.', at most 64, beginning with a letter or digit",
    ),
    (
        "not rtsp",
        "sources: [{name: a, rtsp: 'http://bob:geheim@h/'}]",
        "c:1: sources.a.rtsp: is 'http://h/'; write rtsp://HOST[:PORT]/PATH, or rtsps:// for TLS",
    ),
    (
        "no host",
        "sources: [{name: a, rtsp: 'rtsp:///x'}]",
        "c:1: sources.a.rtsp: is 'rtsp:///x'; write rtsp://HOST[:PORT]/PATH, or rtsps:// for TLS",
    ),
    (
        "bad port",
        "sources: [{name: a, rtsp: 'rtsp://h:x/'}]",
        "c:1: sources.a.rtsp: is 'rtsp://h:x/'; write rtsp://HOST[:PORT]/PATH, or rtsps:// for TLS",
    ),
    (
        "bad IPv6",
        "sources: [{name: a, rtsp: 'rtsp://[h/'}]",
        "c:1: sources.a.rtsp: is 'rtsp://[h/'; write rtsp://HOST[:PORT]/PATH, or rtsps:// for TLS",
    ),
    (
        "number as password",
        camera("user: u\n  password: 1234"),
        "c:5: sources.door.password: must be text; put that in quotes",
    ),
    (
        "two passwords",
        camera("user: u\n  password: ${PW}\n  password_file: x"),
        "c:6: sources.door.password_file: and password exclude each other",
    ),
    (
        "nobody's password",
        camera("password_file: x"),
        "c:4: sources.door.password_file: is given, and nobody to log in with it; add the key user",
    ),
    (
        "user twice",
        "sources: [{name: a, rtsp: 'rtsp://u@h/', user: u}]",
        "c:1: sources.a.user: is in the rtsp address too; say it once",
    ),
    (
        "a password that the address ends in",
        "sources: [{name: a, rtsp: 'rtsp://u:ge@h/eim@10.0.0.1/live'}]",
        "c:1: sources.a.rtsp: has an @ behind the host; in a password write %2F %3F %23 %40 for "
        "/ ? # @, or use password_file",
    ),
    (
        "password twice",
        "sources: [{name: a, rtsp: 'rtsp://u:geheim@h/', password_file: x}]",
        "c:1: "
        "sources.a.password_file: is given, and the rtsp address holds a password too; say it once",
    ),
    (
        "relative password file",
        camera("user: u\n  password_file: a/b"),
        "c:5: "
        "sources.door.password_file: is 'a/b'; write an absolute path, or the bare name of a "
        "systemd credential",
    ),
    (
        "directory with a login",
        "sources: [{name: a, directory: /a, user: u}]",
        "c:1: sources.a.user: belongs to a camera, and this source names no rtsp address",
    ),
    (
        "store inside",
        "store: {path: /srv/in/store}\nsources: [{name: a, directory: /srv/in}]",
        "c:2: "
        "sources.a.directory: is '/srv/in' and holds the store (/srv/in/store), so that kept "
        "frames would be read again; move one of the two",
    ),
]


@pytest.mark.parametrize(
    ("text", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c", environ={"PW": "geheim"})
    assert caught.value.exit_status == 78
    assert "geheim" not in str(caught.value)
    assert str(caught.value) == message


def test_all_mistakes_are_answered_together_in_order() -> None:
    text = (
        "store:\n  min_free: 5\n  min_free: 6\nlog: 1\nrate: 5/s\nsources:\n- name: a\n"
        "- name: a\n  rtsp: rtsp://u:geheim@h/\n  rate: ${NOWHERE}\n  pasword: geheim\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, "c", environ={})
    assert [(each.line, each.path) for each in caught.value.mistakes] == [
        (2, "store.min_free"),
        (3, "store.min_free"),
        (4, "log"),
        (5, "rate"),
        (7, "sources.a"),
        (8, "sources.a.name"),
        (10, "sources.a.rate"),
        (11, "sources.a.pasword"),
    ]
    assert "geheim" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"# \xe4")
    for path, reason in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (latin, "is not UTF-8 text (byte 2)"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: {reason}"


@settings(deadline=None)
@given(st.text() | st.text("ab:-{}[]&*<>?!|,'\"\\#% \n\t~$0.U"))
def test_no_text_ends_in_anything_but_a_configuration_or_its_mistakes(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, "c", environ={})


# ------------------------------------------------------------------ the reference


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


def example_sources() -> str:
    """The commented examples at the end of the reference, uncommented."""
    examples = REFERENCE.read_text().split("\nsources:\n")[1]
    return "sources:\n" + re.sub(r"(?m)^#", "", examples)


def test_the_examples_of_the_reference_are_valid_and_show_every_key_of_a_source() -> None:
    parsed = parse(example_sources(), environ={"BACK_DOOR_PASSWORD": "x"})
    assert [source.name for source in parsed.sources] == ["front-door", "back-door", "uploads"]
    used = set().union(*(source.model_fields_set for source in parsed.sources))
    assert used >= set(SourceConfig.model_fields) - set(SourceSettings.model_fields)


def test_the_schema_accepts_what_the_reader_accepts() -> None:
    schema = json_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in (REFERENCE.read_text(), example_sources(), Config().to_yaml()):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "stroe: {}",
        "defaults: {rate: 5}",
        "defaults: {settle: 2 parsecs}",
        "defaults: {gallery: 0}",
        "defaults: {novelty_limit: -1}",
        "defaults: {max_per_day: 0}",
        "defaults: {keep_ratio: 1.5}",
        "store: {format: gif}",
        "model: {custom: {std: [1, 1, 0]}}",
        "sources: [{name: a}]",
        "sources: [{name: a, directory: /a, rtsp: 'rtsp://h/'}]",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
    assert not jsonschema.Draft202012Validator(json_schema.schema()).is_valid(yaml.safe_load(text))


def test_the_schema_tells_about_every_key() -> None:
    schema = json_schema.schema()
    for name, model in schema["$defs"].items():
        for key, value in model["properties"].items():
            assert value.get("description") or "$ref" in value, f"{name}.{key}"
    assert schema["$defs"]["SourceSettings"]["properties"]["settle"]["default"] == "2s"
    assert "default" not in schema["$defs"]["SourceConfig"]["properties"]["settle"]
    assert "None" not in json.dumps(schema)


# ------------------------------------------------------------------ values


def test_sources_override_the_defaults() -> None:
    parsed = parse(
        "defaults: {rate: 12/min, gallery: 4}\n"
        "sources:\n- {name: a, directory: /a, rate: all}\n- {name: b, directory: /b}"
    )
    a, b = parsed.sources
    assert (a.rate, a.gallery) == (None, 4)
    assert (b.rate, b.gallery) == (0.2, 4)


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
    rate=st.none() | st.floats(1e-6, 1e3),
    gallery=st.integers(1, 4096),
    novelty_limit=st.none() | st.floats(1e-6, 1e3),
    min_sharpness=st.floats(0, 1),
    max_per_hour=st.none() | st.integers(1, 10**6),
    keep_ratio=st.none() | st.floats(1e-6, 1),
    min_gap=st.floats(0, 1e6),
    settle=st.floats(0, 1e6),
    max_pixels=st.integers(1, 10**10),
    filename_time=st.sampled_from([None, "%Y%m%d", "${x}%s"]),
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


# ------------------------------------------------------------------ --set


def test_overrides_reach_the_sources_that_do_not_say_otherwise() -> None:
    parsed = parse(f"{DIRECTORY[:-2]}, gallery: 2}}, {{name: b, directory: /b}}]")
    changed = with_overrides(parsed, ["gallery=7", "rate=all", "novelty_limit=0.5"])
    assert changed.defaults == SourceSettings(gallery=7, rate=None, novelty_limit=0.5)
    assert [source.gallery for source in changed.sources] == [2, 7]
    assert parsed.defaults == SourceSettings()


def test_mistakes_in_overrides_are_answered_together() -> None:
    with pytest.raises(OverrideError) as caught:
        with_overrides(
            Config(),
            [
                *("rate", "setle=3s", "threads=2", "gallery=x", "queue=[1", "settle=3"),
                *("store.path=/x", "store.min_free=0", "defaults.rate=all", "rate.x=1"),
            ],
        )
    assert caught.value.exit_status == 2
    assert str(caught.value).splitlines() == [
        "--set: rate: write KEY=VALUE",
        "--set: setle: unknown key; did you mean settle?",
        "--set: threads: unknown key here; it belongs under model:",
        "--set: queue: is no valid YAML: expected ',' or ']', but got '<stream end>'",
        "--set: store.path: only keys of `defaults:` can be set here; use --output DIR",
        "--set: store.min_free: only keys of `defaults:` can be set here; write it into a file, "
        "for --config",
        "--set: defaults.rate: write rate without `defaults.`",
        "--set: rate.x: unknown key; did you mean rate?",
        "--set: gallery: must be a whole number, not 'x'",
        "--set: settle: is 3 without a unit; write a number with ms, s, m, h or d, such as 10s",
    ]


# ------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://h/1", "rtsp://h/1"),
        ("rtsp://h:554/a@b", "rtsp://h:554/a@b"),
        ("rtsp://u@h/1", "rtsp://u@h/1"),
        ("rtsp://u:geheim@h:554/1", "rtsp://u@h:554/1"),
        ("rtsp://u:ge/he@im@h/1", "rtsp://u@h/1"),
        ("rtsp://h/u=a&password=geheim&x=1", "rtsp://h/u=a&password=***&x=1"),
        ("rtsp://h/?PWD=geheim", "rtsp://h/?PWD=***"),
        ("/a/plain/path", "/a/plain/path"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_login_in_the_url_is_taken_out_of_it() -> None:
    parsed = parse(
        "sources: [{name: a, rtsp: 'rtsp://bob:${PW}@h:554/1'}]", environ={"PW": "p@ss/w%rd"}
    )
    source = parsed.sources[0]
    assert (source.rtsp, source.user) == ("rtsp://h:554/1", "bob")
    assert password_of(source) == "p@ss/w%rd"


def test_a_password_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "sources:\n- {name: a, rtsp: 'rtsp://bob:geheim@h/1'}\n"
        "- {name: b, rtsp: 'rtsp://h/?password=geheim'}\n"
        "- {name: c, rtsp: 'rtsp://h/', user: u, password: geheim}\n"
        "- {name: d, rtsp: 'rtsp://h/', user: u, password: '${PW}'}"
    )
    with caplog.at_level(logging.WARNING):
        parsed = parse(text, "c", environ={"PW": "geheim"})
    assert password_of(parsed.sources[0]) == "geheim"
    for seen in (repr(parsed), str(parsed), parsed.to_yaml(), caplog.text):
        assert "geheim" not in seen
    assert [message.split(": holds")[0] for message in caplog.messages] == [
        "c:2: sources.a.rtsp",
        "c:4: sources.c.password",
    ]


def with_password_file(name: str) -> SourceConfig:
    return SourceConfig(name="door", rtsp="rtsp://h/", user="u", password_file=name)


def test_a_password_comes_from_a_file_or_a_systemd_credential(tmp_path: Path) -> None:
    file = tmp_path / "door"
    file.write_text("ge heim\n")
    file.chmod(0o600)
    assert password_of(with_password_file(str(file))) == "ge heim"
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert password_of(with_password_file("door"), environ=environ) == "ge heim"
    bare = SourceConfig(name="door", rtsp="rtsp://h/")
    assert password_of(bare) is None
    direct = SourceConfig(name="door", rtsp="rtsp://h/", user="u", password=SecretStr("x"))
    assert password_of(direct) == "x"


def test_a_password_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    where = "configuration: sources.door.password_file: "
    for name, variables, reason in (
        ("none", environ, f"{tmp_path}/none cannot be read: No such file or directory"),
        ("empty", environ, f"{tmp_path}/empty is empty"),
        ("bytes", environ, f"{tmp_path}/bytes is not UTF-8 text"),
        (
            "door",
            {},
            "is the systemd credential 'door', and CREDENTIALS_DIRECTORY is not set; run under "
            "systemd with LoadCredential=, or write an absolute path",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            password_of(with_password_file(name), environ=variables)
        assert str(caught.value) == where + reason


def test_a_password_that_everybody_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "door"
    file.write_text("geheim")
    file.chmod(0o644)
    assert password_of(with_password_file(str(file))) == "geheim"
    assert caplog.messages == [f"door: everybody on this machine can read {file}; chmod 600"]


# ------------------------------------------------------------------ reloading


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
    reopening = {"rate", "ignore", "roi", *keys[keys.index("recursive") :]}
    assert "rate, ignore, roi or anything from recursive on" in REFERENCE.read_text()
    assert set(keys) - LIVE_KEYS == reopening


def test_custom_models_are_described_beside_their_path() -> None:
    text = "model: {path: /m.onnx, custom: {size: 320x180, novelty_limit: 0.2, grid: g}}"
    parsed: Any = parse(text).model.custom
    assert parsed == CustomModel(size=(320, 180), novelty_limit=0.2, grid="g")
