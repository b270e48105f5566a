"""Runs `sift`, and is killed at a step of its end, or loses a file before it.

cut_off_sift.py kill STEP WORDS...      at a step of a removal
cut_off_sift.py choose STEP WORDS...    at a step of the choice of `--keep`
cut_off_sift.py renew STEP WORDS...     while what another model has measured is embedded again
cut_off_sift.py record STEP WORDS...    at a step of the records of what is kept
cut_off_sift.py without FILE WORDS...
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from stillsift.cli import main
from stillsift.ledger import Ledger
from stillsift.pipeline import choosing, engine, reembedding
from stillsift.store import in_place, original, quarantine

how, which, *words = sys.argv[1:]
steps = 0


def counted(function: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        global steps
        for before in (True, False):
            steps += 1
            if steps == int(which):
                os.kill(os.getpid(), signal.SIGKILL)
            if before:
                result = function(*arguments, **named)
        return result

    return called


def count(owner: Any, *names: str) -> None:
    """Counts the calls of functions or methods."""
    for name in names:
        setattr(owner, name, counted(getattr(owner, name)))


finish, choose = in_place.Removal.finish, choosing.choose


def finishing(self: Any, *arguments: Any) -> Any:
    if how == "without":
        Path(which).unlink()
    elif how == "kill":
        count(original, "move_without_overwrite")
        count(in_place, "open_beneath")
        count(quarantine, "sync_folder")
        count(Ledger, "retired", "will_move")
        count(in_place, "write_list")
    return finish(self, *arguments)


def choosing_now(*arguments: Any, **named: Any) -> Any:
    count(Ledger, "commit", "end_choosing", "taken_away", "removed")
    return choose(*arguments, **named)


setattr(in_place.Removal, "finish", finishing)  # noqa: B010 - not by its type
if how == "choose":
    setattr(choosing, "_AT_ONCE", 1)  # noqa: B010 - as above
    setattr(engine, "choose", choosing_now)  # noqa: B010 - as above
if how == "renew":
    setattr(reembedding, "_AT_ONCE", 2)  # noqa: B010 - as above
if how in ("renew", "record"):
    count(Ledger, "commit")
sys.exit(main(["sift", *words]))
