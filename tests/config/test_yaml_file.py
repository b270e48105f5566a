"""config.yaml read: every mistake at its line, and KEY=VALUE on the command line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configured import DIRECTORY, camera
from stillsift.config import Config, ConfigError, load
from stillsift.config.errors import OverrideError
from stillsift.config.settings import (
    SourceSettings,
)
from stillsift.config.yaml_file import parse, with_overrides

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
    (
        "no such object",
        "defaults: {require: [person]}\nsources:\n- {name: a, directory: /a, require: [persn]}",
        "c:3: sources.a.require[0].label: is 'persn', which no detector finds; did you mean "
        "person?",
    ),
    (
        "an unknown object of a detector of one's own",
        "detector: {path: a.onnx, labels: [bolt]}\ndefaults: {inhibit: [face, bolt, screw]}",
        "c:2: defaults.inhibit[2].label: is 'screw', which no detector finds; `stillsift models "
        "list --json` names them",
    ),
    (
        "objects to be compared that nobody names",
        "defaults: {compare: object}\nsources:\n- {name: a, directory: /a, require: [car]}\n"
        "- {name: b, directory: /b}\n- {name: c, directory: /c, compare: object}",
        "c:4: sources.b.compare: is object, and neither require nor trigger names any; name those "
        "to be compared, as in `require: [person, vehicle]`\n"
        "c:5: sources.c.compare: is object, and neither require nor trigger names any; name those "
        "to be compared, as in `require: [person, vehicle]`",
    ),
    (
        "objects to be compared, without a source",
        "defaults: {compare: object}",
        "c:1: defaults.compare: is object, and neither require nor trigger names any; name those "
        "to be compared, as in `require: [person, vehicle]`",
    ),
    (
        "unknown key of an object",
        "defaults:\n  require:\n  - {label: car, confidnce: 0.4}",
        "c:3: defaults.require[0].confidnce: unknown key; did you mean confidence?",
    ),
    (
        "one object instead of a list",
        "defaults: {require: person}",
        "c:1: defaults.require: must be a list, not 'person'; write [person]",
    ),
    (
        "no confidence",
        "defaults: {require: [{label: car, confidence: 2}]}",
        "c:1: defaults.require[0].confidence: must be at most 1, not 2",
    ),
    (
        "uncertain the wrong way round",
        "defaults: {trigger: [{label: car, uncertain: [0.6, 0.3]}]}",
        "c:1: defaults.trigger[0].uncertain: must be two confidences above 0 and up to 1, the "
        "lower one first",
    ),
    (
        "an unknown kind of detector",
        "detector: {path: a.onnx, kind: yolo}",
        "c:1: detector.kind: must be auto, boxes, yolov5, yolov8, end_to_end, detr or rtdetr, not "
        "'yolo'",
    ),
    (
        "the same examples for good and bad",
        "defaults: {examples: {positive: /a/b, negative: /a/../a/b}}",
        "c:1: defaults.examples.negative: is the folder of the good examples, too",
    ),
    (
        "a description of no detector",
        "detector: {labels: [bolt]}",
        "c:1: detector.labels: describes a detector of your own, and path names none",
    ),
    (
        "two confidences",
        "defaults: {trigger: [{label: car, confidence: 0.9, uncertain: [0.3, 0.6]}]}",
        "c:1: defaults.trigger[0]: has confidence and uncertain, which stands for it; give one of "
        "them",
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
        "number without its rate",
        "defaults: {filename_time: 'in%06d'}",
        "c:1: defaults.filename_time: is 'in%06d'; a frame's number needs its rate behind it: "
        "in%06d@25",
    ),
    (
        "two numbers",
        "defaults: {filename_time: 'in%d_%d@25'}",
        "c:1: defaults.filename_time: is 'in%d_%d@25', which needs one %d and a rate behind it; "
        "write one such as in%06d@25",
    ),
    (
        "number at a rate of 0",
        "defaults:\n  filename_time: in%d@0",
        "c:2: defaults.filename_time: is 'in%d@0', which has a rate of 0; write one such as "
        "in%06d@25",
    ),
    (
        "number in a folder",
        "defaults: {filename_time: '%d/in.jpg@25'}",
        "c:1: defaults.filename_time: is '%d/in.jpg@25', which looks for a frame's number in a "
        "folder's name; write one such as in%06d@25",
    ),
    (
        "sequence without a unit",
        "defaults: {sequence: 25}",
        "c:1: defaults.sequence: is 25; write a rate such as 25/s, or auto, or off",
    ),
    (
        "sequence of all",
        "defaults:\n  sequence: all",
        "c:2: defaults.sequence: is 'all'; write a rate such as 25/s, or auto, or off",
    ),
    (
        "sequence true",
        "defaults: {sequence: true}",
        "c:1: defaults.sequence: is true; write a rate such as 25/s, or auto, or off",
    ),
    (
        "sequence of nothing",
        "defaults: {sequence: 0/s}",
        "c:1: defaults.sequence: is '0/s'; write a rate such as 25/s, or auto, or off",
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
        "c:1: model.custom.cell_limit: is missing; a model of your own needs its limit",
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
        "directory in the store",
        "store: {path: /srv/s}\nsources: [{name: a, directory: /srv/s/kept}]",
        "c:2: sources.a.directory: is '/srv/s/kept' and lies in the store (/srv/s), which is never "
        "read; name another directory, or move the store",
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


def test_overrides_reach_the_sources_that_do_not_say_otherwise() -> None:
    parsed = parse(f"{DIRECTORY[:-2]}, gallery: 2}}, {{name: b, directory: /b}}]")
    pattern = "%Y%m%d_%H%M%S"
    for text in (pattern, f"'{pattern}'", f'"{pattern}"'):  # YAML takes no plain text with % first
        made = with_overrides(parsed, [f"filename_time={text}"])
        assert made.defaults.filename_time == pattern
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


def test_a_mistake_within_a_section_of_an_override_is_answered() -> None:
    parsed = parse("sources: []", environ={})
    with pytest.raises(OverrideError, match=r"repair\.colours: unknown key; did you mean colour"):
        with_overrides(parsed, ["repair={colours: rgb}"])
    made = with_overrides(parsed, ["repair={colour: rgb, longest_side: none}"])
    assert (made.defaults.repair.colour, made.defaults.repair.longest_side) == ("rgb", None)
