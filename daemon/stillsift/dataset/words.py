"""Finds pictures by words: by tags, by labels of objects, and by names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .pictures import Entry

Kind = Literal["tag", "object", "label", "source", "file"]
_SEEN = frozenset({"tag", "object"})
"""What a model has seen in the picture. It counts more than a name that somebody gave it."""

_IRREGULAR = {
    "people": "person",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
    "oxen": "ox",
    "dice": "die",
    "cacti": "cactus",
    "fungi": "fungus",
}
"""Plurals of what pictures show that no ending tells."""
_ENDINGS = {
    **{"ies": ("y",), "ves": ("f", "fe"), "oes": ("o",), "men": ("man",)},
    **{ending: (ending[:-2],) for ending in ("ses", "xes", "zes", "ches", "shes")},
}
"""Endings of plurals, and what stands there in the singular, beside those of s alone."""


@dataclass(frozen=True, slots=True)
class Term:
    """Says one thing that is known of a picture."""

    kind: Kind
    text: str
    confidence: float = 1.0
    """0 to 1."""

    def __str__(self) -> str:
        if self.kind in _SEEN:
            return f"{self.text} {self.confidence:.2f}"
        return f"{self.kind} {self.text}"


@dataclass(frozen=True, slots=True)
class Match:
    """Describes a picture that was found."""

    entry: Entry
    words: int
    """How many of the words it matches."""
    terms: tuple[Term, ...]
    """By what, the most confident first."""


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a text in small letters, each once, in order."""
    return tuple(dict.fromkeys(re.findall(r"[^\W_]+", text.casefold())))


def matches(
    words: Sequence[str],
    pictures: Iterable[tuple[Entry, Sequence[Term]]],
    further: Mapping[Kind, Mapping[str, Collection[str]]],
) -> list[Match]:
    """Returns the pictures that match any of `words`, as of `words_of`, the best first.

    Those with most of the words come first, then those with most of them seen in the picture, then
    the more confident ones, then the earlier. `further`: more words for what a term says, as dog
    for the tag golden retriever.
    """
    known: dict[tuple[Kind, str], Collection[str]] = {}
    wanted = {word: _forms(word) for word in words}

    def matched(term: Term) -> Collection[str]:
        key = (term.kind, term.text)
        if (there := known.get(key)) is not None:
            return there
        texts = [term.text, *further.get(term.kind, {}).get(term.text, ())]
        forms = {form for text in texts for word in words_of(text) for form in _forms(word)}
        there = [word for word in words if not forms.isdisjoint(wanted[word])]
        if term.kind != "file":  # nearly each picture has one of its own
            known[key] = there
        return there

    found: list[tuple[tuple[float, ...], Match]] = []
    for entry, terms in pictures:
        by = [term for term in terms if matched(term)]
        if not by:
            continue
        by.sort(key=lambda term: (term.kind not in _SEEN, -term.confidence))
        best: dict[str, Term] = {}
        for term in by:
            for word in matched(term):
                best.setdefault(word, term)
        seen = [term.confidence for term in best.values() if term.kind in _SEEN]
        match = Match(entry, len(best), tuple(dict.fromkeys(best.values())))
        found.append(((-len(best), -len(seen), -sum(seen)), match))
    return [match for _, match in sorted(found, key=lambda each: each[0])]


def _forms(word: str) -> frozenset[str]:
    """Returns a word and what it may be the plural of, since people search for dogs and buses."""
    forms = {word, _IRREGULAR.get(word, word)}
    if len(word) > 3 and word.endswith("s"):
        forms.add(word[:-1])
    for ending, singular in _ENDINGS.items():
        if word.endswith(ending):
            forms |= {word.removesuffix(ending) + each for each in singular}
    return frozenset(forms)
