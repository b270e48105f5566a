"""Implements `stillsift run`: the daemon."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Config, ConfigError, load
from ..config.errors import Mistake
from ..config.password import password_in, password_of
from ..config.reload import ReloadPlan, in_force, reload_plan
from ..config.yaml_file import NO_SOURCES, read_file
from ..decisions import Outcome, Reason, outcome_of
from ..embedding import Embedder, ModelError
from ..ledger import LedgerError, LedgerReader
from ..pipeline import Engine
from ..pipeline.example_folders import ExamplesError, State, refused_examples, state_of
from ..pipeline.fleet import Fleet
from ..pipeline.reembedding import Interrupted
from ..service import Metrics
from ..service.deadline import Deadline
from ..service.http import MetricsServer, serve
from ..service.logs import set_up_logging
from ..service.notify import Notifier, watchdog_interval
from ..service.signals import Signals
from ..service.watchdog import Liveness, attend
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_config, usual_config

if TYPE_CHECKING:
    from ..review.server import ReviewServer

log = logging.getLogger(__name__)

_DRAIN_S = 8.0
"""Seconds for all sources together to end; systemd's TimeoutStopSec and the promise of 10 s leave
room for it."""

_END_S = 9.8
"""Seconds for everything to end, ledger and store included: a little less than is promised."""

_SILENT_S = 30.0
"""Seconds without a step or a wait after which a source's thread counts as stuck."""

_EXAMPLES = """\
  stillsift run -c config.yaml
  systemctl reload stillsift      re-reads the configuration; a bad one is refused
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "run",
        run,
        "Watch directories and cameras and keep what is new, until SIGTERM.",
        _EXAMPLES,
    )
    add_config(parser)


def run(given: argparse.Namespace) -> int:
    """Runs the daemon, from its configuration to its last record."""
    file = usual_config(given.config)
    if file is None:
        raise UsageError("run: name a configuration: stillsift run -c config.yaml")
    config = _loaded(file)
    set_up_logging(config.log.level, config.log.format, stream=sys.stderr)
    notifier, liveness = Notifier(), Liveness()
    metrics = Metrics()
    with Signals() as signals, Deadline(signals.stop, _END_S):
        notifier.status("opening the store and the model")
        with Engine(config, metrics, patient=True) as engine:
            fleet = Fleet(engine, liveness)
            daemon = _Daemon(
                file,
                config,
                fleet,
                metrics,
                lambda: liveness.stale(time.monotonic(), _SILENT_S),
            )
            server = daemon.serve(config)
            review = _review(config, engine)
            fleet.begin(config.sources)
            if server is not None:
                log.info("metrics at %s", server.url)
            if review is not None:
                review.start()
                log.info("review at %s", review.url)
            watching = counted(len(fleet), "source")
            log.info("watching %s, keeping in %s", watching, config.store.path)
            notifier.ready(daemon.status())
            attend(
                signals,
                notifier,
                liveness,
                reload=daemon.reload,
                status=daemon.status,
                watchdog_s=watchdog_interval(),
            )
            notifier.stopping("deciding what is under way")
            late = fleet.stop_all(_DRAIN_S)
            for name in late:
                log.error(
                    "%s: did not end within %g s; it goes on at the next start", name, _DRAIN_S
                )
            if review is not None:
                review.stop()
            if server is not None:
                server.shutdown()
                server.server_close()
            log.info("stopped: %s", daemon.counted())
    return 0


def _review(config: Config, engine: Engine) -> ReviewServer | None:
    """Binds the address of the review; None: it is switched off."""
    settings = config.review
    if settings.listen is None or engine.storage is None or settings.password_file is None:
        return None
    # Not at the top: without a review neither the server nor the templates are needed.
    from ..review.application import Reviewed
    from ..review.reverse_proxy import ReverseProxy
    from ..review.server import ReviewServer

    public = settings.public_url
    proxy = None if public is None else ReverseProxy.at(public, settings.trusted_proxies)
    password = password_in(settings.password_file, "review.password_file", "review")
    store = engine.storage.store
    ledger = LedgerReader(store.ledger_path)  # of its own: a line must not wait for a page
    reviewed = Reviewed.under(config, ledger, store, lambda: Embedder(engine.model))
    return ReviewServer(reviewed, *settings.listen, password, proxy)


class NoSources(ConfigError):
    """Says that a configuration names nothing to watch."""


def _loaded(file: Path) -> Config:
    config = load(file)
    if not config.sources:
        raise NoSources(str(file), [Mistake(None, "sources", NO_SOURCES)])
    if refused := list(refused_examples(config)):
        read = read_file(file)
        raise ConfigError(str(file), [read.mistake_at(*mistake) for mistake in refused])
    return config


def _logins(config: Config) -> dict[str, str | None]:
    """Reads the passwords in force; None: there is none, or it cannot be read now."""
    logins: dict[str, str | None] = {}
    for source in config.sources:
        try:
            logins[source.name] = password_of(source)
        except ConfigError:
            logins[source.name] = None
    return logins


def _examples(config: Config) -> dict[str, State | None]:
    """Returns the state of the examples of each source; None: they cannot be used now."""
    states: dict[str, State | None] = {}
    for source in config.sources:
        try:
            states[source.name] = state_of(source.examples)
        except ExamplesError:
            states[source.name] = None
    return states


class _Daemon:
    """Answers what signals, the manager and the probes ask of a running daemon."""

    def __init__(
        self,
        file: Path,
        config: Config,
        fleet: Fleet,
        metrics: Metrics,
        stuck: Callable[[], list[str]],
    ) -> None:
        """Takes the parts of the daemon; `stuck` names the sources that make no progress."""
        self._file = file
        self._config = config
        self._fleet = fleet
        self._metrics = metrics
        self._stuck = stuck
        self._logins = _logins(config)
        self._examples = _examples(config)

    def _with_new_logins(
        self, config: Config, plan: ReloadPlan, logins: dict[str, str | None]
    ) -> ReloadPlan:
        """Returns the plan with those sources reopened, too, whose password is another one now."""
        planned = {source.name for source in (*plan.added, *plan.reopened)}
        renewed = [
            source
            for source in config.sources
            if source.name not in planned and logins[source.name] != self._logins[source.name]
        ]
        retuned = tuple(source for source in plan.retuned if source not in renewed)
        changes = (*plan.changes, *((source.name, ("password",)) for source in renewed))
        return replace(plan, reopened=(*plan.reopened, *renewed), retuned=retuned, changes=changes)

    def _with_new_examples(
        self, config: Config, plan: ReloadPlan, examples: dict[str, State | None]
    ) -> ReloadPlan:
        """Returns the plan with those sources retuned, too, whose examples are others now."""
        planned = {source.name for source in (*plan.added, *plan.reopened, *plan.retuned)}
        renewed = [
            source
            for source in config.sources
            if source.name not in planned and examples[source.name] != self._examples[source.name]
        ]
        changes = (*plan.changes, *((source.name, ("examples",)) for source in renewed))
        return replace(plan, retuned=(*plan.retuned, *renewed), changes=changes)

    def serve(self, config: Config) -> MetricsServer | None:
        """Serves metrics and probes at the configured address; None: that is switched off."""
        if config.metrics.listen is None:
            return None
        return serve(
            self._metrics,
            *config.metrics.listen,
            healthy=self.unhealthy,
            ready=self.unready,
            web_config=config.metrics.web_config_file,
        )

    def unhealthy(self) -> str | None:
        """Tells why this process should be restarted; None: no reason."""
        stuck = self._stuck()
        return f"no progress for {_SILENT_S:g} s: {', '.join(stuck)}" if stuck else None

    def unready(self) -> str | None:
        """Tells which sources cannot do their work, and why; None: all can.

        The model is warm by now. A camera that is away is no reason: its source works and waits for
        it.
        """
        if not len(self._fleet):
            return "no source has been started yet"
        troubles = self._fleet.troubles
        reasons = [f"{name}: {why}" for name, why in troubles.items()]
        if unstarted := [name for name in self._fleet.unstarted if name not in troubles]:
            reasons.append(f"not started yet: {', '.join(unstarted)}")
        return "; ".join(reasons) or None

    def reload(self) -> None:
        """Changes to what the file says now; a bad file changes nothing."""
        try:
            config = _loaded(self._file)
        except ConfigError as error:
            for mistake in str(error).splitlines():
                log.error("configuration not changed: %s", mistake)
            return
        logins = _logins(config)
        plan = self._with_new_logins(config, reload_plan(self._config, config), logins)
        examples = _examples(config)
        plan = self._with_new_examples(config, plan, examples)
        if not plan:
            log.info("configuration read again: nothing changed")
            return
        try:
            self._fleet.reload(config, plan, _DRAIN_S)
        except Interrupted:
            return
        except (LedgerError, ModelError, ExamplesError) as error:
            log.error("configuration not changed: %s", error)
            return
        if plan.log:
            set_up_logging(config.log.level, config.log.format, stream=sys.stderr)
        if plan.restart:
            log.warning("only after a restart: %s", ", ".join(plan.restart))
        # What waits for a restart is named again at the next reload, unless it is undone.
        self._config, self._logins = in_force(self._config, config), logins
        self._examples = examples
        told = plan.summary()
        sources = counted(len(self._fleet), "source")
        log.info("configuration read again: %s%s", sources, f"; {told}" if told else "")

    def status(self) -> str:
        """Returns one line for `systemctl status`."""
        troubles = self._fleet.troubles
        trouble = f"; in trouble: {', '.join(troubles)}" if troubles else ""
        return f"{counted(len(self._fleet), 'source')}; {self.counted()}{trouble}"

    def counted(self) -> str:
        """Tells where the frames since the start have ended."""
        totals: Counter[Outcome] = Counter()
        reasons = self._metrics.totals()
        samples = reasons.pop(Reason.AUDIT, 0)
        for reason, count in reasons.items():
            totals[outcome_of(reason)] += count
        aside = f", {samples} laid aside for the audit" if samples else ""
        return ", ".join(f"{totals[outcome]} {outcome.value}" for outcome in Outcome) + aside
