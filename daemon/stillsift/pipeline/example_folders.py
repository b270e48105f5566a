"""Reads the example pictures that a source is cleaned by."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Config, SourceConfig
from ..config.marked_yaml import Place
from ..config.settings import ExampleSettings, SourceSettings
from ..embedding import Embedding, EmbedError
from ..escapes import escaped
from ..frames import Picture
from ..problems import Problem
from ..selection.examples import LEAST, MOST, Example, Examples, in_both, measures
from ..selection.regions import Regions
from ..sources.files.contents import STILL_SUFFIXES
from ..sources.files.still import Unreadable, looked_at
from ..sources.files.tree import Found, natural, trees
from ..units import counted

log = logging.getLogger(__name__)

State = tuple[tuple[Path, int, int], ...]
"""Path, bytes and time of change (ns) of each picture: another state, other examples."""


class ExamplesError(Problem):
    """Says why the examples of a source cannot be used, and the way out."""

    exit_status = 78

    def __init__(self, key: str, reason: str, source: str = "") -> None:
        """`key`: that of the folder below `examples`; empty: it is about both.

        `source`: the source that cannot use them, where others may.
        """
        self.key, self.reason = key, reason
        of_source = f"{source}: " if source else ""
        super().__init__(f"{of_source}examples{f'.{key}' if key else ':'} {reason}")


@dataclass(frozen=True, slots=True)
class ExampleFolder:
    """Holds what was read of one folder."""

    path: Path
    examples: list[Example]
    """In the natural order of their names."""
    unread: list[str]
    """Why each of the others was left out, with its name."""


def state_of(given: ExampleSettings) -> State:
    """Returns the state of both folders. Raises ExamplesError, also where one is of no use."""
    return tuple(
        (each.path, each.identity.size, each.identity.mtime_ns)
        for key, folder in folders_of(given)
        for each in _pictures(key, folder)
    )


def check_folders(given: ExampleSettings, sources: Sequence[SourceConfig]) -> None:
    """Raises ExamplesError if a folder is of no use, or lies where one of the sources is read.

    There, examples would be sifted, and maybe moved away as what is bad.
    """
    state_of(given)
    for key, folder in folders_of(given):
        for source in sources:
            place = source.directory
            if place is not None and folder.resolve().is_relative_to(place.resolve()):
                why = f"lies in {place}, which is sifted; put it elsewhere"
                raise ExamplesError(key, f"is {str(folder)!r} and {why}")


def refused_examples(config: Config) -> Iterator[tuple[Place, str]]:
    """Yields what is wrong with the folders that a configuration names, each mistake once.

    Folders are listed, and nothing in them is read.
    """
    told = set()
    for index, source in enumerate(config.sources):
        own = "examples" in source.model_fields_set
        place: Place = ("sources", index, "examples") if own else ("defaults", "examples")
        try:
            check_folders(source.examples, config.sources)
        except ExamplesError as error:
            if (mistake := ((*place, error.key), error.reason)) not in told:
                told.add(mistake)
                yield mistake


def read_folder(
    key: str,
    folder: Path,
    embed: Callable[[Picture], Embedding],
    settings: SourceSettings,
    on_step: Callable[[], None] = lambda: None,
) -> ExampleFolder:
    """Reads and embeds the stills below a folder as those of the source are; `key` is its name.

    What cannot be read is left out. `on_step` is called after each. Raises ExamplesError if fewer
    than `LEAST` can be read.
    """
    regions = Regions(settings.ignore, settings.roi)
    read = ExampleFolder(folder, [], [])
    root = folder.resolve()
    for found in _pictures(key, folder):
        path = found.path
        name = escaped(str(path.relative_to(root)))
        try:
            _, picture = looked_at(path, settings.max_pixels)
            embedding = embed(regions.painted(picture)).in_half_precision()
        except (Unreadable, EmbedError) as error:
            read.unread.append(f"{name}: {error}")
        else:
            read.examples.append(Example(name, measures(embedding)))
        on_step()
    if len(read.examples) < LEAST:
        raise ExamplesError(
            key,
            f"is {str(folder)!r}, and of {counted(len(read.unread), 'picture')} in it that cannot "
            f"be read, the first is {read.unread[0]}; {LEAST} that can be are needed",
        )
    return read


def examples_of(good: ExampleFolder | None, bad: ExampleFolder | None) -> Examples:
    """Returns the examples that were read. Raises ExamplesError if a picture is in both folders."""
    if good is not None and bad is not None and (same := in_both(good.examples, bad.examples)):
        first, more = same[0], f" and {len(same) - 1} more" if len(same) > 1 else ""
        raise ExamplesError(
            "",
            f"the same picture is good ({good.path / first[0]}) and bad ({bad.path / first[1]})"
            f"{more}; take it out of one of the folders",
        )
    return Examples(
        () if good is None else good.examples,
        () if bad is None else bad.examples,
    )


@dataclass(slots=True)
class ExampleShelf:
    """Reads examples once for all sources that have the same, and again when they have changed."""

    embed: Callable[[Picture], Embedding]
    _held: dict[object, tuple[State, Examples | ExamplesError]] = field(default_factory=dict)
    _told: dict[tuple[str, Path], tuple[str, ...]] = field(default_factory=dict)
    """What could not be read of a folder when that was last logged."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def examples(
        self, settings: SourceSettings, on_step: Callable[[], None] = lambda: None
    ) -> Examples | None:
        """Returns the examples of a source as they are now; None: it has none.

        `on_step` is called after each picture. Raises ExamplesError.
        """
        given = settings.examples
        if not given:
            return None
        key = (given, settings.ignore, settings.roi, settings.max_pixels)
        with self._lock:
            state = state_of(given)
            held = self._held.get(key)
            if held is None or held[0] != state:
                held = self._held[key] = state, self._read(given, settings, on_step)
            if isinstance(held[1], ExamplesError):
                raise ExamplesError(held[1].key, held[1].reason)
            return held[1]

    def _read(
        self, given: ExampleSettings, settings: SourceSettings, on_step: Callable[[], None]
    ) -> Examples | ExamplesError:
        """Returns the examples; an error: they contradict each other, until one of them changes.

        Raises ExamplesError for what may be read later though it stays as it is.
        """
        folders: dict[str, ExampleFolder] = {}
        for key, path in folders_of(given):
            read = folders[key] = read_folder(key, path, self.embed, settings, on_step)
            self._tell(key, read)
        try:
            return examples_of(folders.get("positive"), folders.get("negative"))
        except ExamplesError as error:
            return error

    def _tell(self, key: str, read: ExampleFolder) -> None:
        """Logs what was read, unless the same was said before: a source that fails tries again."""
        said = (counted(len(read.examples), "picture"), *read.unread)
        if self._told.get((key, read.path)) == said:
            return
        self._told[key, read.path] = said
        if read.unread:
            log.warning(
                "examples.%s: %s: %s cannot be read and left out, the first is %s",
                *(key, read.path, counted(len(read.unread), "picture"), read.unread[0]),
            )
        log.info("examples.%s: %s: %s", key, read.path, said[0])


def folders_of(given: ExampleSettings) -> Iterator[tuple[str, Path]]:
    """Yields the folders with their keys."""
    if given.positive is not None:
        yield "positive", given.positive
    if given.negative is not None:
        yield "negative", given.negative


def _pictures(key: str, folder: Path) -> list[Found]:
    """Lists the stills below a folder. Raises ExamplesError if there are too few or too many."""
    what = f"is {str(folder)!r}, which"
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "is not there"
        raise ExamplesError(key, f"{what} {there}; name a folder of example pictures")
    try:
        (tree,) = trees(folder, recursive=True, exclude=())
        found = [each for each in tree.files() if each.path.suffix.lower() in STILL_SUFFIXES]
    except OSError as error:
        raise ExamplesError(key, f"{what} cannot be read: {error.strerror}") from error
    holds = f"{what} holds {counted(len(found), 'picture')}"
    if len(found) < LEAST:
        way_out = f"put {LEAST} or more into it, best 20 that differ"
        raise ExamplesError(key, f"{holds}; {way_out}")
    if len(found) > MOST:
        raise ExamplesError(key, f"{holds}; {MOST} at most, since some dozens do as well")
    return sorted(found, key=lambda each: natural(each.path))
