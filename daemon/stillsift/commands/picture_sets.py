"""Defines the arguments that name a set of pictures, and reads it: of folders, or of a store."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..arrays import Floats
from ..config.settings import ModelSettings
from ..dataset import PictureSet
from ..dataset.contact_sheet import Row, check_place, write_sheet
from ..dataset.reading import read_folders, read_store
from ..embedding import Embedder, Embedding
from ..embedding.manifest import manifest
from ..embedding.text_pair import TextPair
from ..escapes import escaped, json_text
from ..frames import Picture
from ..ledger import Ledger, LedgerError
from ..pipeline.model_choice import open_model, spec_of
from ..units import counted
from .arguments import (
    UsageError,
    add_json,
    add_source,
    add_store,
    configured,
    known_source,
    opened_ledger,
    store_path,
)
from .progress import Reading, show

_MOST_JOBS = 64
_MOST_NAMED = 10
"""Unread files that are named to people."""


class LazyEmbedder:
    """Opens the model at its first use: a store mostly has all vectors."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self.spec = spec_of(settings)
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    def __call__(self, picture: Picture) -> Embedding:
        """Returns the embedding of a picture. Raises EmbedError and ModelError."""
        return self._opened()(picture)

    @property
    def identity(self) -> str:
        """Gives the identity of the model; one of the user's own is opened. Raises ModelError."""
        own = self.spec.sha256 is None
        return self._opened().model.identity if own else self.spec.name

    def _opened(self) -> Embedder:
        with self._lock:
            if self._embedder is None:
                self._embedder = Embedder(open_model(self._settings))
        return self._embedder


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds what names a set, folders or a store with its source, and the threads to read it."""
    add_named(parser)
    add_jobs(parser)


def add_named(parser: argparse.ArgumentParser) -> None:
    """Adds what names a set."""
    parser.add_argument(
        "paths",
        nargs="*",
        default=[],  # or a missing argument before it would be told as two
        type=Path,
        metavar="PATH",
        help="folders of pictures; without any, the kept frames of the store",
    )
    add_store(parser)
    add_source(parser)


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_threads,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="threads that read and embed pictures (default: one for each CPU)",
    )


def add_most(parser: argparse.ArgumentParser, most: int, what: str) -> None:
    """Adds --most; `what` it shows at most, `most` of them by default."""
    parser.add_argument("--most", type=_whole_number, default=most, metavar="N", help=what)


def add_sheet(parser: argparse.ArgumentParser) -> None:
    """Adds --json and --sheet."""
    add_json(parser)
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="draw the pictures on a contact sheet, JPEG or PNG",
    )


def _threads(text: str) -> int:
    number = _whole_number(text)
    if number > _MOST_JOBS:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST_JOBS}")
    return number


def _whole_number(text: str) -> int:
    """Reads a number from 1 on. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return int(text)


def cosine(text: str) -> float:
    """Reads a similarity from 0 to 1. Raises ValueError and ArgumentTypeError."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a similarity from 0 to 1, as 0.95")
    return value


def check_sheet(given: argparse.Namespace) -> None:
    """Raises SetError before anything is read where the sheet could not be written."""
    if given.sheet is not None:
        check_place(given.sheet)


def picture_set(given: argparse.Namespace) -> tuple[PictureSet, LazyEmbedder]:
    """Reads the set that the command line names, and gives what embeds further pictures.

    Raises UsageError where both folders and a store are named, and SetError.
    """
    config = configured(given)
    max_pixels = config.defaults.max_pixels
    if names_folders(given):
        embed = LazyEmbedder(config.model)
        with told_progress("pictures") as tell:
            made = read_folders(given.paths, embed, embed.identity, max_pixels, given.jobs, tell)
        return made, embed
    with opened_ledger(given) as ledger:
        source = known_source(given, ledger)
        models = ledger.vector_models(source)
        model = max(models, key=models.__getitem__, default=None)
        known = model is not None and model in manifest()
        asked = config.model.name if config.model.path is None else str(config.model.path)
        embed = LazyEmbedder(
            config.model.model_copy(update={"name": model, "path": None}) if known else config.model
        )
        with told_progress("pictures") as tell:
            made = read_store(
                *(ledger, store_path(given), source, embed, embed.identity, max_pixels),
                *(given.jobs, tell),
            )
    if known and asked not in ("auto", model):
        print(escaped(f"the store was made with {model}, and {asked} is not used"), file=sys.stderr)
    elif model not in (None, made.model):
        told = f"the store was made with {model}; -c with a configuration that names it saves time"
        print(escaped(told), file=sys.stderr)
    return made, embed


def searched_set(given: argparse.Namespace, pair: TextPair) -> PictureSet:
    """Reads the set with the vectors of a pair of `search`; in a store they are made once.

    Raises UsageError as `picture_set`, ModelError and SetError.
    """
    how = (pair, pair.identity, configured(given).defaults.max_pixels, given.jobs)
    if names_folders(given):
        with told_progress("pictures") as tell:
            made = read_folders(given.paths, *how, tell)
    else:
        with opened_ledger(given) as ledger, told_progress("pictures") as tell:
            saving = _Saving(ledger.path, pair.identity)
            made = read_store(
                *(ledger, store_path(given), known_source(given, ledger), *how, tell),
                vectors_of=ledger.search_vectors,
                save=saving,
            )
        if saving.problem is not None:
            told = f"not recorded, and made anew the next time: {saving.problem}"
            print(escaped(told), file=sys.stderr)
    pair.check_together(made.vectors)
    return made


@dataclass(slots=True)
class _Saving:
    """Records vectors in a ledger, also beside a daemon, until that fails."""

    ledger: Path
    model: str
    problem: LedgerError | None = None
    """Why nothing is recorded any more; None: all was."""

    def __call__(self, vectors: Mapping[str, Floats]) -> None:
        if self.problem is not None:
            return
        stored = {id: vector.astype("<f4").tobytes() for id, vector in vectors.items()}
        try:
            with Ledger(self.ledger) as writer:
                writer.put_search_vectors(self.model, stored)
        except LedgerError as problem:
            self.problem = problem


def names_folders(given: argparse.Namespace) -> bool:
    """Tells whether folders are named, and no store. Raises UsageError for both."""
    if given.paths and (given.store is not None or given.source is not None):
        raise UsageError("name folders, or a store with --store and --source, and not both")
    return bool(given.paths)


@contextmanager
def told_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    reading = Reading(name, 0)
    with show([reading]) as progress:

        def tell(done: int, total: int) -> None:
            reading.done, reading.total = done, total
            progress()

        yield tell


def print_unread(made: PictureSet) -> None:
    """Tells on standard error what of the set could not be read, and what was embedded anew."""
    lines = [f"cannot be read: {name}: {why}" for name, why in made.unread[:_MOST_NAMED]]
    if more := len(made.unread) - _MOST_NAMED:
        lines += [f"cannot be read: {more} more, {len(made.unread)} in all"] if more > 0 else []
    if made.embedded:
        frames = counted(made.embedded, "kept frame")
        lines.append(f"{frames} had no vector of {made.model} in the ledger: embedded anew")
    if made.clips:
        clips = "1 clip is" if made.clips == 1 else f"{made.clips} clips are"
        lines.append(f"{clips} not looked at; `stillsift sift` keeps their frames in a store")
    if made.left_alone.kinds:
        lines.append(f"unread: {made.left_alone}")
    for line in lines:
        print(escaped(line), file=sys.stderr)


def unread_json(made: PictureSet) -> dict[str, object]:
    """Returns the same for JSON, with the number of pictures and the model."""
    return {
        "pictures": len(made),
        "model": made.model,
        "unread": [{"file": name, "why": why} for name, why in made.unread],
        "embedded_anew": made.embedded,
        "clips": made.clips,
        "left_alone": dict(made.left_alone.kinds),
    }


def draw_sheet(given: argparse.Namespace, heading: str, rows: Sequence[Row]) -> None:
    """Writes the contact sheet that was asked for, and tells where it is, on standard error."""
    if given.sheet is None:
        return
    max_pixels = configured(given).defaults.max_pixels
    left_out = write_sheet(given.sheet, heading, rows, max_pixels, given.jobs)
    more = f" (without the last {left_out} rows)" if left_out else ""
    print(escaped(f"contact sheet: {given.sheet}{more}"), file=sys.stderr)


def print_json(value: object) -> None:
    print(json_text(value, indent=2))
