"""Reads RTSP cameras: connects, decodes, and reconnects without end.

Knows nothing of files. Read `rtsp` first.
"""

from .rtsp import RtspSource

__all__ = ["RtspSource"]
