"""What is wrong with a configuration, in words for the person who wrote it, each at its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ..problems import Problem
from .field_types import shown
from .marked_yaml import Document, Place
from .secrets import redacted
from .settings import Config, SourceConfig


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a configuration."""

    line: int | None
    """1-based; None: it belongs to no line."""
    path: str
    """Dotted, such as `defaults.rate` or `sources.door.rtsp`; empty: the file as a whole."""
    reason: str
    """What is wrong and the way out. Never holds a secret."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class ConfigError(Problem):
    """A configuration that cannot be used; the message has one line for each mistake."""

    exit_status = 78

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.name = name
        self.mistakes = tuple(mistakes)
        lines = (
            f"{name}: {mistake}" if mistake.line is None else f"{name}:{mistake.line}: {mistake}"
            for mistake in mistakes
        )
        super().__init__("\n".join(lines))


class OverrideError(ConfigError):
    """A mistake in KEY=VALUE on the command line."""

    exit_status = 2


class Faults:
    """The mistakes in one document, one for each place: the next would follow from the first."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._told: dict[tuple[int | None, Place], str] = {}
        for fault in document.faults:
            self._told[fault.line, fault.place] = fault.reason

    def add(self, place: Place, reason: str) -> None:
        self._told.setdefault((self.document.line_of(place), place), reason)

    def mistakes(self) -> list[Mistake]:
        """In the order of their lines."""
        made = [
            Mistake(line, dotted(place, self.document.value), reason)
            for (line, place), reason in self._told.items()
        ]
        return sorted(made, key=lambda mistake: mistake.line or 0)


def dotted(place: Place, value: Any) -> str:
    """`sources.door.rate`: a source by its name, other list items by their number."""
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


def reason_of(error: ErrorDetails) -> str:
    """What pydantic found, in words for the person who wrote the file."""
    place, context = error["loc"], error.get("ctx", {})
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
            return f"must be a list, not {value}"
        case "too_long" | "too_short":
            return f"must be a list of {context.get('max_length') or context.get('min_length')}"
        case _:
            return error["msg"]


_SHORT = ("store", "model", "metrics", "log")
"""Sections that are mostly written for the sake of their first key."""


def _as_section(place: Place, given: object) -> str:
    """How to write what was meant by one value in the place of a section; empty: who knows."""
    section = str(place[-1])
    if section not in _SHORT or len(place) > 1 or not isinstance(given, str):
        return ""
    key, text = next(iter(_model_at(place).model_fields)), redacted(given)
    value = text if re.fullmatch(r"[\w./~:+-]*\w", text) else repr(text)
    return f"; write {section}: {{{key}: {value}}}"


def not_of_defaults(key: str) -> str:
    """Of KEY=VALUE on the command line, where only keys of `defaults:` can stand: the way out."""
    section, _, rest = key.partition(".")
    if section == "defaults":
        return f"write {rest or 'a key of it'} without `defaults.`"
    if section == "sources" or section not in Config.model_fields:
        return unknown_key(key, ("defaults",))
    way_out = "use --output DIR" if key == "store.path" else "write it into a file, for --config"
    return f"only keys of `defaults:` can be set here; {way_out}"


def unknown_key(key: str, within: Place) -> str:
    """Says so, and what may have been meant."""
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
        if step == "sources":
            return SourceConfig
        annotation = model.model_fields[str(step)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return model
