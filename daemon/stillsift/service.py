"""Being a service: what systemd is told, what it asks for by signal, and how the log is written.

Nothing here knows about frames. `attend` is what the main thread does while the workers work.
References: sd_notify(3), systemd.service(5), sd-daemon(3) for the log's priority prefixes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

_log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds on a clock that never goes back, such as `time.monotonic`."""


class Notifier:
    """Tells the service manager how the daemon is doing (the sd_notify protocol).

    Without a manager (no NOTIFY_SOCKET) every call does nothing, so callers need not ask.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _socket_address(environ.get("NOTIFY_SOCKET", ""))
        self._reached = True

    def ready(self, status: str) -> None:
        """Start-up, or a reload, is over and frames are being worked on."""
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """One line for people, which `systemctl status` shows."""
        self._send(f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        # Type=notify-reload matches this moment with the signal it sent, so it has to be the
        # system's monotonic clock and no clock passed in.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self, status: str) -> None:
        """The daemon was asked to end and is finishing what it has begun."""
        self._send("STOPPING=1", f"STATUS={_one_line(status)}")

    def watchdog(self) -> None:
        """Every worker is making progress. Silence for WatchdogSec means a restart."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            # The manager may be restarting itself. If it stays deaf its watchdog ends us anyway.
            if self._reached:
                _log.warning("the service manager was not reached: %s", error)
            self._reached = False
        else:
            self._reached = True


def _socket_address(text: str) -> str | None:
    """The address for `sendto`: a path, or an abstract name, which is written with a leading @."""
    if text.startswith("/"):
        return text
    if text.startswith("@"):
        return "\0" + text[1:]
    return None


def _one_line(text: str) -> str:
    # A line break would begin another assignment.
    return " ".join(text.split())


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which the manager wants to hear WATCHDOG=1; `None` if it does not ask."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # it was meant for the process that started us
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None


class Heartbeats:
    """When each worker last made progress. Used from every thread."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def beat(self, name: str) -> None:
        """The worker has done a step, or has looked for one and found nothing to do."""
        now = self._clock()
        with self._lock:
            self._last[name] = now

    def forget(self, name: str) -> None:
        """The worker has ended as it should; its silence means nothing from here on."""
        with self._lock:
            self._last.pop(name, None)

    def stale(self, now: float, limit: float) -> list[str]:
        """Workers that have been silent for more than `limit` seconds, in order of name."""
        with self._lock:
            return sorted(name for name, last in self._last.items() if now - last > limit)


class Signals:
    """SIGTERM and SIGINT set `stop`, SIGHUP sets `reload`; a context manager for the main thread.

    A second SIGINT raises KeyboardInterrupt, so that Ctrl-C twice always gets the prompt back.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._news = threading.Event()
        self._asked_to_stop = False
        """As the handlers saw it."""

    def wait(self, timeout_s: float) -> None:
        """Return at the next signal, or after `timeout_s` seconds."""
        self._news.wait(timeout_s)
        self._news.clear()
        if self._asked_to_stop:
            self.stop.set()

    def __enter__(self) -> Signals:
        # The events are set by a thread that reads the wake-up descriptor, not by the handlers: a
        # handler runs in the middle of whatever the main thread does, and if that is Event.wait,
        # Event.set waits for a lock that the same thread holds. The descriptor holds some hundred
        # signals and drops the rest, so the handlers note what must not be lost.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._ask_to_stop),
            signal.SIGHUP: signal.signal(signal.SIGHUP, _leave_to_the_thread),
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupted),
        }
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _listen(self) -> None:
        while numbers := self._reader.recv(64):
            for number in numbers:
                if number in (signal.SIGTERM, signal.SIGINT):
                    self.stop.set()
                elif number == signal.SIGHUP:
                    self.reload.set()
            self._news.set()

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._asked_to_stop = True

    def _interrupted(self, _number: int, _frame: object) -> None:
        self._asked_to_stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave_to_the_thread(_number: int, _frame: object) -> None:
    """Without a Python handler there would be no byte on the wake-up descriptor."""


def attend(
    signals: Signals,
    notifier: Notifier,
    heartbeats: Heartbeats,
    *,
    reload: Callable[[], None],
    status: Callable[[], str],
    watchdog_s: float | None,
    clock: Clock = time.monotonic,
) -> None:
    """Stand by while the workers work, until `signals.stop`; READY and STOPPING are the caller's.

    Each turn tells the manager `status()` if it changed, answers SIGHUP with `reload()`, and
    sends WATCHDOG=1 while every worker was heard of within half of `watchdog_s` (`None`: the
    manager asks for none; silence of 30 s is still logged).
    """
    limit_s = watchdog_s / 2 if watchdog_s else 30.0
    turn_s = min(1.0, limit_s / 2)
    told = ""
    silent: list[str] = []
    while not signals.stop.is_set():
        if signals.reload.is_set():
            signals.reload.clear()
            notifier.reloading()
            reload()
            told = status()
            notifier.ready(told)
        before, silent = silent, heartbeats.stale(clock(), limit_s)
        _log_silence(before, silent, limit_s)
        if not silent:
            notifier.watchdog()
        if (line := status()) != told:
            notifier.status(line)
            told = line
        signals.wait(turn_s)


def _log_silence(before: list[str], now: list[str], limit_s: float) -> None:
    for name in sorted(set(now) - set(before)):
        _log.error("%s: no progress for %g s", name, limit_s)
    for name in sorted(set(before) - set(now)):
        _log.warning("%s: makes progress again", name)


# -- the log ---------------------------------------------------------------------------------------

_PASSWORD = re.compile(r"(?<=://)[^/\s:@]*:\S*@")
"""`user:password@` in a URL, also if the password has an unescaped / or @ in it, as many typed by
hand do. We never log one; this is for the errors of the libraries below us."""


def set_up_logging(
    level: str, format: str, *, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> None:
    """Send the log to `stream`, as `text` or as `json` lines, in the form its reader expects.

    Under systemd's journal a line begins with its priority (`<4>`) and has no time, since the
    journal keeps both; elsewhere it begins with the time.
    """
    formatter: logging.Formatter = (
        _JsonFormatter() if format == "json" else _TextFormatter(timed=True)
    )
    if goes_to_journal(stream, environ):
        inner = formatter if format == "json" else _TextFormatter(timed=False)
        formatter = _JournalFormatter(inner)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def goes_to_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is the very connection to the journal that JOURNAL_STREAM names.

    The variable alone does not tell: a child whose output goes to a file inherits it too.
    """
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


class _TextFormatter(logging.Formatter):
    """`2026-03-01 12:00:00 WARNING message`, or `message` alone when not `timed`."""

    def __init__(self, *, timed: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s" if timed else "%(message)s")
        self.default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        return _without_passwords(super().format(record))


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, thread, message, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": _without_passwords(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = _without_passwords(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _JournalFormatter(logging.Formatter):
    """Another formatter's text with the priority before every line of it.

    Before every line, because the journal takes each for a message of its own.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in self._inner.format(record).splitlines())


def _priority(level: int) -> int:
    """The syslog priority of a Python log level."""
    for least, priority in ((50, 2), (40, 3), (30, 4), (20, 6)):
        if level >= least:
            return priority
    return 7


def _without_passwords(text: str) -> str:
    return _PASSWORD.sub("***@", text)
