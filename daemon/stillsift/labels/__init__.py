"""Reads the labels that lie beside pictures, says what is wrong with them, and mends what it can.

Knows nothing of stores, ledgers and decisions. Read `findings` first (what a label is, and what can
be wrong), then `checks`.
"""

from .checks import Checked, checked, label_folders, labels_of
from .findings import Kind, Labels, Wrong

__all__ = ["Checked", "Kind", "Labels", "Wrong", "checked", "label_folders", "labels_of"]
