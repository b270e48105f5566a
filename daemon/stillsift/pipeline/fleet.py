"""Runs the sources of a daemon, each in a thread of its own, so that none can stop another."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..config import Config, SourceConfig
from ..config.reload import ReloadPlan
from ..problems import Problem
from ..service.watchdog import Liveness
from .engine import Engine
from .example_folders import ExamplesError
from .line import Line
from .reembedding import Interrupted

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_GOOD_RUN_S = 300.0
"""Seconds that a line has to run before the pause after its failure is the shortest again."""
_TIDY_EVERY_S = 60.0
_BREATH_S = 0.05
"""Pause between two steps of forgetting, about as long as one: half of the time is the lines'."""


@dataclass(slots=True)
class _Worker:
    """Runs one source in a thread, one line after the other."""

    config: SourceConfig
    engine: Engine
    liveness: Liveness
    line: Line | None = None
    error: str | None = None
    started: bool = False
    """Whether a line of the source has made a step."""
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run, name=self.config.name, daemon=True)

    def run(self) -> None:
        pause_s, told = _FIRST_PAUSE_S, ""
        while not self.stopped.is_set():
            begin = time.monotonic()
            try:
                self._run_line()
            except Problem as problem:
                if str(problem) != told:
                    log.error("%s: %s", self.config.name, problem)
                self.error = told = str(problem)
            except Exception as error:
                self.error = repr(error)
                log.exception("%s: unexpected; the source is started again", self.config.name)
            if time.monotonic() - begin > _GOOD_RUN_S:
                pause_s = _FIRST_PAUSE_S
            self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self.liveness.forget(self.config.name)

    def _run_line(self) -> None:
        config = self.config
        # That takes a while, and the source has not begun.
        self.engine.read_examples([config], lambda: self.liveness.beat(config.name))
        try:
            self.line = self.engine.line(config, on_step=self._beat, go_on=self._goes_on)
        except Interrupted:
            return
        if self.config is not config:  # retuned while the line was made
            self.line.retune(self.engine.tuning(self.config))
        if not self.stopped.is_set():
            self.line.run()

    def _goes_on(self, _done: int, _all: int) -> bool:
        """Tells whether to go on with the pictures that a line begins with."""
        self.liveness.beat(self.config.name)
        return not self.stopped.is_set()

    def _beat(self) -> None:
        self.error, self.started = None, True
        self.liveness.beat(self.config.name)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stopped.wait(min(1.0, seconds)):
            self.liveness.beat(self.config.name)

    def retune(self, config: SourceConfig) -> None:
        """Changes the settings for what is kept, in this line and in all that follow."""
        self.config = config
        if self.line is not None:
            self.line.retune(self.engine.tuning(config))
            self.engine.tell_uncovered(config)

    def stop(self) -> None:
        self.stopped.set()
        if self.line is not None:
            self.line.stop()

    @property
    def trouble(self) -> str | None:
        """Tells what stands in the way of the source now; None: nothing."""
        return self.error or (self.line.trouble if self.line is not None else None)


class Fleet:
    """Starts, stops and changes the workers of all sources."""

    def __init__(self, engine: Engine, liveness: Liveness) -> None:
        self._engine = engine
        self._liveness = liveness
        self._workers: dict[str, _Worker] = {}
        self._ended = threading.Event()
        self._changing = threading.Lock()
        """Held while sources are started and stopped."""
        self._tidier = threading.Thread(target=self._tidy, name="quarantine", daemon=True)

    def begin(self, sources: Iterable[SourceConfig]) -> None:
        """Starts all sources, and the thread that tidies ledger and quarantine."""
        sources = list(sources)
        self._engine.metrics.troubles(lambda: self.troubles)
        self._tidier.start()
        self._end_alarms({source.name for source in sources})
        self.start(sources)

    def start(self, sources: Iterable[SourceConfig]) -> None:
        """Starts more sources."""
        workers = [_Worker(source, self._engine, self._liveness) for source in sources]
        # All are known before the first one works, so that a part is not taken for the whole.
        for worker in workers:
            self._engine.metrics.announce(worker.config.name)
        self._workers |= {worker.config.name: worker for worker in workers}
        for worker in workers:
            self._liveness.beat(worker.config.name)
            worker.thread.start()

    def stop(self, names: list[str], timeout_s: float) -> list[str]:
        """Ends these sources together; returns the names of those that did not end in time."""
        workers = [self._workers.pop(name) for name in names if name in self._workers]
        for worker in workers:
            worker.stop()
        until = time.monotonic() + timeout_s
        for worker in workers:
            worker.thread.join(max(0.0, until - time.monotonic()))
        return [worker.config.name for worker in workers if worker.thread.is_alive()]

    def stop_all(self, timeout_s: float) -> list[str]:
        """Ends everything; returns the names of the sources that did not end in time."""
        self._ended.set()
        with self._changing:
            late = self.stop(list(self._workers), timeout_s)
        self._tidier.join(1.0)
        return late

    def _tidy(self) -> None:
        told = None
        while not self._ended.is_set():
            try:
                self._engine.tidy(lambda: not self._ended.wait(_BREATH_S))
            except Problem as problem:
                if str(problem) != told:
                    log.error("quarantine: %s", problem)
                told = str(problem)
            except Exception as error:
                if repr(error) != told:
                    log.exception("quarantine: unexpected; it is tried again")
                told = repr(error)
            else:
                told = None
            give_memory_back()
            self._ended.wait(_TIDY_EVERY_S)

    def reload(self, config: Config, plan: ReloadPlan, timeout_s: float) -> None:
        """Changes to a new configuration; leaves the sources alone that stay as they are.

        A source that is retuned stays open, and a camera connected. Examples are read first, which
        takes a while. Raises LedgerError, and ExamplesError for a source that stays open; then
        nothing has changed. Raises Interrupted where all is about to end.
        """
        for source in plan.retuned:
            try:
                self._engine.read_examples([source], self._go_on)
            except ExamplesError as error:
                raise ExamplesError(error.key, error.reason, source.name) from error
        with self._changing:
            self._go_on()
            self._change(config, plan, timeout_s)

    def _go_on(self) -> None:
        if self._ended.is_set():
            raise Interrupted

    def _change(self, config: Config, plan: ReloadPlan, timeout_s: float) -> None:
        self._engine.reconfigure(config)
        again = list(plan.reopened)
        for source in plan.retuned:
            if source.name in self._workers:
                self._workers[source.name].retune(source)
            else:
                again.append(source)
        late = self.stop([*plan.removed, *(source.name for source in again)], timeout_s)
        for name in late:
            # Two lines of one source would mix up each other's records.
            log.error("%s: did not end within %g s; it needs a restart", name, timeout_s)
        for name in plan.removed:
            self._engine.metrics.close_source(name)
        self._end_alarms({*late, *(source.name for source in config.sources)})
        self.start(source for source in (*plan.added, *again) if source.name not in late)

    def _end_alarms(self, going: set[str]) -> None:
        """Ends the alarms of all sources that are not `going` on, since no frame will end them."""
        ledger = self._engine.ledger
        try:
            standing = {alarm.source for alarm in ledger.alarms() if alarm.to_ns is None}
            if gone := standing - going:
                ledger.end_alarms(gone)
        except Problem as problem:
            log.error("alarms of sources that are gone: %s", problem)  # the next start tries again

    @property
    def troubles(self) -> dict[str, str]:
        """Gives the sources that cannot work now, and why."""
        return {
            name: trouble
            for name, worker in self._workers.copy().items()
            if (trouble := worker.trouble) is not None
        }

    @property
    def unstarted(self) -> list[str]:
        """Gives the sources of which no line has made a step yet."""
        return [name for name, worker in self._workers.copy().items() if not worker.started]

    def __len__(self) -> int:
        return len(self._workers)


def give_memory_back() -> None:
    """Gives memory that was freed back to the system; other C libraries than glibc do it anyway.

    glibc has up to 8 pools for each core, and each thread takes one of them. Threads come and go
    here, and a pool keeps what the largest of its threads has freed. Measured with a source that
    was opened 80 times: 190 MB in use, 96 MB with this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
