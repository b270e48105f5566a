from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillsift.dataset.pictures import Entry
from stillsift.dataset.words import Kind, Match, Term, matches, words_of

FURTHER: Mapping[Kind, Mapping[str, Collection[str]]] = {
    "tag": {"golden retriever": ["retriever", "dog"]},
    "object": {"car": ["vehicle"]},
}


def tag(text: str, confidence: float = 0.9) -> Term:
    return Term("tag", text, confidence)


def seen(text: str, confidence: float = 0.9) -> Term:
    return Term("object", text, confidence)


def order(text: str, *pictures: list[Term]) -> list[int]:
    entries = [Entry(str(number), None) for number in range(len(pictures))]
    found = matches(words_of(text), zip(entries, pictures, strict=True), FURTHER)
    return [int(match.entry.name) for match in found]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("dog", tag("dog")),
        ("Dogs!", tag("dog")),
        ("bus", seen("buses")),
        ("buses", seen("bus")),
        ("horses", tag("horse")),
        ("glass", tag("wine glass")),
        ("dog", tag("golden retriever")),
        ("vehicle", seen("car")),
        ("light", seen("traffic light")),
        ("people", seen("person")),
        ("men", tag("man")),
        ("women", tag("woman")),
        ("snowmen", tag("snowman")),
        ("children", tag("child")),
        ("mice", seen("mouse")),
        ("geese", tag("goose")),
        ("butterflies", tag("butterfly")),
        ("knives", seen("knife")),
        ("wolves", tag("wolf")),
        ("mangoes", tag("mango")),
        ("person", tag("people")),
        ("0042", Term("file", "IMG_0042.jpg")),
        ("gate", Term("source", "gate-2")),
        ("Hütte", Term("label", "hütte")),
    ],
)
def test_a_word_matches(text: str, term: Term) -> None:
    assert order(text, [tag("moon")], [term]) == [1]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("car", tag("cardigan")),
        ("dog", tag("hot-dogged")),
        ("vehicle", tag("car")),  # groups are of detectors
        ("retriever", seen("golden")),
    ],
)
def test_a_word_does_not_match(text: str, term: Term) -> None:
    assert order(text, [term]) == []


def test_most_words_come_first_then_what_is_seen_then_the_surer() -> None:
    pictures = [
        [Term("file", "dog.jpg")],
        [tag("dog", 0.6)],
        [tag("dog", 0.9)],
        [tag("dog", 0.5), seen("car", 0.4)],
        [tag("moon", 0.9)],
    ]
    assert order("dog car", *pictures) == [3, 2, 1, 0]


def test_what_matched_is_told_once() -> None:
    entry = Entry("x.jpg", None)
    terms = [tag("golden retriever"), tag("dog", 0.99)]
    found = matches(["golden", "dog"], [(entry, terms)], FURTHER)
    assert found == [Match(entry, 2, (tag("dog", 0.99), tag("golden retriever")))]
    assert str(tag("dog", 0.99)) == "dog 0.99"
    assert str(Term("file", "x.jpg")) == "file x.jpg"


@given(st.text())
def test_any_text_has_words_each_once(text: str) -> None:
    words = words_of(text)
    assert len(set(words)) == len(words)
    assert all(words)
    assert words_of(" ".join(words)) == words
