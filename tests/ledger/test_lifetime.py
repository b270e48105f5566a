"""The lifetime of a ledger: it counts what is known to have passed, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from footage import write_still
from running import STILLSIFT, decided
from stillsift.decisions import Outcome
from stillsift.ledger import Ledger
from stillsift.ledger.lifetime import Lifetime, Uptime, uptime
from stillsift.ledger.records import Batch

MINUTE_NS = 60 * 10**9


class Machine:
    """A machine with a clock that runs, and a kernel that says since when."""

    def __init__(self) -> None:
        self.now = Uptime("first", 10 * MINUTE_NS)

    def run(self, ns: int) -> None:
        self.now = Uptime(self.now.boot, self.now.ns + ns)

    def start_anew(self, ns: int, boot: str = "second") -> None:
        self.now = Uptime(boot, ns)

    def open(self, folder: Path) -> Ledger:
        """The wall clock is one that nobody can go by."""
        return Ledger(folder / "l.sqlite", clock=lambda: 0, uptime=lambda: self.now)


def test_what_passes_in_a_run_and_between_two_counts(tmp_path: Path) -> None:
    machine = Machine()
    with machine.open(tmp_path) as ledger:
        assert ledger.record_lifetime() == 0
        machine.run(3 * MINUTE_NS)
        assert ledger.lifetime_ns() == 3 * MINUTE_NS
    machine.run(5 * MINUTE_NS)
    with machine.open(tmp_path) as ledger:
        assert ledger.lifetime_ns() == 8 * MINUTE_NS


@pytest.mark.parametrize("uptime_ns", [0, MINUTE_NS, 400 * 24 * 60 * MINUTE_NS])
@pytest.mark.parametrize("boot", ["second", ""])
def test_a_new_start_and_another_machine_age_nothing(
    tmp_path: Path, uptime_ns: int, boot: str
) -> None:
    machine = Machine()
    with machine.open(tmp_path) as ledger:
        machine.run(3 * MINUTE_NS)
        ledger.record_lifetime()
    machine.start_anew(uptime_ns, boot)
    with machine.open(tmp_path) as ledger:
        assert ledger.lifetime_ns() == 3 * MINUTE_NS
        machine.run(MINUTE_NS)
        assert ledger.record_lifetime() == 4 * MINUTE_NS
    with machine.open(tmp_path) as ledger:
        assert ledger.lifetime_ns() == 4 * MINUTE_NS


def test_a_container_s_uptime_that_begins_anew_does_not_stop_it(tmp_path: Path) -> None:
    machine = Machine()
    with machine.open(tmp_path) as ledger:
        ledger.record_lifetime()
    machine.start_anew(5, boot="first")
    with machine.open(tmp_path) as ledger:
        machine.run(MINUTE_NS)
        assert ledger.lifetime_ns() == MINUTE_NS


def test_it_never_goes_back() -> None:
    machine = Machine()
    lifetime = Lifetime(100, machine.now, lambda: machine.now)
    machine.run(50)
    assert lifetime.read()[0] == 150
    machine.run(-20)
    assert lifetime.read()[0] == 150


def test_a_run_that_is_killed_loses_nothing_and_one_without_power_a_minute(tmp_path: Path) -> None:
    machine = Machine()
    killed = machine.open(tmp_path)
    for _ in range(130):
        machine.run(10**9)
        killed.commit(Batch("c", "m"))
    with machine.open(tmp_path) as ledger:
        assert ledger.lifetime_ns() == 130 * 10**9
    machine.start_anew(0)
    with machine.open(tmp_path) as ledger:
        assert 70 * 10**9 <= ledger.lifetime_ns() <= 130 * 10**9
    killed.close()


def test_the_kernel_tells_the_uptime() -> None:
    first, second = uptime(), uptime()
    assert first.boot == second.boot != ""
    assert 0 < first.ns <= second.ns < first.ns + MINUTE_NS


# -- a clock on the wall that is set, over several runs --------------------------------------------

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
Run = Callable[..., list[Path]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Sifts a folder with a still and its copy, which goes into quarantine; what lies there then.

    The clock is shifted as faketime does it.
    """
    if LIBRARY is None:
        pytest.skip("needs libfaketime")
    config, store = tmp_path / "c.yaml", tmp_path / "store"
    for name in ("x.jpg", "y.jpg"):
        write_still(tmp_path / "in" / name, 1)

    def sift(shift: str, *, max_age: str = "14d") -> list[Path]:
        config.write_text(
            f"store: {{min_free: 0, keep_decisions: {max_age}, quarantine: {{max_age: {max_age}}}}}"
            "\ndefaults: {retire: move}\n"
        )
        faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": shift} if shift else {}
        faked["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        done = subprocess.run(
            [*STILLSIFT, "sift", str(tmp_path / "in"), "-o", str(store), "-c", str(config)],
            env={**os.environ, **faked},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [path for path in (store / "quarantine").rglob("*") if path.is_file()]

    return sift


def test_a_clock_that_is_set_deletes_nothing(run: Run, tmp_path: Path) -> None:
    """Ahead, back, and ahead again, each within what the last run saw a moment ago."""
    lying = run("-20d")
    assert len(lying) == 1
    for shift in ("", "+400d", "-20d", "+20d"):
        assert run(shift) == lying
    outcomes = [record.decision.outcome for record in decided(tmp_path / "store")]
    assert outcomes == [Outcome.KEPT, Outcome.DROPPED]


def test_what_is_old_goes_although_the_clock_was_set_back(run: Run, tmp_path: Path) -> None:
    run("+20d")
    assert run("-20d", max_age="10ms") == []
    assert [record.decision.outcome for record in decided(tmp_path / "store")] == [Outcome.KEPT]
