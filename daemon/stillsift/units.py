"""Reads and writes values with a unit, as people write them: `10s`, `20GB`, `5/s`, `100MP`.

Each kind has a reader, a writer whose text is read back as the same value, and a pydantic type that
joins the two. In a file a number without a unit is refused, because its unit is unknown; only a
number of pixels, and a duration or size of 0, need none. Python code passes plain seconds, bytes,
pixels and frames per second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

_DURATIONS: dict[str, Decimal | int] = {
    "ms": Decimal("0.001"),
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
}
_SIZES: dict[str, int] = {
    **{"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}
_RATES = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_PIXELS = {"MP": 10**6}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"

_DURATION_PATTERN = rf"^({_NUMBER}) ?({'|'.join(_DURATIONS)})$"
_SIZE_PATTERN = rf"^({_NUMBER}) ?({'|'.join(_SIZES)})$"
_RATE_PATTERN = rf"^({_NUMBER})/({'|'.join(_RATES)})$"
_PIXELS_PATTERN = rf"^({_NUMBER}) ?({'|'.join(_PIXELS)})$"

_DURATION_HINT = "write a number with ms, s, m, h or d, such as 10s"
_SIZE_HINT = "write a number with kB, MB, GB, TB, MiB or GiB, such as 20GB"
_RATE_HINT = "write frames per s, min, h or d, such as 5/s, or all"
_PIXELS_HINT = "write megapixels, such as 100MP"


def counted(number: int, thing: str) -> str:
    """Returns `1 frame` or `2 frames`; the plural of `thing` must end in s."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def duration(text: str) -> float:
    """Returns the seconds of `500ms`, `10s`, `5m`, `2h` or `14d`.

    Raises ValueError; its message says what to write instead.
    """
    return float(_amount(text, _DURATION_PATTERN, _DURATIONS, _DURATION_HINT))


def size(text: str) -> int:
    """Returns the bytes of `20GB` (powers of 1000) or `512MiB` (1024). Raises ValueError."""
    return int(_amount(text, _SIZE_PATTERN, _SIZES, _SIZE_HINT))


def pixels(text: str) -> int:
    """Returns the pixels of `100MP`. Raises ValueError."""
    return int(_amount(text, _PIXELS_PATTERN, _PIXELS, _PIXELS_HINT))


def rate(text: str) -> float | None:
    """Returns the frames per second of `5/s` or `12/min`; None: `all`. Raises ValueError."""
    if text.strip() == "all":
        return None
    match = re.match(_RATE_PATTERN, text.strip())
    if match is None:
        raise ValueError(f"is {text!r}; {_RATE_HINT}")
    frames = float(Decimal(match[1]) / _RATES[match[2]])
    if frames <= 0:
        raise ValueError(f"is {text}, which never takes a frame; {_RATE_HINT}")
    return frames


def shown_size(count: float) -> str:
    """Returns bytes for a person: `48.9 kB`, `1.4 MB`, `20.0 GB`."""
    for unit, below in (("kB", "MB"), ("MB", "GB"), ("GB", "TB")):
        if round(count / _SIZES[unit], 1) < _SIZES[below] / _SIZES[unit]:
            return f"{count / _SIZES[unit]:.1f} {unit}"
    return f"{count / _SIZES['TB']:.1f} TB"


def shown_duration(seconds: float) -> str:
    """Returns a time for a person, to two units: `40 s`, `3 min`, `1 h 20 min`, `2 d 3 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def shown_clock(seconds: float) -> str:
    """Returns a position in a clip as players show it: `0:07`, `12:30`, `1:02:03`."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def written_duration(seconds: float) -> str:
    """Returns the shortest text that `duration` reads back as the same number."""
    return _written(seconds, {"d": 86400, "h": 3600, "m": 60}, "s", duration)


def written_size(count: int) -> str:
    """Returns the shortest text that `size` reads back as the same number."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if count and count % _SIZES[unit] == 0:
            return f"{count // _SIZES[unit]}{unit}"
    return f"{count}B"


def written_pixels(count: int) -> str:
    """Returns the text that `pixels` reads back as the same number."""
    return f"{_plain(Decimal(count) / 10**6)}MP"


def written_rate(frames: float | None) -> str:
    """Returns the text that `rate` reads back as the same number; `all` for None."""
    if frames is None:
        return "all"
    for unit in ("s", "min", "h", "d"):
        count = round(frames * _RATES[unit])
        if count and rate(f"{count}/{unit}") == frames:
            return f"{count}/{unit}"
    return f"{_plain(frames)}/s"


def _amount(text: str, pattern: str, units: Mapping[str, Decimal | int], hint: str) -> Decimal:
    text = text.strip()
    if text == "0":
        return Decimal(0)
    match = re.match(pattern, text)
    if match is None:
        raise ValueError(f"is {text!r}; {hint}")
    return Decimal(match[1]) * units[match[2]]


def _written(
    value: float, units: Mapping[str, int], smallest: str, read: Callable[[str], float]
) -> str:
    for unit, factor in units.items():
        count = round(value / factor)
        if count and read(f"{count}{unit}") == value:
            return f"{count}{unit}"
    thousandths = round(value * 1000)
    if 0 < thousandths < 1000 and read(f"{thousandths}ms") == value:
        return f"{thousandths}ms"
    return f"{_plain(value)}{smallest}"


def _plain(number: float | Decimal) -> str:
    """Returns all digits of a number, without an exponent."""
    text = format(Decimal(repr(number)) if isinstance(number, float) else number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _reader(read: Callable[[str], object], hint: str, *, bare: bool = False) -> BeforeValidator:
    """Returns a pydantic validator that reads text by `read` and takes numbers as they are.

    In a file a number other than 0 is refused, unless `bare` is set: its key names the unit.
    """

    def value(given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, str):
            return read(given)
        if given is None or isinstance(given, bool | list | dict):
            raise ValueError(f"is {_yaml_word(given)}; {hint}")
        # A validation context is given only when values come from a file (see `config_file`).
        if info.context is not None and given != 0 and not bare:
            raise ValueError(f"is {given} without a unit; {hint}")
        return given

    return BeforeValidator(value)


def rate_value(given: Any, info: ValidationInfo) -> Any:
    """Returns the frames per second that a setting gives. Raises ValueError."""
    if isinstance(given, str):
        return rate(given)
    if info.context is not None or isinstance(given, bool | list | dict):
        raise ValueError(f"is {_yaml_word(given)}; {_RATE_HINT}")
    if given is not None and given <= 0:
        raise ValueError(f"is {given}, which never takes a frame; {_RATE_HINT}")
    return given


def _yaml_word(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list"
    return "a section" if isinstance(value, dict) else str(value)


def _schema(pattern: str, description: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern, "description": description}
    return WithJsonSchema({"anyOf": [text, {"const": 0}]})


Duration = Annotated[
    float,
    _reader(duration, _DURATION_HINT),
    PlainSerializer(written_duration, return_type=str, when_used="json"),
    _schema(_DURATION_PATTERN, "A time: 500ms, 10s, 5m, 2h, 14d; 0 needs no unit."),
]
"""Seconds, 0 and up."""

Size = Annotated[
    int,
    _reader(size, _SIZE_HINT),
    PlainSerializer(written_size, return_type=str, when_used="json"),
    _schema(_SIZE_PATTERN, "A size: 20GB (powers of 1000), 512MiB (powers of 1024)."),
]
"""Bytes, 0 and up."""

Pixels = Annotated[
    int,
    _reader(pixels, _PIXELS_HINT, bare=True),
    PlainSerializer(written_pixels, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PIXELS_PATTERN, "description": "Such as 100MP."},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]
"""A number of pixels."""
