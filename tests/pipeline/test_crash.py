"""kill -9 at random moments: nothing kept is lost or double, and the decisions go on as if nothing
had happened.

The timed run kills a few times. For more:

    STILLSIFT_KILLS=20 STILLSIFT_SEED=1 pytest tests/pipeline/test_crash.py -s
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Command
from footage import taken, write_clip, write_still
from running import (
    Daemon,
    assert_agree,
    daemon,
    decided,
    files_done,
    kept_in_ledger,
    kept_on_disk,
    started,
    story,
    until,
)
from stillsift.decisions import Outcome

KILLS = int(os.environ.get("STILLSIFT_KILLS", "4"))
SEED = int(os.environ.get("STILLSIFT_SEED", "1"))

pytestmark = pytest.mark.timeout(120 + 30 * KILLS)


def make_footage(folder: Path) -> list[Path]:
    """Stills, clips, a copy of each, and one that is broken; natural order is the order of time."""
    folder.mkdir()
    files = []
    for number in range(24):
        name = f"{number:02}"
        if number % 6 == 2:
            files.append(
                write_clip(folder / f"{name}.mp4", [number, number + 100], number=number, frames=8)
            )
        elif number == 9:
            files.append(taken(Path(shutil.copy(folder / "02.mp4", folder / "09.mp4")), number))
        elif number == 16:
            files.append(taken(Path(shutil.copy(folder / "04.jpg", folder / "16.jpg")), number))
        else:
            files.append(write_still(folder / f"{name}.jpg", number))
    (folder / "12.jpg").write_bytes((folder / "12.jpg").read_bytes()[:300])
    taken(folder / "12.jpg", 12)
    return files


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage") / "gate"
    make_footage(folder)
    return folder


def assert_nothing_lost(store: Path, kept_before: dict[str, str]) -> dict[str, str]:
    """Right after a kill: every kept frame of the ledger is on the disk, and no fewer than before.

    A file without a row is no loss: the next start adopts it, and its frame is decided again.
    """
    if not (store / "ledger.sqlite").exists():
        return {}
    ledger = kept_in_ledger(store)
    disk = kept_on_disk(store)
    assert ledger.items() <= disk.items()
    assert kept_before.items() <= disk.items()
    return ledger


def test_killed_while_sifting(stillsift: Command, footage: Path, tmp_path: Path) -> None:
    whole, out, log = tmp_path / "whole", tmp_path / "out", tmp_path / "log"
    settings = ("--set", "rate=all", "--set", "audit=0.3")
    begun = time.process_time()
    stillsift("sift", footage, "-o", whole, *settings)
    work_s = time.process_time() - begun
    rng, kept, killed = random.Random(SEED), dict[str, str](), 0
    for _ in range(KILLS):
        before = len(kept_on_disk(out)) if out.exists() else 0
        process = started("sift", footage, "-o", out, *settings, log=log)
        until(lambda p=process: holds(out, p) or p.poll() is not None, "the store's lock")  # type: ignore[misc]
        # It comes on from file to file: one that ends it twice is left alone.
        until(
            lambda p=process, n=before: p.poll() is not None or len(kept_on_disk(out)) > n,  # type: ignore[misc]
            "another kept frame",
        )
        # Shared out so that the last kill still finds work to do; the first moments are recovery.
        works_for(process, rng.uniform(0, work_s / KILLS), lambda p=process: p.poll() is not None)  # type: ignore[misc]
        process.kill()
        killed += process.wait() == -9
        kept = assert_nothing_lost(out, kept)
    assert stillsift("sift", footage, "-o", out, *settings).status == 0
    assert killed >= KILLS // 2, "it must be killed at work, not after it"
    assert story(out) == story(whole)
    assert kept_on_disk(out) == kept_on_disk(whole)
    assert_agree(out)
    assert any(name.startswith("audit/") for name in kept_on_disk(out))
    print(f"\nsift: killed {killed} of {KILLS} times; {summary(out)}")


def test_killed_while_a_directory_is_being_filled(
    stillsift: Command, footage: Path, tmp_path: Path
) -> None:
    """Each file comes once the one before is in the ledger or a moment has passed, so that the
    order of arrival is known, whenever the daemon is killed."""
    watched = tmp_path / "gate"
    watched.mkdir()
    waiting = sorted(footage.iterdir())
    rng, kept, killed = random.Random(SEED), dict[str, str](), 0
    with daemon(tmp_path, [{"name": "gate", "directory": str(watched)}]) as running:
        per_life = -(-len(waiting) // (KILLS + 1))
        done: int | None = None
        for _ in range(KILLS):
            running.start(wait=False)
            until(lambda: holds(running.store, running.process), "the store's lock")
            arrive(waiting, watched, per_life)
            there = len(list(watched.iterdir()))
            until_another(running, done, there)
            works_for(running.process, rng.uniform(0, 1.0), lambda n=there: is_done(running, n))  # type: ignore[misc]
            done = files_done(running.store)
            running.kill()
            killed += 1
            kept = assert_nothing_lost(running.store, kept)
        running.start()
        arrive(waiting, watched, len(waiting))
        until_all_done(running, watched)
        assert running.stop() == 0, running.log
        assert "Traceback" not in running.log
        whole = tmp_path / "whole"
        stillsift("sift", watched, "-o", whole, "--set", "rate=all")
        assert story(running.store) == story(whole)
        assert kept_on_disk(running.store) == kept_on_disk(whole)
        assert_agree(running.store)
        print(f"\nrun: killed {killed} times; {summary(running.store)}")


@pytest.mark.parametrize("retire", ["move", "delete"])
def test_killed_while_originals_are_retired(
    stillsift: Command, footage: Path, tmp_path: Path, retire: str
) -> None:
    """Every original is where its decision says: kept, in quarantine, deleted, left as broken."""
    watched = tmp_path / "gate"
    shutil.copytree(footage, watched)
    before = {path: path.read_bytes() for path in watched.iterdir()}
    source = {"name": "gate", "directory": str(watched), "retire": retire}
    rng = random.Random(SEED)
    with daemon(tmp_path, [source]) as running:
        kept: dict[str, str] = {}
        done: int | None = None
        for _ in range(max(1, KILLS // 2)):
            running.start(wait=False)
            until(lambda: holds(running.store, running.process), "the store's lock")
            until_another(running, done, len(before))
            works_for(running.process, rng.uniform(0, 1.0), lambda: is_done(running, len(before)))
            done = files_done(running.store)
            running.kill()
            kept = assert_nothing_lost(running.store, kept)
        running.start()
        running.until_done(len(before))
        until(lambda: len(list(watched.iterdir())) == 1, f"originals gone: {running.log[-2000:]}")
        assert running.stop() == 0
    assert [path.name for path in watched.iterdir()] == ["12.jpg"], "the broken one stays"
    assert_agree(running.store)
    stills_kept = {
        r.decision.file: running.store / r.kept_path
        for r in decided(running.store)
        if r.kept_path is not None and str(r.decision.file).endswith(".jpg")
    }
    assert stills_kept
    for original, place in stills_kept.items():
        assert original is not None
        assert place.read_bytes() == before[original]
    stillsift("restore", "--all", "--store", running.store)
    back = {path: path.read_bytes() for path in watched.iterdir()}
    if retire == "delete":
        assert list(back) == [watched / "12.jpg"]
        return
    assert back.items() <= before.items()
    shown = {r.decision.content_hash for r in decided(running.store) if r.kept_path}
    copies = {
        r.decision.file
        for r in decided(running.store)
        if r.decision.outcome is Outcome.DROPPED and r.decision.content_hash in shown
    }
    gone = before.keys() - back.keys() - stills_kept.keys()
    assert gone <= copies, "the same bytes are among the kept frames"


def holds(store: Path, process: subprocess.Popen[bytes] | None) -> bool:
    """Whether the process has locked the store."""
    assert process is not None
    lock = store / "lock"
    return lock.exists() and lock.read_text().strip() == str(process.pid)


def works_for(
    process: subprocess.Popen[bytes] | None, seconds: float, over: Callable[[], bool]
) -> None:
    """Waits until a process has had so much of the CPU, which is its own time on a busy machine.

    `over`: it has nothing left to do.
    """
    assert process is not None
    if over():
        return
    begun = cpu_s(process)
    until(lambda: over() or cpu_s(process) - begun >= seconds, f"{seconds:.2f} s of work")


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Seconds of the CPU that a process has had, in all its threads; see proc_pid_stat(5)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_another(running: Daemon, done: int | None, all_files: int) -> None:
    """Waits for one more file than were done at the last kill, if there was one.

    It comes on from file to file: one that ends it twice is left alone.
    """
    if done is None:
        return
    until(lambda: files_done(running.store) > done or is_done(running, all_files), "another file")


def is_done(running: Daemon, files: int) -> bool:
    return files_done(running.store) >= files


def arrive(waiting: list[Path], watched: Path, most: int) -> None:
    """Let so many of the waiting files arrive, whole at once, as a camera's upload does."""
    for path in waiting[:most]:
        partial = watched / f".{path.name}.part"
        shutil.copy2(path, partial)
        partial.rename(watched / path.name)
        time.sleep(0.05)
    del waiting[:most]


def until_all_done(running: Daemon, watched: Path) -> None:
    running.until_done(len(list(watched.iterdir())))


def summary(store: Path) -> str:
    """For people: what there is after all the kills."""
    kept = kept_on_disk(store)
    return f"{len(decided(store))} decisions, {len(kept)} kept frames, each on disk once"
