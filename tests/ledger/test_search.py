"""Listings of a large ledger look at few rows, and give what looking at all would give."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from stillsift.decisions import Decision, Outcome, Reason
from stillsift.frames import TimeOrigin, frame_id
from stillsift.ledger import Ledger, LedgerReader, search
from stillsift.ledger.records import Batch, Checkpoint, FileState
from stillsift.sources import FileIdentity

REASONS = (Reason.NEAR_DUPLICATE, Reason.BLURRY, Reason.GAP, Reason.DECODE_ERROR, Reason.OVERLOAD)
SECOND_NS = 10**9


def decisions(count: int) -> list[Decision]:
    """Of three sources; not in the order of their times."""
    by_chance = random.Random(1)
    made = []
    for index in range(count):
        source = ("a", "b", "c")[index % 3]
        made.append(
            Decision(
                frame_id(source, "x", index),
                source,
                by_chance.choice(REASONS),
                (index + by_chance.randrange(20)) * SECOND_NS,
                TimeOrigin.PTS,
                index,
                file=Path(f"/in/{index % 5}.mp4"),
            )
        )
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "l.sqlite") as opened:
        yield opened


@pytest.mark.parametrize("most_sorted", [5, 10_000])
def test_every_combination_finds_what_a_look_at_each_row_finds(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, most_sorted: int
) -> None:
    made = decisions(100)
    ledger.commit(Batch("c", "m", [(each, None) for each in made]))
    monkeypatch.setattr(search, "PAGE", 7)
    monkeypatch.setattr(search, "_MOST_SORTED", most_sorted)
    choices: dict[str, tuple[Any, ...]] = {
        "source": (None, "b", "nobody"),
        "outcome": (None, Outcome.LOST, Outcome.KEPT),
        "reason": (None, Reason.BLURRY),
        "since_ns": (None, 30 * SECOND_NS, 10**6 * SECOND_NS),
        "until_ns": (None, 80 * SECOND_NS, -(1 << 63)),
        "file": (None, Path("3.mp4")),
        "id": (None, made[40].id[:1]),
        "limit": (None, 0, 4, 1000),
    }
    for values in product(*choices.values()):
        asked = dict(zip(choices, values, strict=True))
        found = [record.decision for record in ledger.decisions(**asked)]
        limit = asked.pop("limit")
        right = [each for each in made if meets(each, **asked)]
        if limit is not None:
            right = right[len(right) - min(limit, len(right)) :]
        assert found == right, (asked, limit)


def meets(
    one: Decision,
    *,
    source: str | None,
    outcome: Outcome | None,
    reason: Reason | None,
    since_ns: int | None,
    until_ns: int | None,
    file: Path | None,
    id: str | None,
) -> bool:
    assert one.file is not None
    return (
        source in (None, one.source)
        and outcome in (None, one.outcome)
        and reason in (None, one.reason)
        and (since_ns is None or one.captured_at_ns >= since_ns)
        and (until_ns is None or one.captured_at_ns < until_ns)
        and (file is None or one.file.name == file.name)
        and (id is None or one.id.startswith(id))
    )


def steps_of(ledger: LedgerReader, ask: Callable[[], object]) -> int:
    """How many hundred steps SQLite takes to answer."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    ledger._db.set_progress_handler(count, 100)
    ask()
    ledger._db.set_progress_handler(None, 0)
    return steps


COPIED = "c" * 64
QUESTIONS: dict[str, Callable[[Ledger], object]] = {
    "the last minute": lambda it: [*it.decisions(since_ns=19_990 * SECOND_NS)],
    "the last minute of a source": lambda it: [
        *it.decisions(source="b", since_ns=19_990 * SECOND_NS)
    ],
    "the first start of a source": lambda it: [
        *it.decisions(source="new", outcome=Outcome.KEPT, limit=1)
    ],
    "a source that is silent": lambda it: [*it.decisions(source="new", limit=10)],
    "the newest of a source": lambda it: [*it.decisions(source="b", limit=10)],
    "the newest of an outcome": lambda it: [*it.decisions(outcome=Outcome.FAILED, limit=10)],
    "an outcome that there is none of": lambda it: [*it.decisions(outcome=Outcome.KEPT)],
    "the newest of a reason": lambda it: [*it.decisions(reason=Reason.BLURRY, limit=10)],
    "an id": lambda it: [*it.decisions(id="0123456789")],
    "counts": lambda it: it.counts(),
    "nothing to forget": lambda it: it.forget(0),
    "a content of which there are many copies": lambda it: it.seen("b", COPIED),
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with Ledger(tmp_path_factory.mktemp("large") / "l.sqlite") as opened:
        opened.commit(Batch("c", "m", [(each, None) for each in decisions(20_000)]))
        copies = [
            Checkpoint(
                "b", Path(f"/in/{n}.mp4"), FileIdentity(1, n, 9, n), COPIED, 9, FileState.DONE
            )
            for n in range(20_000)
        ]
        opened.commit(Batch("c", "m", [], copies))
        yield opened


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_takes_no_longer_for_all_the_other_rows(large: Ledger, question: str) -> None:
    """Counted in steps of SQLite, so that the machine plays no part."""
    assert steps_of(large, lambda: QUESTIONS[question](large)) < 100


def test_the_long_measurement_runs() -> None:
    """With few rows; what it says of the times depends on the machine."""
    script = Path(__file__).parents[1] / "system" / "ledger_size"
    done = subprocess.run(
        [sys.executable, str(script), "--rows", "5000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "forgetting: the longest step" in done.stdout
    assert done.stderr == ""
