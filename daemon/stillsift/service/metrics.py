"""Counts where every frame ended and measures how the lines are doing, for Prometheus."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .. import __version__
from ..decisions import Decision, Reason, outcome_of
from ..health import AlarmKind
from ..ledger.records import KeptFile
from ..problems import Problem
from ..sources import Source

STAGES = ("decide", "embed", "detect", "persist")
_ANSWER_S = 1.0
"""Seconds that a scrape waits for the store's disk to answer."""
_STAGE_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_SIMILARITY_BUCKETS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
_NOVELTY_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 25.0, 100.0)
_SHARPNESS_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 1.0)


class _Accounts(Collector):
    """Counts frames offered and where they ended, under one lock, so that every scrape balances.

    offered = kept + dropped + failed + lost + in flight, for every source. Frames that a line
    leaves undecided when it ends are still in flight: the next line is offered them again, and they
    are not counted twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offered: Counter[str] = Counter()
        self._again: Counter[str] = Counter()
        self._decided: Counter[tuple[str, Reason]] = Counter()
        self._kept_bytes: Counter[str] = Counter()
        self._detected: Counter[tuple[str, str]] = Counter()
        """Objects found, by source and label."""
        self._gap_seconds: dict[str, float] = {}
        self._away_seconds: dict[str, float] = {}
        """How long the outage lasts so far that is going on now."""
        self._gap_shown: dict[str, float] = {}
        self._last_frame: dict[str, float] = {}

    def open(self, source: str) -> None:
        with self._lock:
            self._offered[source] += 0
            ended = sum(n for (name, _), n in self._decided.items() if name == source)
            self._again[source] = self._offered[source] - ended
            self._kept_bytes[source] += 0
            self._gap_seconds.setdefault(source, 0.0)
            self._last_frame.setdefault(source, 0.0)
            for reason in Reason:
                self._decided[source, reason] += 0

    def offered(self, source: str, frames: int) -> None:
        now = time.time()
        with self._lock:
            again = min(frames, self._again[source])
            self._again[source] -= again
            self._offered[source] += frames - again
            self._last_frame[source] = now

    def decided(self, decisions: Iterable[tuple[Decision, KeptFile | None]]) -> None:
        with self._lock:
            for decision, kept in decisions:
                self._decided[decision.source, decision.reason] += decision.frames
                self._kept_bytes[decision.source] += 0 if kept is None else kept.bytes
                for each in decision.detections or ():
                    self._detected[decision.source, each.label] += 1

    def looks_for(self, source: str, labels: Iterable[str]) -> None:
        with self._lock:
            for label in labels:
                self._detected[source, label] += 0

    def gap(self, source: str, seconds: float) -> None:
        with self._lock:
            self._gap_seconds[source] += seconds
            self._away_seconds[source] = 0.0

    def away(self, source: str, seconds: float) -> None:
        with self._lock:
            self._away_seconds[source] = seconds

    def _gap(self, source: str) -> float:
        """Returns the time away with the outage that is going on.

        It never falls: a gap ends when the first frame was taken, a little before it is seen.
        """
        seconds = self._gap_seconds[source] + self._away_seconds.get(source, 0.0)
        self._gap_shown[source] = max(seconds, self._gap_shown.get(source, 0.0))
        return self._gap_shown[source]

    def collect(self) -> Iterator[Metric]:
        offered = CounterMetricFamily(
            "stillsift_frames_offered", "Frames that a source offered.", labels=["source"]
        )
        frames = CounterMetricFamily(
            "stillsift_frames",
            "Frames by where they ended.",
            labels=["source", "outcome", "reason"],
        )
        in_flight = GaugeMetricFamily(
            "stillsift_frames_in_flight",
            "Frames offered whose decision is not recorded yet.",
            labels=["source"],
        )
        kept = CounterMetricFamily(
            "stillsift_kept_bytes",
            "Bytes of kept frames, those for the audit included.",
            labels=["source"],
        )
        detected = CounterMetricFamily(
            "stillsift_detections",
            "Objects found in frames that were looked at, of the labels that the source asks for.",
            labels=["source", "label"],
        )
        gaps = CounterMetricFamily(
            "stillsift_gap_seconds", "Time a camera was away, also now.", labels=["source"]
        )
        last = GaugeMetricFamily(
            "stillsift_source_last_frame_timestamp_seconds",
            "When the last frame came, seconds since 1970; 0 before the first.",
            labels=["source"],
        )
        with self._lock:
            ended: Counter[str] = Counter()
            for (source, reason), count in self._decided.items():
                frames.add_metric([source, outcome_of(reason).value, reason.value], count)
                ended[source] += count
            for source, count in self._offered.items():
                offered.add_metric([source], count)
                in_flight.add_metric([source], count - ended[source])
                kept.add_metric([source], self._kept_bytes[source])
                gaps.add_metric([source], self._gap(source))
                last.add_metric([source], self._last_frame[source])
            for (source, label), count in self._detected.items():
                detected.add_metric([source, label], count)
        return iter((offered, frames, in_flight, kept, detected, gaps, last))

    def totals(self) -> Counter[Reason]:
        """Returns the number of frames by reason, of all sources together."""
        with self._lock:
            totals: Counter[Reason] = Counter()
            for (_, reason), count in self._decided.items():
                totals[reason] += count
            return totals


class _Sources(Collector):
    """Reports the state of the sources, which are asked for it at each scrape."""

    def __init__(self) -> None:
        self._watched: dict[str, Source | None] = {}
        """Sources by name; None: the source has not begun yet."""
        self._alarms: set[tuple[str, AlarmKind]] = set()
        self.troubled: Callable[[], Container[str]] = tuple

    def announce(self, source: str) -> None:
        self._watched.setdefault(source, None)

    def open(self, source: str, watched: Source) -> None:
        self._watched[source] = watched

    def close(self, source: str) -> None:
        self._watched.pop(source, None)
        self._alarms = {alarm for alarm in self._alarms if alarm[0] != source}

    def alarm(self, source: str, kind: AlarmKind, raised: bool) -> None:
        if raised:
            self._alarms = self._alarms | {(source, kind)}
        else:
            self._alarms = self._alarms - {(source, kind)}

    def collect(self) -> Iterator[Metric]:
        labels = ["source"]
        up = GaugeMetricFamily("stillsift_source_up", "1 while the source is there.", labels=labels)
        reconnects = CounterMetricFamily(
            "stillsift_source_reconnects", "Connections made again.", labels=labels
        )
        queue = GaugeMetricFamily(
            "stillsift_queue_frames", "Frames or files waiting for analysis.", labels=labels
        )
        alarm = GaugeMetricFamily(
            "stillsift_source_alarm",
            "1 while something is wrong with the source itself.",
            labels=["source", "reason"],
        )
        trouble = GaugeMetricFamily(
            "stillsift_source_trouble",
            "1 while something stands in the way of keeping its frames; /readyz says what.",
            labels=labels,
        )
        troubled = self.troubled()
        for source, watched in sorted(self._watched.copy().items()):
            up.add_metric([source], 0.0 if watched is None else float(watched.up))
            reconnects.add_metric([source], 0 if watched is None else watched.reconnects)
            queue.add_metric([source], 0 if watched is None else watched.queued)
            trouble.add_metric([source], float(source in troubled))
            for kind in AlarmKind:
                alarm.add_metric([source, kind.value], float((source, kind) in self._alarms))
        return iter((up, reconnects, queue, trouble, alarm))


class Metrics:
    """Counts everything in one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accounts = _Accounts()
        self._sources = _Sources()
        self._info: dict[str, dict[str, str]] = {"stillsift_build": {"version": __version__}}
        self._free_bytes: Callable[[], int] | None = None
        self.registry.register(self._accounts)
        self.registry.register(self._sources)
        self.registry.register(_Facts(self._info, lambda: self._free_bytes))
        stages = Histogram(
            "stillsift_stage_seconds",
            "Time one frame took in a stage.",
            ["stage"],
            registry=self.registry,
            buckets=_STAGE_BUCKETS,
        )
        self._ledger = Histogram(
            "stillsift_ledger_write_seconds",
            "Time of one transaction of the ledger.",
            registry=self.registry,
            buckets=_STAGE_BUCKETS,
        )
        self._measures = {
            measure: Histogram(
                f"stillsift_{measure}",
                text,
                ["source"],
                registry=self.registry,
                buckets=buckets,
            )
            for measure, text, buckets in (
                ("similarity", "Cosine with the nearest kept frame.", _SIMILARITY_BUCKETS),
                ("novelty", "What is new beside the nearest kept frame.", _NOVELTY_BUCKETS),
                ("sharpness", "Sharpness of analysed frames.", _SHARPNESS_BUCKETS),
            )
        }
        self._limits = {
            limit: Gauge(f"stillsift_{limit}", text, ["source"], registry=self.registry)
            for limit, text in (
                ("novelty_limit", "What the last frame compared had to exceed; 0 before it."),
                (
                    "sharpness_limit",
                    "Sharpness below which the last frame was blurred; 0: unknown.",
                ),
            )
        }
        # Finding a series takes as long as all the rest; it would be done for every frame.
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    def announce(self, source: str) -> None:
        """Makes every series of a source exist, so that a rate is right from the first frame."""
        self._accounts.open(source)
        self._sources.announce(source)
        for family in (*self._measures.values(), *self._limits.values()):
            family.labels(source)

    def open_source(self, source: str, watched: Source) -> None:
        """Notes that a source begins, or begins again."""
        self.announce(source)
        self._sources.open(source, watched)

    def close_source(self, source: str) -> None:
        """Forgets the state of a source that was removed; its counts stay."""
        self._sources.close(source)

    def model(self, name: str, provider: str) -> None:
        self._info["stillsift_model"] = {"model": name, "provider": provider}

    def store(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes

    def troubles(self, troubled: Callable[[], Container[str]]) -> None:
        """Takes the function that is asked at each scrape for the names of sources in trouble."""
        self._sources.troubled = troubled

    def offered(self, source: str, frames: int = 1) -> None:
        """Counts frames that a source offers."""
        self._accounts.offered(source, frames)

    def decided(self, source: str, decisions: list[tuple[Decision, KeptFile | None]]) -> None:
        """Counts decisions about a source that are now in the ledger."""
        self._accounts.decided(decisions)
        for measure, histogram in self._measures.items():
            series = histogram.labels(source)
            for value in _known(decisions, measure):
                series.observe(value)
        for limit, gauge in self._limits.items():
            for value in _known(decisions, limit)[-1:]:
                gauge.labels(source).set(value)

    def looks_for(self, source: str, labels: Iterable[str]) -> None:
        """Makes the counts of these labels exist."""
        self._accounts.looks_for(source, labels)

    def gap(self, source: str, seconds: float) -> None:
        """Counts an outage that is over."""
        self._accounts.gap(source, seconds)

    def away(self, source: str, seconds: float) -> None:
        """Notes how long an outage lasts so far; 0: there is none."""
        self._accounts.away(source, seconds)

    def alarm(self, source: str, kind: AlarmKind, *, raised: bool) -> None:
        self._sources.alarm(source, kind, raised)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures the time of one stage of `STAGES`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._stages[name].observe(time.perf_counter() - begin)

    def ledger_write(self, seconds: float) -> None:
        """Notes how long a transaction took."""
        self._ledger.observe(seconds)

    def totals(self) -> Counter[Reason]:
        """Returns the number of frames by reason, of all sources together."""
        return self._accounts.totals()


def _known(decisions: list[tuple[Decision, KeptFile | None]], measure: str) -> list[float]:
    values = [getattr(decision, measure) for decision, _ in decisions]
    return [value for value in values if value is not None]


class _Facts(Collector):
    """Reports versions, and the free space of the store."""

    def __init__(
        self, info: dict[str, dict[str, str]], free: Callable[[], Callable[[], int] | None]
    ) -> None:
        self._info = info
        self._free = free
        self._free_bytes: int | None = None
        self._asking: threading.Thread | None = None
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        for name, labels in self._info.items():
            yield InfoMetricFamily(name, "What is running.", value=labels)
        if (ask := self._free()) is not None:
            family = GaugeMetricFamily("stillsift_store_free_bytes", "Room left on the store.")
            if (free_bytes := self._told(ask)) is not None:
                family.add_metric([], free_bytes)
            yield family

    def _told(self, ask: Callable[[], int]) -> int | None:
        """Returns the free bytes; None: the disk gives an error, or does not answer for a while.

        Neither may hide the other metrics, nor take up one place of the server after the other. So
        a thread asks, and no second one while it waits.
        """
        with self._lock:
            asking = self._asking
            if asking is None or not asking.is_alive():
                asking = threading.Thread(target=self._ask, args=(ask,), daemon=True)
                asking.start()
                self._asking = asking
        asking.join(_ANSWER_S)
        return None if asking.is_alive() else self._free_bytes

    def _ask(self, ask: Callable[[], int]) -> None:
        self._free_bytes = None
        with suppress(Problem):
            self._free_bytes = ask()
