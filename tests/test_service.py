"""What systemd is told and asks for: real datagrams, real signals, the journal's real forms."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillsift.service.logs import _priority
from stillsift.service.notify import Notifier, watchdog_interval
from stillsift.service.signals import Signals
from stillsift.service.watchdog import Heartbeats, attend


class Manager:
    """A service manager's end of the notify socket."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@")}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(address)

    def hears(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def heard_nothing(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(10)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"\0stillsift-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


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


def test_a_worker_is_stale_after_the_limit_until_it_beats_or_ends() -> None:
    now = 100.0
    heartbeats = Heartbeats(clock=lambda: now)
    heartbeats.beat("porch")
    heartbeats.beat("garden")
    now = 105.0
    heartbeats.beat("porch")
    assert heartbeats.stale(now=105.0, limit=5.0) == []
    assert heartbeats.stale(now=105.1, limit=5.0) == ["garden"]
    assert heartbeats.stale(now=110.1, limit=5.0) == ["garden", "porch"]
    heartbeats.forget("garden")
    assert heartbeats.stale(now=110.1, limit=5.0) == ["porch"]


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_sets_stop_and_wakes_the_main_thread(number: signal.Signals) -> None:
    with Signals() as signals:
        os.kill(os.getpid(), number)
        signals.wait(30)
        assert signals.stop.is_set()
        assert not signals.reload.is_set()


def test_sighup_sets_reload_only() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.reload.wait(30)
        assert not signals.stop.is_set()


def test_a_second_interrupt_is_not_caught() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.stop.wait(30)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_and_wake_up_descriptor_are_put_back() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Signals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_that_hit_the_main_thread_inside_the_events_lock_do_no_harm() -> None:
    # With events set by the handlers themselves this child stands still within a second.
    program = """
import os, signal, threading
from stillsift.service.signals import Signals
with Signals() as signals:
    main = threading.main_thread().ident
    def knock():
        for _ in range(3000):
            signal.pthread_kill(main, signal.SIGHUP)
        signal.pthread_kill(main, signal.SIGTERM)
    threading.Thread(target=knock, daemon=True).start()
    while not signals.stop.is_set():
        signals.reload.wait(0)
        signals.reload.clear()
        signals.wait(0.0001)
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


# -- what the main thread does ---------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Daemon:
    """`attend` in a thread of its own, with everything around it real but the clock."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.clock = Clock()
        self.heartbeats = Heartbeats(self.clock)
        self.signals = Signals()
        self.reloads = 0
        self.line = "idle"
        self._thread = threading.Thread(target=self._run, args=(environ,))

    def _run(self, environ: dict[str, str]) -> None:
        attend(
            self.signals,
            Notifier(environ),
            self.heartbeats,
            reload=self._reload,
            status=lambda: self.line,
            watchdog_s=0.2,
            clock=self.clock,
        )

    def _reload(self) -> None:
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
    daemon.heartbeats.beat("porch")
    with daemon:
        assert _hears_within(manager, "WATCHDOG=1", 3)
        daemon.clock.now = 0.11  # half of the watchdog's 0.2 s, and a little
        _wait_for(lambda: "porch: no progress" in caplog.text)
        while not manager.heard_nothing():
            pass
        # Several turns later there is still silence. This can only err towards passing.
        threading.Event().wait(0.3)
        assert manager.heard_nothing()
        daemon.heartbeats.beat("porch")
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


# -- the log ---------------------------------------------------------------------------------------

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


def _lines(level: str, format: str, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SPEAKER, level, format],
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
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
