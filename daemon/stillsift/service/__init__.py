"""Makes the daemon a service: what systemd, signals, the log and Prometheus are told.

Knows nothing of how frames are decided. Read `watchdog` first: what the main thread does while the
workers work.
"""

from .metrics import Metrics

__all__ = ["Metrics"]
