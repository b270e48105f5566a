"""Defines the types of settings, such as a time zone, a pattern or an address.

Each type is checked; the message of an error tells the way out.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

from .. import units
from ..frame_numbers import NumberPattern, is_number_pattern
from ..selection.regions import Polygon, polygon_mistake
from .secrets import parts_of, redacted


def shown(value: object) -> str:
    """Returns a value as its writer knows it, without the password of a URL."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a section of keys"
        case list() | tuple():
            return "a list"
        case str():
            return repr(redacted(value))
        case _:
            return str(value).removesuffix(".0")


def is_local(host: str) -> bool:
    """Tells whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Address(NamedTuple):
    """Describes where to listen."""

    host: str
    """Host; empty: every interface."""
    port: int
    """Port; 0: any free port."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _address(given: Any) -> Address | None:
    if given is None or isinstance(given, Address):
        return given
    if given == "off":
        return None
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]*):([0-9]{1,5})", str(given))
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"is {shown(given)}; write HOST:PORT such as 127.0.0.1:9478, or off")
    return Address(match[1].strip("[]"), int(match[2]))


def _written_address(address: Address | None) -> str:
    return "off" if address is None else str(address)


def _most_kept(given: Any) -> Any:
    if isinstance(given, str) and given != "none" and not given.isdigit():
        raise ValueError(f"must be a whole number, or none for no limit, not {shown(given)}")
    return None if given == "none" else _not_true_or_false(given)


def _share(given: Any) -> Any:
    if given == "none" or not isinstance(given, str):
        return None if given == "none" else _not_true_or_false(given)
    try:
        return float(given)
    except ValueError:
        raise ValueError(
            f"must be a share such as 0.01, or none for no share, not {shown(given)}"
        ) from None


def _written_amount(amount: int | float | None) -> int | float | str:
    return "none" if amount is None else amount


def _not_true_or_false(given: Any) -> Any:
    """Raises ValueError for true and false; pydantic would take `true` for 1."""
    if isinstance(given, bool):
        raise ValueError(f"must be a number, not {shown(given)}")
    return given


def _picture_size(given: Any) -> Any:
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", str(given))
    if match is None and not isinstance(given, tuple):
        raise ValueError(f"is {shown(given)}; write WIDTHxHEIGHT, such as 224x224")
    return given if match is None else (int(match[1]), int(match[2]))


def _polygons(given: Any) -> tuple[Polygon, ...]:
    """Reads polygons from a list of lists of [x, y]."""
    way_out = "write a list of polygons such as [[[0, 0], [1, 0], [1, 0.1], [0, 0.1]]]"
    if not isinstance(given, list | tuple):
        raise ValueError(f"is {shown(given)}; {way_out}")
    made: list[Polygon] = []
    for number, polygon in enumerate(given, 1):
        which = f"polygon {number}"
        if not isinstance(polygon, list | tuple) or not all(_is_point(each) for each in polygon):
            raise ValueError(f"{which} is no list of points [x, y]; {way_out}")
        corners = tuple((float(x), float(y)) for x, y in polygon)
        if (mistake := polygon_mistake(corners)) is not None:
            raise ValueError(f"{which} {mistake}")
        made.append(corners)
    return tuple(made)


def _is_point(given: Any) -> bool:
    return (
        isinstance(given, list | tuple)
        and len(given) == 2
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in given)
    )


def _home_expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"is {str(path)!r}, and there is no such home directory") from error


def _time_zone(name: str) -> str:
    try:
        zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"is {name!r}, which is no time zone of this machine; write UTC or a name such as "
            "Europe/Berlin"
        ) from error
    return name


def zone(name: str) -> tzinfo:
    """Returns the time zone of that name; UTC needs no zone files on the machine."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _looks(given: Any, info: ValidationInfo) -> Any:
    return given if given == "auto" else units.rate_value(given, info)


def _written_looks(rate: float | str | None) -> str:
    return rate if isinstance(rate, str) else units.written_rate(rate)


def _sequence(given: Any, info: ValidationInfo) -> Any:
    if given in ("auto", "off"):
        return given
    if given is not None and given != "all" and not isinstance(given, bool | list | dict):
        # Numbers come from Python only; in a file their unit is unknown.
        if isinstance(given, str):
            with suppress(ValueError):
                return units.rate(given)
        elif info.context is None and given > 0:
            return given
    raise ValueError(f"is {shown(given)}; write a rate such as 25/s, or auto, or off")


def _written_sequence(rate: float | str) -> str:
    return rate if isinstance(rate, str) else units.written_rate(rate)


_DIRECTIVES = frozenset("YymdHIMSfjbBpzs%")


def _time_pattern(pattern: str) -> str:
    """Checks that a pattern gives back the day of the time that it wrote, or a frame's number."""
    if is_number_pattern(pattern):
        try:
            NumberPattern(pattern)
        except ValueError as error:
            raise ValueError(
                f"is {pattern!r}, which {error}; write one such as in%06d@25"
            ) from error
        return pattern
    moment = datetime(2001, 12, 23, 14, 45, 56, tzinfo=UTC)
    directives = re.findall(r"%(.?)", pattern)
    unknown = [each for each in directives if each not in _DIRECTIVES or not each]
    if unknown or not set(directives) - {"%"}:
        what = f"%{unknown[0]} in it means nothing" if unknown else "it tells no time"
        if hint := _number_hint(pattern):
            raise ValueError(f"is {pattern!r}{hint}")
        raise ValueError(f"is {pattern!r}, and {what}; write one such as cam1_%Y%m%d_%H%M%S")
    if "s" in directives:
        return pattern
    try:
        told = datetime.strptime(moment.strftime(pattern), pattern)
    except (ValueError, re.error) as error:
        raise ValueError(f"is {pattern!r}, which no time can be read with: {error}") from error
    if told.date() != moment.date():
        raise ValueError(
            f"is {pattern!r}, which tells no year, month and day{_number_hint(pattern)}"
        )
    return pattern


def _number_hint(pattern: str) -> str:
    """Returns the way out where a frame's number was meant; else nothing."""
    meant = re.fullmatch(r"[^%@]*%[0-9]*d[^%@]*", pattern) is not None
    return f"; a frame's number needs its rate behind it: {pattern}@25" if meant else ""


def _named(what: str) -> AfterValidator:
    """Makes a check of names that are fit for files; `what` tells whose name it is."""

    def checked(name: str) -> str:
        if re.fullmatch(r"\w[\w.-]{0,63}", name) is None:
            raise ValueError(
                f"is {name!r}, which cannot be {what}; use letters, digits, '-', '_' and '.', "
                "at most 64, beginning with a letter or digit"
            )
        return name

    return AfterValidator(checked)


def _camera_url(url: str) -> str:
    parts = parts_of(url)
    try:
        usable = parts.scheme in ("rtsp", "rtsps") and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:  # the port is no number, or too large
        usable = False
    if not usable:
        raise ValueError(
            f"is {redacted(url)!r}; write rtsp://HOST[:PORT]/PATH, or rtsps:// for TLS"
        )
    return url


def public_url(url: str) -> str:
    """Checks the URL of a page behind a proxy; returns it as browsers write its origin.

    Raises ValueError.
    """
    way_out = "write https://HOST[:PORT][/PATH], PATH of letters, digits, '.', '_' and '-'"
    found = re.fullmatch(
        r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?((?:/[\w.-]+)*)/?",
        url,
        re.ASCII,
    )
    if found is None or {".", ".."} & {*found[4].split("/")}:
        raise ValueError(f"is {redacted(url)!r}; {way_out}")
    scheme, host, port, path = found.groups()
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError(f"is {redacted(url)!r}, and there is no port {port}; {way_out}")
    usual = {"http": 80, "https": 443}[scheme]
    at = "" if port is None or int(port) == usual else f":{int(port)}"
    return f"{scheme}://{host.lower()}{at}{path}"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"is {text!r}; write an address such as 127.0.0.1, or a network such as 172.18.0.0/16"
        ) from None
    return text


def _password_place(name: str) -> str:
    if not name.startswith("/") and ("/" in name or name in ("", ".", "..")):
        raise ValueError(
            f"is {name!r}; write an absolute path, or the bare name of a systemd credential"
        )
    return name


LocalPath = Annotated[
    Path, AfterValidator(_home_expanded), WithJsonSchema({"type": "string", "minLength": 1})
]
PublicUrl = Annotated[str, AfterValidator(public_url)]
"""URL under which a proxy shows a page: scheme and host, maybe a port and a path, no slash at its
end."""
IpNetwork = Annotated[str, AfterValidator(_network)]
"""IP address or network."""
Number = Annotated[float, BeforeValidator(_not_true_or_false)]
Whole = Annotated[int, BeforeValidator(_not_true_or_false)]
Polygons = Annotated[tuple[Polygon, ...], BeforeValidator(_polygons)]
"""Polygons of three or more points [x, y], as shares of the picture's width and height."""
MostKept = Annotated[
    int | None,
    BeforeValidator(_most_kept),
    PlainSerializer(_written_amount, when_used="json"),
    WithJsonSchema({"anyOf": [{"enum": ["none", None]}, {"type": "integer", "minimum": 1}]}),
]
"""A whole number, or None for `none`."""
Share = Annotated[
    float | None,
    BeforeValidator(_share),
    PlainSerializer(_written_amount, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["none", None]},
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            ]
        }
    ),
]
"""A share of a whole, or None for `none`."""
PictureSize = Annotated[
    tuple[int, int],
    BeforeValidator(_picture_size),
    PlainSerializer(lambda size: f"{size[0]}x{size[1]}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"}),
]
"""Width and height in pixels."""
Listen = Annotated[
    Address | None,
    BeforeValidator(_address),
    PlainSerializer(_written_address, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(off|.*:[0-9]{1,5})$"},
                {"const": False},  # what YAML 1.1 takes `off` for
            ]
        }
    ),
]
"""Address to listen at, or None for `off`."""
SequenceRate = Annotated[
    float | Literal["auto", "off"],
    BeforeValidator(_sequence),
    PlainSerializer(_written_sequence, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["auto", "off"]},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|min|m|h|d)$"},
            ]
        }
    ),
]
"""Numbers per second, or `auto` or `off`."""
LookRate = Annotated[
    float | Literal["auto"] | None,
    BeforeValidator(_looks),
    PlainSerializer(_written_looks, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(all|auto|[0-9]+(\.[0-9]+)?/(s|m|min|h|d))$",
            "description": "Frames for a time: 5/s, 12/min, 1/h; or all, or auto.",
        }
    ),
]
"""Frames per second; None: every frame; or `auto`."""
TimePattern = Annotated[str, AfterValidator(_time_pattern)]
"""A strptime pattern that tells year, month and day, or that of a frame's number with a rate."""
ZoneName = Annotated[str, AfterValidator(_time_zone)]
"""A time zone that this machine knows."""
FileName = Annotated[str, _named("a folder's name")]
"""A name that a folder can have."""
GroupName = Annotated[str, _named("a group's name")]
"""The name of a group of sources."""
CameraUrl = Annotated[str, AfterValidator(_camera_url)]
"""A URL with rtsp:// or rtsps:// and a host."""
PasswordPlace = Annotated[str, AfterValidator(_password_place)]
"""An absolute path, or the name of a systemd credential."""
