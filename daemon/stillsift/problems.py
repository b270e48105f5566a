"""Defines the base of all errors that a person is told about, with the exit status."""

from __future__ import annotations

from .escapes import escaped


class Problem(Exception):
    """Says that something failed that a person can mend.

    The message names the thing, the reason and the remedy. Each package has its own subclasses. The
    command line prints the message without a traceback and ends with `exit_status`.
    """

    exit_status = 1
    """Exit status: 1 failed, 2 usage, 75 try again later, 78 configuration (sysexits.h)."""

    def shown(self) -> str:
        """Returns the message fit to be printed: names in it can hold anything."""
        return escaped(str(self))
