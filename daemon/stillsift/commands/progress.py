"""Shows how far a command is: a live line on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner

from ..decisions import Outcome
from ..escapes import escaped
from ..units import counted
from .tally import Tally

_LINE_EVERY_S = 10.0
"""Seconds between plain lines, where there is no terminal."""


Progress = Callable[[], None]
"""Function that shows how far things are; called a few times a second."""


@contextmanager
def show_progress(tallies: Mapping[str, Tally]) -> Iterator[Progress]:
    """Shows a live line on a terminal, elsewhere a plain line every 10 s, on standard error."""

    def now() -> str:
        busy = [tally for tally in tallies.values() if tally.begun and not tally.seconds]
        return " | ".join(
            f"{tally.source}: {counted(tally.frames, 'frame')}, {tally.kept_text}"
            + (f", {failed} failed" if (failed := tally.count(Outcome.FAILED)) else "")
            for tally in busy
        )

    console = Console(stderr=True)
    if console.is_terminal:
        spinner = Spinner("dots", "starting")
        with Live(spinner, console=console, transient=True, refresh_per_second=5):
            yield lambda: spinner.update(text=escape(escaped(now()) or "starting"))
        return
    last = [time.monotonic()]

    def line() -> None:
        if time.monotonic() - last[0] >= _LINE_EVERY_S and (text := now()):
            last[0] = time.monotonic()
            print(escaped(text), file=sys.stderr, flush=True)

    yield line
