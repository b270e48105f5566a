"""Runs the line of a source beside a window that shows what it decides."""

from __future__ import annotations

import logging
import os
import threading

from ..config import SourceConfig
from ..decisions import Decision
from ..ledger.records import KeptFile
from ..pipeline import Engine, Line
from ..pipeline.engine import place_of
from ..problems import Problem
from ..sources.camera import RtspSource
from ..sources.files import DirectorySource
from .pairs import Pairs
from .tally import Tally

log = logging.getLogger(__name__)


class Reading:
    """Runs the line of a source in a thread of its own."""

    def __init__(self, engine: Engine, source: SourceConfig, pairs: Pairs, *, watch: bool) -> None:
        self.tally = Tally(source.name, place_of(source))
        self.live = source.rtsp is not None
        self.ended = False
        self._pairs = pairs
        self.line: Line = engine.line(
            source,
            watch=watch,
            replacing=not (self.live or watch),  # as `sift` does
            jobs=1 if self.live else len(os.sched_getaffinity(0)),
            on_frame=pairs.offer,
            on_decision=self._decided,
            on_replaced=self._replaced,
        )
        self._thread = threading.Thread(target=self._run, name="line")

    def start(self) -> None:
        self._thread.start()

    def _decided(self, decision: Decision, _kept: KeptFile | None) -> None:
        self.tally.note(decision, None)
        self._pairs.add(decision)

    def _replaced(self, decision: Decision) -> None:
        self.tally.replace(decision)
        self._pairs.change(decision)

    def _run(self) -> None:
        try:
            self.line.run()
            if not self.tally.frames:
                self.tally.error = self._absence()
        except Problem as problem:
            self.tally.error = str(problem)
        except Exception as error:
            log.exception("%s: unexpected", self.tally.source)
            self.tally.error = f"unexpected: {error!r}"
        finally:
            self.ended = True

    def _absence(self) -> str | None:
        source = self.line.source
        if isinstance(source, RtspSource):
            return source.absence
        return source.nothing_to_read() if isinstance(source, DirectorySource) else None

    def end(self) -> None:
        """Stops the line, and waits for its end."""
        self._pairs.close()
        self.line.stop()
        if self._thread.is_alive():
            self._thread.join()
