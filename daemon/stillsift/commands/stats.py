"""Implements `stillsift stats`: shows what each source offered and what was kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console

from ..decisions import Outcome, Reason, outcome_of, time_text
from ..escapes import escaped, json_text
from ..ledger.records import SourceStats
from ..sources import LeftAlone
from ..units import counted, shown_size
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    add_source,
    add_store,
    known_source,
    opened_ledger,
)
from .tables import table
from .tally import by_outcome, left_alone_line
from .watch import watch

_EXAMPLES = """\
  stillsift stats --store sifted
  stillsift stats --json
  stillsift stats --watch                 what goes on now, until Ctrl-C
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "stats", stats, "Add up what each source offered and what was kept.", _EXAMPLES
    )
    add_store(parser)
    add_source(parser)
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=2.0,
        metavar="SECONDS",
        help="show what comes in and what is kept, anew every so many seconds (2), until Ctrl-C",
    )
    add_json(parser)


def stats(given: argparse.Namespace) -> int:
    """Prints a line for each source, then its frames by outcome and reason."""
    if given.watch is not None and (given.json or not given.watch > 0):
        raise UsageError("stats: --watch is for people, and for more than 0 seconds")
    with opened_ledger(given) as ledger:
        only = known_source(given, ledger)
        if given.watch is not None:
            watch(lambda: ledger.stats(only), given.watch, Console())
            return 0
        sources = ledger.stats(only)
    if given.json:
        print(json_text([_as_json(source) for source in sources], indent=2))
        return 0
    if not sources:
        print("nothing recorded yet")
        return 0
    heading = ["source", "frames", "kept", "share", "dropped", "failed", "lost", "size", "gaps"]
    rows = [_as_row(source) for source in sources]
    if any(map(_aside, sources)):
        heading.append("aside")
        rows = [[*row, str(_aside(source))] for row, source in zip(rows, sources, strict=True)]
    print(table([heading, *rows]))
    for source in sources:
        print(
            "\n".join(
                [f"\n{escaped(source.source)}", *by_outcome(source.reasons), *_remarks(source)]
            )
        )
    return 0


def _remarks(source: SourceStats) -> Iterator[str]:
    samples = source.samples
    if samples.sampled:
        judged = "all" if samples.judged == samples.sampled else samples.judged
        left = f"{samples.open} not judged yet" if samples.open else f"{judged} judged"
        aside = counted(samples.sampled, "dropped frame")
        yield f"  aside    {aside} in audit/, {left}: stillsift audit"
    gone = [counted(source.missing, "kept frame")] if source.missing else []
    if samples.missing:
        gone.append(f"{counted(samples.missing, 'picture')} of the audit")
    if gone:
        yield f"  missing  {', '.join(gone)}: gone from the store"
    yield from left_alone_line(LeftAlone(source.left_alone))


def _count(source: SourceStats, outcome: Outcome) -> int:
    return sum(n for reason, n in source.reasons.items() if outcome_of(reason) is outcome)


def _aside(source: SourceStats) -> int:
    return source.reasons.get(Reason.AUDIT, 0)


def _as_row(source: SourceStats) -> list[str]:
    kept = _count(source, Outcome.KEPT) - _aside(source)
    return [
        source.source,
        str(source.offered),
        str(kept),
        f"{kept / source.offered:.2%}" if source.offered else "-",
        *(str(_count(source, o)) for o in (Outcome.DROPPED, Outcome.FAILED, Outcome.LOST)),
        shown_size(source.kept_bytes),
        str(source.gaps),
    ]


def _as_json(source: SourceStats) -> dict[str, object]:
    return {
        "source": source.source,
        "frames": source.offered,
        **{outcome.value: _count(source, outcome) for outcome in Outcome},
        "kept": _count(source, Outcome.KEPT) - _aside(source),
        "aside": _aside(source),
        "reasons": {reason.value: n for reason, n in sorted(source.reasons.items())},
        "kept_bytes": source.kept_bytes,
        "missing": source.missing,
        "audit": asdict(source.samples),
        "first_captured_at": None if source.first_ns is None else time_text(source.first_ns),
        "last_captured_at": None if source.last_ns is None else time_text(source.last_ns),
        "files": {state.value: n for state, n in sorted(source.files.items())},
        "gaps": source.gaps,
        "gap_s": round(source.gap_s, 3),
        "left_alone": source.left_alone,
    }
