"""Runs every frame along one line: source, measure, decide, persist, record, retire.

Knows nothing of the command line. Read `line` first (one source, from its pixels to its record),
then `engine` (what lines share) and `fleet` (the threads they run in).
"""

from .engine import Engine
from .line import Line

__all__ = ["Engine", "Line"]
