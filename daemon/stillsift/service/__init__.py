"""Makes the daemon a service: handles signals, writes the log, informs systemd and Prometheus.

Knows nothing of how frames are decided. Read `watchdog` first: what the main thread does while the
workers work.
"""

from .metrics import Metrics

__all__ = ["Metrics"]
