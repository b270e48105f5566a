"""Finds settings that are valid, but probably not meant."""

from __future__ import annotations

from collections.abc import Iterator

from ..units import written_duration
from .field_types import is_local
from .marked_yaml import Place
from .settings import Config, SourceConfig, SourceSettings

LintWarning = tuple[Place, str]
"""The place of a doubtful setting, and what is doubtful about it."""

_TIMES = {("minute", "hour"): 60, ("hour", "day"): 24, ("minute", "day"): 1440}


def lint(config: Config) -> Iterator[LintWarning]:
    """Yields what is doubtful about a valid configuration."""
    yield from _groups(config)
    yield from _open_to_all(config)
    yield from _shared_directories(config.sources)
    own = frozenset(SourceSettings.model_fields)
    yield from _amounts(("defaults",), config.defaults, own)
    yield from _unseen(("defaults",), config.defaults, own)
    yield from _contrary(("defaults",), config.defaults, own)
    yield from _originals(("defaults",), config.defaults, own)
    yield from _in_the_clear(("defaults",), config.defaults, own)
    for index, source in enumerate(config.sources):
        # What a source only takes over from the defaults is reported there.
        yield from _amounts(("sources", index), source, source.model_fields_set)
        yield from _unseen(("sources", index), source, source.model_fields_set)
        yield from _contrary(("sources", index), source, source.model_fields_set)
        yield from _originals(("sources", index), source, source.model_fields_set)
        yield from _in_the_clear(("sources", index), source, source.model_fields_set)


def _open_to_all(config: Config) -> Iterator[LintWarning]:
    """Yields a review that others can reach, as its password and pictures pass in the clear."""
    listen, public = config.review.listen, config.review.public_url
    if listen is None:
        return
    if not is_local(listen.host):
        why = "can be reached from elsewhere, and nothing is encrypted on the way: let it answer at"
        way_in = "through a proxy that encrypts (public_url), or a tunnel (ssh -L)"
        yield ("review", "listen"), f"{why} 127.0.0.1, and come in {way_in}"
    if public is not None and public.startswith("http:"):
        why = "encrypts nothing: password and pictures can be read on the way; let the proxy show"
        yield ("review", "public_url"), f"{why} it by https"


def _groups(config: Config) -> Iterator[LintWarning]:
    alike: dict[str, list[tuple[int, str]]] = {}
    for index, source in enumerate(config.sources):
        if source.group is not None:
            alike.setdefault(source.group.casefold(), []).append((index, source.group))
    for (index, group), *others in alike.values():
        first = config.sources[index]
        if not others:
            own = "group" in config.sources[index].model_fields_set
            place: Place = ("sources", index) if own else ("defaults",)
            why = f"is {group!r}, and no other source has it; alone it shares nothing"
            yield (*place, "group"), why
        for other, spelt in others:
            if spelt != group:
                why = f"is {spelt!r}, and another source has {group!r}; capitals count: two groups"
                yield ("sources", other, "group"), why
            its = config.sources[other]
            if (its.ignore, its.roi) != (first.ignore, first.roi):
                why = f"does not fit: {first.name} has another ignore or roi, and what one of them"
                yield ("sources", other, "group"), f"{why} paints looks new to the other"


def _shared_directories(sources: tuple[SourceConfig, ...]) -> Iterator[LintWarning]:
    places = [None if each.directory is None else each.directory.resolve() for each in sources]
    for index, place in enumerate(places):
        for earlier, other in enumerate(places[:index]):
            if place is None or other is None:
                continue
            at, name = ("sources", index, "directory"), sources[earlier].name
            if place == other:
                yield at, f"is that of sources.{name} too, and both read every file"
            elif place.is_relative_to(other) and sources[earlier].recursive:
                yield at, f"lies in that of sources.{name}, which is recursive and reads it too"
            elif other.is_relative_to(place) and sources[index].recursive:
                yield at, f"holds that of sources.{name}, and recursive reads that too"


def _unseen(
    place: Place, given: SourceSettings, own: frozenset[str] | set[str]
) -> Iterator[LintWarning]:
    """Yields an audit of little use, as something is inhibited and few frames are looked at."""
    if given.inhibit and given.audit and (key := _one_of(own, "audit", "inhibit")):
        why = (
            "does not fit: with inhibit, audit lays only dropped frames aside that a detector has "
        )
        yield (*place, key), f"{why}looked at, and these are few"


def _contrary(
    place: Place, given: SourceSettings, own: frozenset[str] | set[str]
) -> Iterator[LintWarning]:
    """Yields where all that is required is inhibited; `own`: as below."""
    inhibited = {each.label for each in given.inhibit}
    required = [each.label for each in given.require]
    key = _one_of(own, "require", "inhibit")
    if required and key is not None and all(label in inhibited for label in required):
        yield (
            (*place, key),
            f"does not fit: inhibit leaves out {required[0]}, which require asks for",
        )


def _amounts(
    place: Place, given: SourceSettings, own: frozenset[str] | set[str]
) -> Iterator[LintWarning]:
    """Yields amounts of which one makes the other useless; `own`: the keys to report."""
    if 0 < given.heartbeat < given.min_gap and (key := _one_of(own, "heartbeat", "min_gap")):
        gap, beat = written_duration(given.min_gap), written_duration(given.heartbeat)
        yield (
            (*place, key),
            f"does not fit: heartbeat is {beat}, and min_gap holds it back for {gap}",
        )
    for (short, long), times in _TIMES.items():
        shorter, longer = f"max_per_{short}", f"max_per_{long}"
        few, many = getattr(given, shorter), getattr(given, longer)
        key = _one_of(own, shorter, longer)
        if few is None or many is None or key is None:
            continue
        if few > many:
            yield (
                (*place, key),
                f"does not fit: {shorter} is {few}, and {longer} allows only {many}",
            )
        elif many > few * times:
            most = f"allows no more than {few * times} in one {long}"
            yield (*place, key), f"does not fit: {longer} is {many}, and {shorter} {most}"


def _originals(
    place: Place, given: SourceSettings, own: frozenset[str] | set[str]
) -> Iterator[LintWarning]:
    """Yields where the only file with the bytes of an original would go; `own`: as above."""
    key = _one_of(own, "retire", "repair")
    if given.retire == "delete" and given.repair.rewrites and key is not None:
        yield (
            (*place, key),
            "does not fit: retire is delete, and repair writes what is kept anew, so that the "
            "original is had back from nowhere; retire: move holds it for a time",
        )


def _in_the_clear(
    place: Place, given: SourceSettings, own: frozenset[str] | set[str]
) -> Iterator[LintWarning]:
    """Yields where originals lie beside what was made anonymous; `own`: as above."""
    key = _one_of(own, "retire", "anonymize")
    if given.anonymize and given.retire == "move" and key is not None:
        yield (
            (*place, key),
            "does not fit: retire is move, and the quarantine holds originals in which nothing is "
            "covered; retire: delete leaves none",
        )


def _one_of(own: frozenset[str] | set[str], *keys: str) -> str | None:
    return next((key for key in keys if key in own), None)
