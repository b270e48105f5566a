"""Writes text from outside, such as a file's name, so that it cannot pass for something else.

A line break in a name would forge a line of a log or table, and escape sequences would be carried
out by the terminal that shows them.
"""

from __future__ import annotations

import json
import re

_NOT_SHOWN = re.compile(r"[^\n -~]")


def escaped(text: str) -> str:
    """Returns the text on one line, with escapes as Python writes them for what is not printable.

    Printable is what Unicode calls so, and a blank: no line breaks, no characters that control a
    terminal or turn the direction of writing, no bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_utf8(text: str) -> str:
    """Returns the text with escapes for what is not UTF-8, as bytes of a file's name can be."""
    return text.encode(errors="backslashreplace").decode()


def json_text(value: object, *, indent: int | None = None) -> str:
    """Returns the value as JSON in which everything that is not printable has JSON's escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # Line breaks are those of the layout; within a string they are escaped already.
    return _NOT_SHOWN.sub(lambda c: c[0] if c[0].isprintable() else json.dumps(c[0])[1:-1], text)
