"""Runs the `stillsift` command: one parser, and one module for each command."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn

from . import __version__
from .escapes import escaped
from .problems import Problem

COMMANDS = (
    *(
        "run",
        "sift",
        "check-config",
        "review",
        "report",
        "view",
        "decisions",
        "stats",
        "tune",
        "audit",
        "gaps",
    ),
    "alarms",
    *("groups", "outliers", "leaks", "coverage", "balance", "find", "export"),
    *("examples", "repair", "labels", "restore", "models", "doctor"),
)
"""All commands; a new one needs one module and one name here."""

_EPILOG = """\
examples:
  stillsift sift clips/ --output sifted     keep the informative frames of past footage
  stillsift run -c config.yaml              watch directories and cameras, unattended
  stillsift decisions --store sifted        why a frame was kept or dropped

exit status: 0 done, 1 failed, 2 usage, 75 try again later, 78 configuration
"""


class _Parser(argparse.ArgumentParser):
    """Escapes what it repeats of the command line: `stillsift decisions *` gives it any name."""

    def error(self, message: str) -> NoReturn:
        super().error(escaped(message))


def parser(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """Returns the parser of the command line with these commands."""
    made = _Parser(
        prog="stillsift",
        description="Keep the informative frames of cameras, clips and photo folders.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"stillsift {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in names:
        import_module(f".commands.{name.replace('-', '_')}", __package__).add(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that is not UTF-8 must not end a command; JSON has the same escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    # Only what runs is imported: the others take a tenth of a second.
    named = [name for name in COMMANDS if name in words[:1]]
    given = parser(named or COMMANDS).parse_args(words)
    if not gc.isenabled():  # as `__main__` has left it
        gc.freeze()
        gc.enable()
    try:
        status: int = given.command(given)
        sys.stdout.flush()
    except Problem as problem:
        print(f"stillsift: {problem.shown()}", file=sys.stderr)
        return problem.exit_status
    except KeyboardInterrupt:
        print("stillsift: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the pipe (`| head`) has closed it. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # Such as a path on the command line that this user may not read, or a full disk behind `>`.
        what = "the output" if error.filename is None else error.filename
        print(f"stillsift: {escaped(f'{what}: {error.strerror}')}", file=sys.stderr)
        return 1
    return status
