"""Opens the templates, with the filters that write times, names and lengths for people."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import jinja2

from ..decisions import Outcome, Reason, outcome_of, time_text
from ..escapes import escaped
from ..units import shown_duration, shown_size
from .filters import Filter, time_in
from .pages import captions, file_name
from .reasons import in_words, kind_of
from .timeline import HOUR_NS

_HERE = Path(__file__).parent


def environment(**shared: object) -> jinja2.Environment:
    """Returns the templates; `shared` are values that all of them know."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": lambda value: escaped(str(value)),
        "at": lambda at_ns: time_text(at_ns)[:19].replace("T", " "),
        "clock": lambda at_ns: time_text(at_ns)[11:16],
        "moment": lambda at_ns: time_text(at_ns)[11:19].removesuffix(":00"),
        "day": lambda at_ns: time_text(at_ns)[:10],
        "time_in": time_in,
        "lasting": lambda ns: shown_duration(ns / 1e9),
        "size": shown_size,
        "file_name": lambda one: escaped(file_name(one)),
        "captions": captions,
        "kind": kind_of,
        "in_words": in_words,
        "query": lambda value: quote(str(value), safe=""),
    }
    made.globals |= {
        "outcomes": list(Outcome),
        "reasons": [
            (outcome, [r for r in Reason if outcome_of(r) is outcome]) for outcome in Outcome
        ],
        "hour_ns": HOUR_NS,
        "no_filter": Filter(),
        **shared,
    }
    return made
