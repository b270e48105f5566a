"""Reads what is recorded of the decisions of a source, and with which settings it was decided."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from ..selection.replay import MEASURED, Measures, measures_of
from .connection import Connection
from .filters import where


class MeasuresReader(Connection):
    """Answers what a replay at other settings asks."""

    def measures(
        self,
        source: str,
        since_ns: int | None = None,
        until_ns: int | None = None,
        newest: int | None = None,
    ) -> Measures:
        """Returns the measures of what a source has kept or dropped in [since, until).

        `newest`: at most so many, those captured last. Of 100,000 decisions that takes about half a
        second.
        """
        return measures_of(self._measured(source, since_ns, until_ns, newest))

    def measures_and_configs(
        self,
        source: str,
        since_ns: int | None = None,
        until_ns: int | None = None,
        newest: int | None = None,
    ) -> tuple[Measures, list[str]]:
        """Returns the same, and the configurations (YAML) that these were decided with, the last
        one first."""
        rows = self._measured(source, since_ns, until_ns, newest)
        keys = dict.fromkeys(row[-1] for row in reversed(rows))
        found = (self._one("SELECT yaml FROM configs WHERE key = ?", (key,)) for key in keys)
        return measures_of(rows), [str(row[0]) for row in found if row is not None]

    def _measured(
        self, source: str, since_ns: int | None, until_ns: int | None, newest: int | None
    ) -> list[tuple[Any, ...]]:
        """Returns rows of `MEASURED`, with the number of the decision and the key of its
        configuration behind, in the order of that number."""
        condition, values = where(
            ("captured_at_ns >= ?", since_ns), ("captured_at_ns < ?", until_ns)
        )
        index = order = ""
        if newest is not None:
            index = "INDEXED BY decisions_by_time"
            order = f"ORDER BY captured_at_ns DESC, seq DESC LIMIT {newest:d}"
        rows = self._all(
            f"SELECT {', '.join(MEASURED)}, seq, config FROM decisions {index}"
            f" WHERE source = ? AND outcome IN ('kept', 'dropped') AND {condition} {order}",
            (source, *values),
        )
        rows.sort(key=itemgetter(-2))
        return rows

    def extent(self, source: str, since_ns: int, until_ns: int) -> tuple[int, int]:
        """Returns how many decisions a source has in [since, until), and the number of the last
        one made; 0: there is none. A million take less than 0.1 s."""
        row = self._one(
            "SELECT count(*), COALESCE(max(seq), 0) FROM decisions INDEXED BY decisions_by_time"
            " WHERE source = ? AND captured_at_ns >= ? AND captured_at_ns < ?",
            (source, since_ns, until_ns),
        )
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def kept_size(self, source: str, since_ns: int, until_ns: int) -> tuple[int, int]:
        """Returns how many pictures of frames captured in [since, until) a source has in the store,
        and their bytes."""
        row = self._one(
            "SELECT count(*), COALESCE(sum(bytes), 0) FROM kept"
            " WHERE source = ? AND captured_at_ns >= ? AND captured_at_ns < ? AND missing = 0",
            (source, since_ns, until_ns),
        )
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def config(self, hash: str) -> str | None:
        """Returns the configuration (YAML, no secrets) that has this hash; None: never recorded."""
        row = self._one("SELECT yaml FROM configs WHERE hash = ?", (hash,))
        return str(row[0]) if row else None

    def config_with(self, model: str) -> str | None:
        """Returns the configuration (YAML) that a model was used with last; None: it never was."""
        row = self._one(
            "SELECT c.yaml FROM decisions d NOT INDEXED JOIN configs c ON c.key = d.config"
            " WHERE d.model = (SELECT key FROM models WHERE name = ?) ORDER BY d.seq DESC LIMIT 1",
            (model,),
        )
        return None if row is None else str(row[0])
