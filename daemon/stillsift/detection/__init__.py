"""Finds what a picture shows, by a neural network: labels, each with a box and a confidence.

Knows nothing of why somebody asks, or of what becomes of the picture. Read `detector` first: it
puts a picture into a network and makes `Detection`s of what comes out.
"""

from ..decisions import Detection
from .crops import crops, detect_around
from .detector import DetectError, Detector, open_detector
from .manifest import DetectorSpec, Kind, detectors

__all__ = [
    "DetectError",
    "Detection",
    "Detector",
    "DetectorSpec",
    "Kind",
    "crops",
    "detect_around",
    "detectors",
    "open_detector",
]
