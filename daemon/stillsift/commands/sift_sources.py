"""Makes the sources of `stillsift sift` out of what is named on the command line."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from ..config import Config, ConfigError, SourceConfig
from ..config.errors import Mistake, OverrideError
from ..config.secrets import login_of, redacted
from ..config.yaml_file import read_file
from ..ledger import Ledger
from ..pipeline.engine import place_of
from ..pipeline.example_folders import ExamplesError, check_folders
from ..sources.files.contents import STILL_SUFFIXES
from ..sources.files.still import Unreadable, size_at
from ..sources.files.tree import Tree, takes_files
from .arguments import UsageError

log = logging.getLogger(__name__)

TOGETHER = "together"
"""Group of the folders and stills of one command."""

_LONGEST_NAME = 60
"""Longest name of a source: 64 characters, less room for a number."""


def sources_of(
    given: list[str], config: Config, password_file: Path | None, command: str = "sift"
) -> list[SourceConfig]:
    """Makes a source for each path or URL, named after it.

    The password of the cameras is read from `password_file`; None: they have none, or their own.
    `command` is named by what is raised.
    """
    if password_file is not None and not any("://" in text for text in given):
        raise UsageError(f"{command}: --password-file is for cameras, and no path is a URL")
    names: set[str] = set()
    sources = []
    for text in given:
        is_url = "://" in text
        if not is_url and not Path(text).exists():
            raise UsageError(f"{command}: {redacted(text)}: no such file or directory")
        # What is hidden of a URL must be in no name: folders, records and metrics have it too.
        name = unused_name(redacted(text) if is_url else str(Path(text).absolute()), names)
        names.add(name)
        place: dict[str, object] = (
            {"rtsp": text} if is_url else {"directory": Path(text).absolute()}
        )
        if is_url and password_file is not None:
            if login_of(text)[0] is None:
                raise UsageError(
                    f"{command}: {redacted(text)}: --password-file needs a user: "
                    "rtsp://USER@HOST/PATH"
                )
            place["password_file"] = str(password_file.absolute())
        try:
            source = SourceConfig.model_validate({"name": name, **place})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{command}: {redacted(text)}: {reason}") from error
        sources.append(source.under(config.defaults))
    alike = [each for each in sources if each.directory is not None and of_stills(each.directory)]
    if len(alike) > 1 and "group" not in config.defaults.model_fields_set:
        # What repeats a file of another folder, or another file, is found, too.
        sources = [
            each.model_copy(update={"group": TOGETHER}) if each in alike else each
            for each in sources
        ]
    return sources


def largest_first(sources: list[SourceConfig]) -> list[SourceConfig]:
    """Returns the sources in the order in which they are read: stills last, the largest first.

    Of copies, the first one stays; the names of a shell's pattern say nothing of which is better.
    """

    def size(source: SourceConfig) -> tuple[int, int]:
        """Returns what sorts a larger still before a smaller one, and all else before these."""
        place = source.directory
        if place is None or not place.is_file() or not of_stills(place):
            return -sys.maxsize, 0
        with suppress(Unreadable, OSError):
            width, height = size_at(place, source.max_pixels)
            return -width * height, -place.stat().st_size
        return 0, 0

    return sorted(sources, key=size)


def of_stills(place: Path) -> bool:
    """Tells whether a path is a folder or, by its name, a still; clips are time lines each."""
    return place.is_dir() or place.suffix.lower() in STILL_SUFFIXES


def named_sources(sources: list[SourceConfig], ledger: Ledger) -> list[SourceConfig]:
    """Returns the sources with the names that they had before, if they had some.

    A source is its folder, its file or its URL. The name is for people, and never passes on to
    another one.
    """
    known = {place: name for name, place in ledger.places().items()}
    taken = {*known.values(), *ledger.sources()}
    named = []
    for source in sources:
        at = source.directory
        place = Path(place_of(source)) if at is None else at.resolve()
        name = known.get(place)
        if name is None:
            before = source.name  # of a time when places had no record
            old = at is not None and before in taken - {*known.values()}
            if not (old and at is not None and ledger.has_read_from(before, at)):
                before = unused_name(str(place), taken) if before in taken else before
            name = before
            if at is not None and (why := _known_in_part(place, known)):
                log.warning("%s: %s", place, why)
            known[place] = name
            taken.add(name)
            ledger.name_place(place, name)
        named.append(source.model_copy(update={"name": name}))
    return named


def _known_in_part(place: Path, known: Mapping[Path, str]) -> str:
    """Returns what to say of a new source that overlaps with others of the store; empty: nothing.

    Each source remembers its own files alone.
    """
    again = "what was decided there is decided, and kept, again. To go on, name %s as before"
    inside = [other for other in known if other != place and other.is_relative_to(place)]
    around = [other for other in known if other != place and place.is_relative_to(other)]
    if around:
        return f"lies in {around[0]}, a source of this store: {again % 'that folder'}"
    if inside:
        more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
        what = "it is a source of this store" if len(inside) == 1 else "they are sources of it"
        return f"holds {inside[0]}{more}; {what}: {again % ('it' if len(inside) == 1 else 'them')}"
    return ""


def unused_name(text: str, names: set[str]) -> str:
    """Returns a name from the end of a path or URL that no other source has: from its last part,
    else from its last two, three, and so on, else with a number."""
    parts = [re.sub(r"[^\w.-]+", "_", part).strip("._-") for part in text.split("/")]
    parts = [part for part in parts if part] or ["source"]
    is_host = "://" in text and len(parts) == 2  # with the scheme; the end of 10.0.0.7 is no suffix
    if not (Path(text).is_dir() or is_host):
        parts[-1] = Path(parts[-1]).stem
    tries = ["-".join(parts[-many:]) for many in range(1, len(parts) + 1)]
    for name in tries:
        if len(name) > _LONGEST_NAME:  # cut, but still a name of its own
            name = f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        if name not in names:
            return name
    number = 2
    while (name := f"{tries[0][:40]}-{number}") in names:
        number += 1
    return name


def check_examples(
    sources: Sequence[SourceConfig],
    config: Config,
    file: Path | None,
    assignments: Sequence[str],
) -> None:
    """Raises OverrideError or ConfigError where a folder of examples is of no use for `sources`.

    `file`, `assignments`: what `config` was read from; None: the built-in defaults.
    """
    try:
        check_folders(config.defaults.examples, sources)
    except ExamplesError as error:
        own = any(each.partition("=")[0].strip() == "examples" for each in assignments)
        if own or file is None:
            mistake = Mistake(None, f"examples.{error.key}", error.reason)
            raise OverrideError("--set", [mistake]) from error
        mistake = read_file(file).mistake_at(("defaults", "examples", error.key), error.reason)
        raise ConfigError(str(file), [mistake]) from error


def check_apart(sources: list[SourceConfig]) -> None:
    """Raises UsageError where a path is named twice, or lies in another."""
    places = [each.directory.resolve() for each in sources if each.directory is not None]
    for number, place in enumerate(places):
        for other in places[:number] + places[number + 1 :]:
            if place.is_relative_to(other):
                why = "named twice" if place == other else f"lies in {other}, which is read whole"
                raise UsageError(f"sift: {place}: {why}; name it once")


def check_outside(sources: list[SourceConfig], root: Path) -> None:
    """Raises UsageError where a path lies in the folder that takes files, or is it, or where that
    folder lies in a path and holds footage: nothing in it is read.

    `root`: the folder, or the store; it may not be there yet.
    """
    taking = root.resolve()
    for source in sources:
        if source.directory is None:
            continue
        place = source.directory.resolve()
        if place.is_relative_to(taking):
            raise UsageError(
                f"sift: {place}: lies in {taking}, which takes files and is not read; name another "
                "folder for these"
            )
        if taking.is_relative_to(place) and taking.is_dir() and _holds_footage(taking):
            raise UsageError(
                f"sift: {taking}: lies in {place} and holds pictures or clips, which would not be "
                "read; name a folder that is new or empty"
            )


def _holds_footage(folder: Path) -> bool:
    """Tells whether a folder holds what would be read, and takes no files itself."""
    return not takes_files(folder) and next(Tree(folder).files(), None) is not None
