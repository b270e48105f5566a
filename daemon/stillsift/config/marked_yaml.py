"""Reads YAML with the line of every value, and reports everything that is wrong at once.

Plain words follow YAML 1.2, so that `off`, `no`, `12:30` and dates stay text. `${NAME}` in a value
is replaced from the environment; `$${` is a plain `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import yaml

Place = tuple[str | int, ...]
"""Keys and 0-based list positions from the top to a value; () is the whole document."""

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_VALUES = 100_000
"""Limit far above any real file; aliases of aliases could otherwise fill the memory."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Describes one thing that is wrong with the text itself."""

    line: int | None
    """Line number, from 1; None: the reader could not tell."""
    place: Place
    reason: str


@dataclass(slots=True)
class Document:
    """Holds what a YAML text says, and the line of each part."""

    value: Any = None
    """The whole value; None: the text is empty, or cannot be read (then `faults` says why)."""
    lines: dict[Place, int] = field(default_factory=dict)
    """Line number, from 1, of each key and list item."""
    texts: dict[Place, str] = field(default_factory=dict)
    """Text values as written, before ${NAME} was replaced."""
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, place: Place) -> int | None:
        """Returns the line of `place`, or of the nearest part around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read(text: str, environ: Mapping[str, str]) -> Document:
    """Reads the document in `text`. Never raises: what is wrong stands in `faults`."""
    builder = _Builder(environ)
    document = builder.document
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            document.value = builder.value(node, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        document.faults.append(Fault(line, (), _syntax(error)))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        document.faults.append(Fault(line, (), f"{error.reason}: #x{int(error.character):04x}"))
    except (ValueError, OverflowError):  # PyYAML calls chr() on any number after \\U
        document.faults.append(Fault(None, (), "holds a \\U escape of no character"))
    except _Unreadable as error:
        document.faults.append(Fault(error.line, (), str(error)))
    except RecursionError:
        document.faults.append(Fault(None, (), "is nested too deeply"))
    return document


def composed(text: str) -> yaml.Node | None:
    """Returns the nodes of a text that `read` reads, with their marks; None: it is empty."""
    return yaml.compose(text, Loader=_Loader)


def write(value: Any) -> str:
    """Writes the text that `read` gives back as `value`."""
    return yaml.dump(_escaped(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Unreadable(Exception):
    """Says that a text is YAML, but that no value can be made of it."""

    def __init__(self, node: yaml.Node, reason: str) -> None:
        super().__init__(reason)
        self.line = _line(node)


class _Loader(yaml.SafeLoader):
    """Reads plain words as the few types of YAML 1.2, not as the many of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it


class _Dumper(yaml.SafeDumper):
    """Quotes text that `_Loader` would take for another type."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_TAG = "tag:yaml.org,2002:"
_PLAIN = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
        list("-+.0123456789"),
    ),
    ("merge", r"^<<$", ["<"]),
)
for _tag, _pattern, _first in _PLAIN:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(_TAG + _tag, re.compile(_pattern), _first)


class _Builder:
    """Makes the value out of the nodes that PyYAML composed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.document = Document()
        self._environ = environ
        self._values = 0

    def value(self, node: yaml.Node, place: Place, within: tuple[yaml.Node, ...]) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _Unreadable(node, "has more values than any configuration needs")
        if any(node is outer for outer in within):
            raise _Unreadable(node, "an alias (*) stands inside its own anchor (&)")
        if place:
            self.document.lines.setdefault(place, _line(node))
        within = (*within, node)
        is_collection = isinstance(node, yaml.CollectionNode)
        if is_collection and node.tag not in (_TAG + "map", _TAG + "seq"):
            raise _Unreadable(node, f"the tag {node.tag!r} means nothing here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, within)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*place, i), within) for i, each in enumerate(node.value)]
        return self._scalar(node, place)

    def _mapping(
        self, node: yaml.MappingNode, place: Place, within: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        first: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Unreadable(key_node, "a key must be a word")
            if key_node.tag == _TAG + "merge":
                is_list = isinstance(value_node, yaml.SequenceNode)
                merged += value_node.value if is_list else [value_node]
                continue
            key, line = str(key_node.value), _line(key_node)
            if key in first:
                self._fault((*place, key), f"appears twice, first on line {first[key]}", line)
                continue
            first[key] = line
            self.document.lines.setdefault((*place, key), line)
            taken[key] = self.value(value_node, (*place, key), within)
        for other in merged:  # after the keys that override them
            if not isinstance(other, yaml.MappingNode):
                raise _Unreadable(other, "<< must name a section of keys")
            for key, value in self.value(other, place, within).items():
                taken.setdefault(key, value)
        return taken

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if re.fullmatch(r"[-+]?[0-9]+", text):
                return int(text)
            case "float" if text.lower().endswith((".inf", ".nan")):
                return float(text.replace(".", ""))
            case "float" if re.fullmatch(r"[-+.0-9eE]+", text):
                return float(text)
            case "str":
                self.document.texts.setdefault(place, text)
                return self._replaced(text, place, _line(node))
            case _:
                raise _Unreadable(node, f"the tag {node.tag!r} means nothing here")

    def _replaced(self, text: str, place: Place, line: int) -> str:
        """Returns the text with each ${NAME} replaced, percent-encoded in the login of a URL."""

        def variable(match: re.Match[str]) -> str:
            value = self._environ.get(match[1])
            if value is None:
                self._fault(place, f"the environment variable {match[1]} is not set", line)
                return match[0]
            in_login = "://" in text[: match.start()] and "@" in text[match.end() :]
            return quote(value, safe="") if in_login else value

        return VARIABLE.sub(variable, text).replace("$${", "${")

    def _fault(self, place: Place, reason: str, line: int) -> None:
        fault = Fault(line, place, reason)
        if fault not in self.document.faults:
            self.document.faults.append(fault)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Returns the parser's words without the text around them, which may hold a password."""
    if "'\\t'" in str(error.problem):
        return "a tab stands here; YAML is indented with spaces"
    problem = str(error.problem or error.context)
    if problem.startswith("but ") and error.context:
        problem = f"{error.context}, {problem}"
    if "'%' that cannot start any token" in problem:
        problem += "; put text that begins with % into quotes"
    if problem.startswith("mapping values are not allowed"):
        problem += "; is a quote missing, or the indentation wrong?"
    return f"is no valid YAML: {problem}"


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
