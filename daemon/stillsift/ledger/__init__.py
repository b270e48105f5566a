"""Records what was decided about every frame, in one SQLite file that survives kill -9.

Knows nothing of pictures, nor of how a decision is made. Read `records` first (what goes in and
comes out), then `writer`: one `Batch` is one transaction.
"""

from .connection import LedgerError, LedgerFull
from .reader import LedgerReader
from .writer import Ledger

__all__ = ["Ledger", "LedgerError", "LedgerFull", "LedgerReader"]
