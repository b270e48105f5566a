"""Runs `sift --keep 3`, and is killed at a step of the choice.

cut_off_choice.py STEP FOLDER HOW DIR
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from stillsift.cli import main
from stillsift.ledger import Ledger
from stillsift.pipeline import choosing, engine

which, folder, how, store = sys.argv[1:]
steps = 0


def counted(function: Any) -> Any:
    def called(*arguments: Any, **named: Any) -> Any:
        global steps
        steps += 1
        if steps == int(which):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return called


choose = choosing.choose


def choosing_now(*arguments: Any, **named: Any) -> Any:
    for name in ("commit", "end_choosing", "taken_away", "removed"):
        setattr(Ledger, name, counted(getattr(Ledger, name)))
    return choose(*arguments, **named)


setattr(choosing, "_AT_ONCE", 1)  # noqa: B010 - not by its type
setattr(engine, "choose", choosing_now)  # noqa: B010
sys.exit(main(["sift", folder, how, store, "--keep", "3"]))
