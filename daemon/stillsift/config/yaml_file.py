"""Reads and checks config.yaml; gives its settings, or every mistake at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from . import marked_yaml
from .errors import ConfigError, Faults, Mistake, OverrideError, dotted, not_of_defaults, reason_of
from .field_types import shown
from .marked_yaml import VARIABLE, Document, Place
from .secrets import login_of
from .settings import Config, SourceSettings, conflicts, contradictions, impossible

log = logging.getLogger(__name__)

_FROM_FILE = {"from": "file"}
"""Validation context: bare numbers need units, and `_checked` looks for conflicts."""


NO_SOURCES = "there are none, and `stillsift run` needs one; name a directory or a camera to watch"
"""The mistake of a configuration that is only good for `sift -c`."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Holds a configuration, and where in its file each part is said."""

    config: Config
    document: Document

    def mistake_at(self, place: Place, reason: str) -> Mistake:
        """Makes a mistake about what stands at `place`, with its line."""
        line = self.document.line_of(place)
        return Mistake(line, dotted(place, self.document.value), reason)

    def clear_passwords(self) -> list[Mistake]:
        """Returns the passwords in clear text; they work, but readers of the file see them."""
        way_out = "holds a password in clear text; use password_file, or write ${NAME}"
        return [self.mistake_at(place, way_out) for place in _clear_passwords(self.document)]


def load(path: Path | None) -> Config:
    """Reads the configuration in `path`; None: the built-in defaults. Raises ConfigError.

    A password in clear text is accepted with a warning in the log.
    """
    return Config() if path is None else _warned_of(read_file(path), str(path))


def read_file(path: Path) -> ConfigFile:
    """Reads the configuration in `path` with its lines. Raises ConfigError with every mistake."""
    return _right(*looked_into(path), str(path))


def looked_into(path: Path) -> tuple[ConfigFile | None, list[Mistake]]:
    """Returns the configuration in `path` with its mistakes, so that more can be looked for.

    None: a value is invalid. Raises ConfigError where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(str(path), [Mistake(None, "", "no such file")]) from error
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text (byte {error.start})"
        raise ConfigError(str(path), [Mistake(None, "", reason)]) from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigError(str(path), [Mistake(None, "", reason)]) from error
    return _looked_at(text, os.environ)


def parse(
    text: str, name: str = "config.yaml", *, environ: Mapping[str, str] = os.environ
) -> Config:
    """Reads the configuration that `text` describes; `name` is what messages call it.

    Raises ConfigError with every mistake at once. A password in clear text is accepted with a
    warning in the log.
    """
    return _warned_of(_parsed(text, name, environ), name)


def parse_quietly(
    text: str, name: str = "config.yaml", *, environ: Mapping[str, str] = os.environ
) -> Config:
    """Reads the configuration as `parse` does, without a warning of passwords."""
    return _parsed(text, name, environ).config


def _warned_of(read: ConfigFile, name: str) -> Config:
    for mistake in read.clear_passwords():
        log.warning("%s:%s: %s", name, mistake.line, mistake)
    return read.config


def _parsed(text: str, name: str, environ: Mapping[str, str]) -> ConfigFile:
    return _right(*_looked_at(text, environ), name)


def _right(read: ConfigFile | None, mistakes: list[Mistake], name: str) -> ConfigFile:
    if read is None or mistakes:
        raise ConfigError(name, mistakes)
    return read


def _looked_at(text: str, environ: Mapping[str, str]) -> tuple[ConfigFile | None, list[Mistake]]:
    document = marked_yaml.read(text, environ)
    faults = Faults(document)
    given, config = document.value, None
    if isinstance(given, dict):
        # A section whose keys are all commented out is null in YAML, and means the defaults.
        given = {k: v for k, v in given.items() if v is not None or k not in Config.model_fields}
        config = _checked(given, faults)
    elif given is not None:
        faults.add((), f"must be sections of keys, not {shown(given)}")
    elif not document.faults:
        faults.add((), "holds no settings; the config.yaml of the project shows them all")
    return None if config is None else ConfigFile(config, document), faults.mistakes()


def _clear_passwords(document: Document) -> Iterator[Place]:
    """Yields the places of passwords that did not come from the environment."""
    for place, text in document.texts.items():
        match place:
            case ("sources", int(), "password"):
                password: str | None = text
            case ("sources", int(), "rtsp"):
                _, password = login_of(text)
            case _:
                continue
        if password is not None and not VARIABLE.search(password):
            yield place


def with_overrides(config: Config, assignments: Iterable[str]) -> Config:
    """Returns `config` with `KEY=VALUE` put into its defaults, where VALUE is YAML.

    Raises OverrideError with every mistake at once.
    """
    given: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals:
            mistakes.append(Mistake(None, key, "write KEY=VALUE"))
        elif key not in SourceSettings.model_fields:
            mistakes.append(Mistake(None, key, not_of_defaults(key)))
        else:
            # YAML takes no plain text that begins with %, as patterns of times do.
            document = marked_yaml.read(_quoted(text) if text.startswith("%") else text, {})
            mistakes += [Mistake(None, key, fault.reason) for fault in document.faults]
            if not document.faults:
                given[key] = document.value
    try:
        own = SourceSettings.model_validate(given, context=_FROM_FILE)
    except ValidationError as error:
        mistakes += [
            Mistake(None, dotted(each["loc"], None), reason_of(each, ("defaults",)))
            for each in error.errors()
        ]
        own = SourceSettings()
    if mistakes:
        raise OverrideError("--set", mistakes)
    changed = {key: getattr(own, key) for key in given}
    defaults = config.defaults.model_copy(update=changed)
    sources = tuple(source.under(defaults) for source in config.sources)
    made = config.model_copy(update={"defaults": defaults, "sources": sources})
    if mistakes := [
        Mistake(None, dotted(place, None).removeprefix("defaults."), reason)
        for place, reason in impossible(made)
    ]:
        raise OverrideError("--set", mistakes)
    return made


def _quoted(text: str) -> str:
    """Returns YAML that means this text, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def _checked(given: dict[str, Any], faults: Faults) -> Config | None:
    """Returns the configuration; None: a value is invalid. Adds every mistake to `faults`."""
    sources = given.get("sources")
    for index, source in enumerate(sources if isinstance(sources, list) else []):
        if isinstance(source, dict):
            for key, reason in conflicts(source):
                faults.add(("sources", index, *key), reason)
    for place, reason in contradictions(given):
        faults.add(place, reason)
    try:
        config = Config.model_validate(given, context=_FROM_FILE)
    except ValidationError as error:
        for each in error.errors():
            faults.add(each["loc"], reason_of(each))
        return None
    for place, reason in impossible(config):
        faults.add(place, reason)
    return config
