"""Reads from an address which decisions are asked for, and writes it into one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from ..decisions import Outcome, Reason
from ..frames import EARLIEST_NS, LATEST_NS
from ..ledger.browsing import Asked
from ..problems import Problem
from ..store.names import instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_NS = 86_400_000_000_000
_ID = re.compile(r"[0-9a-f]{24}")
Named = TypeVar("Named", bound=StrEnum)


class BadAddress(Problem):
    """Says what is wrong in an address or a form."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Says which decisions a page shows. None: all."""

    source: str | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    least: float | None = None
    """Least distance to the kept frame that is named."""
    most: float | None = None
    names: str | None = None
    """Id of a kept frame: only what names it."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """Reads a filter from the query of an address. Raises BadAddress."""
        given = {name: text for name, text in query.items() if text}
        return cls(
            given.get("source"),
            _word(Outcome, given.get("outcome")),
            _word(Reason, given.get("reason")),
            time_of(given.get("from")),
            time_of(given.get("to")),
            _number(given.get("least")),
            _number(given.get("most")),
            id_of(given["names"]) if "names" in given else None,
        )

    @property
    def asked(self) -> Asked:
        return Asked(
            source=self.source,
            outcome=self.outcome,
            reason=self.reason,
            since_ns=self.since_ns,
            until_ns=self.until_ns,
            least_distance=self.least,
            most_distance=self.most,
            names=self.names,
        )

    def query(self, **more: object) -> str:
        """Returns the filter as the query of an address, with `?`; `more` are further values."""
        values: dict[str, object | None] = {
            "source": self.source,
            "outcome": self.outcome,
            "reason": self.reason,
            "from": None if self.since_ns is None else time_in(self.since_ns),
            "to": None if self.until_ns is None else time_in(self.until_ns),
            "least": self.least,
            "most": self.most,
            "names": self.names,
            **more,
        }
        told = {name: str(value) for name, value in values.items() if value is not None}
        return f"?{urlencode(told)}" if told else ""


def time_in(at_ns: int) -> str:
    """Returns a time as addresses have it, UTC: 2026-03-01T13:00:00."""
    at = instant(at_ns)
    return f"{at.year:04d}-{at:%m-%dT%H:%M:%S}"


def time_of(text: str | None) -> int | None:
    """Reads a day or a time, UTC; None: none is given. Raises BadAddress."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise BadAddress(f"{text!r} is no time; write 2026-03-01T13:00") from None
    if at.tzinfo is not None:
        raise BadAddress(f"{text!r}: times are in UTC, without a zone")
    at_ns = (at.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
    return max(EARLIEST_NS + _DAY_NS, min(LATEST_NS - _DAY_NS, at_ns))  # its day is recordable too


def id_of(text: str) -> str:
    """Reads the id of a decision. Raises BadAddress."""
    if _ID.fullmatch(text) is None:
        raise BadAddress(f"{text!r} is no id of a decision")
    return text


def whole_of(text: str | None) -> int | None:
    """Reads a whole number; None: none is given. Raises BadAddress."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise BadAddress(f"{text!r} is no whole number")
    return int(text)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{0,6}(\.[0-9]{0,9})?", text) is None or text in ("", "."):
        raise BadAddress(f"{text!r} is no number; write 0.5")
    return float(text)


def _word(words: type[Named], text: str | None) -> Named | None:
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        raise BadAddress(f"{text!r} is none of {', '.join(words)}") from None
