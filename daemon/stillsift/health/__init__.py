"""Raises alarms about a source itself: frozen, covered, moved, out of focus, or a clock that jumps.

Knows nothing of the decisions about frames, and none depends on it. Read `camera_health` first: it
takes decided frames in their order and returns the alarms that begin or end with each.
"""

from .alarms import Alarm, AlarmKind
from .camera_health import CameraHealth, Sighting

__all__ = ["Alarm", "AlarmKind", "CameraHealth", "Sighting"]
