"""Hides a secret in the command line of this process, which every user of the machine can read."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.secrets import MASK, login_of, redacted

_SELF = Path("/proc/self")
_BEGIN, _END = 45, 46
"""Places of arg_start and arg_end in /proc/self/stat, behind the name: proc(5)."""


def hide(instead: Mapping[str, str]) -> bool:
    """Overwrites words of the command line by others, which are cut or filled up to their length.

    Returns False where that could not be done. Whoever looked before has seen the words: it is
    better not to write secrets there.
    """
    try:
        facts = (_SELF / "stat").read_bytes().rpartition(b")")[2].split()
        line = (_SELF / "cmdline").read_bytes()
    except OSError:
        return False
    begin, end = int(facts[_BEGIN]), int(facts[_END])
    if begin == 0 or end - begin != len(line) or ctypes.string_at(begin, len(line)) != line:
        return False
    for word, shown in instead.items():
        old = os.fsencode(word)
        new = os.fsencode(shown)[: len(old)].ljust(len(old))
        at = line.find(b"\0" + old + b"\0")
        while at >= 0:
            ctypes.memmove(begin + at + 1, new, len(new))
            at = line.find(b"\0" + old + b"\0", at + 1)
    return True


def hide_passwords(given: Sequence[str]) -> None:
    """Takes passwords out of what other users see of this process, and says that it is late.

    `given`: the words of the command line that may be URLs.
    """
    shown = {text: redacted(text) for text in given if "://" in text}
    hidden = hide(shown)
    if not any(login_of(text)[1] or f"={MASK}" in shown[text] for text in shown):
        return
    print(
        "stillsift: a password on the command line stays in the shell's history, and everybody on "
        f"this machine could read it in the list of processes{'' if hidden else ', and still can'}"
        "; write rtsp://USER@HOST/PATH and --password-file FILE",
        file=sys.stderr,
    )
