"""Implements `stillsift sift`: runs the same line over past footage, to its end."""

from __future__ import annotations

import argparse
import hashlib
import logging
import re
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from .. import units
from ..config import Config, SourceConfig, load
from ..config.secrets import MASK, login_of, redacted
from ..config.settings import siblings
from ..config.yaml_file import with_overrides
from ..decisions import Reason
from ..escapes import escaped, json_text
from ..pipeline import Engine, Line
from ..pipeline.engine import place_of
from ..problems import Problem
from ..service import Metrics
from ..service.logs import set_up_logging
from ..service.signals import Signals
from ..sources import ClipPosition, Position, Source
from ..sources.camera import RtspSource
from ..sources.files import DirectorySource, unmatched
from . import process_list
from .arguments import Commands, UsageError, add_command, add_json
from .pasted import pasted
from .progress import Progress, show_progress
from .tables import decision_row
from .tally import Tally

log = logging.getLogger(__name__)

_LONGEST_NAME = 60
"""Longest name of a source: 64 characters, less room for a number."""

_TIDY_S = 5.0
"""Seconds for forgetting old decisions at the end; the next run goes on with the rest."""

_EXAMPLES = """\
  stillsift sift photos/ --output sifted
  stillsift sift day1.mp4 day2.mp4 --output sifted --set rate=all
  stillsift sift rtsp://viewer@camera.local/stream --password-file pw --duration 10m -o sifted
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
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="read the password of the cameras from FILE; the user stands in the URL",
    )
    parser.add_argument("--duration", metavar="TIME", help="listen to a camera this long (10m)")
    parser.add_argument("--dry-run", action="store_true", help="decide, but keep nothing")
    add_json(parser)


def sift(given: argparse.Namespace) -> int:
    """Sifts every path to its end.

    Returns 0 when done, 130 when interrupted, and 1 where a path ended with an error or nothing of
    it could be read.
    """
    _hide_passwords(given.paths)
    if given.output is None and not given.dry_run:
        raise UsageError("sift: name a directory to keep frames in: --output DIR (or --dry-run)")
    if given.decisions is not None and not given.decisions.absolute().parent.is_dir():
        raise UsageError(f"sift: --decisions {given.decisions}: there is no such directory")
    config = with_overrides(load(given.config), given.set)
    if given.output is not None:
        store = config.store.model_copy(update={"path": given.output.absolute()})
        config = config.model_copy(update={"store": store})
    sources = _sources(given.paths, config, given.password_file)
    for place in () if given.dry_run else (source.directory for source in sources):
        if place is not None and place.resolve().is_relative_to(config.store.path.resolve()):
            raise UsageError(f"sift: {place}: lies in the store that frames are to be kept in")
    duration_s = None if given.duration is None else _duration(given.duration)
    set_up_logging("warning", config.log.format, stream=sys.stderr)
    store_asked = None if given.dry_run else config.store.path
    tallies = {each.name: Tally(each.name, place_of(each), store_asked) for each in sources}
    for each in sources:
        tallies[each.name].is_file = each.directory is not None and each.directory.is_file()
    with (
        Signals() as signals,
        Engine(config, Metrics(), dry_run=given.dry_run) as engine,
        show_progress(tallies) as progress,
    ):
        engine.groups.define(sources)
        runs = [
            _Run(
                *(engine, source, tallies[source.name], duration_s),
                replacing=_alone(source, sources),
            )
            for source in sources
        ]
        _run_all(runs, signals, progress)
        _tell_unmatched(runs, config)
        _tidy(engine, signals)
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
        self,
        engine: Engine,
        source: SourceConfig,
        tally: Tally,
        duration_s: float | None,
        *,
        replacing: bool,
    ) -> None:
        """`replacing`: better photographs may replace kept ones until the end of the source."""
        self.live = source.rtsp is not None
        self._replacing = replacing
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
        self._tally.position = lambda: self._position(begin)
        self._tally.begun = True
        try:
            self._line = self._engine.line(
                self._source,
                watch=False,
                duration_s=self._duration_s,
                replacing=self._replacing,
                on_decision=self._tally.note,
                on_replaced=self._tally.replace,
            )
            self._line.run()
            if not self._stopped.is_set():  # after an interruption, a later run goes on with them
                self._engine.ledger.end_alarms([self._source.name])
                self._engine.ledger.end_sifting(self._source.name)
                if not self._tally.frames:
                    self._tally.error = self._absence(self._line.source)
        except Problem as problem:
            self._tally.error = str(problem)
        except Exception as error:
            log.exception("%s: unexpected", self._source.name)
            self._tally.error = f"unexpected: {error!r}"
        if self._line is not None and isinstance(self._line.source, DirectorySource):
            self._tally.left_alone = self._line.source.left_alone
            self._tally.numbered = self._line.source.numbered
        self._tally.seconds = time.monotonic() - begin

    def _position(self, begin: float) -> Position | None:
        """Tells how far it has come; a camera is a clip as long as it is listened to."""
        source = None if self._line is None else self._line.source
        if isinstance(source, DirectorySource):
            return source.position
        if not self._duration_s:
            return None
        at_s = min(time.monotonic() - begin, self._duration_s)
        listened = ClipPosition(
            Path(self._source.name), at_s / self._duration_s, at_s, self._duration_s
        )
        return Position(1, listed=True, clip=listened)

    def _absence(self, source: Source) -> str | None:
        """Tells why nothing came, where no footage is there; None: all that is there is decided.

        What was decided may be gone by now, if `retire` asks for that; that is no mistake.
        """
        if isinstance(source, RtspSource):
            return source.absence
        if not isinstance(source, DirectorySource) or source.name in self._engine.ledger.sources():
            return None
        return source.nothing_to_read()

    @property
    def file(self) -> DirectorySource | None:
        """Gives the source if it is a single file that was begun; None: it is not."""
        source = None if self._line is None else self._line.source
        return source if isinstance(source, DirectorySource) and source.is_file else None

    def stop(self) -> None:
        self._stopped.set()
        if self._line is not None:
            self._line.stop()


def _alone(source: SourceConfig, sources: list[SourceConfig]) -> bool:
    """Tells whether nothing else names what is kept of a source while it is read.

    Cameras run beside it, and what they drop for it cannot be compared again.
    """
    names = (source.name, *siblings(source.name, sources))
    return not any(each.rtsp for each in sources if each.name in names)


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


def _tell_unmatched(runs: list[_Run], config: Config) -> None:
    """Tells once of a `filename_time` that matches none of the files given one by one."""
    read = [run.file for run in runs if run.file is not None]
    examples = [file.unmatched for file in read if file.unmatched is not None]
    if read and len(examples) == len(read):
        pattern = str(config.defaults.filename_time)
        log.warning("%s", unmatched(pattern, len(read), examples[0]))


def _tidy(engine: Engine, signals: Signals) -> None:
    until = time.monotonic() + _TIDY_S
    try:
        engine.tidy(lambda: time.monotonic() < until and not signals.stop.is_set())
    except Problem as problem:
        log.warning("quarantine: %s", problem)


# -- what to sift ----------------------------------------------------------------------------------


def _hide_passwords(given: list[str]) -> None:
    """Takes passwords out of what other users see of this process, and says that it is late."""
    shown = {text: redacted(text) for text in given if "://" in text}
    hidden = process_list.hide(shown)
    if not any(login_of(text)[1] or f"={MASK}" in shown[text] for text in shown):
        return
    print(
        "stillsift: a password on the command line stays in the shell's history, and everybody on "
        f"this machine could read it in the list of processes{'' if hidden else ', and still can'}"
        "; write rtsp://USER@HOST/PATH and --password-file FILE",
        file=sys.stderr,
    )


def _sources(given: list[str], config: Config, password_file: Path | None) -> list[SourceConfig]:
    """Makes a source for each path or URL, named after it.

    The password of the cameras is read from `password_file`; None: they have none, or their own.
    """
    if password_file is not None and not any("://" in text for text in given):
        raise UsageError("sift: --password-file is for cameras, and no path is a URL")
    names: set[str] = set()
    sources = []
    for text in given:
        is_url = "://" in text
        if not is_url and not Path(text).exists():
            raise UsageError(f"sift: {redacted(text)}: no such file or directory")
        # What is hidden of a URL must be in no name: folders, records and metrics have it too.
        name = _unused_name(redacted(text) if is_url else str(Path(text).absolute()), names)
        place: dict[str, object] = (
            {"rtsp": text} if is_url else {"directory": Path(text).absolute()}
        )
        if is_url and password_file is not None:
            if login_of(text)[0] is None:
                raise UsageError(
                    f"sift: {redacted(text)}: --password-file needs a user: rtsp://USER@HOST/PATH"
                )
            place["password_file"] = str(password_file.absolute())
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
    is_host = "://" in text and len(parts) == 2  # with the scheme; the end of 10.0.0.7 is no suffix
    name = parts[-1] if Path(text).is_dir() or is_host else Path(parts[-1]).stem
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
                    out.write(json_text(decision_row(record.decision, path)) + "\n")
        partial.replace(file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise Problem(
            f"--decisions {file}: cannot be written: {error.strerror}; the frames are kept. Name "
            "another file, and run the same command again"
        ) from error


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
        print(json_text(summary, indent=2))
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
        print(escaped(f"Kept frames   {store / 'kept'}"))
    if any(tally.reasons[Reason.AUDIT] for tally in tallies):
        told = escaped(f"Audit sample  {store / 'audit'}")
        print(f"{told} ({pasted('audit', '--store', store)})")
    if any(tally.frames or tally.error is None for tally in tallies):
        print(f"Why           {pasted('decisions', '--store', store)}")
