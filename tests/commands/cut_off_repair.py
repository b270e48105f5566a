"""Repairs copies of a folder in place, and is killed at another step of each.

cut_off_repair.py PHOTOS INTO: the copies are INTO/1/photos, ..., their originals INTO/1/originals.
The last one is not killed. With `restore` behind, they are repaired, and killed is what undoes it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from stillsift.cli import main
from stillsift.ledger import Ledger
from stillsift.store import in_place_repair, quarantine

photos, into = map(Path, sys.argv[1:3])
restores = sys.argv[3:] == ["restore"]
steps = 0
last = 0


def counted(function: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        global steps
        for before in (True, False):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
            if before:
                result = function(*arguments, **named)
        return result

    return called


def count() -> None:
    for owner, names in UNDOING if restores else REPAIRING:
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))


REPAIRING: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (in_place_repair, ("_write", "_linked", "exchange", "_named", "sync_open_folder")),
    (in_place_repair, ("sync_folder", "copy_with_facts")),
    (in_place_repair.OpenStill, ("check",)),
    (in_place_repair.InPlaceRepair, ("sweep", "write_list")),
    (Ledger, ("will_repair",)),
)
UNDOING: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (os, ("link", "rename", "unlink")),
    (quarantine, ("exchange", "move_without_overwrite", "sync_open_folder")),
    (Ledger, ("register_done", "left_quarantine")),
)

killed = True
while killed:
    last += 1
    folder = into / str(last) / "photos"
    shutil.copytree(photos, folder)
    child = os.fork()
    if child == 0:
        originals = str(folder.parent / "originals")
        if restores and main(["repair", str(folder), "--backup-to", originals]) != 0:
            os._exit(1)
        count()
        undo = ["restore", "--store", originals, "--all"]
        os._exit(main(undo if restores else ["repair", str(folder), "--backup-to", originals]))
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
