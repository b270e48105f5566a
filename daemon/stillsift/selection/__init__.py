"""Decides which frames of one source are kept, and says why.

Knows nothing of disks, clocks and threads, so the same frames give the same decisions live, from
clips and from archives. Read `sifter` first, then `rule` (what is new) and `moments` (which
frame of a moment is best).
"""

from .album import Album
from .gallery import Gallery, GalleryFrame
from .limits import Limits
from .sifter import Sifter
from .verdict import Verdict

__all__ = ["Album", "Gallery", "GalleryFrame", "Limits", "Sifter", "Verdict"]
