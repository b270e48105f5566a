"""Sees whether originals may be moved or deleted at all, so that it is told once and mended late.

Without the right to write in their folder every original would be refused one by one. Here it is
one trouble of the source, from its start on, and nothing is tried until the right is there.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..ledger.records import Retire
from ..store.quarantine import Fate, Retired
from ..store.rights import refusal
from .troubles import Troubles

_NO_RIGHT = "originals cannot be retired"
_LOOK_EVERY_S = 5.0
"""Seconds between two looks whether the right was given; each is a call or two of the system."""


class MoveRights:
    """Holds the folders of one source out of which this user may not take files."""

    def __init__(self, directory: Path | None, troubles: Troubles, retire: Retire) -> None:
        """Takes what is watched, a directory or a file; None: a camera, which has no originals."""
        self._directory = directory
        self._troubles = troubles
        self._refused: set[Path] = set()
        self._looked = 0.0
        self.retune(retire)

    def retune(self, retire: Retire) -> None:
        """Looks anew, for what is to become of originals from now on."""
        self._wanted = retire is not Retire.LEAVE
        self._refused.clear()
        if self._directory is not None and self._wanted:
            is_file = os.path.isfile(self._directory)  # noqa: PTH113  # no error of a failing disk
            self._refused.add(self._directory.parent if is_file else self._directory)
        self._look()

    @property
    def granted(self) -> bool:
        """Tells whether originals may be retired, as far as is known."""
        return _NO_RIGHT not in self._troubles

    def regained(self) -> bool:
        """Looks again now and then; returns True once when the right is there that was missing."""
        if self.granted or time.monotonic() - self._looked < _LOOK_EVERY_S:
            return False
        self._look()
        return self.granted

    def refused(self, retired: Retired) -> bool:
        """Tells whether an original stays because its folder refuses it, which is a trouble."""
        if retired.fate is not Fate.REFUSED:
            return False
        folder = retired.file.file.parent
        if folder not in self._refused:
            self._refused.add(folder)
            self._look()
        return True

    def _look(self) -> None:
        self._looked = time.monotonic()
        reasons = {folder: refusal(folder) for folder in self._refused}
        told = [why for why in reasons.values() if why is not None]
        self._refused = {folder for folder, why in reasons.items() if why is not None}
        if told:
            more = f" (and {len(told) - 1} more folders)" if len(told) > 1 else ""
            self._troubles.begin(_NO_RIGHT, min(told) + more)
        else:
            self._troubles.end(_NO_RIGHT)
