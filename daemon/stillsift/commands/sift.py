"""Implements `stillsift sift`: runs the same line over past footage, to its end."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .. import units
from ..config import Config, SourceConfig, load
from ..config.secrets import MASK, login_of, redacted
from ..config.settings import siblings
from ..config.yaml_file import with_overrides
from ..decisions import Decision, Reason
from ..escapes import escaped, json_text
from ..ledger.records import DecisionRecord
from ..pipeline import Engine, Line
from ..pipeline.choosing import Changed, Chosen
from ..pipeline.engine import place_of
from ..pipeline.reembedding import Interrupted
from ..problems import Problem
from ..service import Metrics
from ..service.logs import set_up_logging
from ..service.signals import Signals
from ..sources import ClipPosition, Position, Source
from ..sources.camera import RtspSource
from ..sources.files import DirectorySource, unmatched
from ..store.in_place import LIST, Mode, mode_of
from ..units import counted, shown_size
from . import process_list
from .arguments import Commands, UsageError, add_command, add_json
from .dropped import Going, print_dropped, would_go
from .pasted import pasted
from .progress import Progress, show_progress
from .sift_sources import (
    check_apart,
    check_examples,
    check_outside,
    largest_first,
    named_sources,
    of_stills,
    sources_of,
)
from .tables import decision_row
from .tally import Tally

log = logging.getLogger(__name__)

_MOST_ALONE = 5
"""Most stills given one by one of which each has its own lines in the summary."""

_TIDY_S = 5.0
"""Seconds for forgetting old decisions at the end; the next run goes on with the rest."""

_EXAMPLES = """\
  stillsift sift photos/ --output sifted
  stillsift sift day1.mp4 day2.mp4 --output sifted --set rate=all
  stillsift sift rtsp://viewer@camera.local/stream --password-file pw --duration 10m -o sifted
  stillsift sift clips/ --dry-run --decisions decisions.jsonl
  stillsift sift photos/ --remove-to dropped       what repeats goes, the others stay in place
  stillsift sift train/ val/ --dry-run --list csv
  stillsift sift day.mp4 --output sifted --keep 500
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
    into = parser.add_mutually_exclusive_group()
    into.add_argument("-o", "--output", type=Path, metavar="DIR", help="store for what is kept")
    into.add_argument(
        "--remove-to",
        type=Path,
        metavar="DIR",
        help="clean in place: move what is dropped below DIR, leave what is kept",
    )
    into.add_argument(
        "--copy-to",
        type=Path,
        metavar="DIR",
        help="copy what is kept below DIR, under its own name and path",
    )
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
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="threads for files and photos (default: one for each CPU); decisions are the same",
    )
    parser.add_argument(
        "--keep",
        type=_number_kept,
        metavar="N",
        help="keep at most N frames of all that is named: the most different of the new ones",
    )
    parser.add_argument("--dry-run", action="store_true", help="decide, but keep nothing")
    parser.add_argument(
        "--list",
        choices=("text", "jsonl", "csv"),
        nargs="?",
        const="text",
        help="print the files that are dropped, with the reason and the file that shows the same",
    )
    parser.add_argument(
        "--print0", action="store_true", help="print only their paths, each ended by a NUL"
    )
    add_json(parser)


def sift(given: argparse.Namespace) -> int:
    """Sifts every path to its end.

    Returns 0 when done, 130 when interrupted, and 1 where a path ended with an error, nothing of it
    could be read, or a file that is dropped could not be moved.
    """
    _hide_passwords(given.paths)
    in_place = _in_place(given)
    root = given.output or given.remove_to or given.copy_to
    if root is None and not given.dry_run:
        raise UsageError(
            "sift: say what to do with the frames: --output DIR keeps them in a store, --remove-to "
            "DIR moves what is dropped there, --copy-to DIR copies what is kept (or --dry-run)"
        )
    if (given.list or given.print0) and not given.dry_run:
        raise UsageError(
            "sift: --list and --print0 print what would go, with --dry-run; what was moved is "
            f"listed in {LIST} of the folder for --remove-to"
        )
    if given.json and (given.list or given.print0):
        raise UsageError("sift: --json prints a summary; for the files use --list jsonl")
    if given.keep is not None and any("://" in text for text in given.paths):
        raise UsageError(
            "sift: --keep chooses from all frames at the end, and a camera has none; use "
            "--set max_per_hour=N"
        )
    if given.decisions is not None and not given.decisions.absolute().parent.is_dir():
        raise UsageError(f"sift: --decisions {given.decisions}: there is no such directory")
    # What is named on the command line follows `defaults:`; sources of the file are not read.
    config = with_overrides(load(given.config), given.set).model_copy(update={"sources": ()})
    if root is not None:
        store = config.store.model_copy(update={"path": root.absolute()})
        config = config.model_copy(update={"store": store})
        _check_kind(root, _asked(given))
    if in_place is not None:
        kept = {"retire": "move" if in_place is Mode.REMOVE else "leave", "audit": 0.0}
        config = config.model_copy(update={"defaults": config.defaults.model_copy(update=kept)})
    if given.remove_to and config.defaults.anonymize:
        raise UsageError(
            "sift: --remove-to leaves what is kept as it is, and anonymize must not; use "
            "--copy-to DIR or --output DIR"
        )
    if given.remove_to and (config.defaults.repair.rewrites or config.defaults.repair.suffix):
        raise UsageError(
            "sift: --remove-to leaves what is kept as it is, and repair must not; use --copy-to "
            "DIR or --output DIR, or `stillsift repair` afterwards"
        )
    sources = sources_of(given.paths, config, given.password_file)
    check_examples(sources, config, given.config, given.set)
    if in_place is not None or given.list or given.print0:
        check_apart(sources)
    if root is not None:
        check_outside(sources, root)
    duration_s = None if given.duration is None else _duration(given.duration)
    set_up_logging("warning", config.log.format, stream=sys.stderr)
    store_asked = None if given.dry_run else config.store.path
    with (
        Signals() as signals,
        Engine(config, Metrics(), dry_run=given.dry_run, in_place=in_place) as engine,
    ):
        sources = named_sources(sources, engine.ledger)
        if engine.removal is not None:
            repair = engine.repair(config.defaults)
            repairs = dict.fromkeys((each.name for each in sources), repair)
            engine.removal.define(_bases(sources), repairs)
        tallies = {each.name: Tally(each.name, place_of(each), store_asked) for each in sources}
        for each in sources:
            tallies[each.name].is_file = each.directory is not None and each.directory.is_file()
        engine.groups.define(sources)
        names = [source.name for source in sources]
        begun = engine.ledger.last_seq()
        if given.keep is None:
            engine.ledger.end_choosing()
        else:
            engine.ledger.begin_choosing(names)
        runs = [
            _Run(
                *(engine, source, tallies[source.name], duration_s),
                replacing=_alone(source, sources),
                jobs=given.jobs,
                finishing=given.keep is None,
            )
            for source in sources
        ]
        in_order = [runs[sources.index(each)] for each in largest_first(sources)]
        with show_progress(tallies) as progress:
            # In place, one list is written at the end of each source.
            _run_all(in_order, 1 if in_place else given.jobs, signals, progress)
        chosen = None
        if given.keep is not None and all(run.ended for run in runs):
            with suppress(Interrupted):
                engine.complete_vectors(sources, given.jobs, lambda *_: not signals.stop.is_set())
        if given.keep is not None and all(run.ended for run in runs) and not signals.stop.is_set():
            chosen = engine.choose(names, given.keep, _changes(tallies, begun))
            for run in runs:
                run.finish(lambda: not signals.stop.is_set())
        for name, larger in engine.ledger.larger_copies(begun).items():
            if name in tallies:
                tallies[name].larger = larger
        _tell_unmatched(runs, config)
        _tell_untimed(list(tallies.values()), config)
        _tidy(engine, signals)
        unwritten = None
        if given.decisions is not None:
            try:
                _write_decisions(given.decisions, engine, names)
            except Problem as problem:
                unwritten = problem
        if given.list or given.print0:
            print_dropped(engine.ledger, names, "print0" if given.print0 else given.list)
        going = would_go(engine.ledger, names) if given.dry_run and given.remove_to else None
        interrupted = signals.stop.is_set()
    _print_summary(list(tallies.values()), given, config, chosen, going, interrupted)
    if unwritten is not None:
        raise unwritten
    if interrupted:
        return 130
    return 1 if any(tally.fruitless or tally.stayed for tally in tallies.values()) else 0


def _changes(tallies: dict[str, Tally], after: int) -> Changed:
    """Returns what counts a decision that has changed if it was made by this run, after `after`."""

    def change(before: DecisionRecord, now: Decision) -> None:
        tally = tallies[now.source]
        if before.seq > after or tally.keeps(now.id):
            tally.change(before.decision, now)

    return change


def _in_place(given: argparse.Namespace) -> Mode | None:
    """Returns what a folder takes that is no store; None: there is none, or nothing is written."""
    asked = _asked(given)
    if asked is not None and any("://" in text for text in given.paths):
        raise UsageError("sift: a camera has no files to move or copy; use --output DIR")
    return None if given.dry_run else asked


def _asked(given: argparse.Namespace) -> Mode | None:
    """Returns what the folder that was named takes, written or not; None: it is a store."""
    if given.remove_to is not None:
        return Mode.REMOVE
    return None if given.copy_to is None else Mode.COPY


def _check_kind(root: Path, in_place: Mode | None) -> None:
    """Raises UsageError where a folder was made for something else."""
    found = mode_of(root)
    if in_place is None:
        if found is not None:
            raise UsageError(f"sift: {root}: made by {found.made_by}, it is no store for --output")
        return
    if (root / "ledger.sqlite").exists():
        raise UsageError(f"sift: {root}: a store; name another folder for --{in_place}-to")
    if found not in (None, in_place):
        raise UsageError(f"sift: {root}: made by {found.made_by}; name another folder")
    if found is None and (root / LIST).exists():
        raise UsageError(
            f"sift: {root / LIST}: there already; nothing is overwritten, move it away"
        )


def _bases(sources: list[SourceConfig]) -> dict[str, Path]:
    """Returns for each source the folder from which the paths of its files are told.

    That is the folder itself, or what all have in common.
    """
    folders = {
        source.name: each if each.is_dir() else each.parent
        for source in sources
        if source.directory is not None and (each := source.directory.resolve())
    }
    common = Path(os.path.commonpath(folders.values())) if folders else Path("/")
    return dict.fromkeys(folders, common)


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
        jobs: int,
        finishing: bool,
    ) -> None:
        """`replacing`: better photographs may replace kept ones until the end of the source.

        `jobs`: threads that work for it. `finishing`: what is dropped goes at the end of the
        source, without a call of `finish`.
        """
        self._jobs = jobs
        self._finishing = finishing
        self.ended = False
        """Whether all of the source is decided."""
        self.live = source.rtsp is not None
        self.group = source.group or f"alone: {source.name}"
        self._replacing = replacing
        self._engine = engine
        self._source = source
        self._tally = tally
        self._duration_s = duration_s
        self._line: Line | None = None
        self._embedded = 0, 0
        """Pictures that are embedded again before the first file, and of how many."""
        self._stopped = threading.Event()

    def run(self) -> None:
        if self._stopped.is_set():
            return
        begin = time.monotonic()
        self._tally.position = lambda: self._position(begin)
        self._tally.begun = True
        try:
            self._tally.uncovered = self._engine.uncovered(self._source)
            self._line = self._engine.line(
                self._source,
                watch=False,
                duration_s=self._duration_s,
                replacing=self._replacing,
                jobs=self._jobs,
                on_decision=self._tally.note,
                on_replaced=self._tally.replace,
                go_on=self._goes_on,
            )
            self._line.run()
            if not self._stopped.is_set():  # after an interruption, a later run goes on with them
                self._engine.ledger.end_alarms([self._source.name])
                self._engine.ledger.end_sifting(self._source.name)
                self.ended = True
                if self._finishing:
                    self._finish(lambda: not self._stopped.is_set())
                if not self._tally.frames:
                    self._tally.error = self._absence(self._line.source)
        except Interrupted:
            pass  # a later run goes on with what was kept
        except Problem as problem:
            self._tally.error = str(problem)
        except Exception as error:
            log.exception("%s: unexpected", self._source.name)
            self._tally.error = f"unexpected: {error!r}"
        if self._line is not None and isinstance(self._line.source, DirectorySource):
            self._tally.left_alone = self._line.source.left_alone
            self._tally.numbered = self._line.source.numbered
        self._tally.seconds = time.monotonic() - begin

    def _goes_on(self, done: int, pictures: int) -> bool:
        self._embedded = done, pictures
        return not self._stopped.is_set()

    def finish(self, go_on: Callable[[], bool]) -> None:
        """Moves or copies what has to be; `go_on` tells whether to do the next."""
        try:
            self._finish(go_on)
        except Problem as problem:
            self._tally.error = str(problem)

    def _finish(self, go_on: Callable[[], bool]) -> None:
        if self._engine.removal is not None:
            self._tally.finished = self._engine.removal.finish(self._source.name, go_on)

    def _position(self, begin: float) -> Position | None:
        """Tells how far it has come; a camera is a clip as long as it is listened to."""
        source = None if self._line is None else self._line.source
        done, pictures = self._embedded
        if source is None and pictures:
            return Position(pictures, True, done, things="kept pictures embedded again")
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


def _run_all(runs: list[_Run], jobs: int, signals: Signals, progress: Progress) -> None:
    """Runs cameras side by side and files in `jobs` threads, until the end or Ctrl-C.

    What a group has kept depends on the order of its sources, so these come one after the other.
    """
    groups: dict[str, list[_Run]] = {}
    for run in runs:
        if not run.live:
            groups.setdefault(run.group, []).append(run)
    waiting = deque(groups.values())

    def work() -> None:
        while True:
            try:
                together = waiting.popleft()
            except IndexError:  # another thread has taken the last
                return
            for run in together:
                run.run()

    threads = [threading.Thread(target=run.run, name="camera") for run in runs if run.live]
    threads += [threading.Thread(target=work, name="files") for _ in range(min(jobs, len(waiting)))]
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


def _tell_untimed(tallies: list[Tally], config: Config) -> None:
    """Tells once of settings that do nothing for photographs, where some were decided."""
    settings = config.defaults
    asked = {"min_gap": settings.min_gap, "heartbeat": settings.heartbeat}
    names = [name for name, value in asked.items() if value]
    untimed = sum(
        tally.by_time_of_file + (0 if settings.exif_timeline else tally.by_exif)
        for tally in tallies
    )
    if names and untimed:
        log.warning(
            "%s did nothing for %s without a time line; `filename_time`, `exif_timeline` or "
            "`sequence` give them one, and --keep says how many stay",
            " and ".join(names),
            counted(untimed, "photograph"),
        )


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


def _jobs(text: str) -> int:
    """Reads a number of threads. Raises ValueError and ArgumentTypeError."""
    jobs = int(text)
    if not 1 <= jobs <= 64:
        raise argparse.ArgumentTypeError("from 1 to 64")
    return jobs


def _number_kept(text: str) -> int:
    """Reads a number of frames. Raises ValueError and ArgumentTypeError."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames, 1 or more")
    return number


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
                    out.write(json_text(decision_row(record.decision, path, record.repairs)) + "\n")
        partial.replace(file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        kept = "" if engine.ledger.dry else "; the frames are kept"
        raise Problem(
            f"--decisions {file}: cannot be written: {error.strerror}{kept}. Name another file, "
            "and run the same command again"
        ) from error


def _print_summary(
    tallies: list[Tally],
    given: argparse.Namespace,
    config: Config,
    chosen: Chosen | None,
    going: Going | None,
    interrupted: bool,
) -> None:
    """Prints what came of it. `going`: what a dry run would move; None: nothing."""
    store = None if given.dry_run else config.store.path
    out = sys.stderr if given.list or given.print0 else sys.stdout
    if given.json:
        summary = {
            "sources": [tally.as_json() for tally in tallies],
            "store": None if store is None else str(store),
            "dry_run": store is None,
            "interrupted": interrupted,
            **({} if chosen is None else {"chosen": chosen.kept, "of": chosen.before}),
            **({} if going is None else _going_json(going)),
        }
        print(json_text(summary, indent=2), file=out)
        return
    for tally in _summed_up(tallies):
        print(tally.as_text(), file=out)
    if interrupted:
        print("Interrupted. The same command goes on where this one stopped.", file=out)
    if chosen is not None:
        print(_chosen_text(chosen), file=out)
    elif given.keep is not None and not interrupted:
        told = "not yet, as a source did not come to its end; the same command goes on"
        print(f"Chosen        {told}", file=out)
    if store is not None:
        places = _finished(given, store, tallies) if _in_place(given) else _places(store, tallies)
        for line in places:
            print(line, file=out)
    elif going is not None:
        would = (
            f"{counted(going.files, 'file')}, {shown_size(going.bytes)}{_beside(going.sidecars)}"
        )
        print(f"A dry run: nothing was moved. {would} would go; --list names them.", file=out)
    elif any(tally.kept for tally in tallies):
        print("A dry run: nothing was kept.", file=out)


def _going_json(going: Going) -> dict[str, int]:
    return {
        "would_move": going.files,
        "would_move_bytes": going.bytes,
        "would_move_sidecars": going.sidecars,
    }


def _beside(sidecars: int) -> str:
    return f", and {counted(sidecars, 'file')} beside them," if sidecars else ","


def _summed_up(tallies: list[Tally]) -> list[Tally]:
    """Joins the tallies of stills that were given one by one, where there are many."""
    alone: list[Tally] = []
    others: list[Tally] = []
    for tally in tallies:
        one = tally.is_file and of_stills(Path(tally.place))
        (alone if one else others).append(tally)
    return [Tally.of_files(alone), *others] if len(alone) > _MOST_ALONE else tallies


def _chosen_text(chosen: Chosen) -> str:
    """Returns a line about what `--keep` has chosen."""
    if chosen.kept > chosen.most:
        return (
            f"Chosen        {counted(chosen.kept, 'frame')}: more than {chosen.most}, since an "
            "earlier run has kept them; to choose anew, use another folder"
        )
    if chosen.kept == chosen.before:
        return f"Chosen        all {counted(chosen.kept, 'frame')} that are kept"
    return f"Chosen        the {chosen.kept} most different of {chosen.before} that show news"


def _places(store: Path, tallies: list[Tally]) -> Iterator[str]:
    """Yields where to look at what was kept, by this run or an earlier one, and at the reasons."""
    if any(not folder.name.startswith(".") for folder in (store / "kept").iterdir()):
        yield escaped(f"Kept frames   {store / 'kept'}")
    if any(tally.reasons[Reason.AUDIT] for tally in tallies):
        told = escaped(f"Audit sample  {store / 'audit'}")
        yield f"{told} ({pasted('audit', '--store', store)})"
    if any(tally.frames or tally.error is None for tally in tallies):
        yield f"Why           {pasted('decisions', '--store', store)}"


def _finished(given: argparse.Namespace, store: Path, tallies: list[Tally]) -> Iterator[str]:
    """Yields what was moved or copied, and how it is undone."""
    done = [tally.finished for tally in tallies if tally.finished is not None]
    files, size = sum(each.moved for each in done), sum(each.bytes for each in done)
    if given.copy_to is not None:
        yield escaped(f"Copies        {counted(files, 'file')} in {store}")
    else:
        sidecars = sum(each.sidecars for each in done)
        moved = f"{counted(files, 'file')}, {shown_size(size)}{_beside(sidecars)}"
        yield escaped(f"Moved         {moved} to {store}")
        if (store / LIST).is_file():  # not so where it was interrupted before
            yield escaped(f"List          {store / LIST}")
        yield f"Undo          {pasted('restore', '--store', store, '--all')}"
        if any(tally.of_clips for tally in tallies):
            yield "Clips         stay as they are; --output or --copy-to keeps frames of them"
    yield f"Why           {pasted('decisions', '--store', store)}"
