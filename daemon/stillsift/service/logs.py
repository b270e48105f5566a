"""Writes the log in the form that its reader expects: a person, systemd's journal or a collector.

Reference: sd-daemon(3) for the priority before a line.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from ..config.secrets import with_logins_masked


def set_up_logging(
    level: str, format: str, *, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> None:
    """Sends the log to `stream`, as `text` or as `json` lines, in the form its reader expects.

    In systemd's journal every line begins with its priority (`<4>`), and text has no time, since
    the journal stores both. Elsewhere text begins with the time.
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
    """Tells whether `stream` is the connection to the journal that JOURNAL_STREAM names.

    The variable alone does not tell: a child whose output goes to a file inherits it too.
    """
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


class _TextFormatter(logging.Formatter):
    """Formats `2026-03-01 12:00:00 WARNING message`, or `message` alone when not `timed`."""

    def __init__(self, *, timed: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s" if timed else "%(message)s")
        self.default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        return with_logins_masked(super().format(record))


class _JsonFormatter(logging.Formatter):
    """Formats one JSON object a line: time, level, logger, thread, message and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": with_logins_masked(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = with_logins_masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _JournalFormatter(logging.Formatter):
    """Puts the priority before every line of another formatter's text.

    The journal takes each line for a message of its own.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in self._inner.format(record).splitlines())


def _priority(level: int) -> int:
    """Returns the syslog priority of a Python log level."""
    for least, priority in ((50, 2), (40, 3), (30, 4), (20, 6)):
        if level >= least:
            return priority
    return 7
