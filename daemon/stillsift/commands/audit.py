"""Implements `stillsift audit`: tells how many drops were wrong, judged on the audit sample."""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..decisions import Outcome, Reason, outcome_of, told_measure
from ..escapes import escaped, json_text
from ..ledger import Ledger, LedgerReader
from ..selection.audit_sample import Judged
from ..store.names import id_meant
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    add_source,
    add_store,
    known_source,
    opened_ledger,
    store_path,
)
from .tables import table as as_table

_EXAMPLES = """\
  stillsift audit --store sifted              the rate of wrong drops, with its interval
  stillsift audit --list                      the pictures, and what was said of them
  stillsift audit --right 00041c 0029e1 --wrong audit/gate/2026/03/01/*.jpg
"""
_UNKNOWN = "unknown"
_MOST_NAMED = 5
_NOTE = """
rate: of the judged drops, those that were wrong. 95 % interval: where the rate of all drops of the
source lies, in 95 of 100 such samples (Clopper-Pearson), if nobody chose which samples to judge.
wrongly dropped: that rate of the dropped frames in the ledger, exact duplicates left out."""

_BY_REASON = dict[Reason | None, Judged]
"""Counts by the reason to drop; None: recovery found the picture and nothing else."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Describes one frame that was laid aside."""

    id: str
    source: str
    path: Path
    """Path of its picture."""
    dropped_as: Reason | None
    """Reason to drop it; None: recovery found the picture and nothing else."""
    missing: bool
    wrong: bool | None
    """Whether a person called the drop wrong; None: not judged yet."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "audit",
        audit,
        "Tell how many drops were wrong, and record what you say of the sample.",
        _EXAMPLES,
    )
    add_store(parser)
    add_source(parser)
    ids = "ids (or how they begin), or paths of the pictures; the last word counts"
    for name, meaning in (("wrong", "should have been kept"), ("right", "rightly dropped")):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            action="extend",
            metavar="ID",
            help=f"{meaning}: {ids}",
        )
    parser.add_argument("--list", action="store_true", help="show the samples one by one")
    add_json(parser)


def audit(given: argparse.Namespace) -> int:
    """Records what was said of the sample, then shows the rates or the samples."""
    store = store_path(given)
    with opened_ledger(given) as ledger:
        source = known_source(given, ledger)
        if given.wrong or given.right:
            wrong = _meant(given, _samples(ledger, store, source))
            # Opened for writing only now: the reader has seen that no table needs an update, which
            # only the daemon may do.
            with Ledger(ledger.path) as writer:
                writer.judge(wrong)
        samples = _samples(ledger, store, source)
        if given.list:
            _print_samples(samples, given.json)
        else:
            _print_rates(_added_up(ledger, samples), _kept(ledger), given.json)
    return 0


def _samples(ledger: LedgerReader, store: Path, source: str | None) -> list[_Sample]:
    said = ledger.judgements()
    samples = []
    for name in ledger.sources() if source is None else [source]:
        for record in ledger.decisions(source=name, reason=Reason.AUDIT):
            one = record.decision
            samples.append(
                _Sample(
                    one.id,
                    name,
                    store / (record.kept_path or ""),
                    one.dropped_as,
                    ledger.kept_file(one.id) is None,
                    said.get(one.id),
                )
            )
    return samples


# -- what was said ---------------------------------------------------------------------------------


def _meant(given: argparse.Namespace, samples: Sequence[_Sample]) -> dict[str, bool]:
    """Returns, by id, whether to drop was wrong. Raises UsageError at the first mistake."""
    ids = sorted(sample.id for sample in samples)
    said = {True: _found(given.wrong, ids), False: _found(given.right, ids)}
    if both := said[True] & said[False]:
        raise UsageError(f"audit: both wrong and right: {', '.join(sorted(both))}")
    return {id: wrong for wrong, some in said.items() for id in some}


def _found(texts: Iterable[str], ids: Sequence[str]) -> set[str]:
    """Returns the ids of the samples that are meant; `ids` are all there are, in order."""
    found = set()
    for text in texts:
        begin = id_meant(text)
        after = begin + "g"  # the letter after the last digit
        meant = ids[bisect_left(ids, begin) : bisect_left(ids, after)]
        if not meant:
            raise UsageError(
                f"audit: {text}: no such sample; `stillsift audit --list` shows those there are"
            )
        if len(meant) > 1:
            raise UsageError(f"audit: {text}: several samples begin so: {_few(meant)}")
        found.add(meant[0])
    return found


def _few(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"{', '.join(ids[:_MOST_NAMED])}{more}; write more digits"


# -- what came of it -------------------------------------------------------------------------------


def _added_up(ledger: LedgerReader, samples: Iterable[_Sample]) -> dict[str, _BY_REASON]:
    """Adds up the samples and drops of every source with samples, by the reason to drop."""
    sources: dict[str, _BY_REASON] = defaultdict(dict)
    nothing = Judged(0, 0, 0, 0, 0)
    for one in samples:
        judged = one.wrong is not None
        so_far = sources[one.source].get(one.dropped_as, nothing)
        sources[one.source][one.dropped_as] = so_far + Judged(
            1, 1, one.missing, judged, one.wrong is True
        )
    for (name, reason), n in ledger.counts().items():
        dropped = outcome_of(reason) is Outcome.DROPPED and reason is not Reason.EXACT_DUPLICATE
        if dropped and name in sources:
            sources[name][reason] = sources[name].get(reason, nothing) + Judged(n, 0, 0, 0, 0)
    return dict(sources)


def _kept(ledger: LedgerReader) -> dict[str, int]:
    """Returns how many frames each source has kept for use, as `sift` and `stats` count them."""
    kept: dict[str, int] = defaultdict(int)
    for (name, reason), n in ledger.counts().items():
        if outcome_of(reason) is Outcome.KEPT and reason is not Reason.AUDIT:
            kept[name] += n
    return kept


def _total(reasons: _BY_REASON) -> Judged:
    return sum(reasons.values(), Judged(0, 0, 0, 0, 0))


def _print_rates(sources: Mapping[str, _BY_REASON], kept: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "source": source,
                "kept": kept[source],
                **_as_json(_total(reasons)),
                "reasons": {reason or _UNKNOWN: _as_json(one) for reason, one in reasons.items()},
            }
            for source, reasons in sources.items()
        ]
        print(json_text(rows, indent=2))
        return
    if not sources:
        print(
            "no samples; `audit: 0.001` in the configuration lays one in 1000 dropped frames aside"
        )
        return
    lines = [
        [
            *("source", "dropped as", "dropped", "sampled", "missing", "judged", "wrong"),
            *("rate", "95 % interval", "wrongly dropped"),
        ]
    ]
    for source, reasons in sources.items():
        for reason, one in sorted(reasons.items(), key=lambda each: -each[1].dropped):
            lines.append([source, reason or _UNKNOWN, *_cells(one)])
        lines.append([source, "all", *_cells(_total(reasons))])
    print(as_table(lines))
    print()
    for source, reasons in sources.items():
        total = _total(reasons)
        told = f"{kept[source]} kept, {total.dropped} dropped, {total.sampled} of them laid aside"
        print(escaped(f"{source}: {told}"))
    print(_NOTE)


def _cells(one: Judged) -> list[str]:
    counted = [one.dropped, one.sampled, one.missing, one.judged, one.wrong]
    cells = [str(number) for number in counted]
    if one.rate is None or one.interval is None:
        return [*cells, "-", "-", "-"]
    low, high = one.interval
    return [
        *cells,
        f"{one.rate:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{one.rate * one.dropped:.0f} ({low * one.dropped:.0f} to {high * one.dropped:.0f})",
    ]


def _as_json(one: Judged) -> dict[str, float | None]:
    low, high = one.interval or (None, None)
    return {
        "dropped": one.dropped,
        "sampled": one.sampled,
        "missing": one.missing,
        "judged": one.judged,
        "wrong": one.wrong,
        "rate": told_measure(one.rate),
        "rate_low": told_measure(low),
        "rate_high": told_measure(high),
        "wrongly_dropped": None if one.rate is None else told_measure(one.rate * one.dropped),
        "wrongly_dropped_low": None if low is None else told_measure(low * one.dropped),
        "wrongly_dropped_high": None if high is None else told_measure(high * one.dropped),
    }


def _print_samples(samples: Sequence[_Sample], as_json: bool) -> None:
    said = {None: None, True: "wrong", False: "right"}
    rows = [
        {
            "id": one.id,
            "source": one.source,
            "dropped_as": one.dropped_as,
            "judged": said[one.wrong],
            "missing": one.missing,
            "path": str(one.path),
        }
        for one in samples
    ]
    if as_json:
        print(json_text(rows, indent=2))
    elif rows:
        heading = ["id", "dropped as", "judged", "picture"]
        lines = [
            [one.id, one.dropped_as or _UNKNOWN, said[one.wrong] or "-", str(one.path)]
            for one in samples
        ]
        print(as_table([heading, *lines]))
    else:
        print("no samples")
