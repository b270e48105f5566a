"""Tells the service manager how the daemon is doing.

References: sd_notify(3), systemd.service(5).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

from ..escapes import escaped

_log = logging.getLogger(__name__)


class Notifier:
    """Sends the state of the daemon to the service manager (the sd_notify protocol).

    Without a manager (no NOTIFY_SOCKET) every call does nothing, so callers need not ask.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _socket_address(environ.get("NOTIFY_SOCKET", ""))
        self._reached = True

    def ready(self, status: str) -> None:
        """Reports that start-up, or a reload, is over and frames are being worked on."""
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """Sends one line for people, which `systemctl status` shows."""
        self._send(f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """Reports that the configuration is being read again; `ready` ends it."""
        # Type=notify-reload compares this time with that of the signal it sent, so it has to be
        # the system's monotonic clock and no clock passed in.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self, status: str) -> None:
        """Reports that the daemon was asked to end and is finishing what it has begun."""
        self._send("STOPPING=1", f"STATUS={_one_line(status)}")

    def watchdog(self) -> None:
        """Reports that every worker makes progress.

        The manager restarts the daemon when it gets no such report for WatchdogSec.
        """
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            # The manager may be restarting itself. If it does not return, its watchdog ends us.
            if self._reached:
                _log.warning("the service manager was not reached: %s", error)
            self._reached = False
        else:
            self._reached = True


def _socket_address(text: str) -> str | None:
    """Returns the address for `sendto`; None: there is none.

    It is a path, or an abstract name, which is written with a leading @.
    """
    if text.startswith("/"):
        return text
    if text.startswith("@"):
        return "\0" + text[1:]
    return None


def _one_line(text: str) -> str:
    # A line break would begin another assignment.
    return escaped(" ".join(text.split()))


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Returns the seconds within which the manager expects WATCHDOG=1; None: it expects none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # it was meant for the process that started us
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None
