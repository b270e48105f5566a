"""Prints records as a table for people, or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..decisions import Decision, Detection, Tag, time_text, told_measure
from ..escapes import escaped, json_text


def print_records(given: argparse.Namespace, rows: list[dict[str, object]], none: str) -> None:
    """Prints rows as JSON or as a table, as was asked for; the table leaves a None blank.

    `none`: what a person is told when there are no rows.
    """
    if given.json:
        print(json_text(rows, indent=2))
    elif rows:
        told = [["" if value is None else str(value) for value in row.values()] for row in rows]
        print(table([list(rows[0]), *told]))
    else:
        print(none)


def span(from_ns: int, to_ns: int | None) -> dict[str, object]:
    """Returns a stretch of time as it is printed; `to_ns` None: it is not over."""
    return {
        "from": time_text(from_ns),
        "to": None if to_ns is None else time_text(to_ns),
        "seconds": None if to_ns is None else round((to_ns - from_ns) / 1e9, 3),
    }


def table(rows: list[list[str]]) -> str:
    """Formats left-aligned columns, two blanks apart; the first row is the heading."""
    rows = [list(map(escaped, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


ColumnType = Literal["text", "whole", "number", "time"]

DECISION_COLUMNS: dict[str, ColumnType] = {
    "source": "text",
    "file": "text",
    "frame_index": "whole",
    "pts_s": "number",
    "captured_at": "time",
    "outcome": "text",
    "reason": "text",
    "sharpness": "number",
    "sharpness_limit": "number",
    "similarity": "number",
    "novelty": "number",
    "novelty_limit": "number",
    "nearest_kept": "text",
    "kept_path": "text",
    "distance": "number",
    "id": "text",
    "captured_at_origin": "text",
    "detail": "text",
    "dropped_as": "text",
    "frames": "whole",
    "detections": "text",
    "repairs": "text",
    "objects_shown_by": "text",
    "shadows": "number",
    "highlights": "number",
    "contrast": "number",
    "tags": "text",
}
"""Columns of a decision and their types, in the order in which every format has them."""

Row = dict[str, str | int | float | None]


def decision_row(decision: Decision, kept_path: Path | None, repairs: str | None) -> Row:
    """Returns the decision as a row of `DECISION_COLUMNS`. None: the measure was not taken."""
    return {
        "source": decision.source,
        "file": None if decision.file is None else str(decision.file),
        "frame_index": decision.frame_index,
        "pts_s": None if decision.pts_s is None else round(float(decision.pts_s), 6),
        "captured_at": time_text(decision.captured_at_ns),
        "outcome": decision.outcome.value,
        "reason": decision.reason.value,
        "sharpness": told_measure(decision.sharpness),
        "sharpness_limit": told_measure(decision.sharpness_limit),
        "similarity": told_measure(decision.similarity),
        "novelty": told_measure(decision.novelty),
        "novelty_limit": told_measure(decision.novelty_limit),
        "nearest_kept": decision.nearest_kept,
        "kept_path": None if kept_path is None else str(kept_path),
        "distance": told_measure(decision.distance),
        "id": decision.id,
        "captured_at_origin": decision.captured_at_origin.value,
        "detail": decision.detail,
        "dropped_as": None if decision.dropped_as is None else decision.dropped_as.value,
        "frames": decision.frames,
        "detections": None if decision.detections is None else objects(decision.detections),
        "repairs": repairs,
        "objects_shown_by": " ".join(decision.objects_shown_by) or None,
        "shadows": told_measure(decision.shadows),
        "highlights": told_measure(decision.highlights),
        "contrast": told_measure(decision.contrast),
        "tags": None if decision.tags is None else tags(decision.tags),
    }


def objects(found: Iterable[Detection]) -> str:
    """Returns objects as JSON, since no table of CSV has lists: label, confidence (0 to 1) and box
    (left, top, right, bottom, in pixels) of each, rounded to what means something."""
    told = [
        {
            "label": each.label,
            "confidence": round(each.confidence, 3),
            "box": [round(side, 1) for side in each.box],
        }
        for each in found
    ]
    return json.dumps(told)


def tags(told: Iterable[Tag]) -> str:
    """Returns tags as JSON: label and confidence (0 to 1) of each."""
    return json.dumps(
        [{"label": each.label, "confidence": round(each.confidence, 3)} for each in told]
    )
