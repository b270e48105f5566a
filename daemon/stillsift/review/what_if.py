"""Tells what other settings would have kept of what is recorded of a source."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..config import Config, ConfigError
from ..config.settings import SourceSettings
from ..config.yaml_file import parse_quietly, with_overrides
from ..ledger import LedgerReader
from ..ledger.records import DecisionRecord
from ..problems import Problem
from ..selection import Limits
from ..selection.numbers import Numbers
from ..selection.replay import Measures, WhatIf, what_if

KEYS = (
    *("sensitivity", "novelty_limit", "min_sharpness"),
    *("min_brightness", "max_brightness", "min_contrast"),
    *("min_gap", "max_per_minute", "max_per_hour", "max_per_day", "keep_ratio", "heartbeat"),
)
"""Keys that can be tried on what is recorded."""
MOST_HELD = 100_000
"""Decisions that are looked at for a page, the newest ones: some 50 MB for as long as they are
held, and an answer in less than a second."""
_HELD_S = 300.0
"""Seconds without a question after which they are dropped: whoever looks at frames comes back."""


class NotRecorded(Problem):
    """Says that a key cannot be tried, as what it changes is not recorded."""

    exit_status = 2


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Holds what is recorded of a source, and the settings it was decided with."""

    source: str
    measures: Measures
    settings: SourceSettings
    """Those of the last decision."""
    doubts: Sequence[str]
    """Sentences for people: what is not known of those settings."""

    def at(self, settings: SourceSettings) -> WhatIf:
        """Returns what other settings would have kept."""
        return what_if(self.measures, limits_of(self.settings), limits_of(settings))


def recorded(
    ledger: LedgerReader,
    source: str,
    since_ns: int | None,
    until_ns: int | None,
    *,
    usual: SourceSettings | None = None,
    newest: int | None = None,
) -> Recorded | None:
    """Returns what is recorded of a source in [since, until); None: nothing.

    `usual`: what it was decided with where that cannot be told; None: the defaults. `newest`: at
    most so many decisions, those captured last.
    """
    measures, configs = ledger.measures_and_configs(source, since_ns, until_ns, newest)
    if not len(measures):
        return None
    told = (settings_in(text, source) for text in configs)
    found = [each for each in told if each is not None]
    settings = found[0] if found else usual or SourceSettings()
    doubts = []
    if any(limits_of(each) != limits_of(settings) for each in found):
        doubts.append("limits were changed within this time; all is told as if by the last ones")
    return Recorded(source, measures, settings, doubts)


def settings_in(text: str, source: str) -> SourceSettings | None:
    """Returns the settings of a source in a recorded configuration.

    None: they cannot be told, as an earlier version wrote it with keys that there are no more.
    """
    try:
        config = parse_quietly(text, environ={})
    except ConfigError:
        return None
    return next((each for each in config.sources if each.name == source), config.defaults)


def was_covered(ledger: LedgerReader, record: DecisionRecord) -> bool:
    """Tells whether what a source kept was covered (anonymize) when this was decided; what is
    unknown counts so."""
    text = None if record.config_hash is None else ledger.config(record.config_hash)
    settings = None if text is None else settings_in(text, record.decision.source)
    return settings is None or bool(settings.anonymize)


def limits_of(settings: SourceSettings) -> Limits:
    """Returns the limits of settings. No distance is compared, so any embedder will do."""
    return settings.limits(Numbers().cell)


def changed(settings: SourceSettings, assignments: Iterable[str]) -> SourceSettings:
    """Returns settings with each `KEY=VALUE` put in, where VALUE is YAML.

    Raises NotRecorded where what a key changes is not recorded, OverrideError for mistakes.
    """
    assignments = list(assignments)
    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if key not in KEYS and key in SourceSettings.model_fields:
            raise NotRecorded(
                f"--set {key}: what it changes is not recorded; `stillsift sift --set` tells it by "
                "sifting again"
            )
    own = {key: getattr(settings, key) for key in SourceSettings.model_fields}
    defaults = SourceSettings.model_construct(**own)
    return with_overrides(Config(defaults=defaults), assignments).defaults


class Held:
    """Holds what was asked for last, so that the next answer need not read it again.

    It is read again once something was decided in its time, and dropped after some minutes.
    """

    def __init__(self, held_s: float = _HELD_S) -> None:
        self._held_s = held_s
        self._lock = threading.Lock()
        self._key: tuple[object, ...] = ()
        self._found: Recorded | None = None
        self._timer: threading.Timer | None = None

    def recorded(
        self, ledger: LedgerReader, source: str, since_ns: int | None, until_ns: int
    ) -> Recorded | None:
        """Returns what is recorded of a source in [since, until); None: nothing."""
        with self._lock:
            key = (source, since_ns, until_ns, *ledger.extent(source, since_ns or 0, until_ns))
            if key != self._key:
                self._key, self._found = (), None
                self._found = recorded(ledger, source, since_ns, until_ns, newest=MOST_HELD)
                self._key = key
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._held_s, self._drop)
            self._timer.daemon = True
            self._timer.start()
            return self._found

    @property
    def empty(self) -> bool:
        """Tells whether nothing is held."""
        return self._found is None

    def _drop(self) -> None:
        with self._lock:
            self._key, self._found = (), None
