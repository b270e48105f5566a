"""Offers the settings that can be tried, reads them from an address, writes them as YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..config import ConfigError
from ..config.marked_yaml import write
from ..config.settings import SourceSettings
from ..selection.replay import FACTORS_TRIED
from ..selection.sensitivity import Sensitivity
from .filters import BadAddress
from .what_if import changed


@dataclass(frozen=True, slots=True)
class Slider:
    """Describes a setting that is a number, and how far a slider moves it.

    More can be typed, as far as the setting allows.
    """

    key: str
    least: float
    most: float
    step: float
    note: str
    unit: str = ""
    """What stands behind the number in YAML."""
    unlimited: bool = False
    """Whether it may be left empty, as the end of the slider does: there is no limit then."""


SLIDERS = (
    Slider(
        "novelty_limit",
        *(FACTORS_TRIED[0], FACTORS_TRIED[-1], 0.05),
        note="what is new has to exceed it; lower keeps more",
    ),
    Slider("min_sharpness", 0, 1, 0.05, "share of the usual sharpness; lower calls fewer blurred"),
    Slider("min_gap", 0, 60, 0.5, "seconds between two kept frames", unit="s"),
    Slider("max_per_hour", 1, 240, 1, "kept in an hour; empty: no limit", unlimited=True),
    Slider("min_brightness", 0, 255, 1, "darker ones are dropped; 0: none"),
    Slider("max_brightness", 0, 255, 1, "brighter ones are dropped; 255: none"),
    Slider("min_contrast", 0, 127, 1, "emptier ones are dropped; 0: none"),
)
SENSITIVITIES = tuple(each.value for each in Sensitivity)
_UNLIMITED = {each.key for each in SLIDERS if each.unlimited}
_UNITS = {"sensitivity": "", **{each.key: each.unit for each in SLIDERS}}


def texts(settings: SourceSettings) -> dict[str, str]:
    """Returns what stands in each field; empty: there is no limit."""
    return {key: _text(getattr(settings, key)) for key in _UNITS}


def asked(query: Mapping[str, str], settings: SourceSettings) -> SourceSettings:
    """Returns settings with what an address says. Raises BadAddress."""
    assignments = []
    for key, unit in _UNITS.items():
        text = query.get(key, texts(settings)[key]).strip()
        if key == "sensitivity":
            if text not in SENSITIVITIES:
                raise BadAddress(f"sensitivity is none of {', '.join(SENSITIVITIES)}")
        elif not text and key in _UNLIMITED:
            text = "none"
        elif re.fullmatch(r"[0-9]{0,9}(\.[0-9]{0,20})?(e-[0-9]{1,2})?", text) is None or (
            not text.strip(".")
        ):
            raise BadAddress(f"{key}: {text!r} is no number; write 0.5")
        assignments.append(f"{key}={text}{'' if text == 'none' else unit}")
    try:
        return changed(settings, assignments)
    except ConfigError as error:
        told = "; ".join(str(each) for each in error.mistakes)
        raise BadAddress(told) from None


def yaml_lines(source: str, before: SourceSettings, after: SourceSettings) -> str:
    """Returns what differs as lines of config.yaml, below the name of its source; empty: nothing
    does."""
    differing = {
        key: _value(getattr(after, key), unit)
        for key, unit in _UNITS.items()
        if getattr(after, key) != getattr(before, key)
    }
    return write({"sources": [{"name": source, **differing}]}) if differing else ""


def _text(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return format(value, ".15g")


def _value(value: str | float | None, unit: str) -> str | float:
    if value is None:
        return "none"
    return f"{_text(value)}{unit}" if unit else value
