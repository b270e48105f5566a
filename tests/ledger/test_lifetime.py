"""The lifetime of a ledger: it counts what is known to have passed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

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
