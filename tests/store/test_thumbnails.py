"""Small pictures of dropped frames: bounded by size and age, and nothing depends on them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Command
from footage import scene, write_clip
from reviewing import reviewed
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.frames import ArrayPicture, TimeOrigin
from stillsift.ledger import LedgerReader
from stillsift.store.thumbnails import NAME, Thumbnails, opened_thumbnails, small, thumbnail_of

HOUR_NS = 3600 * 10**9


def dropped(number: int) -> tuple[Decision, ArrayPicture]:
    id = f"{number:024x}"
    decision = Decision(id, "gate", Reason.BLURRY, number, TimeOrigin.PTS, number)
    return decision, ArrayPicture(scene(number))


def there(path: Path, numbers: range) -> list[int]:
    return [n for n in numbers if thumbnail_of(path, f"{n:024x}") is not None]


def test_the_oldest_go_first_when_there_are_too_many(tmp_path: Path) -> None:
    most = 5 * len(small(ArrayPicture(scene(3))))
    with Thumbnails(tmp_path / NAME, most, HOUR_NS, lambda: 0) as thumbnails:
        for number in range(40):
            thumbnails.put([dropped(number)])
    left = there(tmp_path / NAME, range(40))
    assert left == list(range(left[0], 40))
    sizes = [len(thumbnail_of(tmp_path / NAME, f"{n:024x}") or b"") for n in left]
    assert sum(sizes) <= most < sum(sizes) + max(sizes) * 2
    with Thumbnails(tmp_path / NAME, sum(sizes), HOUR_NS, lambda: 0) as again:  # counted anew
        again.put([dropped(40)])
    assert left[0] not in there(tmp_path / NAME, range(41))


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    now = 0
    with Thumbnails(tmp_path / NAME, 10**9, HOUR_NS, lambda: now) as thumbnails:
        thumbnails.put([dropped(1)])
        now = HOUR_NS + 1
        thumbnails.put([dropped(2)])
    assert there(tmp_path / NAME, range(3)) == [2]


def test_what_is_too_old_goes_though_nothing_comes(tmp_path: Path) -> None:
    now = 0
    with Thumbnails(tmp_path / NAME, 10**9, HOUR_NS, lambda: now) as thumbnails:
        thumbnails.put([dropped(1)])
        now = HOUR_NS + 1
        thumbnails.tidy()
    assert there(tmp_path / NAME, range(3)) == []


def test_the_same_frame_put_again_counts_once(tmp_path: Path) -> None:
    most = 3 * len(small(ArrayPicture(scene(1)))) + len(small(ArrayPicture(scene(2))))
    with Thumbnails(tmp_path / NAME, most, HOUR_NS, lambda: 0) as thumbnails:
        thumbnails.put([dropped(2)])
        for _ in range(9):
            thumbnails.put([dropped(1)])
    assert there(tmp_path / NAME, range(3)) == [1, 2]


def test_what_could_not_be_written_does_not_count(tmp_path: Path) -> None:
    most = 3 * len(small(ArrayPicture(scene(1)))) + len(small(ArrayPicture(scene(2))))
    path = tmp_path / NAME
    with Thumbnails(path, most, HOUR_NS, lambda: 0) as thumbnails:
        thumbnails.put([dropped(2)])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE DELETE ON thumbnails"
                " BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            for _ in range(5):
                thumbnails.put([dropped(number) for number in range(3, 9)])
            other.execute("DROP TRIGGER full")
        thumbnails.put([dropped(1)])
    assert there(path, range(9)) == [1, 2]


def test_it_is_the_picture(tmp_path: Path) -> None:
    with Thumbnails(tmp_path / NAME, 10**9, HOUR_NS, lambda: 0) as thumbnails:
        thumbnails.put([dropped(7)])
    data = thumbnail_of(tmp_path / NAME, f"{7:024x}")
    assert data is not None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    wanted = cv2.resize(scene(7), (256, 192), interpolation=cv2.INTER_LINEAR)
    assert pixels.shape == wanted.shape
    assert np.abs(pixels.astype(int) - wanted).mean() < 12


def test_kill_9_loses_none_that_were_put(tmp_path: Path) -> None:
    program = f"""
import sys, pathlib
sys.path[:0] = {sys.path!r}
from test_thumbnails import *
thumbnails = Thumbnails(pathlib.Path({str(tmp_path / NAME)!r}), 10**9, HOUR_NS, lambda: 0)
for number in range(100):
    thumbnails.put([dropped(number)])
    print(number, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    put = 0
    for line in process.stdout:
        put = int(line)
        if put == 20:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert there(tmp_path / NAME, range(put + 1)) == list(range(put + 1))
    with Thumbnails(tmp_path / NAME, 10**9, HOUR_NS, lambda: 0) as again:
        again.put([dropped(200)])
    assert thumbnail_of(tmp_path / NAME, f"{200:024x}") is not None


def test_a_bad_file_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    assert opened_thumbnails(tmp_path, 10**9, HOUR_NS, lambda: 0) is None
    assert "no thumbnails are written" in caplog.text
    assert thumbnail_of(tmp_path / NAME, "x") is None


@pytest.mark.parametrize(
    ("more", "some"),
    [([], True), (["--set", "anonymize=[face]"], False), (["--set", "inhibit=[person]"], False)],
)
def test_a_dropped_frame_is_seen_once_its_clip_is_gone(
    tmp_path: Path, stillsift: Command, more: list[str], some: bool
) -> None:
    clip = write_clip(tmp_path / "walk.mp4", [4, 6], frames=12)
    config = tmp_path / "config.yaml"
    config.write_text("store: {min_free: 0, thumbnails: {max_size: 1MB}}\n")
    store = tmp_path / "store"
    done = stillsift("sift", clip, "-c", config, "--output", store, "--set", "rate=all", *more)
    assert done.status == 0, done.err
    clip.unlink()
    with LedgerReader(store / "ledger.sqlite") as ledger:
        one = next(ledger.decisions(outcome=Outcome.DROPPED)).decision
    with reviewed(store) as browser:
        browser.enter()
        page = browser.look(one.id)
        assert ("a thumbnail" in page) is some
        assert 'data-keys="k"' not in page
        status = browser.get(f"/review/picture/{one.id}/large").status
        assert status == (200 if some else 404)
        assert browser.post(f"/review/decision/{one.id}/keep").status == 409
