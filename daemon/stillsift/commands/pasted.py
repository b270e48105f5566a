"""Writes commands for a person to paste: quoted for the shell, and called as this one was."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_NAME = "stillsift"
_PACKAGE = Path(__file__).resolve().parents[1]
_BY_PYTHON = (
    *(_PACKAGE / "__main__.py", _PACKAGE.parent / "__main__.py"),
    _PACKAGE.parent,
)
"""What Python runs for `python -m stillsift` and for `python daemon`."""


def pasted(*words: object) -> str:
    """Returns `stillsift WORDS` as a line for a shell that calls the same program."""
    return " ".join([_itself(sys.argv, sys.orig_argv), *(quoted(str(word)) for word in words)])


def quoted(word: str) -> str:
    """Returns a word as a shell takes it; with escapes, $'\\n', where it is not printable."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escape, word))}'"


def _escape(letter: str) -> str:
    if letter in "'\\":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    # Three digits, so that no digit behind it belongs to it.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))


def _itself(argv: Sequence[str], whole: Sequence[str]) -> str:
    """Returns how this program was called: `argv` as it sees itself, `whole` with its Python."""
    called = Path(argv[0])
    if called.name == _NAME and not called.is_dir():
        found = shutil.which(_NAME)
        on_path = found is not None and Path(found).absolute() == called.absolute()
        return _NAME if on_path else quoted(argv[0])
    if called.resolve() in _BY_PYTHON:
        return " ".join(map(quoted, whole[: len(whole) - len(argv) + 1]))
    return _NAME
