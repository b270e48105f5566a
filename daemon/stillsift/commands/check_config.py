"""`stillsift check-config`: every mistake of a configuration at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import models
from ..config import Config, SourceConfig
from ..config_file import load
from ..config_schema import schema
from ..engine import open_source, place_of
from ..frames import Frame
from ..problems import Problem
from ..sources import FileIdentity, Gap
from ..store import Store
from ..units import counted
from . import Commands, UsageError, add_command, add_json, usual_config

_EXAMPLES = """\
  stillsift check-config config.yaml
  stillsift check-config config.yaml --probe    also open the model, the store and every source
  stillsift check-config --schema > schema.json for editors that check YAML as you type
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "check-config",
        check_config,
        "Check a configuration; every mistake with its line.",
        _EXAMPLES,
    )
    parser.add_argument("config", nargs="?", type=Path, metavar="FILE", help="default: as for run")
    parser.add_argument("--probe", action="store_true", help="open model, store and sources too")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema and end")
    add_json(parser)


def check_config(given: argparse.Namespace) -> int:
    """0: it is right; 78: it has mistakes; 1: it is right, and something it names is not there."""
    if given.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    file = usual_config(given.config)
    if file is None:
        raise UsageError("check-config: name a file; there is no config.yaml in the usual places")
    config = load(file)
    models.spec_of(config.model)  # names a model that there is
    probes = list(_probes(config)) if given.probe else []
    if given.json:
        found = [{"what": what, "problem": problem} for what, problem in probes]
        sources = [source.name for source in config.sources]
        print(json.dumps({"file": str(file), "sources": sources, "probes": found}, indent=2))
    else:
        print(f"{file}: right; {counted(len(config.sources), 'source')}")
        for what, problem in probes:
            print(f"  {what}: {problem or 'ok'}")
    return 1 if any(problem for _, problem in probes) else 0


def _probes(config: Config) -> Iterator[tuple[str, str | None]]:
    """What was opened, and what stood in the way; None: nothing."""
    yield "model", _problem(lambda: models.open_model(config.model))
    yield f"store {config.store.path}", _problem(Store(config.store.path).prepare)
    for source in config.sources:
        yield f"source {source.name} ({place_of(source)})", _source_problem(source)


def _problem(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except Problem as problem:
        return str(problem)
    return None


class _Nothing:
    """A past in which nothing happened."""

    def next_frame(self, _identity: FileIdentity) -> int | None:
        return 0

    def earlier(self, _content_hash: str) -> Path | None:
        return None


def _source_problem(config: SourceConfig) -> str | None:
    """Open a camera until its first frame, or look whether a directory can be listed."""
    if config.directory is not None:
        try:
            next(iter(config.directory.iterdir()), None)
        except NotADirectoryError:
            return None
        except OSError as error:
            return error.strerror
        return None
    source = open_source(config, _Nothing(), watch=False, duration_s=config.timeout)
    for item in source.items():
        if isinstance(item, Frame):
            source.stop()
            return None
        if isinstance(item, Gap):
            source.stop()
            return item.cause
    return "no frame came"
