"""Reads the labels that lie beside pictures, says what is wrong with them, and mends what it can.

Knows nothing of stores, ledgers and decisions. Read `findings` first (what a label is, and what can
be wrong), then `checks`.
"""

from .checks import Checked, checked
from .findings import Kind, Wrong

__all__ = ["Checked", "Kind", "Wrong", "checked"]
