"""Implements `stillsift check-config`: shows every mistake of a configuration at once."""

from __future__ import annotations

import argparse
import errno
import json
import os
import pwd
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..config import Config, ConfigError, SourceConfig
from ..config.errors import Mistake
from ..config.field_types import Address
from ..config.json_schema import schema
from ..config.lint import LintWarning, lint
from ..config.marked_yaml import Place
from ..config.password import password_in
from ..config.yaml_file import NO_SOURCES, looked_into
from ..embedding import Embedder, ModelError
from ..escapes import escaped, json_text
from ..frames import Frame
from ..ledger import LedgerError, LedgerReader
from ..pipeline import model_choice
from ..pipeline.anonymizing import uncovered
from ..pipeline.engine import open_source, place_of
from ..pipeline.example_folders import ExamplesError, ExampleShelf, refused_examples
from ..pipeline.object_finder import ObjectFinder, labels_of
from ..problems import Problem
from ..service import Metrics
from ..service.access import Access
from ..service.http import MetricsError, serve
from ..sources import FileIdentity, Gap, LeftAlone, Numbering
from ..sources.files.tree import MOST_DEEP, trees
from ..store import Store, StoreError
from ..store.durable_files import move_without_overwrite
from ..store.errors import StoreInUse
from ..store.in_place import ledger_of
from ..store.rights import refusal, sticky_refusal
from ..store.store import QUARANTINE
from ..units import counted
from .arguments import Commands, UsageError, add_command, add_json, usual_config
from .examples import in_short
from .service_user import acting_as, service_user

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


@dataclass(frozen=True, slots=True)
class _Probe:
    """Describes the test of one thing that the configuration names."""

    what: str
    problem: str | None
    """What stood in the way; None: nothing."""
    exit_status: int = 1
    left_alone: LeftAlone | None = None
    """What lies among a directory's footage and is not read; None: it is no directory."""
    remark: str | None = None
    """What else is to be told; None: nothing."""


@dataclass(slots=True)
class _Found:
    """Collects all that is to be told of one configuration."""

    file: Path
    sources: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)
    probes: list[_Probe] = field(default_factory=list)
    note: str | None = None
    """As whom things were probed, where that does not go without saying; None: as oneself."""

    @property
    def exit_status(self) -> int:
        """Gives 78 if there is a mistake, else the highest status of a failed probe, else 0."""
        if self.mistakes:
            return ConfigError.exit_status
        return max((each.exit_status for each in self.probes if each.problem), default=0)


def check_config(given: argparse.Namespace) -> int:
    """Checks a configuration and shows what is wrong.

    Returns 0: it is right; 78: `run` would refuse it; 1: something it names cannot be used now.
    """
    if given.schema:
        print(json.dumps(schema(), indent=2))
        return 0
    file = usual_config(given.config)
    if file is None:
        raise UsageError("check-config: name a file; there is no config.yaml in the usual places")
    found = _looked_at(file, probe=given.probe)
    if given.json:
        _print_json(found)
    else:
        _print_text(found)
    return found.exit_status


def _looked_at(file: Path, *, probe: bool) -> _Found:
    found = _Found(file)
    try:
        read, found.mistakes = looked_into(file)
    except ConfigError as error:
        found.mistakes += error.mistakes
        return found
    if read is None:
        return found
    found.sources += [source.name for source in read.config.sources]
    found.mistakes += [read.mistake_at(*mistake) for mistake in _refused(read.config)]
    found.mistakes.sort(key=lambda each: each.line or 0)
    found.warnings += [
        *read.clear_passwords(),
        *(read.mistake_at(*each) for each in lint(read.config)),
        *(read.mistake_at(*each) for each in _uncovered(read.config)),
        *(read.mistake_at(*each) for each in _untagged(read.config)),
        *(read.mistake_at(*each) for each in (() if probe else _unread_of_cameras(read.config))),
    ]
    found.warnings.sort(key=lambda each: each.line or 0)
    if probe and not found.mistakes:
        user = service_user(read.config.store.path) if os.geteuid() == 0 else None
        found.note = _note(read.config, user, file) if os.geteuid() == 0 else None
        found.probes += _probes(read.config, user)
    return found


def _refused(config: Config) -> Iterator[tuple[Place, str]]:
    """Yields what makes `run` end with 78 though every key is valid by itself."""
    path = config.model.path
    if path is not None and not path.is_file():
        yield ("model", "path"), f"is {str(path)!r}, and there is no such file"
    else:
        try:
            model_choice.spec_of(config.model)  # raises if there is no such model
        except ModelError as error:
            yield ("model", "name"), str(error)
    for key in ("image", "text", "tokenizer"):
        file = getattr(config.search, key)
        if file is not None and not file.is_file():
            yield ("search", key), f"is {str(file)!r}, and there is no such file"
    own = config.detector.path
    if own is not None and not own.is_file():
        yield ("detector", "path"), f"is {str(own)!r}, and there is no such file"
    web_config = config.metrics.web_config_file
    if web_config is not None and config.metrics.listen is not None:
        try:
            Access(web_config)
        except ConfigError as error:
            for mistake in str(error).splitlines():
                yield ("metrics", "web_config_file"), mistake
    if config.review.listen is not None:
        yield from _unread(("review",), config.review.password_file)
    yield from refused_examples(config)
    if not config.sources:
        unnamed = "sources" not in config.model_fields_set
        also = "; `stillsift sift -c` takes the file as it is" if unnamed else ""
        yield ("sources",), NO_SOURCES + also


def _unread(
    section: Place, password_file: str | None, what: str = "review"
) -> Iterator[tuple[Place, str]]:
    """Yields a file of a password that cannot be read; systemd shows credentials to `run` alone."""
    if password_file is not None and Path(password_file).is_absolute():
        try:
            password_in(password_file, f"{what}.password_file", what)
        except ConfigError as error:
            yield (*section, "password_file"), error.mistakes[0].reason


def _unread_of_cameras(config: Config) -> Iterator[LintWarning]:
    """Yields the files of passwords for which `run` lets a camera wait."""
    for index, source in enumerate(config.sources):
        yield from _unread(("sources", index), source.password_file, source.name)


def _uncovered(config: Config) -> Iterator[tuple[Place, str]]:
    """Yields sources that cover objects and have kept frames in the store before they did."""
    if not any(source.anonymize for source in config.sources):
        return
    try:
        with LedgerReader(ledger_of(config.store.path)) as ledger:
            for index, source in enumerate(config.sources):
                if source.anonymize and (told := uncovered(ledger, source.name)) is not None:
                    yield ("sources", index), told
    except LedgerError:
        return  # there is none yet, or this user may not read it


def _untagged(config: Config) -> Iterator[LintWarning]:
    """Yields where tags are asked for that the model does not give, as it runs here."""
    try:
        why = model_choice.without_tags(model_choice.spec_of(config.model))
    except ModelError:
        return  # it is told as a mistake
    if why is None:
        return
    if config.defaults.tags:
        yield ("defaults", "tags"), f"is true, and {why}"
    for index, source in enumerate(config.sources):
        if source.tags and "tags" in source.model_fields_set:
            yield ("sources", index, "tags"), f"is true, and {why}"


def _print_json(found: _Found) -> None:
    def told(some: list[Mistake]) -> list[dict[str, object]]:
        return [
            {
                "file": str(found.file),
                "line": each.line,
                "key": each.path or None,
                "message": each.reason,
            }
            for each in some
        ]

    print(
        json_text(
            {
                "file": str(found.file),
                "sources": found.sources,
                "mistakes": told(found.mistakes),
                "warnings": told(found.warnings),
                "note": found.note,
                "probes": [_as_json(each) for each in found.probes],
            },
            indent=2,
        )
    )


def _as_json(probe: _Probe) -> dict[str, object]:
    told: dict[str, object] = {"what": probe.what, "problem": probe.problem}
    if probe.remark is not None:
        told["remark"] = probe.remark
    if probe.left_alone is not None:
        told["left_alone"] = dict(probe.left_alone.kinds)
    return told


def _print_text(found: _Found) -> None:
    """Prints warnings as compilers write them, then the probes, and the result last.

    Raises ConfigError with the mistakes, if there are any.
    """
    for each in found.warnings:
        where = found.file if each.line is None else f"{found.file}:{each.line}"
        print(escaped(f"{where}: warning: {each}"), file=sys.stderr)
    if found.mistakes:
        raise ConfigError(str(found.file), found.mistakes)
    if found.note is not None:
        print(escaped(f"  {found.note}"))
    for probe in found.probes:
        remark = f"; {probe.left_alone}" if probe.left_alone and probe.left_alone.kinds else ""
        remark = remark if probe.remark is None else f"; {probe.remark}"
        print(escaped(f"  {probe.what}: {probe.problem or 'ok'}{remark}"))
    failed = sum(each.problem is not None for each in found.probes)
    verdict = f"{found.file}: right; {counted(len(found.sources), 'source')}"
    if found.warnings:
        verdict += f", {counted(len(found.warnings), 'warning')}"
    if failed:
        verdict += f"; but {failed} of {len(found.probes)} probes failed"
    print(escaped(verdict))


def _note(config: Config, user: pwd.struct_passwd | None, file: Path) -> str:
    """Tells root, who may do everything, for whom the answers hold."""
    if user is None:
        return (
            "probed as root, who may read and move everything. Run this as the user of the "
            f"service: {config.store.path} is not that of another user yet, and there is no user "
            "stillsift"
        )
    return (
        f"probed as root; store and sources as {user.pw_name}, the user of the service. "
        f"For all of it: runuser -u {user.pw_name} -- stillsift check-config --probe {file}"
    )


def _probes(config: Config, user: pwd.struct_passwd | None) -> Iterator[_Probe]:
    """Opens everything that the configuration names, and yields how it went.

    Store and sources are looked at as `user`; None: as whoever runs this.
    """
    yield _probe("model", lambda: model_choice.open_model(config.model))
    if labels := labels_of(config):
        yield _probe("detector", lambda: ObjectFinder(config.detector, Metrics()).open(labels))
    if config.search.image is not None:
        yield _probe("search", lambda: model_choice.open_pair(config))
    store = Store(config.store.path)
    # A store that is not there yet is made by whoever may: under systemd by systemd.
    with acting_as(user if config.store.path.exists() else None):
        yield _probe(f"store {config.store.path}", store.prepare)
    if config.metrics.listen is not None:
        yield _listening(*config.metrics.listen, config.metrics.web_config_file, store)
    if config.review.listen is not None and (file := config.review.password_file) is not None:
        yield _probe("review", lambda: password_in(file, "review.password_file", "review"))
    for source in config.sources:
        with acting_as(user):
            probe = _source_probe(source, store)
        yield probe
    yield from _examples_probes(config, user)


def _examples_probes(config: Config, user: pwd.struct_passwd | None) -> Iterator[_Probe]:
    """Reads the examples of each source as `user`, and tells how well they separate."""
    cleaned = [source for source in config.sources if source.examples]
    if not cleaned:
        return
    try:
        shelf = ExampleShelf(Embedder(model_choice.open_model(config.model)))
    except ModelError:
        return  # the probe of the model has told why
    for source in cleaned:
        what = f"examples of {source.name}"
        try:
            with acting_as(user):
                examples = shelf.examples(source)
        except ExamplesError as problem:
            yield _Probe(what, str(problem), problem.exit_status)
            continue
        assert examples is not None
        yield _Probe(what, None, remark=in_short(examples.report()))


def _probe(what: str, attempt: Callable[[], object]) -> _Probe:
    try:
        attempt()
    except Problem as problem:
        return _Probe(what, str(problem), problem.exit_status)
    return _Probe(what, None)


def _listening(host: str, port: int, web_config: Path | None, store: Store) -> _Probe:
    """Binds the address for a short time.

    If a daemon runs already, it has the address, and the store's lock.
    """
    what = f"metrics.listen {Address(host, port)}"
    try:
        server = serve(
            Metrics(),
            host,
            port,
            healthy=lambda: None,
            ready=lambda: None,
            web_config=web_config,
        )
    except MetricsError as error:
        return (
            _Probe(f"{what} (by the stillsift that runs)", None)
            if _runs(store)
            else _Probe(what, str(error))
        )
    server.shutdown()
    server.server_close()
    return _Probe(what, None)


def _runs(store: Store) -> bool:
    """Tells whether another stillsift holds the lock of the store."""
    try:
        store.lock().close()
    except StoreInUse:
        return True
    except Problem:
        return False
    return False


class _Nothing:
    """Answers like a ledger in which nothing is recorded."""

    def next_frame(self, _file: Path, _identity: FileIdentity) -> int | None:
        return 0

    def begin(self, _file: Path, _identity: FileIdentity, _next_frame: int) -> None:
        return None

    def leave(self) -> None:
        return None

    def grown_from(self, _file: Path, _identity: FileIdentity) -> None:
        return None

    def earlier(self, _content_hash: str) -> Path | None:
        return None

    def numbering(self, _folder: Path) -> Numbering | None:
        return None

    def begin_numbering(self, _folder: Path, _numbering: Numbering) -> None:
        return None


def _source_probe(config: SourceConfig, store: Store) -> _Probe:
    what = f"source {config.name} ({place_of(config)})"
    try:
        if config.directory is not None:
            return _directory_probe(what, config, store)
        return _Probe(what, _camera_problem(config))
    except Problem as problem:
        return _Probe(what, str(problem))  # `run` starts all the same, and tries again


def _directory_probe(what: str, config: SourceConfig, store: Store) -> _Probe:
    """Lists a directory as `run` does, and tries to take a file away; it may also be one file."""
    assert config.directory is not None
    counted: Counter[str] = Counter()
    try:
        for tree in trees(config.directory, recursive=config.recursive, exclude=(store.root,)):
            for _ in tree.files(left_alone=counted):
                pass
    except OSError as error:
        return _Probe(what, error.strerror)
    problem = None if config.retire == "leave" else _retire_problem(config, store)
    return _Probe(what, problem, left_alone=LeftAlone(dict(counted)))


def _camera_problem(config: SourceConfig) -> str | None:
    """Opens a camera until its first frame.

    Returns what went wrong; None: nothing did.
    """
    source = open_source(config, _Nothing(), watch=False, duration_s=config.timeout)
    for item in source.items():
        if isinstance(item, Frame):
            source.stop()
            return None
        if isinstance(item, Gap):
            source.stop()
            return item.cause
    return "no frame came"


_MOST_FOLDERS = 1000
"""Most folders below a directory that are looked at: cameras make one for each day or hour."""


def _retire_problem(config: SourceConfig, store: Store) -> str | None:
    """Tries what `retire` asks for: moves a file of its own out of the directory, and deletes it.

    Returns what went wrong; None: nothing did. The file is hidden, so that nothing reads it.
    """
    assert config.directory is not None
    root = config.directory if config.directory.is_dir() else config.directory.parent
    below = _folders(root) if config.recursive else iter((root,))
    for folder in islice(below, _MOST_FOLDERS):
        if (why := refusal(folder) or sticky_refusal(folder)) is not None:
            return f"retire: {config.retire}: {why}"
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".stillsift-probe-") as tried:
            if config.retire == "move":
                _try_move(Path(tried.name), store)
    except OSError as error:
        return f"retire: {config.retire}: {root}: {error.strerror}"
    except StoreError as error:
        return f"retire: {config.retire}: {error}"
    return None


def _folders(root: Path) -> Iterator[Path]:
    """Yields a folder and those below it, as deep as they are read."""
    for folder, inner, _ in os.walk(root):
        yield (below := Path(folder))
        if len(below.relative_to(root).parts) >= MOST_DEEP:
            inner.clear()


def _try_move(file: Path, store: Store) -> None:
    """Takes a file to quarantine and back, or does nothing where it would have to be copied."""
    if not (store.root / QUARANTINE).is_dir():
        return  # the probe of the store has told why
    with store.temporary(QUARANTINE) as target:
        try:
            move_without_overwrite(file, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            move_without_overwrite(target, file)
