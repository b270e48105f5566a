"""Decides which frames of one source are kept, and says why.

Knows nothing of disks, clocks or threads: the same frames give the same decisions, live, from clips
and from archives. Read `sifter` first, then `novelty` for what is new and `moments` for what is
best of it.
"""

from .gallery import Gallery, GalleryFrame
from .limits import Limits
from .sifter import Sifter
from .verdict import Verdict

__all__ = ["Gallery", "GalleryFrame", "Limits", "Sifter", "Verdict"]
