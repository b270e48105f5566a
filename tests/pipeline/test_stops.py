"""Stopped at any durable step, it goes on as if it had not been: a sample of what the tool of
tests/system does in full; and that the tool would see what is wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from conftest import Command
from footage import write_stills
from left_behind import census, differences, facts, faults, torn

TESTS = Path(__file__).parents[1]
STOPS = TESTS / "system" / "stops"
NOT_HERE = 77
"""The tool's exit status where ptrace or seccomp is not allowed."""

TWO_THREADS = """
import sys, threading
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
import stepped

folder = Path(sys.argv[2])

def write(name):
    for number in range(3):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / str(number)).write_bytes(b"1")

def work():
    write("main")
    other = threading.Thread(target=write, args=("other",))
    other.start()
    other.join()
    return 5

if stepped.why_not() is not None:
    sys.exit(77)
whole = stepped.run(work, [folder], folder.with_name("log"))
assert (whole.status, whole.killed, whole.threads) == (5, False, 2), whole
for step in whole.steps:
    print(step)
ran = stepped.run(work, [folder], folder.with_name("log"), lambda number, _step: number == 11)
assert ran.killed and len(ran.steps) == 11, ran
assert ran.steps[:11] == whole.steps[:11]
"""


def checked(*words: object) -> str:
    """What a script printed; the test is skipped where the script cannot run."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode == NOT_HERE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_a_sample_of_all_stops_makes_no_difference(tmp_path: Path) -> None:
    scenarios = ("quarantine", "restore")
    chosen = [word for name in scenarios for word in ("--scenario", name)]
    out = checked(STOPS, "--output", tmp_path, "--jobs", "2", "--every", "15", *chosen)
    rows = [line.strip("| ").split(" | ") for line in out.splitlines()[2:]]
    assert [row[0] for row in rows] == list(scenarios)
    for row in rows:
        assert int(row[3]) >= 5, f"stops: {out}"
        assert row[5] == "0", f"differ: {out}"


def test_steps_of_all_threads_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    steps = checked("-c", TWO_THREADS, TESTS, tmp_path / "in").splitlines()
    assert steps == [
        *(step for n in range(3) for step in _writing("main", n)),
        *(step for n in range(3) for step in _writing("other", n)),
    ]


def _writing(folder: str, number: int) -> list[str]:
    again = {0: "", 1: ", 2 times", 2: ", 3 times"}[number]
    file = f"{folder}/{number}"
    return [f"mkdir {folder}{again}", f"openat {file}", f"write {file}"]


def test_what_differs_and_what_is_lost_is_seen(stillsift: Command, tmp_path: Path) -> None:
    watched, store = tmp_path / "gate", tmp_path / "store"
    stills = write_stills(watched, range(3))
    stillsift("sift", watched, "-o", store)
    before, originals = facts([tmp_path], store), census([watched], store)
    assert differences(before, facts([tmp_path], store)) == []
    assert (faults([tmp_path], store), torn([tmp_path], store, originals)) == ([], [])

    with closing(sqlite3.connect(store / "ledger.sqlite")) as db:
        db.execute("UPDATE decisions SET sharpness = sharpness + 1 WHERE seq = 2")
        db.commit()
    (changed,) = differences(before, facts([tmp_path], store))
    assert changed.startswith("decisions 1: ")

    kept = next((store / "kept").rglob("*.jpg"))
    kept.rename(store / "kept" / ".placing" / "1")
    assert len(faults([tmp_path], store)) == 2, "kept, but not there; and a file that was left"
    (gone,) = torn([tmp_path], store, originals)
    assert "is kept in the ledger, and not on the disk" in gone
    (store / "kept" / ".placing" / "1").unlink()
    stills[0].rename(watched / ".stillsift-0")
    assert any(".stillsift-0 was left behind" in fault for fault in faults([tmp_path], store))
    assert census([watched], store) - originals, "kept instead of one that has gone, and there"
