"""Holds where frames come from: directories of stills and clips, and RTSP cameras.

Knows nothing of the ledger or of what is kept: a source tells what happened, in order, and asks the
past through `Known`. Read `items` first, then `files.directory` and `camera.rtsp`.
"""

from .items import (
    Failed,
    FileIdentity,
    Finished,
    Gap,
    Idle,
    Item,
    Known,
    Opened,
    Overload,
    Repeated,
    Source,
    origin_of,
)

__all__ = [
    "Failed",
    "FileIdentity",
    "Finished",
    "Gap",
    "Idle",
    "Item",
    "Known",
    "Opened",
    "Overload",
    "Repeated",
    "Source",
    "origin_of",
]
