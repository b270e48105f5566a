"""Reads RTSP cameras: connects, decodes, and calls again for as long as it takes.

Knows nothing of files. Read `rtsp` first.
"""

from .rtsp import RtspSource

__all__ = ["RtspSource"]
