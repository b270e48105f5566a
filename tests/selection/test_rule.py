"""The page tells the rule as it is: the same rows in the same order, and all its numbers."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from stillsift.decisions import Reason
from stillsift.selection.numbers import Numbers
from stillsift.selection.rule import ROWS
from stillsift.selection.sensitivity import Sensitivity

PAGE = (Path(__file__).parents[2] / "docs" / "selection.md").read_text("utf-8")


def _table(heading: str) -> list[list[str]]:
    """Returns the cells of the rows of the table that begins with this cell."""
    found = re.search(rf"^\| {heading} \|.*\n\|[ -|]*\n((?:\|.*\n)+)", PAGE, re.M)
    assert found is not None
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[1].splitlines()]


def test_the_page_has_the_rows_of_the_rule_in_their_order() -> None:
    told = [(name, outcome.strip("`")) for name, _, outcome in _table("row")]
    done = [
        (row.name, row.outcome.value if isinstance(row.outcome, Reason) else f"news: {row.outcome}")
        for row in ROWS
    ]
    assert told == done


def test_the_page_has_the_numbers_of_the_rule() -> None:
    told = {cells[0].strip("`"): float(cells[1].split()[0]) for cells in _table("number")}
    assert told == {field.name: getattr(Numbers(), field.name) for field in fields(Numbers)}


def test_the_rows_use_numbers_that_are_on_the_page() -> None:
    names = {field.name for field in fields(Numbers)}
    used = set(re.findall(r"`(\w+)`", " ".join(where for _, where, _ in _table("row"))))
    assert used - {"distance"} <= names


def test_another_embedder_scales_distances_and_weights_but_no_times() -> None:
    ours, twice = Numbers(), Numbers.of(2 * Numbers().cell)
    scaled = {name for name in twice.__slots__ if getattr(twice, name) == 2 * getattr(ours, name)}
    same = {name for name in twice.__slots__ if getattr(twice, name) == getattr(ours, name)}
    assert {"cell", "view", "background", "thing", "followed", "still"} <= scaled
    assert {"news", "weak", "strong", "large"} <= scaled
    assert scaled | same == set(twice.__slots__)
    assert {"gap_s", "refresh_s", "still_s", "crept_s", "reach", "grown"} <= same


def test_a_factor_and_a_sensitivity_move_weights_and_no_distance() -> None:
    ours, more = Numbers(), Numbers.of(Numbers().cell, Sensitivity.HIGH, 2.0)
    assert (more.cell, more.view, more.thing) == (ours.cell, ours.view, ours.thing)
    assert (more.news, more.gap_s) == (ours.news, ours.gap_s / 2)
