"""Exports a store again and again, each time killed before another step.

cut_off_export.py STORE FORMAT INTO WORDS: the exports are INTO/1, INTO/2, ... The last one is not
killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from stillsift.cli import main
from stillsift.export import exporting, folder

store, form, into, *words = sys.argv[1:]
steps = 0
last = 0
lock = threading.Lock()


def counted(function: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        global steps
        with lock:
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return called


COUNTED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (folder, ("copy_data", "move_without_overwrite", "sync_folder")),
    (folder.ExportFolder, ("_write", "_name", "_sync", "record")),
)
exporting._BATCH_FRAMES = exporting._PART_FRAMES = 2
killed = True
while killed:
    last += 1
    child = os.fork()
    if child == 0:
        for owner, names in COUNTED:
            for name in names:
                setattr(owner, name, counted(getattr(owner, name)))
        out = str(Path(into) / str(last))
        os._exit(main(["export", "--store", store, "--format", form, "--output", out, *words]))
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status)
    assert killed or os.waitstatus_to_exitcode(status) == 0
