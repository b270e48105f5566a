"""Looks at pictures as a set: groups, odd ones, copies across splits, labels, gaps.

Knows nothing of the command line, nor of how a frame is decided. A set is read from folders or from
a store; whatever is computed of it takes its vectors and returns values. Read `pictures` first.
"""

from .pictures import Entry, PictureSet

__all__ = ["Entry", "PictureSet"]
