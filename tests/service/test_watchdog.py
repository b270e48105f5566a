"""What the main thread does while the workers work."""

from __future__ import annotations

import threading
import time

import pytest

from managers import Manager
from stillsift.service.notify import Notifier
from stillsift.service.signals import Signals
from stillsift.service.watchdog import Liveness, attend


def test_a_worker_is_stale_after_the_limit_until_it_beats_or_ends() -> None:
    now = 100.0
    liveness = Liveness(clock=lambda: now)
    liveness.beat("porch")
    liveness.beat("garden")
    now = 105.0
    liveness.beat("porch")
    assert liveness.stale(now=105.0, limit=5.0) == []
    assert liveness.stale(now=105.1, limit=5.0) == ["garden"]
    assert liveness.stale(now=110.1, limit=5.0) == ["garden", "porch"]
    liveness.forget("garden")
    assert liveness.stale(now=110.1, limit=5.0) == ["porch"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Daemon:
    """`attend` in a thread of its own, with everything around it real but the clock."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.clock = Clock()
        self.liveness = Liveness(self.clock)
        self.signals = Signals()
        self.reloads = 0
        self.disk = threading.Event()
        """A reload waits for it."""
        self.disk.set()
        self.line = "idle"
        self._thread = threading.Thread(target=self._run, args=(environ,))

    def _run(self, environ: dict[str, str]) -> None:
        attend(
            self.signals,
            Notifier(environ),
            self.liveness,
            reload=self._reload,
            status=lambda: self.line,
            watchdog_s=0.2,
            clock=self.clock,
        )

    def _reload(self) -> None:
        self.disk.wait()
        self.reloads += 1

    def __enter__(self) -> Daemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.signals.stop.set()
        self._thread.join()


def _hears_within(manager: Manager, wanted: str, datagrams: int) -> bool:
    return any(wanted in manager.hears() for _ in range(datagrams))


def test_the_watchdog_is_fed_only_while_every_worker_makes_progress(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = Daemon(manager.environ)
    daemon.liveness.beat("porch")
    with daemon:
        assert _hears_within(manager, "WATCHDOG=1", 3)
        daemon.clock.now = 0.11  # half of the watchdog's 0.2 s, and a little
        _wait_for(lambda: "porch: no progress" in caplog.text)
        while not manager.heard_nothing():
            pass
        # Several turns later there is still silence. This can only err towards passing.
        threading.Event().wait(0.3)
        assert manager.heard_nothing()
        daemon.liveness.beat("porch")
        assert _hears_within(manager, "WATCHDOG=1", 3)
    assert "porch: makes progress again" in caplog.text
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_sighup_reloads_between_reloading_and_ready(manager: Manager) -> None:
    with Daemon(manager.environ) as daemon:
        assert _hears_within(manager, "WATCHDOG=1", 3)
        daemon.signals.reload.set()
        heard = [manager.hears() for _ in range(20)]
    states = [datagram[0] for datagram in heard if datagram[0] in ("RELOADING=1", "READY=1")]
    assert states == ["RELOADING=1", "READY=1"]
    assert daemon.reloads == 1


def test_a_reload_that_waits_for_a_disk_holds_up_nothing(manager: Manager) -> None:
    daemon = Daemon(manager.environ)
    daemon.disk.clear()
    with daemon:
        daemon.signals.reload.set()
        assert _hears_within(manager, "RELOADING=1", 5)
        daemon.signals.reload.set()  # a second one waits for the first
        heard = {manager.hears()[0] for _ in range(20)}
        assert heard == {"WATCHDOG=1"}
        daemon.disk.set()
        for _ in range(2):
            assert _hears_within(manager, "READY=1", 20)
        assert daemon.reloads == 2
        daemon.disk.clear()
        daemon.signals.reload.set()
        assert _hears_within(manager, "RELOADING=1", 20)
    daemon.disk.set()  # it had ended without it


def test_a_status_is_told_once_for_each_change(manager: Manager) -> None:
    with Daemon(manager.environ) as daemon:
        assert _hears_within(manager, "STATUS=idle", 3)
        daemon.line = "kept 1"
        assert _hears_within(manager, "STATUS=kept 1", 20)
        assert not any(manager.hears()[0].startswith("STATUS") for _ in range(3))


def _wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
