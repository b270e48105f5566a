"""Reads a set: the stills of folders, or the kept frames of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..arrays import Floats
from ..embedding import Embedding, EmbedError
from ..frames import Picture
from ..ledger import LedgerReader
from ..sources import LeftAlone
from ..sources.files.contents import CLIP_SUFFIXES, STILL_SUFFIXES
from ..sources.files.still import Unreadable, still_at
from ..sources.files.tree import natural, trees
from .pictures import Entry, PictureSet, SetError, stacked

_AT_ONCE = 1024
"""Pictures that are handed to the threads together."""
_SAVED_AT_ONCE = 64
"""Vectors that are saved together: a second's work is lost at most, if it is interrupted."""

Embed = Callable[[Picture], Embedding]
See = Callable[[Entry, Embedding], None]
"""Is shown each picture that was embedded, with all of its embedding, by any of the threads."""
Save = Callable[[Mapping[str, Floats]], None]
"""Is given vectors of kept frames that were embedded anew, by their ids."""
Tell = Callable[[int, int], None]
"""Is told how many pictures are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Holds the stills that lie in folders."""

    entries: Sequence[Entry]
    clips: int
    """Clips among them, by their names."""
    left_alone: LeftAlone


def listed(paths: Sequence[Path]) -> Listing:
    """Finds the stills in folders, and those that are named themselves, sorted by their names.

    The label of a picture is the folder directly below the one that is named. Raises SetError.
    """
    entries: dict[Path, Entry] = {}
    clips, left_alone = 0, Counter[str]()
    for given, tree in zip(paths, trees(paths, recursive=True, exclude=()), strict=True):
        if not given.exists():
            raise SetError(f"{given}: there is no such file or folder")
        if (tree.root / "ledger.sqlite").is_file():
            raise SetError(f"{given}: is a store; name it with --store {given}")
        named = tree.root.is_file()
        for path in sorted((found.path for found in tree.files(None, left_alone)), key=natural):
            suffix = path.suffix.lower()
            if not named and suffix in CLIP_SUFFIXES and suffix not in STILL_SUFFIXES:
                clips += 1
                continue
            inside = path.relative_to(tree.root)
            label = inside.parts[0] if len(inside.parts) > 1 else None
            name = given if named else given / inside
            entries.setdefault(path, Entry(str(name), path, label=label))
    return Listing(list(entries.values()), clips, LeftAlone(left_alone))


def read_folders(
    paths: Sequence[Path],
    embed: Embed,
    model: str,
    max_pixels: int,
    jobs: int,
    tell: Tell,
    see: See = lambda _entry, _embedding: None,
) -> PictureSet:
    """Reads and embeds all stills of folders in `jobs` threads. Raises SetError.

    What cannot be read is named in `PictureSet.unread`.
    """
    listing = listed(paths)
    entries: list[Entry] = []
    vectors: list[Floats] = []
    unread: list[tuple[str, str]] = []
    for entry, found in _embedded(listing.entries, embed, max_pixels, jobs, tell, see):
        if isinstance(found, str):
            unread.append((entry.name, found))
        else:
            digest, vector = found
            entries.append(replace(entry, digest=digest))
            vectors.append(vector)
    return PictureSet(
        entries,
        stacked(vectors),
        model,
        unread,
        clips=listing.clips,
        left_alone=listing.left_alone,
    )


def read_store(
    ledger: LedgerReader,
    root: Path,
    source: str | None,
    embed: Embed,
    model: str,
    max_pixels: int,
    jobs: int,
    tell: Tell,
    *,
    vectors_of: Callable[[str], Mapping[str, bytes]] | None = None,
    save: Save = lambda _vectors: None,
) -> PictureSet:
    """Reads the kept frames of one source or of all (None), with the vectors in the ledger.

    A frame whose vector is missing there, or is of another model, is embedded anew from its file.
    `vectors_of` returns the vectors of a model by the ids of frames, where they are not those that
    frames were decided by. `save` gets what was embedded anew, some at a time.
    """
    stored = None if vectors_of is None else vectors_of(model)
    entries: list[Entry] = []
    vectors: list[Floats | None] = []
    for kept in ledger.kept_pictures(source):
        path = (root / kept.path).absolute() if kept.sha256 else None
        known = kept.vector if kept.model == model else None
        vector = known if stored is None else stored.get(kept.id)
        vectors.append(None if vector is None else np.frombuffer(vector, "<f4"))
        entries.append(
            Entry(str(kept.path), path, kept.sha256, None, source=kept.source, id=kept.id)
        )
    places = [place for place, vector in enumerate(vectors) if vector is None]
    unread: list[tuple[str, str]] = []
    missing = [entries[place] for place in places]
    anew = _embedded(missing, embed, max_pixels, jobs, tell)
    unsaved: dict[str, Floats] = {}
    for place, (entry, found) in zip(places, anew, strict=True):
        if isinstance(found, str):
            unread.append((entry.name, found))
            continue
        vectors[place] = unsaved[entry.id or ""] = found[1]
        if len(unsaved) == _SAVED_AT_ONCE:
            save(unsaved)
            unsaved = {}
    if unsaved:
        save(unsaved)
    known_vectors = [vector for vector in vectors if vector is not None]
    return PictureSet(
        [entry for entry, vector in zip(entries, vectors, strict=True) if vector is not None],
        stacked(known_vectors),
        model,
        unread,
        embedded=len(places) - len(unread),
    )


def _embedded(
    entries: Sequence[Entry],
    embed: Embed,
    max_pixels: int,
    jobs: int,
    tell: Tell,
    see: See = lambda _entry, _embedding: None,
) -> Iterator[tuple[Entry, tuple[str, Floats] | str]]:
    """Yields each picture with the SHA-256 of its file and its vector, or why it has none."""

    def read(entry: Entry) -> tuple[str, Floats] | str:
        if entry.path is None:
            return "is a frame of a clip, which was not stored as a picture"
        try:
            still = still_at(entry.path, max_pixels)
            embedding = embed(still.picture)
            see(entry, embedding)
            return still.digest, embedding.vector
        except (Unreadable, EmbedError) as error:
            return str(error)

    with ThreadPoolExecutor(jobs, thread_name_prefix="reading") as pool:
        for begin in range(0, len(entries), _AT_ONCE):
            part = entries[begin : begin + _AT_ONCE]
            for place, (entry, found) in enumerate(zip(part, pool.map(read, part), strict=True)):
                yield entry, found
                tell(begin + place + 1, len(entries))
