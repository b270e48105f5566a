"""Gives frames from directories of stills and clips, and from RTSP cameras.

Knows nothing of the ledger or of what is kept: a source yields what happened, in order, and asks
`Known` what was decided before. Read `items` first, then `files.directory` and `camera.rtsp`.
"""

from .items import (
    ClipPosition,
    Failed,
    FileIdentity,
    Finished,
    Gap,
    Idle,
    Item,
    Known,
    LeftAlone,
    Numbering,
    Opened,
    Overload,
    Position,
    Repeated,
    Shorter,
    Source,
    origin_of,
)

__all__ = [
    "ClipPosition",
    "Failed",
    "FileIdentity",
    "Finished",
    "Gap",
    "Idle",
    "Item",
    "Known",
    "LeftAlone",
    "Numbering",
    "Opened",
    "Overload",
    "Position",
    "Repeated",
    "Shorter",
    "Source",
    "origin_of",
]
