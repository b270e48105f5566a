"""Implements `stillsift tune`: tries other limits on what is recorded, and proposes some."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ..config import Config, ConfigError
from ..config.edited import difference, edited
from ..config.settings import SourceSettings
from ..escapes import escaped, json_text
from ..ledger import LedgerReader
from ..ledger.records import Correction, CorrectionKind
from ..review.what_if import KEYS, Recorded, changed, limits_of, recorded
from ..selection.audit_sample import clopper_pearson
from ..selection.replay import (
    FACTORS_TRIED,
    FEW,
    Fitted,
    Tried,
    WhatIf,
    Wish,
    fitted,
    nearest,
    tried,
)
from ..selection.sensitivity import Sensitivity
from ..store.durable_files import sync_folder
from ..units import counted, shown_duration
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    add_source,
    add_span,
    add_store,
    configured,
    known_source,
    opened_ledger,
    span_ns,
    usual_config,
)
from .tables import table

_EXAMPLES = """\
  stillsift tune --store sifted                           what other limits would have kept
  stillsift tune --source gate --set min_gap=10s          the same of one change
  stillsift tune -c config.yaml --source gate --kept-per-day 200
  stillsift tune -c config.yaml --keep-rate 1% --write    puts it into config.yaml
  stillsift tune -c config.yaml --from-corrections        limits that agree with what you said
"""
_NOTE = """
+, -: frames that would be kept beside and instead of today's. "+- n": what the number may be off,
in two of three cases. An estimate: what is kept changes what later frames are compared with."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Describes one row of the table: settings, and what they would have kept."""

    name: str
    sensitivity: str
    novelty_limit: float
    found: WhatIf


@dataclass(slots=True, eq=False)
class _Tuned:
    """Collects what is told of one source."""

    past: Recorded
    settings: SourceSettings
    """Those of today."""
    now: WhatIf
    """What today's limits would have kept."""
    lines: list[_Line]
    doubts: list[str]
    proposed: Tried | None = None
    """None: nothing was asked for, or nothing is better than today's."""
    fit: Fitted | None = None
    """How the proposal agrees with the corrections; None: they were not asked for, or none is
    known."""
    words: list[str] = field(default_factory=list)
    """Sentences about the proposal."""

    @property
    def changes(self) -> dict[str, str | float]:
        """Gives the keys that the proposal changes."""
        if self.proposed is None:
            return {}
        new: dict[str, str | float] = {
            "sensitivity": self.proposed.sensitivity.value,
            "novelty_limit": self.proposed.asked,
        }
        return {key: value for key, value in new.items() if getattr(self.settings, key) != value}


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "tune",
        tune,
        "Try other limits on what is recorded, without a look at any picture, and propose some.",
        _EXAMPLES,
    )
    add_store(parser)
    add_source(parser)
    add_span(parser)
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"try this instead of the usual table; repeatable. KEY: {', '.join(KEYS)}",
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--keep-rate", metavar="SHARE", help="propose limits that keep 1%% or 0.01")
    wanted.add_argument(
        "--kept-per-day", type=float, metavar="N", help="propose limits that keep N frames a day"
    )
    wanted.add_argument(
        "--from-corrections",
        action="store_true",
        help="propose the limits that contradict the fewest corrections",
    )
    parser.add_argument(
        "--write", action="store_true", help="write what is proposed into the configuration"
    )
    add_json(parser)


def tune(given: argparse.Namespace) -> int:
    """Prints what other limits would have kept of each source, and what is proposed."""
    rate = _share(given.keep_rate)
    asks = rate is not None or given.kept_per_day is not None or given.from_corrections
    if given.kept_per_day is not None and not given.kept_per_day > 0:
        raise UsageError("--kept-per-day: how many? It has to be more than 0")
    if given.write and not asks:
        raise UsageError("--write: say which: --keep-rate, --kept-per-day or --from-corrections")
    _check_known(given.settings)
    file, config = _configuration(given)
    if given.write and file is None:
        raise UsageError("--write: name the configuration with -c")
    with opened_ledger(given) as ledger:
        only = known_source(given, ledger)
        corrections = ledger.corrections_in_force() if given.from_corrections else []
        sources = ledger.sources() if only is None else [only]
        looked = (_looked_at(given, ledger, config, source) for source in sources)
        found = [each for each in looked if each is not None]
    for each in found:
        if given.from_corrections:
            _propose_by(each, corrections)
        elif asks:
            frames, days = len(each.past.measures), each.past.measures.days
            _propose(each, rate * frames if rate is not None else given.kept_per_day * days)
    changes = {each.past.source: each.changes for each in found if each.changes}
    shown, written = "", False
    if file is not None and config is not None:
        there = {source.name for source in config.sources}
        inside = {name: values for name, values in changes.items() if name in there}
        if given.write and (lacking := sorted(set(changes) - there)):
            raise UsageError(f"--write: {file} has no source {', '.join(lacking)}")
        if inside:
            before, after = edited(file, inside)
            shown = difference(file, before, after)
            if given.write:
                _replace(file, before, after)
                written = True
    if given.json:
        print(json_text({"sources": [*map(_as_json, found)], "diff": shown, "written": written}))
        return 0
    if not found:
        print("nothing recorded yet")
        return 0
    for each in found:
        _print(each)
    if shown:
        done = f"written to {file}" if written else "to be written with --write"
        print(f"\n{shown}\n\n{escaped(done)}")
    if written:
        print("A running daemon takes it up with `systemctl reload stillsift`, or SIGHUP.")
    return 0


# -- what is recorded ------------------------------------------------------------------------------


def _configuration(given: argparse.Namespace) -> tuple[Path | None, Config | None]:
    """Returns the configuration of the store and its file; None: there is none, or it is that of
    another store."""
    file = usual_config(given.config)
    if file is None:
        return None, None
    if given.config is not None or given.store is None:
        return file, configured(given)
    try:
        config = configured(given)
    except ConfigError:
        return None, None
    same = config.store.path.resolve() == Path(given.store).resolve()
    return (file, config) if same else (None, None)


def _check_known(assignments: Sequence[str]) -> None:
    """Raises UsageError for an unknown key, with those that can be tried."""
    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if key not in SourceSettings.model_fields:
            near = get_close_matches(key, KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(KEYS)}"
            raise UsageError(f"--set {key}: unknown key; {hint}")


def _looked_at(
    given: argparse.Namespace, ledger: LedgerReader, config: Config | None, source: str
) -> _Tuned | None:
    """Returns what limits would have kept of a source; None: nothing is recorded of that time."""
    own = next((each for each in config.sources if each.name == source), None) if config else None
    past = recorded(ledger, source, *span_ns(given), usual=own)
    if past is None:
        return None
    settings = own or past.settings
    now = past.at(settings)
    lines = [_line("today", settings, now)]
    if given.settings:
        other = changed(settings, given.settings)
        lines.append(_line(" ".join(given.settings), other, past.at(other)))
    else:
        today = limits_of(settings)
        pairs = [(word, today.asked) for word in Sensitivity if word != today.sensitivity]
        pairs += [(today.sensitivity, each) for each in FACTORS_TRIED[::2] if each != today.asked]
        lines += [
            _Line("", each.sensitivity, each.asked, each.found)
            for each in tried(past.measures, limits_of(past.settings), today, pairs)
        ]
    told = dict.fromkeys(doubt for line in lines for doubt in line.found.doubts)
    return _Tuned(past, settings, now, lines, [*past.doubts, *told])


def _line(name: str, settings: SourceSettings, found: WhatIf) -> _Line:
    return _Line(name, settings.sensitivity, settings.novelty_limit, found)


# -- what is proposed ------------------------------------------------------------------------------


def _share(text: str | None) -> float | None:
    """Returns a share that is written as 1% or 0.01; None: none is."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--keep-rate {text}: not a share; write 1% or 0.01")
    return share


def _all(each: _Tuned) -> list[Tried]:
    """Returns what every pair of limits would have kept."""
    factors = sorted({*FACTORS_TRIED, each.settings.novelty_limit})
    pairs = [(word, factor) for word in Sensitivity for factor in factors]
    return tried(each.past.measures, limits_of(each.past.settings), limits_of(each.settings), pairs)


def _propose(each: _Tuned, wanted: float) -> None:
    """Proposes the limits with which about as many frames are kept as are wanted."""
    wanted = max(1, round(wanted))  # half a frame is no reason to leave today's limits
    best = nearest(_all(each), wanted, limits_of(each.settings))
    each.proposed = best
    each.words.append(
        f"{_about(best.found)} of {len(each.past.measures)} frames would be kept; "
        f"wanted: {wanted:.0f}"
    )
    count, error = best.found.count, max(best.found.error, 1.0)
    if abs(count - wanted) > 2 * error and abs(count / wanted - 1) > 0.25:
        key = "max_per_day" if count > wanted else "heartbeat"
        each.words.append(f"no pair of these comes near; {key} gives a number whatever is seen")


def _propose_by(each: _Tuned, corrections: Sequence[Correction]) -> None:
    """Proposes the limits that contradict the fewest corrections."""
    wishes = [_wish(correction) for correction in corrections]
    fit = fitted(each.past.measures, _all(each), each.now, wishes, limits_of(each.settings))
    each.fit = fit
    if fit is None:
        each.words.append("no correction is about a frame of this source and time")
        return
    low, high = clopper_pearson(fit.left_out, fit.wishes)
    each.words.append(
        f"of {counted(fit.wishes, 'correction')}, today's limits contradict {fit.now}, the best "
        f"{fit.left}; left out one by one, {fit.left_out} are contradicted by limits chosen "
        f"without them ({low:.0%} to {high:.0%} of all, at 95 %)"
    )
    if fit.wishes < FEW:
        each.words.append(f"too few to choose limits by; {FEW} or more tell something")
    elif fit.left_out >= fit.now:
        each.words.append("nothing is gained over today's limits, so they stay")
    else:
        each.proposed = fit.best


def _wish(correction: Correction) -> Wish:
    """Returns what a correction asks for: of a pair that shows the same, not both are kept."""
    other = correction.other_decision_id
    ids = (correction.decision_id,) if other is None else (correction.decision_id, other)
    return Wish(ids, correction.kind in (CorrectionKind.KEEP, CorrectionKind.DIFFERENT))


def _replace(path: Path, before: str, after: str) -> None:
    """Puts a text in the place of a configuration in one step, with its owner and rights.

    There is no copy of the old one: the diff that is shown undoes it with `patch -R`.
    """
    path = path.resolve()
    stat = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(after)
            file.flush()
            os.fchmod(file.fileno(), stat.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), stat.st_uid, stat.st_gid)
            os.fsync(file.fileno())
        if path.read_bytes() != before.encode():
            raise UsageError(f"--write: {path} was changed meanwhile; do it again")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


# -- how it is told --------------------------------------------------------------------------------


def _about(found: WhatIf) -> str:
    return f"{found.count} +- {found.error:.0f}" if round(found.error) else str(found.count)


def _print(each: _Tuned) -> None:
    frames, days = len(each.past.measures), each.past.measures.days
    timed = bool(each.past.measures.timed.any())
    lasted = f" in {shown_duration(each.past.measures.seconds)}" if timed else ""
    print(f"\n{escaped(each.past.source)}: {counted(frames, 'frame')}{lasted}")
    per_day = ["a day"] if timed else []
    rows = [["sensitivity", "novelty_limit", "kept", "share", *per_day, "+", "-", ""]]
    order = list(Sensitivity)
    for line in sorted(
        each.lines, key=lambda one: (order.index(Sensitivity(one.sensitivity)), -one.novelty_limit)
    ):
        added, lost = _against(each.now, line.found)
        rows.append(
            [
                line.sensitivity,
                f"{line.novelty_limit:g}",
                _about(line.found),
                f"{line.found.count / frames:.2%}",
                *([f"{line.found.count / days:.0f}"] if timed else []),
                str(added),
                str(lost),
                line.name,
            ]
        )
    print(table(rows))
    for doubt in each.doubts:
        print(f"not known: {escaped(doubt)}")
    for word in each.words:
        print(escaped(word))
    if each.changes:
        told = ", ".join(f"{key}: {value}" for key, value in each.changes.items())
        print(escaped(f"proposed: {told}"))
    elif each.proposed is not None:
        print("proposed: today's limits")
    print(_NOTE.strip())


def _against(now: WhatIf, found: WhatIf) -> tuple[int, int]:
    """Returns how many frames are kept beside and instead of those of today."""
    return int((found.kept & ~now.kept).sum()), int((now.kept & ~found.kept).sum())


def _as_json(each: _Tuned) -> dict[str, object]:
    frames, days = len(each.past.measures), each.past.measures.days
    timed = bool(each.past.measures.timed.any())
    return {
        "source": each.past.source,
        "frames": frames,
        "days": round(days, 4) if timed else None,
        "tried": [
            {
                "name": line.name or None,
                "sensitivity": line.sensitivity,
                "novelty_limit": line.novelty_limit,
                "kept": line.found.count,
                "share": round(line.found.count / frames, 6),
                "per_day": round(line.found.count / days, 3) if timed else None,
                "error": round(line.found.error, 2),
                "added": each.past.measures.those(line.found.kept & ~each.now.kept),
                "lost": each.past.measures.those(each.now.kept & ~line.found.kept),
            }
            for line in each.lines
        ],
        "not_known": each.doubts,
        "proposed": each.changes if each.proposed is not None else None,
        "corrections": None
        if each.fit is None
        else {
            "known": each.fit.wishes,
            "contradicted_now": each.fit.now,
            "contradicted_best": each.fit.left,
            "contradicted_left_out": each.fit.left_out,
        },
        "words": each.words,
    }
