"""Makes the JSON schema of config.yaml from the settings, for editors."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from itertools import pairwise
from typing import Any

from . import settings
from .settings import Config, SourceSettings


def schema() -> dict[str, Any]:
    """Returns the JSON schema of config.yaml, for editors."""
    plain = Config.model_json_schema(mode="serialization")
    for name, section in {"Config": plain, **plain["$defs"]}.items():
        _describe(name, section)
    made: dict[str, Any] = _for_editors(plain)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "stillsift configuration"
    # An empty section is null, and means the defaults.
    made["properties"] = {
        key: {"anyOf": [{k: v for k, v in section.items() if k != "default"}, {"type": "null"}]}
        for key, section in made["properties"].items()
    }
    source = made["$defs"]["SourceConfig"]
    for key in SourceSettings.model_fields:
        source["properties"][key].pop("default", None)  # the default is what `defaults:` says
    source["oneOf"] = [{"required": ["directory"]}, {"required": ["rtsp"]}]
    return made


def _describe(name: str, section: dict[str, Any]) -> None:
    """Adds to the keys of a section what stands under each in `settings`.

    pydantic can do the same whenever the settings are imported: that took a tenth of a second.
    """
    for kind in reversed(getattr(settings, name).__mro__):
        for key, text in _told().get(kind.__name__, {}).items():
            section["properties"][key]["description"] = text


@cache
def _told() -> dict[str, dict[str, str]]:
    """Returns the text under each key, by the class that holds it."""
    module = ast.parse(inspect.getsource(settings))
    return {
        kind.name: {
            key.target.id: inspect.cleandoc(text.value.value)
            for key, text in pairwise(kind.body)
            if isinstance(key, ast.AnnAssign)
            and isinstance(key.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for kind in module.body
        if isinstance(kind, ast.ClassDef)
    }


_SCHEMA_WORDS = {"gt": "exclusiveMinimum", "ge": "minimum", "le": "maximum"}
"""Names of limits in pydantic, and in JSON schema.

pydantic leaves its own names where one of our validators stands before the number.
"""


def _for_editors(schema: Any) -> Any:
    """Returns the schema in the words of JSON and YAML where pydantic used those of Python."""
    if isinstance(schema, list):
        return [_for_editors(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {_SCHEMA_WORDS.get(key, key): _for_editors(each) for key, each in schema.items()}
    if isinstance(text := made.get("description"), str):
        text = re.sub(r"None \((`\w+`)\)", r"\1", text.split("\n\n")[0])
        made["description"] = re.sub(r"\bNone\b", "null", text)
    return made
