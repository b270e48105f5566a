"""What the service manager is told, as real datagrams."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from managers import Manager
from stillsift.service.notify import Notifier, watchdog_interval


def test_the_manager_hears_each_state_in_one_datagram(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready("watching 2 sources")
    assert manager.hears() == ["READY=1", "STATUS=watching 2 sources"]
    notifier.status("kept 3")
    assert manager.hears() == ["STATUS=kept 3"]
    notifier.watchdog()
    assert manager.hears() == ["WATCHDOG=1"]
    notifier.stopping("draining")
    assert manager.hears() == ["STOPPING=1", "STATUS=draining"]


def test_reloading_carries_the_monotonic_time_systemd_compares_with(manager: Manager) -> None:
    before = time.monotonic_ns() // 1_000
    Notifier(manager.environ).reloading()
    state, stamp = manager.hears()
    assert state == "RELOADING=1"
    name, value = stamp.split("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1_000


def test_a_line_break_in_a_status_cannot_become_a_state_of_its_own(manager: Manager) -> None:
    Notifier(manager.environ).status("camera said:\nREADY=1")
    assert manager.hears() == ["STATUS=camera said: READY=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_manager_nothing_is_sent_and_nothing_fails(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(environ).ready("alone")
    assert not caplog.records


def test_a_manager_that_went_away_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.watchdog()
    notifier.watchdog()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "service manager" in caplog.text


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_the_manager_says_so(
    environ: dict[str, str], interval: float | None
) -> None:
    assert watchdog_interval(environ) == interval
