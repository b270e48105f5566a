"""Ends the process where it was asked to end and does not."""

from __future__ import annotations

import logging
import os
import threading
from typing import Self

_log = logging.getLogger(__name__)

_TELL_S = 0.2


class Deadline:
    """Ends the process, as kill -9 would, some time after it was asked to end.

    A call to a disk that does not answer returns nobody knows when. The thread that waits in it may
    be the main thread, or hold a lock that the end needs, such as that of the ledger. A context
    manager around all that must have ended by then.
    """

    def __init__(self, asked: threading.Event, seconds: float) -> None:
        """Takes what is set when the process is asked to end, and the time it has for that."""
        self._asked = asked
        self._seconds = seconds
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _wait(self) -> None:
        self._asked.wait()
        if not self._ended.wait(self._seconds):
            # The log may be what does not return.
            telling = threading.Thread(target=self._tell, daemon=True)
            telling.start()
            telling.join(_TELL_S)
            os._exit(1)

    def _tell(self) -> None:
        _log.error(
            "not ended within %g s, since something does not return, such as a disk; it goes on"
            " at the next start",
            self._seconds,
        )
