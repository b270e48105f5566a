"""Tells from samples of a daemon whether anything grows, and draws them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at a daemon shows."""

    minute: float
    resident_mb: float
    """MiB, as all sizes here."""
    private_mb: float
    """Anonymous memory: without libraries and pages of files, which the kernel may drop."""
    threads: int
    descriptors: int
    series: int
    """Lines with a value in /metrics."""
    ledger_mb: float
    wal_mb: float
    forgettable: int
    """Decisions that the ledger forgets with age."""
    lasting: int
    """Rows that it holds for ever: kept and failed decisions, kept frames, files."""
    quarantined: int
    writes: int
    """Transactions since the start."""
    write_p50_ms: float
    """Of the transactions of the last minute."""
    write_p99_ms: float
    frames: int
    """Decided since the start."""
    waiting: int
    """Frames whose decision is not recorded yet."""
    daemon_cpu: float
    """Share of one core since the last sample."""
    all_cpu: float
    """The same with cameras, producers, commands and the soak itself."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How one figure went: medians of quarters, since single samples are noisy."""

    figure: str
    early: float
    """Median of the second quarter; the first is for warming up."""
    late: float
    """Median of the last quarter."""
    an_hour: float
    """Difference of the two, for each hour between them."""
    flat: bool


MAY_RISE: dict[str, tuple[float, float]] = {
    "resident_mb": (0.02, 0),
    "private_mb": (0.02, 0),
    "threads": (0, 0),
    "descriptors": (0, 0),
    "series": (0, 0),
    "wal_mb": (0.1, 0),
    "forgettable": (0.1, 0),
    "quarantined": (0.1, 2),
    "write_p50_ms": (0.5, 0),
    "write_p99_ms": (1, 0),
    "waiting": (0.1, 2),
}
"""How far the last quarter may be above the second: a share of it, and as much more. What is timed
depends on everything else on the machine; what follows chance, on chance."""


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """How each figure of `MAY_RISE` went."""
    quarter = len(samples) // 4
    hours = (samples[-1].minute - samples[0].minute) / 60 / 2
    told = []
    for figure, (share, more) in MAY_RISE.items():
        values = [float(getattr(one, figure)) for one in samples]
        early, late = median(values[quarter : 2 * quarter]), median(values[-quarter:])
        flat = late <= early * (1 + share) + more
        told.append(Growth(figure, early, late, (late - early) / hours, flat))
    return told


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """As PromQL's histogram_quantile: linear within the bucket that holds it; 0: nothing counted.

    `buckets` are the counts up to each edge.
    """
    wanted = share * max(buckets.values(), default=0.0)
    edge_before = count_before = 0.0
    for edge, count in sorted(buckets.items()):
        if count >= wanted > 0:
            if edge == float("inf"):
                break
            within = (wanted - count_before) / (count - count_before)
            return edge_before + (edge - edge_before) * within
        edge_before, count_before = edge, count
    return edge_before if wanted else 0.0


def write(path: Path, samples: Sequence[Sample]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Sample)])
        table.writeheader()
        table.writerows({k: round(v, 3) for k, v in asdict(one).items()} for one in samples)


_PANELS: dict[str, dict[str, str]] = {
    "memory, MiB": {"resident_mb": "resident", "private_mb": "anonymous"},
    "threads, descriptors": {"threads": "threads", "descriptors": "descriptors"},
    "series in /metrics": {"series": ""},
    "ledger, MiB": {"ledger_mb": "ledger", "wal_mb": "write-ahead log"},
    "rows of the ledger": {
        "lasting": "for ever (kept, failed, files)",
        "forgettable": "dropped and lost",
        "quarantined": "quarantine",
    },
    "write of the ledger, ms": {"write_p99_ms": "99 %", "write_p50_ms": "50 %"},
    "frames decided": {"frames": ""},
    "frames not recorded yet": {"waiting": ""},
    "CPU, share of one core": {"all_cpu": "with all around it", "daemon_cpu": "daemon"},
}
_AT_ONCE = 6
"""Samples that become one point: half a minute."""


def plot(path: Path, samples: Sequence[Sample]) -> bool:
    """False: matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    figure, grid = pyplot.subplots(3, 3, figsize=(11, 7), sharex=True)
    parts = [samples[i : i + _AT_ONCE] for i in range(0, len(samples), _AT_ONCE)]
    minutes = [part[0].minute for part in parts]
    for axes, (title, lines) in zip(grid.flat, _PANELS.items(), strict=True):
        for name, label in lines.items():
            points = [median(getattr(one, name) for one in part) for part in parts]
            axes.plot(minutes, points, linewidth=1, label=label)
        axes.set_title(title, fontsize=10)
        if title.endswith("ms"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(fontsize=7)
    for axes in grid[-1]:
        axes.set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
    return True
