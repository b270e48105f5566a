"""Writes the log in the form that its reader expects: a person, systemd's journal or a collector.

A record is one line, and a traceback below it: a name with a line break in it forges no other.

Reference: sd-daemon(3) for the priority before a line.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from ..config.secrets import with_urls_redacted
from ..escapes import escaped, json_text


def set_up_logging(
    level: str, format: str, *, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> None:
    """Sends the log to `stream`, as `text` or as `json` lines, in the form its reader expects.

    So is every error that ends a thread or the process. In systemd's journal every line begins with
    its priority (`<4>`), and text has no time, since the journal stores both. Elsewhere text begins
    with the time.
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
    # Python prints what nothing caught as it is, and the error of a library can hold a password.
    sys.excepthook = _log_end
    threading.excepthook = _log_end_of_thread


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("ended by an error", exc_info=(kind, error, trace))


def _log_end_of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
        thread = "?" if given.thread is None else given.thread.name
        logging.getLogger(__name__).critical(
            "thread %s ended by an error",
            thread,
            exc_info=(given.exc_type, given.exc_value, given.exc_traceback),
        )


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
        record.message = escaped(with_urls_redacted(record.getMessage()))
        record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record)]
        if record.exc_info and record.exc_info[1] is not None:
            lines += map(escaped, _traceback(record.exc_info[1]).splitlines())
        return "\n".join(lines)


class _JsonFormatter(logging.Formatter):
    """Formats one JSON object a line: time, level, logger, thread, message and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": with_urls_redacted(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = _traceback(record.exc_info[1])
        return json_text(line)


def _traceback(error: BaseException) -> str:
    """Returns the traceback without secrets, and with the message of each error on one line.

    A message can hold a file's name, and that a line break.
    """
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    for message in _messages(error):
        if not message.isprintable():
            text = text.replace(message, escaped(message))
    return with_urls_redacted(text)


def _messages(error: BaseException) -> Iterator[str]:
    """Yields what an error and those that led to it say."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        yield str(each)
        yield from getattr(each, "__notes__", ())


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
