"""Writes configurations down as people do."""

from __future__ import annotations

import re
from pathlib import Path

REFERENCE = Path(__file__).parents[1] / "config.yaml"


DIRECTORY = "sources: [{name: a, directory: /a}]"


def camera(rest: str) -> str:
    """A camera with whatever else a row says."""
    return f"sources:\n- name: door\n  rtsp: rtsp://h/1\n  {rest}\n"


def example_sources() -> str:
    """The commented examples at the end of the reference, uncommented."""
    examples = REFERENCE.read_text().split("\nsources:\n")[1]
    return "sources:\n" + re.sub(r"(?m)^#", "", examples)
