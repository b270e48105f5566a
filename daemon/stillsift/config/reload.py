"""Plans what a running daemon has to change for a new configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from .settings import Config, SourceConfig


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """Describes what a new configuration asks of a daemon that runs with an old one."""

    added: tuple[SourceConfig, ...] = ()
    """Sources to start."""
    removed: tuple[str, ...] = ()
    """Names of sources to end."""
    reopened: tuple[SourceConfig, ...] = ()
    """Sources to end and start again, since how they are read has changed."""
    retuned: tuple[SourceConfig, ...] = ()
    """Sources that stay open, with other settings for what is kept."""
    log: bool = False
    """Whether level or format of the log changed."""
    restart: tuple[str, ...] = ()
    """Keys, such as `store.path`, whose new value holds only after a restart."""
    changes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names of sources that stay, and which of their keys have another value."""

    def __bool__(self) -> bool:
        """Tells whether anything changed at all."""
        return self != ReloadPlan()

    def summary(self) -> str:
        """Tells in one line what changed in the sources and the log; empty: nothing did."""
        alike: dict[str, list[str]] = {}
        for name, what in (
            *((source.name, "added") for source in self.added),
            *((name, "removed") for name in self.removed),
            *((name, ", ".join(keys)) for name, keys in self.changes),
        ):
            alike.setdefault(what, []).append(name)
        told = [
            f"{', '.join(names) if len(names) <= _MOST_NAMED else f'{len(names)} sources'}: {what}"
            for what, names in alike.items()
        ]
        return "; ".join([*told, "log"] if self.log else told)


_MOST_NAMED = 5
"""Most sources with the same change that are called by their names."""

LIVE_KEYS = frozenset(
    {
        *("gallery", "group", "novelty_limit", "min_sharpness", "max_wait", "max_silence"),
        *("audit", "alarms", "repair", "retire", "sensitivity"),
        *("min_brightness", "max_brightness", "min_contrast"),
        *("min_gap", "max_per_minute", "max_per_hour", "max_per_day", "keep_ratio", "heartbeat"),
        *("require", "inhibit", "trigger", "compare", "anonymize", "tags"),
        "examples",
    }
)
"""Keys of a source that decide what is kept or reported; they can change while it is read."""


_FIXED = ("store", "model", "detector", "metrics", "review")
"""Sections that hold from the start to the end of a process."""


def in_force(old: Config, new: Config) -> Config:
    """Returns what holds in a daemon that began with `old` and then took up `new`."""
    return new.model_copy(update={section: getattr(old, section) for section in _FIXED})


def reload_plan(old: Config, new: Config) -> ReloadPlan:
    """Plans how to get from `old` to `new` without a restart, and names the keys that need one."""
    before = {source.name: source for source in old.sources}
    after = {source.name: source for source in new.sources}
    changed = {name: _changed_keys(before[name], after[name]) for name in after if name in before}
    return ReloadPlan(
        added=tuple(source for name, source in after.items() if name not in before),
        removed=tuple(name for name in before if name not in after),
        reopened=tuple(after[name] for name, keys in changed.items() if keys - LIVE_KEYS),
        retuned=tuple(
            after[name] for name, keys in changed.items() if keys and not keys - LIVE_KEYS
        ),
        log=old.log != new.log,
        changes=tuple((name, tuple(sorted(keys))) for name, keys in changed.items() if keys),
        restart=tuple(
            f"{section}.{key}"
            for section in _FIXED
            for key in sorted(_changed_keys(getattr(old, section), getattr(new, section)))
        ),
    )


def _changed_keys(old: BaseModel, new: BaseModel) -> set[str]:
    return {key for key in type(old).model_fields if getattr(old, key) != getattr(new, key)}
