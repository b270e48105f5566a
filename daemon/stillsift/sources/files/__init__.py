"""Reads directories: finds stills and clips, waits until each is whole, and decodes it.

Knows nothing of cameras. Of earlier decisions it knows only what `Known` answers. Read `directory`
first.
"""

from .clip import ClipReader, frame_again
from .directory import DirectorySource, SourceMissing, unmatched
from .header import DecodeError
from .pages import page_of
from .still import picture_of

__all__ = [
    "ClipReader",
    "DecodeError",
    "DirectorySource",
    "SourceMissing",
    "frame_again",
    "page_of",
    "picture_of",
    "unmatched",
]
