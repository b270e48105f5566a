"""Describes the mistakes in a configuration, each with its line, for the person who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ..escapes import escaped
from ..problems import Problem
from .field_types import shown
from .marked_yaml import Document, Place
from .secrets import redacted
from .settings import Config


@dataclass(frozen=True, slots=True)
class Mistake:
    """Describes one mistake in a configuration."""

    line: int | None
    """Line number, from 1; None: the mistake belongs to no line."""
    path: str
    """Dotted path, such as `defaults.rate` or `sources.door.rtsp`; empty: the file as a whole."""
    reason: str
    """The mistake and the way to mend it, without secrets."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class ConfigError(Problem):
    """Says that a configuration cannot be used; the message has one line for each mistake."""

    exit_status = 78

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.name = name
        self.mistakes = tuple(mistakes)
        lines = (
            f"{name}: {mistake}" if mistake.line is None else f"{name}:{mistake.line}: {mistake}"
            for mistake in mistakes
        )
        self._lines = tuple(lines)
        super().__init__("\n".join(self._lines))

    def shown(self) -> str:
        """Returns the message fit to be printed, with a line for each mistake."""
        return "\n".join(map(escaped, self._lines))


class OverrideError(ConfigError):
    """Says that a KEY=VALUE on the command line holds a mistake."""

    exit_status = 2


class Faults:
    """Collects the mistakes in one document, one for each place.

    Only the first one of a place counts, since the next would follow from it.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._told: dict[tuple[int | None, Place], str] = {}
        for fault in document.faults:
            self._told[fault.line, fault.place] = fault.reason

    def add(self, place: Place, reason: str) -> None:
        self._told.setdefault((self.document.line_of(place), place), reason)

    def mistakes(self) -> list[Mistake]:
        """Returns the mistakes in the order of their lines."""
        made = [
            Mistake(line, dotted(place, self.document.value), reason)
            for (line, place), reason in self._told.items()
        ]
        return sorted(made, key=lambda mistake: mistake.line or 0)


def dotted(place: Place, value: Any) -> str:
    """Writes a place as `sources.door.rate`: a source by its name, other list items by index."""
    text = ""
    for depth, step in enumerate(place):
        if isinstance(step, str):
            text += f".{step}" if text else step
        elif place[:depth] == ("sources",) and (name := _source_name(value, step)):
            text += f".{name}"
        else:
            text += f"[{step}]"
    return text


def _source_name(value: Any, index: int) -> str | None:
    match value:
        case {"sources": [*sources]} if index < len(sources):
            match sources[index]:
                case {"name": str(name)}:
                    return name
    return None


def reason_of(error: ErrorDetails, section: Place = ()) -> str:
    """Returns what pydantic found, in words for the person who wrote the file.

    `section`: where in a configuration that was checked; (): it was all of it.
    """
    place, context = (*section, *error["loc"]), error.get("ctx", {})
    value = "that" if place[-1:] in (("password",), ("rtsp",)) else shown(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return unknown_key(str(place[-1]), place[:-1])
        case "missing":
            return "is missing"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected'].replace(chr(39), '')}, not {value}"
        case "bool_parsing" | "bool_type":
            return f"must be true or false, not {value}"
        case "string_type" if isinstance(error["input"], int | float):
            return f"must be text; put {value} in quotes"
        case "string_type" | "path_type":
            return f"must be text, not {value}"
        case "string_too_short":
            return "must not be empty"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"must be a whole number, not {value}"
        case "float_parsing" | "float_type" | "finite_number":
            return f"must be a number, not {value}"
        case "greater_than":
            return f"must be more than {context['gt']:g}, not {value}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}, not {value}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}, not {value}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a section of keys, not {value}{_as_section(place, error['input'])}"
        case "tuple_type" | "list_type":
            one = isinstance(error["input"], str) and re.fullmatch(r"[\w-]+", error["input"])
            return f"must be a list, not {value}{f'; write [{one[0]}]' if one else ''}"
        case "too_long" | "too_short":
            return f"must be a list of {context.get('max_length') or context.get('min_length')}"
        case _:
            return error["msg"]


_SHORT = ("store", "model", "metrics", "log")
"""Sections that people mostly write for their first key."""


def _as_section(place: Place, given: object) -> str:
    """Returns the section that was meant where one value stands instead; empty: not known."""
    section = str(place[-1])
    if section not in _SHORT or len(place) > 1 or not isinstance(given, str):
        return ""
    key, text = next(iter(_model_at(place).model_fields)), redacted(given)
    value = text if re.fullmatch(r"[\w./~:+-]*\w", text) else repr(text)
    return f"; write {section}: {{{key}: {value}}}"


def not_of_defaults(key: str) -> str:
    """Returns the way out for a KEY=VALUE on the command line whose key is not of `defaults:`."""
    section, _, rest = key.partition(".")
    if section == "defaults":
        return f"write {rest or 'a key of it'} without `defaults.`"
    if section == "sources" or section not in Config.model_fields:
        return unknown_key(key, ("defaults",))
    way_out = "use --output DIR" if key == "store.path" else "write it into a file, for --config"
    return f"only keys of `defaults:` can be set here; {way_out}"


def unknown_key(key: str, within: Place) -> str:
    """Says that a key is unknown, and which one may have been meant."""
    known = list(_model_at(within).model_fields)
    if near := difflib.get_close_matches(key, known, 1):
        return f"unknown key; did you mean {near[0]}?"
    for section, info in Config.model_fields.items():
        if isinstance(info.annotation, type) and key in getattr(
            info.annotation, "model_fields", ()
        ):
            return f"unknown key here; it belongs under {section}:"
    return f"unknown key; known here: {', '.join(known)}"


def _model_at(place: Place) -> type[BaseModel]:
    model: type[BaseModel] = Config
    for step in place:
        if isinstance(step, int):  # of a list of sections
            continue
        annotation = model.model_fields[step].annotation
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return model
