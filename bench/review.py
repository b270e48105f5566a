#!/usr/bin/env python3
"""Times the pages of `stillsift review` over a ledger of many decisions.

    .venv/bin/python bench/review.py [--rows 1000000] [--at DIR]

Eight sources of five frames a second, of which one in a hundred is kept and named by the dropped
ones around it; one kept frame is named by a tenth of all. Each page is asked of the real server six
times. The shortest time counts, since other programs may be at work; CPU is the median. It ends
with 1 where the first page or an answer of What if takes a second, or any other page 0.3 s. Also:
what the tables of the review cost when decisions are recorded. There are no pictures: what those
take depends on them.
"""

from __future__ import annotations

import argparse
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reviewing import Browser, reviewed
from stillsift.decisions import Decision, Reason
from stillsift.frames import TimeOrigin, frame_id
from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import Batch

SOURCES = 8
START_NS = 1_790_000_000 * 10**9
STEP_NS = 200_000_000
PAGE_S, FIRST_S, ANSWER_S = 0.3, 1.0, 1.0
TIMES = 6

ROWS = f"""
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1),
m AS (SELECT i, i % {SOURCES} AS camera, i / {SOURCES} AS k FROM n)
INSERT INTO decisions (id, source, outcome, reason, captured_at_ns, captured_at_origin, frame_index,
    pts_s, sharpness, sharpness_limit, similarity, distance, novelty, novelty_limit, nearest_kept,
    width, height, detail, decided_at_ns, lifetime_ns, kept_path, config, model)
SELECT printf('%024x', i), 'cam' || camera,
    CASE WHEN k % 100 = 0 THEN 'kept' WHEN k % 997 = 1 THEN 'failed' ELSE 'dropped' END,
    CASE WHEN k % 100 = 0 THEN 'novel' WHEN k % 997 = 1 THEN 'decode_error'
        WHEN k % 10 = 3 THEN 'blurry' WHEN k % 7 = 2 THEN 'same_object' ELSE 'near_duplicate' END,
    {START_NS} + k * {STEP_NS}, 'pts', k, k / 5.0,
    0.5, 0.3, 0.98, (k * 37 % 100) / 100.0, (k * 37 % 100) / 100.0, 1,
    printf('%024x', CASE WHEN camera = 0 AND k % 5 > 0 THEN 0
        ELSE k / 100 * 100 * {SOURCES} + camera END),
    1920, 1080, '3 changed cells belong to what was kept',
    {START_NS} + k * {STEP_NS}, k * {STEP_NS},
    CASE WHEN k % 100 = 0 THEN 'kept/cam' || camera || '/2026/09/21/' || i || '.jpg' END, 1, 1
FROM m
"""
KEPT = """
INSERT INTO kept (id, source, path, bytes, sha256, width, height, captured_at_ns, listed)
SELECT id, source, kept_path, 200000, hex(randomblob(32)), 1920, 1080, captured_at_ns, 1
FROM decisions WHERE outcome = 'kept'
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--at", type=Path, metavar="DIR", help="make the store there, or take it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillsift-") as folder:
        store = given.at or Path(folder)
        path = store / "ledger.sqlite"
        if not path.exists():
            begin = time.monotonic()
            make(path, given.rows)
            print(f"{given.rows:,} decisions made in {time.monotonic() - begin:.0f} s")
        print(f"ledger: {path.stat().st_size / 1e6:,.0f} MB")
        slow = pages(store, given.rows)
        slow |= what_if(store)
        recording(store)
    return int(slow)


def make(path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("INSERT INTO configs VALUES (1, 'c', 'rate: 5/s', 1)")
        db.execute("INSERT INTO models VALUES (1, 'm')")
        db.execute(ROWS, (rows,))
        db.execute(KEPT)
        db.executemany(
            "INSERT INTO gaps (source, from_ns, to_ns, cause) VALUES (?, ?, ?, 'away')",
            (
                (f"cam{n % SOURCES}", START_NS + n * 10**11, START_NS + n * 10**11 + 10**10)
                for n in range(1000)
            ),
        )
        db.commit()


def pages(store: Path, rows: int) -> bool:
    """Asks each page; returns whether one is too slow."""
    middle = time.strftime("%Y-%m-%dT%H", time.gmtime(START_NS / 1e9 + rows / SOURCES / 10))
    asked = {
        "overview": "/",
        "a source": "/source?source=cam3",
        "an hour": f"/source?source=cam3&at={middle}:00:00&hour=",
        "kept, of all": "/kept",
        "kept, of one": "/kept?source=cam3",
        "decisions": "/decisions",
        "decisions, behind half": f"/decisions?behind={rows // 2}",
        "decisions of one source": "/decisions?source=cam5",
        "decisions by reason": "/decisions?reason=blurry",
        "decisions of an hour": f"/decisions?from={middle}:00:00&to={middle}:59:59",
        "decisions by score": "/decisions?least=0.5&most=0.6",
        "decisions by a score that none has": "/decisions?least=7",
        "all of a time and a reason": f"/decisions?from={middle}:00:00&reason=blurry",
        "what names one, many": "/decisions?names=000000000000000000000000",
        "groups": "/groups",
        "groups of one": "/groups?source=cam0",
        "a decision": f"/decision/{rows // 2 + 5:024x}",
        "a decision among filtered ones": f"/decision/{rows // 2 + 24:024x}?outcome=dropped",
        "a kept frame that many name": "/decision/000000000000000000000000",
        "corrections": "/corrections",
    }
    slow = False
    with reviewed(store) as browser:
        begin = time.perf_counter()
        browser.enter()
        browser.get("/review/")
        first = time.perf_counter() - begin
        slow |= first > FIRST_S
        print(f"{'first page, login included':38} {1000 * first:7.0f} ms")
        for name, path in asked.items():
            walls, cpus = zip(
                *(timed(browser, f"/review{path}") for _ in range(TIMES)), strict=True
            )
            shortest, cpu = min(walls), statistics.median(cpus)
            slow |= shortest > PAGE_S
            told = "  too slow" if shortest > PAGE_S else ""
            print(f"{name:38} {1000 * shortest:7.0f} ms, CPU {1000 * cpu:4.0f} ms{told}")
    return slow


def what_if(store: Path) -> bool:
    """Asks what other settings would have kept, first and with the measures held; returns whether
    an answer that follows a slider is too slow."""
    path = "/review/what-if?source=cam3"
    with reviewed(store) as browser:
        browser.enter()
        wall, cpu = timed(browser, path)
        print(f"{'what if, the first time':38} {1000 * wall:7.0f} ms, CPU {1000 * cpu:4.0f} ms")
        slow = False
        for told in ("sensitivity=high", "novelty_limit=0.5", "min_gap=10", "max_per_hour=60"):
            walls, cpus = zip(
                *(timed(browser, f"{path}&{told}&min_contrast={n}") for n in range(TIMES)),
                strict=True,
            )
            slow |= min(walls) > ANSWER_S
            print(
                f"{f'what if {told}':38} {1000 * min(walls):7.0f} ms,"
                f" CPU {1000 * statistics.median(cpus):4.0f} ms"
            )
    return slow


def timed(browser: Browser, path: str) -> tuple[float, float]:
    """Seconds by the clock, and of CPU in this process, in which the server runs, too."""
    begin, cpu = time.perf_counter(), time.process_time()
    answer = browser.get(path)
    taken = time.perf_counter() - begin, time.process_time() - cpu
    assert answer.status == 200, (path, answer.text)
    return taken


def recording(store: Path) -> None:
    """Tells what a batch of 100 decisions takes, with what the review needs and without."""
    with tempfile.TemporaryDirectory(prefix="stillsift-") as folder:
        with LedgerReader(store / "ledger.sqlite") as ledger:
            ledger._db.execute("VACUUM INTO ?", (f"{folder}/with.sqlite",))
            ledger._db.execute("VACUUM INTO ?", (f"{folder}/without.sqlite",))
        with closing(sqlite3.connect(f"{folder}/without.sqlite")) as db:
            db.executescript(WITHOUT)
        ledgers = {name: Ledger(Path(folder) / f"{name}.sqlite") for name in ("with", "without")}
        cpu: dict[str, list[float]] = {name: [] for name in ledgers}
        for number in range(60):  # in turns
            for name, ledger in ledgers.items():
                begin = time.process_time()
                ledger.commit(batch(number))
                cpu[name].append(time.process_time() - begin)
        for ledger in ledgers.values():
            ledger.close()
        medians = {name: statistics.median(taken) for name, taken in cpu.items()}
        print(
            f"CPU of recording 100 decisions: {1000 * medians['with']:.1f} ms, without what the"
            f" review needs {1000 * medians['without']:.1f} ms"
        )


WITHOUT = """
DROP INDEX decisions_by_nearest;
DROP TRIGGER decision_made;
CREATE TRIGGER decision_made AFTER INSERT ON decisions BEGIN
    INSERT INTO counts VALUES (new.source, new.reason, new.frames)
        ON CONFLICT (source, reason) DO UPDATE SET frames = frames + new.frames;
END;
"""


def batch(number: int) -> Batch:
    at = START_NS + 10**15 + number * 20 * 10**9
    return Batch(
        "c",
        "m",
        decisions=[
            (
                Decision(
                    frame_id("cam3", "new", number * 100 + n),
                    *("cam3", Reason.NEAR_DUPLICATE, at + n * STEP_NS, TimeOrigin.PTS, n),
                    nearest_kept=f"{3:024x}",
                    distance=0.3,
                ),
                None,
            )
            for n in range(100)
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
