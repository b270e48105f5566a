"""Watches the workers, and tells the manager as long as all of them make progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .notify import Notifier
from .signals import Signals

_log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds on a clock that never goes back, such as `time.monotonic`."""


class Liveness:
    """Remembers when each worker last made progress. Used from every thread."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def beat(self, name: str) -> None:
        """Notes that a worker has done a step, or has looked for one and found nothing to do."""
        now = self._clock()
        with self._lock:
            self._last[name] = now

    def forget(self, name: str) -> None:
        """Forgets a worker that has ended as it should, so that it is not taken for silent."""
        with self._lock:
            self._last.pop(name, None)

    def stale(self, now: float, limit: float) -> list[str]:
        """Returns the workers silent for more than `limit` seconds, in order of name."""
        with self._lock:
            return sorted(name for name, last in self._last.items() if now - last > limit)


def attend(
    signals: Signals,
    notifier: Notifier,
    liveness: Liveness,
    *,
    reload: Callable[[], None],
    status: Callable[[], str],
    watchdog_s: float | None,
    clock: Clock = time.monotonic,
) -> None:
    """Answers signals and watches the workers until `signals.stop`.

    Each turn tells the manager `status()` if it changed, answers SIGHUP with `reload()` in a thread
    of its own, one after the other, since it may wait for a disk, and sends WATCHDOG=1 while every
    worker made progress within half of `watchdog_s`. None: the manager asks for none; silence of
    30 s is still logged. The first READY and STOPPING are the caller's task.
    """
    limit_s = watchdog_s / 2 if watchdog_s else 30.0
    turn_s = min(1.0, limit_s / 2)
    told = ""
    silent: list[str] = []
    reloading: threading.Thread | None = None
    while not signals.stop.is_set():
        if reloading is not None and not reloading.is_alive():
            reloading = None
            told = status()
            notifier.ready(told)
        if reloading is None and signals.reload.is_set():
            signals.reload.clear()
            notifier.reloading()
            reloading = threading.Thread(
                target=_reload, args=(reload, signals), name="reload", daemon=True
            )
            reloading.start()
        before, silent = silent, liveness.stale(clock(), limit_s)
        _log_silence(before, silent, limit_s)
        if not silent:
            notifier.watchdog()
        if (line := status()) != told:
            notifier.status(line)
            told = line
        signals.wait(turn_s)


def _reload(reload: Callable[[], None], signals: Signals) -> None:
    try:
        reload()
    finally:
        signals.wake()


def _log_silence(before: list[str], now: list[str], limit_s: float) -> None:
    for name in sorted(set(now) - set(before)):
        _log.error("%s: no progress for %g s", name, limit_s)
    for name in sorted(set(before) - set(now)):
        _log.warning("%s: makes progress again", name)
