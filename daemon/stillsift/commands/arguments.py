"""Defines the arguments that commands share, and finds what they name: a configuration, a store."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..config import Config, load
from ..frames import bounded_ns
from ..ledger import LedgerReader
from ..problems import Problem
from ..store.in_place import ledger_of

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse._SubParsersAction  # argparse has no public name for it

USUAL_CONFIG = (Path("/etc/stillsift/config.yaml"), Path("config.yaml"))
"""Files in which a configuration is looked for when none is named."""


class UsageError(Problem):
    """Says that the command line asks for something that is not possible."""

    exit_status = 2


class Run(Protocol):
    """Runs a command and returns the exit status."""

    def __call__(self, given: argparse.Namespace) -> int: ...


def add_command(
    commands: Commands, name: str, run: Run, summary: str, examples: str
) -> argparse.ArgumentParser:
    """Makes the parser of one command, whose help ends with examples."""
    made = commands.add_parser(
        name,
        help=summary[0].lower() + summary[1:].rstrip("."),
        description=summary,
        epilog=f"examples:\n{examples.rstrip()}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(command=run)
    return made


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (default: /etc/stillsift/config.yaml or ./config.yaml)",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="store to read (default: that of the configuration)",
    )
    add_config(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="NAME", help="only this source")


def add_span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="TIME", help="captured at or after (ISO 8601, UTC)")
    parser.add_argument("--until", metavar="TIME", help="captured before (ISO 8601, UTC)")


def span_asked(given: argparse.Namespace) -> tuple[int | None, int | None]:
    """Returns the times that were asked for, nanoseconds; None: no such end was named."""
    return _nanoseconds(given.since), _nanoseconds(given.until)


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: not a time; write 2026-03-01 or 2026-03-01T12:00") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return bounded_ns(round(at.timestamp() * 1000) * 1_000_000)


def known_source(given: argparse.Namespace, ledger: LedgerReader) -> str | None:
    """Returns the source that was asked for; None: all.

    Raises UsageError for an unknown source, since a misspelt name would give an empty answer that
    looks like good news.
    """
    name: str | None = given.source
    known = ledger.sources()
    if name is None or name in known:
        return name
    if given.store is None and name in {source.name for source in configured(given).sources}:
        return name  # nothing of it is recorded yet
    told = f"it has {', '.join(known)}" if known else "it has none yet"
    raise UsageError(f"--source {name}: no such source in {ledger.path}; {told}")


def usual_config(named: Path | None) -> Path | None:
    """Returns the configuration named, else the first usual one that exists; None: none does."""
    if named is not None:
        return named
    return next((path for path in USUAL_CONFIG if path.is_file()), None)


def store_path(given: argparse.Namespace) -> Path:
    """Returns the directory of the store that a command reads."""
    if given.store is not None:
        return Path(given.store)
    return configured(given).store.path


def configured(given: argparse.Namespace) -> Config:
    """Reads the configuration named or found, else returns the built-in defaults."""
    return load(usual_config(given.config))


def opened_ledger(given: argparse.Namespace) -> LedgerReader:
    """Opens the ledger of the store that was named, to read it beside a running daemon."""
    return LedgerReader(ledger_of(store_path(given)))
