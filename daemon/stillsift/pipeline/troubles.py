"""Logs what does not work now, when it begins and when it is over."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Troubles:
    """Holds the troubles of one source; logs each when it begins and when it is over."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._now: dict[str, str] = {}

    def __contains__(self, task: str) -> bool:
        return task in self._now

    def __str__(self) -> str:
        return "; ".join(f"{task}: {why}" for task, why in self._now.copy().items())

    def begin(self, task: str, why: str) -> None:
        if task not in self._now:
            log.error("%s: %s: %s", self._source, task, why)
        self._now[task] = why

    def end(self, task: str) -> None:
        if self._now.pop(task, None) is not None:
            log.warning("%s: over: %s", self._source, task)
