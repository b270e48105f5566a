"""`stillsift stats --watch` over a ledger that grows meanwhile."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from audited import aside, dropped
from conftest import Command
from stillsift.commands.watch import Rates, watch
from stillsift.decisions import Reason
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch


def test_rates_are_of_the_last_minute(tmp_path: Path) -> None:
    rates = Rates()
    at_ns = dropped(0).captured_at_ns

    def row(now_s: float) -> list[str]:
        return rates.rows(ledger.stats(), now_s, at_ns + 90 * 10**9)[1]

    with Ledger(tmp_path / "l.sqlite") as ledger:
        ledger.commit(Batch("", "", [(dropped(0), None)]))
        assert row(0.0)[1:6] == ["-", "-", "0", "0.00%", "0"]
        kept = replace(dropped(1), reason=Reason.NOVEL)
        ledger.commit(Batch("", "", [(kept, None), (dropped(2), None), (aside(3), None)]))
        assert row(10.0)[1:6] == ["0.3", "6.0", "1", "25.00%", "0"]
        assert row(10.0)[-1].split(" · ")[0].endswith(" 1")
        assert row(100.0)[1:3] == ["0.0", "0.0"]
        assert row(100.0)[-1] == "nothing"


@pytest.mark.parametrize("terminal", [False, True])
def test_each_look_shows_what_has_come_meanwhile(tmp_path: Path, terminal: bool) -> None:
    shown = io.StringIO()
    looks = 0

    def wait(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert seconds == 5
        if looks == 3:
            raise KeyboardInterrupt
        ledger.commit(Batch("", "", [(dropped(looks), None)]))

    with Ledger(tmp_path / "l.sqlite") as ledger:
        console = Console(file=shown, force_terminal=terminal, width=120, height=20)
        watch(ledger.stats, 5, console, wait)
    told = shown.getvalue()
    assert "nothing recorded yet" in told
    assert f"{dropped(1).reason} 1" in told


def test_a_view_for_people_is_no_json(stillsift: Command, tmp_path: Path) -> None:
    for given in (("--watch", "--json"), ("--watch", "0")):
        done = stillsift("stats", "--store", tmp_path, *given)
        assert done.status == 2
        assert "--watch is for people" in done.err
