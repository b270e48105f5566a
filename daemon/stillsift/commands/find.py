"""Implements `stillsift find`: searches a set by a picture or by words."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..arrays import Floats
from ..dataset import Entry, PictureSet
from ..dataset.contact_sheet import Row, Tile
from ..dataset.neighbours import nearest
from ..dataset.pictures import SetError
from ..dataset.reading import read_folders
from ..dataset.words import Match, Term, matches, words_of
from ..decisions import Detection, Tag, told_measure
from ..detection import detectors
from ..embedding import Embedding
from ..embedding.manifest import manifest
from ..embedding.tagger import Tagger
from ..embedding.text_pair import TextPair
from ..escapes import escaped
from ..pipeline.model_choice import CUDA_MODEL, open_pair
from ..sources.files.contents import STILL_SUFFIXES
from ..sources.files.still import Unreadable, still_at
from ..store.store import KEPT
from ..units import counted
from .arguments import (
    Commands,
    UsageError,
    add_command,
    configured,
    known_source,
    opened_ledger,
    store_path,
)
from .picture_sets import (
    LazyEmbedder,
    add_most,
    add_pictures,
    add_sheet,
    check_sheet,
    draw_sheet,
    names_folders,
    picture_set,
    print_json,
    print_unread,
    searched_set,
    told_progress,
    unread_json,
)
from .tables import table

_EXAMPLES = """\
  stillsift find gate.jpg --store sifted         kept frames that look like it, nearest first
  stillsift find gate.jpg photos/ --most 20 --sheet found.jpg
  stillsift find dog --store sifted              by tags, labels of objects and names
  stillsift find 'dog by a car' photos/ --sheet found.jpg
"""
_MOST_TOLD = 8
"""Labels that are told where nothing was found."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "find", find, "Search a set of pictures by a picture or by words.", _EXAMPLES
    )
    parser.add_argument(
        "what", metavar="TEXT|PICTURE", help="the picture, or the words, to search by"
    )
    add_pictures(parser)
    parser.add_argument(
        "--by",
        choices=("auto", "picture", "words", "text"),
        default="auto",
        help="what the first argument is: a picture; words to look up in tags, labels and names; "
        "or a text for the pair of models of `search:` (default: a picture if it is a file, else a "
        "text if there is a pair, else words)",
    )
    add_most(parser, 10, "pictures to show (default: 10)")
    add_sheet(parser)


def find(given: argparse.Namespace) -> int:
    """Prints what was found, the best first."""
    check_sheet(given)
    if lacking := [path for path in given.paths if not _exists(path)]:
        words = " ".join([given.what, *map(str, given.paths)])
        raise UsageError(
            f"find: {lacking[0]}: there is no such folder; put several words in quotes: "
            f"stillsift find {shlex.quote(words)}"
        )
    by = _by(given)
    if by == "picture":
        _by_picture(given)
    elif by == "text":
        pair = open_pair(configured(given))
        if pair is None:
            raise SetError(
                "--by text needs a pair of models of your own; name them as search.image, "
                "search.text and search.tokenizer in the configuration"
            )
        _by_text(given, pair)
    else:
        _by_words(given)
    return 0


def _by(given: argparse.Namespace) -> str:
    """Returns what to search by, and tells where that is not plain. Raises SetError."""
    if given.by != "auto":
        return str(given.by)
    path = Path(given.what)
    names_picture = "/" in given.what or path.suffix.lower() in STILL_SUFFIXES
    if _is_file(path):
        if not names_picture:
            print(
                escaped(f"searched by the file {given.what}; --by words searches for the word"),
                file=sys.stderr,
            )
        return "picture"
    if names_picture:
        raise SetError(f"{given.what}: there is no such picture; --by words searches for words")
    return "text" if configured(given).search.image is not None else "words"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # told where it is read
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a name
        return False


# -- by a picture ----------------------------------------------------------------------------------


def _by_picture(given: argparse.Namespace) -> None:
    asked = Path(given.what).resolve()
    if not asked.is_file():
        raise SetError(f"{given.what}: there is no such picture")
    try:
        still = still_at(asked, configured(given).defaults.max_pixels)
    except Unreadable as error:
        raise SetError(f"{given.what}: {error}") from error
    made, embed = picture_set(given)
    first = Tile(asked, given.what, "searched by", framed=True)
    _show_nearest(given, made, embed(still.picture).vector, still.digest, [first])


def _by_text(given: argparse.Namespace, pair: TextPair) -> None:
    vector = pair.text(given.what)
    made = searched_set(given, pair)
    _show_nearest(given, made, vector, None, [])


def _show_nearest(
    given: argparse.Namespace,
    made: PictureSet,
    vector: Floats,
    digest: str | None,
    tiles: list[Tile],
) -> None:
    """Prints the pictures nearest to a vector; `digest` None: no file was searched by."""
    found = nearest(vector[None], made.vectors, given.most)
    rows: list[dict[str, object]] = []
    for place, similarity in zip(found.places[0], found.similarity[0], strict=True):
        entry = made.entries[place]
        row: dict[str, object] = {
            "file": entry.name,
            "similarity": told_measure(float(similarity)),
            "source": entry.source,
            "id": entry.id,
        }
        note = f"similarity {similarity:.3f}"
        if digest is not None:
            row["same_bytes"] = same = entry.digest == digest
            note += ", the same bytes" if same else ""
        rows.append(row)
        tiles.append(Tile(entry.path, entry.caption, note))
    print_unread(made)
    if given.json:
        by = "text" if digest is None else "picture"
        print_json({**unread_json(made), "by": by, "found": rows})
    elif rows:
        heading = ["similarity", "file", *([] if digest is None else ["same bytes"])]
        shown = [
            [f"{row['similarity']:.3f}", str(row["file"]), "yes" if row.get("same_bytes") else ""]
            for row in rows
        ]
        print(table([heading, *(cells[: len(heading)] for cells in shown)]))
    else:
        print("no pictures")
    told = f"nearest of {counted(len(made), 'picture')} to {given.what}"
    draw_sheet(given, told, [Row("nearest first", tiles)])


# -- by words --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Searched:
    """Counts what was searched by words."""

    pictures: int = 0
    untagged: int = 0
    """Kept frames that nothing has tagged."""
    seen: Counter[str] = field(default_factory=Counter)
    """Tags and labels of objects, with the pictures that show them."""
    made: PictureSet | None = None
    """The set, where it was read from folders; None: it is of a store."""

    def terms(
        self, tags: Sequence[Tag] | None, objects: Sequence[Detection] | None, names: Sequence[Term]
    ) -> list[Term]:
        """Returns what is known of a picture, and counts it."""
        self.pictures += 1
        found = [Term("tag", tag.label, tag.confidence) for tag in tags or ()]
        found += [Term("object", each.label, each.confidence) for each in objects or ()]
        self.seen.update({term.text for term in found})
        return [*found, *names]


_Described = Iterator[tuple[Entry, Sequence[Term]]]


def _by_words(given: argparse.Namespace) -> None:
    words = words_of(given.what)
    if not words:
        raise SetError(f"{given.what!r} has no word to search for")
    tagger, searched = _tagger(), _Searched()
    folders = names_folders(given)
    pictures = _of_folders(given, tagger, searched) if folders else _of_store(given, searched)
    found = matches(words, pictures, {"tag": tagger.words, "object": _groups()})
    if searched.made is not None:
        print_unread(searched.made)
    if searched.untagged:
        _tell_untagged(given, searched)
    best, all_of_them = found[: given.most], counted(searched.pictures, "picture")
    if given.json:
        _print_matches(searched, words, found, best)
    elif best:
        shown = [[", ".join(map(str, each.terms)), each.entry.name] for each in best]
        print(table([["matches", "file"], *shown]))
        if len(found) > len(best):
            print(_how_many(words, found))
    else:
        there = ", ".join(
            f"{text} {count}" for text, count in searched.seen.most_common(_MOST_TOLD)
        )
        print(f"none of {all_of_them} matches{f'; there is {there}' if there else ''}")
    tiles = [
        Tile(each.entry.path, each.entry.caption, ", ".join(map(str, each.terms))) for each in best
    ]
    heading = f"{len(found)} of {all_of_them} match {given.what}"
    draw_sheet(given, heading, [Row("best first", tiles)])


def _how_many(words: Sequence[str], found: Sequence[Match]) -> str:
    told = f"{counted(len(found), 'picture')} match"
    if len(words) == 1:
        return told
    return f"{told}, {sum(each.words == len(words) for each in found)} of them all words"


def _tagger() -> Tagger:
    spec = manifest()[CUDA_MODEL].tags
    assert spec is not None
    return Tagger(spec)


def _groups() -> Mapping[str, Collection[str]]:
    """Returns for each label of a detector the groups that it belongs to, as vehicle for car."""
    found: dict[str, list[str]] = {}
    for spec in detectors().values():
        for group, labels in spec.groups.items():
            for label in labels:
                found.setdefault(label, []).append(group)
    return found


def _of_store(given: argparse.Namespace, searched: _Searched) -> _Described:
    root = store_path(given)
    with opened_ledger(given) as ledger:
        for kept in ledger.kept_in_words(known_source(given, ledger)):
            names = [Term("source", kept.source)]
            names += [] if kept.file is None else [Term("file", kept.file.name)]
            searched.untagged += kept.tags is None
            path = (root / kept.path).absolute() if kept.sha256 else None
            entry = Entry(str(kept.path), path, kept.sha256, source=kept.source, id=kept.id)
            yield entry, searched.terms(kept.tags, kept.detections, names)


def _of_folders(given: argparse.Namespace, tagger: Tagger, searched: _Searched) -> _Described:
    """Embeds the pictures of folders with the whole network, and tags them on the way."""
    config = configured(given)
    model = {"name": CUDA_MODEL, "path": None}
    embed = LazyEmbedder(config.model.model_copy(update=model))
    tags: dict[str, tuple[Tag, ...] | None] = {}

    def see(entry: Entry, embedding: Embedding) -> None:
        tags[entry.name] = tagger(embedding)

    with told_progress("pictures") as tell:
        how = (embed.identity, config.defaults.max_pixels, given.jobs, tell)
        searched.made = read_folders(given.paths, embed, *how, see)
    for entry in searched.made.entries:
        names = [] if entry.label is None else [Term("label", entry.label)]
        names.append(Term("file", Path(entry.name).name))
        yield entry, searched.terms(tags[entry.name], None, names)


def _tell_untagged(given: argparse.Namespace, searched: _Searched) -> None:
    kept = store_path(given) / KEPT
    frames = counted(searched.pictures, "kept frame")
    print(
        escaped(
            f"{searched.untagged} of {frames} have no tags, which `tags: true` makes with the full "
            "network; to tag while searching, name the folder"
            f"{f': {kept}' if kept.is_dir() else ' of the pictures'}"
        ),
        file=sys.stderr,
    )


def _print_matches(
    searched: _Searched, words: Sequence[str], found: Sequence[Match], best: Sequence[Match]
) -> None:
    rows = [
        {
            "file": each.entry.name,
            "words": each.words,
            "matches": [
                {"kind": t.kind, "text": t.text, "confidence": told_measure(t.confidence)}
                for t in each.terms
            ],
            "source": each.entry.source,
            "id": each.entry.id,
        }
        for each in best
    ]
    about = {} if searched.made is None else unread_json(searched.made)
    print_json(
        {
            "pictures": searched.pictures,
            **about,
            "by": "words",
            "words": words,
            "matching": len(found),
            "untagged": searched.untagged,
            "found": rows,
        }
    )
