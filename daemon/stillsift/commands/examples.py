"""Implements `stillsift examples`: tells how well example pictures tell good from bad."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from ..config import Config, SourceConfig
from ..config.settings import ExampleSettings, SourceSettings
from ..decisions import told_measure
from ..embedding import Embedder
from ..escapes import escaped, json_text
from ..pipeline import model_choice
from ..pipeline.example_folders import ExampleFolder, ExamplesError, folders_of, read_folder
from ..selection.examples import Contradiction, Example, Examples, Fit, Report, in_both
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_config, add_json, configured

_EXAMPLES = """\
  stillsift examples good/ bad/             before they are put to use
  stillsift examples good/                  good ones alone
  stillsift examples -c config.yaml --source gate
  stillsift sift photos/ --output sifted --set 'examples={positive: good, negative: bad}'
"""

_MOST_TOLD = 20
"""Most pictures of each kind that are named in the text; JSON names all."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "examples",
        examples,
        "Tell how well example pictures tell good frames from bad ones.",
        _EXAMPLES,
    )
    parser.add_argument("positive", nargs="?", type=Path, metavar="POSITIVE", help="good pictures")
    parser.add_argument("negative", nargs="?", type=Path, metavar="NEGATIVE", help="bad pictures")
    parser.add_argument("--source", metavar="NAME", help="the examples of this source instead")
    add_config(parser)
    add_json(parser)


@dataclass(frozen=True, slots=True)
class _Found:
    """Holds all that is to be told of the examples."""

    report: Report
    same: list[tuple[str, str]]
    """Names of the pictures that are in both folders."""
    unread: dict[str, list[str]]
    """What could not be read, for each folder by its key."""


def examples(given: argparse.Namespace) -> int:
    """Reads the examples and prints how well they separate.

    Returns 1 where a picture is in both folders, since a source would not begin with them.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    config = configured(given)
    settings = _settings(given, config)
    embed = Embedder(model_choice.open_model(config.model))
    read = {
        key: read_folder(key, path, embed, settings) for key, path in folders_of(settings.examples)
    }
    found = _judged(read)
    print(json_text(_as_json(found), indent=2) if given.json else _as_text(found))
    return 1 if found.same else 0


def _settings(given: argparse.Namespace, config: Config) -> SourceSettings:
    """Returns the settings whose examples are asked for. Raises UsageError."""
    if given.positive is not None:
        if given.source is not None:
            raise UsageError("examples: name folders or --source, not both")
        folders = ExampleSettings(positive=given.positive, negative=given.negative)
        return config.defaults.model_copy(update={"examples": folders})
    cleaned = [source for source in config.sources if source.examples]
    return _chosen(given.source, cleaned)


def _chosen(name: str | None, cleaned: list[SourceConfig]) -> SourceConfig:
    named = [source for source in cleaned if name in (None, source.name)]
    if not cleaned:
        raise UsageError("examples: name a folder; no source of the configuration has examples")
    if not named or (name is None and len({source.examples for source in cleaned}) > 1):
        have = ", ".join(source.name for source in cleaned)
        raise UsageError(f"examples: name one of the sources that have examples: --source {have}")
    return named[0]


def _judged(read: dict[str, ExampleFolder]) -> _Found:
    """Judges all pictures but those in both folders. Raises ExamplesError if too few are left."""
    good, bad = (read[key].examples if key in read else [] for key in ("positive", "negative"))
    same = in_both(good, bad)
    unread = {key: folder.unread for key, folder in read.items() if folder.unread}
    try:
        made = Examples(
            _without(good, {one for one, _ in same}), _without(bad, {other for _, other in same})
        )
    except ValueError as error:
        first, other = same[0]
        reason = f"{counted(len(same), 'picture')} in both folders, the first is {first} ({other})"
        raise ExamplesError("", f"{reason}; without those, {error}") from error
    return _Found(made.report(), same, unread)


def _without(some: list[Example], names: set[str]) -> list[Example]:
    return [each for each in some if each.name not in names]


def in_short(report: Report) -> str:
    """Tells in one line how well examples separate."""
    parts = [
        f"{counted(fit.pictures, f'{word} picture')}, {fit.passing:.0%} told right"
        for word, fit in (("good", report.good), ("bad", report.bad))
        if fit is not None
    ]
    if report.auc is not None:
        parts.append(f"AUC {report.auc:.2f}")
    return "; ".join(parts)


def _as_text(found: _Found) -> str:
    report = found.report
    lines = [
        f"{word} {counted(fit.pictures, 'picture')}, {counted(fit.prototypes, 'prototype')}; "
        f"left out in turn, {fit.passing:.0%} told right"
        for word, fit in (("good:", report.good), ("bad: ", report.bad))
        if fit is not None
    ]
    if report.auc is None:
        lines.append("one folder alone separates badly; show the other kind as well")
    else:
        lines.append(
            f"AUC {report.auc:.2f}: so many pairs of a good and a bad one are in order "
            f"(0.5: chance){_verdict(report.auc)}"
        )
    for one, other in found.same[:_MOST_TOLD]:
        lines.append(f"in both folders: {one} (bad: {other}); take it out of one")
    lines += _told_more(len(found.same))
    lines += [_told(each) for each in report.contradictions[:_MOST_TOLD]]
    lines += _told_more(len(report.contradictions))
    for key, unread in found.unread.items():
        lines += [f"{key}: left out: {each}" for each in unread[:_MOST_TOLD]]
        lines += _told_more(len(unread))
    return "\n".join(map(escaped, lines))


def _verdict(auc: float) -> str:
    """Says what to do about examples that separate badly."""
    return (
        "" if auc >= 0.9 else "; not enough to clean by; add pictures, or look through those below"
    )


def _told(each: Contradiction) -> str:
    kind, others = ("good", "bad") if each.good else ("bad", "good")
    if each.other is None:
        return f"{kind}, unlike the others: {each.name} ({each.own:.2f} away)"
    return (
        f"{kind}, but nearer to the {others} ones: {each.name} ({each.own:.2f} from its own, "
        f"{each.other:.2f} from the others, {each.nearest_distance:.2f} from {each.nearest})"
    )


def _told_more(count: int) -> list[str]:
    return [f"... and {count - _MOST_TOLD} more; --json names all"] if count > _MOST_TOLD else []


def _as_json(found: _Found) -> dict[str, object]:
    def told(one: Fit | Contradiction) -> dict[str, object]:
        return {
            key: told_measure(value) if isinstance(value, float) else value
            for key, value in dataclasses.asdict(one).items()
        }

    report = found.report
    return {
        "positive": None if report.good is None else told(report.good),
        "negative": None if report.bad is None else told(report.bad),
        "auc": told_measure(report.auc),
        "in_both": [{"positive": one, "negative": other} for one, other in found.same],
        "contradictions": [told(each) for each in report.contradictions],
        "left_out": found.unread,
    }
