"""Tells from stored measures what would be kept at other limits, and finds the limits for it.

Knows nothing of pictures, disks and clocks. Read `what_if` first, then `measures` (what it is told
from).
"""

from .measures import MEASURED, Column, Kind, Measures, measures_of
from .proposal import FACTORS_TRIED, FEW, Fitted, Tried, Wish, fitted, nearest, tried
from .what_if import WhatIf, what_if

__all__ = [
    "FACTORS_TRIED",
    "FEW",
    "MEASURED",
    "Column",
    "Fitted",
    "Kind",
    "Measures",
    "Tried",
    "WhatIf",
    "Wish",
    "fitted",
    "measures_of",
    "nearest",
    "tried",
    "what_if",
]
