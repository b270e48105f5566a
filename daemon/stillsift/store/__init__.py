"""Keeps pictures on disk, each whole or not at all, and moves originals away and back.

Knows nothing of why a frame was kept. Read `store` first (how a picture is placed), then
`quarantine` and `recovery`.
"""

from .errors import StoreError, StoreFull
from .quarantine import Quarantine
from .store import Store

__all__ = ["Quarantine", "Store", "StoreError", "StoreFull"]
