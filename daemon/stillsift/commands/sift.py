"""Implements `stillsift sift`: runs the same line over past footage, to its end."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import sys
import threading
import time
from pathlib import Path

from pydantic import ValidationError

from .. import units
from ..config import Config, SourceConfig, load
from ..config.secrets import redacted
from ..config.yaml_file import with_overrides
from ..decisions import Reason
from ..pipeline import Engine, Line
from ..pipeline.engine import place_of
from ..problems import Problem
from ..service import Metrics
from ..service.logs import set_up_logging
from ..service.signals import Signals
from ..sources import Source
from ..sources.files import DirectorySource
from .arguments import Commands, UsageError, add_command, add_json
from .progress import Progress, show_progress
from .tables import decision_row
from .tally import Tally

log = logging.getLogger(__name__)

_LONGEST_NAME = 60
"""Longest name of a source: 64 characters, less room for a number."""

_EXAMPLES = """\
  stillsift sift photos/ --output sifted
  stillsift sift day1.mp4 day2.mp4 --output sifted --set rate=all
  stillsift sift rtsp://camera.local/stream --duration 10m --output sifted
  stillsift sift clips/ --dry-run --decisions decisions.jsonl
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "sift",
        sift,
        "Keep the informative frames of image folders, clips and streams.",
        _EXAMPLES,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH_OR_URL", help="folder, file or rtsp URL")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="store for what is kept")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="take settings from FILE")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of `defaults:`, VALUE is YAML; may be repeated",
    )
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="write every decision to FILE (JSON Lines)"
    )
    parser.add_argument("--duration", metavar="TIME", help="listen to a camera this long (10m)")
    parser.add_argument("--dry-run", action="store_true", help="decide, but keep nothing")
    add_json(parser)


def sift(given: argparse.Namespace) -> int:
    """Sifts every path to its end.

    Returns 0 when done, 130 when interrupted, and 1 where a path ended with an error or nothing of
    it could be read.
    """
    if given.output is None and not given.dry_run:
        raise UsageError("sift: name a directory to keep frames in: --output DIR (or --dry-run)")
    if given.decisions is not None and not given.decisions.absolute().parent.is_dir():
        raise UsageError(f"sift: --decisions {given.decisions}: there is no such directory")
    config = with_overrides(load(given.config), given.set)
    if given.output is not None:
        store = config.store.model_copy(update={"path": given.output.absolute()})
        config = config.model_copy(update={"store": store})
    sources = _sources(given.paths, config)
    for place in () if given.dry_run else (source.directory for source in sources):
        if place is not None and place.resolve().is_relative_to(config.store.path.resolve()):
            raise UsageError(f"sift: {place}: lies in the store that frames are to be kept in")
    duration_s = None if given.duration is None else _duration(given.duration)
    set_up_logging("warning", config.log.format, stream=sys.stderr)
    store_asked = None if given.dry_run else config.store.path
    tallies = {each.name: Tally(each.name, place_of(each), store_asked) for each in sources}
    with (
        Signals() as signals,
        Engine(config, Metrics(), dry_run=given.dry_run) as engine,
        show_progress(tallies) as progress,
    ):
        engine.groups.define(sources)
        runs = [_Run(engine, source, tallies[source.name], duration_s) for source in sources]
        _run_all(runs, signals, progress)
        _tidy(engine)
        if given.decisions is not None:
            _write_decisions(given.decisions, engine, [source.name for source in sources])
        interrupted = signals.stop.is_set()
    _print_summary(list(tallies.values()), given, config, interrupted)
    if interrupted:
        return 130
    return 1 if any(tally.fruitless for tally in tallies.values()) else 0


class _Run:
    """Runs one source to its end; an error ends this source alone and stands in its tally."""

    def __init__(
        self, engine: Engine, source: SourceConfig, tally: Tally, duration_s: float | None
    ) -> None:
        self.live = source.rtsp is not None
        self._engine = engine
        self._source = source
        self._tally = tally
        self._duration_s = duration_s
        self._line: Line | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        if self._stopped.is_set():
            return
        begin = time.monotonic()
        self._tally.begun = True
        try:
            self._line = self._engine.line(
                self._source, watch=False, duration_s=self._duration_s, on_decision=self._tally.note
            )
            self._line.run()
            if not self._stopped.is_set():  # after an interruption, a later run goes on with them
                self._engine.ledger.end_alarms([self._source.name])
                if not self._tally.frames:
                    self._tally.error = self._absence(self._line.source)
        except Problem as problem:
            self._tally.error = str(problem)
        except Exception as error:
            log.exception("%s: unexpected", self._source.name)
            self._tally.error = f"unexpected: {error!r}"
        if self._line is not None and isinstance(self._line.source, DirectorySource):
            self._tally.left_alone = self._line.source.left_alone
        self._tally.seconds = time.monotonic() - begin

    def _absence(self, source: Source) -> str | None:
        """Tells why nothing came, where no footage is there; None: all that is there is decided.

        What was decided may be gone by now, if `retire` asks for that; that is no mistake.
        """
        if not isinstance(source, DirectorySource) or source.name in self._engine.ledger.sources():
            return None
        return source.nothing_to_read()

    def stop(self) -> None:
        self._stopped.set()
        if self._line is not None:
            self._line.stop()


def _run_all(runs: list[_Run], signals: Signals, progress: Progress) -> None:
    """Runs cameras side by side and files one after the other, until the end or Ctrl-C."""
    files = [run for run in runs if not run.live]

    def one_after_the_other() -> None:
        for run in files:
            run.run()

    threads = [threading.Thread(target=run.run, name="camera") for run in runs if run.live]
    if files:
        threads.append(threading.Thread(target=one_after_the_other, name="files"))
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        signals.wait(0.2)
        progress()
        if signals.stop.is_set():
            for run in runs:
                run.stop()
    for thread in threads:
        thread.join()


def _tidy(engine: Engine) -> None:
    try:
        engine.tidy(time.time_ns())
    except Problem as problem:
        log.warning("quarantine: %s", problem)


# -- what to sift ----------------------------------------------------------------------------------


def _sources(given: list[str], config: Config) -> list[SourceConfig]:
    """Makes a source for each path or URL, named after it."""
    names: set[str] = set()
    sources = []
    for text in given:
        is_url = "://" in text
        if not is_url and not Path(text).exists():
            raise UsageError(f"sift: {text}: no such file or directory")
        name = _unused_name(text if is_url else str(Path(text).absolute()), names)
        place = {"rtsp": text} if is_url else {"directory": Path(text).absolute()}
        try:
            source = SourceConfig.model_validate({"name": name, **place})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"sift: {redacted(text)}: {reason}") from error
        sources.append(source.under(config.defaults))
    return sources


def _unused_name(text: str, names: set[str]) -> str:
    """Returns a name from the last part of a path or URL that no other source has."""
    parts = [re.sub(r"[^\w.-]+", "_", part).strip("._-") for part in text.split("/")]
    parts = [part for part in parts if part] or ["source"]
    name = parts[-1] if Path(text).is_dir() else Path(parts[-1]).stem
    if name in names and len(parts) > 1:
        name = f"{parts[-2]}-{name}"
    if len(name) > _LONGEST_NAME:  # cut, but still a name of its own
        name = f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    number, unused = 2, name
    while unused in names:
        unused = f"{name}-{number}"
        number += 1
    names.add(unused)
    return unused


def _duration(text: str) -> float:
    try:
        return units.duration(text)
    except ValueError as error:
        raise UsageError(f"sift: --duration {text}: {error}") from error


# -- what came of it -------------------------------------------------------------------------------


def _write_decisions(file: Path, engine: Engine, sources: list[str]) -> None:
    """Writes every decision about these sources, also those of a run that this one goes on with."""
    partial = file.with_name(f".{file.name}.part")
    try:
        # A file name that is not UTF-8 comes out as the JSON escapes of Python's surrogates.
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as out:
            for source in sources:
                for record in engine.ledger.decisions(source=source):
                    path = record.kept_path
                    if path is not None:
                        path = engine.config.store.path / path
                    json.dump(decision_row(record.decision, path), out, ensure_ascii=False)
                    out.write("\n")
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"--decisions {file}: cannot be written: {error.strerror}") from error


def _print_summary(
    tallies: list[Tally], given: argparse.Namespace, config: Config, interrupted: bool
) -> None:
    store = None if given.dry_run else config.store.path
    if given.json:
        summary = {
            "sources": [tally.as_json() for tally in tallies],
            "store": None if store is None else str(store),
            "dry_run": store is None,
            "interrupted": interrupted,
        }
        print(json.dumps(summary, ensure_ascii=False, indent=2))
        return
    for tally in tallies:
        print(tally.as_text())
    if interrupted:
        print("Interrupted. The same command goes on where this one stopped.")
    if store is not None:
        _print_places(store, tallies)
    elif any(tally.kept for tally in tallies):
        print("A dry run: nothing was kept.")


def _print_places(store: Path, tallies: list[Tally]) -> None:
    """Prints where to look at what was kept, by this run or an earlier one, and at the reasons."""
    if any(not folder.name.startswith(".") for folder in (store / "kept").iterdir()):
        print(f"Kept frames   {store / 'kept'}")
    if any(tally.reasons[Reason.AUDIT] for tally in tallies):
        print(f"Audit sample  {store / 'audit'} (stillsift audit --store {store})")
    if any(tally.frames or tally.error is None for tally in tallies):
        print(f"Why           stillsift decisions --store {store}")
