"""Reads directories: finds stills and clips, waits until each is whole, and decodes it.

Knows nothing of cameras. Of earlier decisions it knows only what `Known` answers. Read `directory`
first.
"""

from .clip import ClipReader
from .directory import DirectorySource, SourceMissing, unmatched

__all__ = ["ClipReader", "DirectorySource", "SourceMissing", "unmatched"]
