"""The colours of the review are far enough apart to be read and told, by WCAG 2.2 AA."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stillsift.review import application

CSS = (Path(application.__file__).parent / "static" / "review.css").read_text("utf-8")
TEXT, DRAWN = 4.5, 3.0
ON = ("ground", "raised")
KINDS = ("kept", "same", "unsharp", "empty", "limited", "unwanted", "failed", "lost", "gap")


def colours(scheme: str) -> dict[str, str]:
    """The variables of one scheme; the dark one changes what the light one sets."""
    roots = re.findall(r":root \{(.*?)\}", CSS, re.S)
    assert len(roots) == 2
    told = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", root)) for root in roots]
    assert told[0].keys() == told[1].keys()
    return told[0] if scheme == "light" else told[1]


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ON)
@pytest.mark.parametrize("ink", ["ink", "pale", "link"])
def test_text_can_be_read(scheme: str, ground: str, ink: str) -> None:
    given = colours(scheme)
    assert contrast(given[ink], given[ground]) >= TEXT


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_buttons_can_be_read_and_seen(scheme: str) -> None:
    given = colours(scheme)
    assert contrast(given["ink"], given["button"]) >= TEXT
    assert contrast(given["pale"], given["ground"]) >= DRAWN  # their border
    assert contrast(given["focus"], given["ground"]) >= DRAWN


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", [*KINDS, "alarm"])
def test_what_is_drawn_can_be_seen(scheme: str, kind: str) -> None:
    given = colours(scheme)
    assert contrast(given[kind], given["raised"]) >= DRAWN


def test_no_colour_of_text_stands_outside_of_the_variables() -> None:
    rules = CSS.split("* { box-sizing", 1)[1]
    assert set(re.findall(r"(?<![-\w])color: ([^;]+);", rules)) <= {
        *("var(--ink)", "var(--pale)", "var(--link)"),
    }
