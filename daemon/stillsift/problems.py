"""The one error tree: what a person is told, and how the command ends."""

from __future__ import annotations


class Problem(Exception):
    """Something a person can mend. The message names the thing, the reason and the way out.

    Each room has its own subclasses; the command line prints the message without a traceback and
    ends with `exit_status`.
    """

    exit_status = 1
    """1 failed, 2 usage, 75 try again later, 78 configuration (sysexits.h)."""
