"""Reads directories: which files are footage, when one is whole, and the pictures in it.

Knows nothing of cameras, and nothing of what was decided but what `Known` answers. Read `directory`
first.
"""

from .clip import ClipReader
from .directory import DirectorySource, SourceMissing

__all__ = ["ClipReader", "DirectorySource", "SourceMissing"]
