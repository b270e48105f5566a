"""Writes values into the text of a configuration, and leaves all else in it as it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..problems import Problem
from . import marked_yaml
from .secrets import with_urls_redacted
from .settings import Config
from .yaml_file import parse_quietly, read_file


class EditError(Problem):
    """Says that a value cannot be written into a configuration; a person has to do it."""


def edited(path: Path, changes: Mapping[str, Mapping[str, str | float]]) -> tuple[str, str]:
    """Returns the text of a configuration, and the text with other values for keys of its sources.

    `changes`: by the name of the source, then by key. Comments, order and layout stay. Raises
    ConfigError where the file holds a mistake, EditError where a value cannot be put in: there is
    no such source, or it is written with aliases.
    """
    config = read_file(path).config
    before = path.read_bytes().decode()  # with the ends of its lines
    names = [source.name for source in config.sources]
    after = before
    for name, values in changes.items():
        if name not in names:
            told = ", ".join(names) or "none"
            raise EditError(f"{path}: there is no source {name!r}; it has {told}")
        for key, value in values.items():
            written = marked_yaml.write(value).splitlines()[0]
            after = _put(path, after, names.index(name), key, written)
    _check(path, config, after, changes)
    return before, after


def difference(path: Path, before: str, after: str) -> str:
    """Returns what changes in a configuration as a unified diff. It shows changed lines only, and
    their passwords as ***."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), str(path), n=0, lineterm=""
    )
    text = with_urls_redacted("\n".join(lines))
    for secret in _secrets(before):
        text = text.replace(secret, "***")
    return text


def _secrets(text: str) -> list[str]:
    """Returns the passwords in clear text, also those within addresses."""
    config = parse_quietly(text)
    given = [source.password.get_secret_value() for source in config.sources if source.password]
    return sorted(filter(None, given), key=len, reverse=True)


def _put(path: Path, text: str, number: int, key: str, value: str) -> str:
    """Returns the text with a value for a key of the source of this number."""
    try:
        source = _source(text, number)
    except yaml.YAMLError as error:  # since the value before
        raise EditError(
            f"{path}: source {number + 1} is written oddly; change it by hand"
        ) from error
    if not isinstance(source, yaml.MappingNode):
        raise EditError(f"{path}: source {number + 1} is not written as keys; change it by hand")
    for key_node, value_node in source.value:
        if key_node.value != key:
            continue
        start, end = value_node.start_mark.index, value_node.end_mark.index
        if not isinstance(value_node, yaml.ScalarNode) or start < key_node.end_mark.index:
            raise EditError(f"{path}: {key} of source {number + 1} is an alias; change it by hand")
        return text[:start] + (" " if start == end else "") + value + text[end:]
    named = [(k, v) for k, v in source.value if k.value == "name"]
    if not named or named[0][1].start_mark.index < named[0][0].end_mark.index:
        raise EditError(f"{path}: source {number + 1} has its name elsewhere; change it by hand")
    key_node, value_node = named[0]
    end = value_node.end_mark.index
    if source.flow_style:
        return f"{text[:end]}, {key}: {value}{text[end:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    line_end = text.find("\n", end)
    indent = " " * key_node.start_mark.column
    if line_end < 0:
        return f"{text}{newline}{indent}{key}: {value}{newline}"
    return f"{text[: line_end + 1]}{indent}{key}: {value}{newline}{text[line_end + 1 :]}"


def _source(text: str, number: int) -> yaml.Node | None:
    node = marked_yaml.composed(text)
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == "sources" and isinstance(value_node, yaml.SequenceNode):
                found: yaml.Node = value_node.value[number]
                return found
    return None


def _check(
    path: Path, config: Config, after: str, changes: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raises ConfigError or EditError unless the new text says the old values and the changes."""
    expected = config.model_dump()
    for source in expected["sources"]:
        source.update(changes.get(source["name"], {}))
    if parse_quietly(after, str(path)).model_dump() != expected:
        raise EditError(f"{path}: the values cannot be put in without a change of others")
