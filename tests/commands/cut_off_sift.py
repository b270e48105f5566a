"""Runs `sift --remove-to`, and is killed at a step of the removal, or loses a file before it.

cut_off_sift.py kill STEP FOLDER TARGET
cut_off_sift.py without FILE FOLDER TARGET
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from stillsift.cli import main
from stillsift.ledger import Ledger
from stillsift.store import in_place, original, quarantine

how, which, folder, target = sys.argv[1:]
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


finish = in_place.Removal.finish


def count(owner: Any, name: str) -> None:
    """Counts the calls of a function or method."""
    setattr(owner, name, counted(getattr(owner, name)))


def finishing(self: Any, *arguments: Any) -> Any:
    if how == "without":
        Path(which).unlink()
    else:
        count(original, "move_without_overwrite")
        count(quarantine, "sync_folder")
        count(Ledger, "retired")
        count(Ledger, "will_move")
        count(in_place, "write_list")
    return finish(self, *arguments)


setattr(in_place.Removal, "finish", finishing)  # noqa: B010 - not by its type
sys.exit(main(["sift", folder, "--remove-to", target]))
