"""Pages hold each decision once, in order, whatever is asked for; activity counts every frame."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from stillsift.decisions import Decision, Outcome, Reason
from stillsift.frames import TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.browsing import SLOT_NS, Asked
from stillsift.ledger.records import Batch, KeptFile

START_NS = 1_790_000_000 * 10**9 // SLOT_NS * SLOT_NS
STEP_NS = 20 * 10**9
REASONS = (Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.BLURRY, Reason.DECODE_ERROR)


def made(number: int, random: Random) -> Decision:
    reason = random.choice(REASONS)
    return Decision(
        *(f"{number:024x}", random.choice(("gate", "yard")), reason),
        *(START_NS + number * STEP_NS, TimeOrigin.PTS, number),
        nearest_kept=f"{number // 10 * 10:024x}" if random.random() < 0.7 else None,
        distance=round(random.random() * 3, 2) if random.random() < 0.8 else None,
    )


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    random = Random(7)
    with Ledger(tmp_path_factory.mktemp("pages") / "ledger.sqlite") as opened:
        some = [made(number, random) for number in range(700)]
        opened.commit(Batch("c", "m", decisions=[(each, None) for each in some]))
        yield opened


def fits(asked: Asked, one: Decision) -> bool:
    far = one.distance
    return (
        asked.source in (None, one.source)
        and asked.outcome in (None, one.outcome)
        and asked.reason in (None, one.reason)
        and (asked.since_ns is None or one.captured_at_ns >= asked.since_ns)
        and (asked.until_ns is None or one.captured_at_ns < asked.until_ns)
        and (asked.least_distance is None or (far is not None and far >= asked.least_distance))
        and (asked.most_distance is None or (far is not None and far <= asked.most_distance))
        and (
            asked.names is None
            or (one.nearest_kept == asked.names and one.outcome is Outcome.DROPPED)
        )
    )


ASKED = [
    Asked(source, outcome, reason, *times, *far)
    for (source, (outcome, reason)), times, far in itertools.product(
        itertools.product(
            (None, "gate", "nobody"),
            ((None, None), (Outcome.DROPPED, None), (None, Reason.BLURRY)),
        ),
        (
            (None, None),
            (START_NS + 100 * STEP_NS, None),
            (START_NS + 50 * STEP_NS, START_NS + 400 * STEP_NS),
            (START_NS - 5, START_NS - 1),
        ),
        ((None, None), (1.0, 2.0)),
    )
] + [Asked(names=f"{50:024x}"), Asked(names="f" * 24)]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_pages_hold_what_is_asked_for(ledger: Ledger, asked: Asked, newest_first: bool) -> None:
    wanted = [each.decision.id for each in ledger.decisions() if fits(asked, each.decision)]
    seen: list[str] = []
    behind: int | None = None
    while True:
        page = ledger.page(asked, most=13, behind=behind, newest_first=newest_first)
        seen += [each.decision.id for each in page.records]
        assert len(page.records) <= 13
        if page.after is None:
            break
        behind = page.after
    assert seen == (wanted[::-1] if newest_first else wanted)


def test_a_search_that_takes_long_ends_and_goes_on_where_it_stopped(ledger: Ledger) -> None:
    asked, seen, behind, cut_off = Asked(least_distance=2.9), 0, None, 0
    while True:
        page = ledger.page(asked, most=5, behind=behind, seconds=0)
        seen += len(page.records)
        cut_off += page.cut_off
        if page.after is None:
            break
        behind = page.after
    assert cut_off > 3
    assert seen == sum(fits(asked, each.decision) for each in ledger.decisions())


def _counted(ledger: Ledger, slot_ns: int) -> Counter[tuple[str, int, Reason]]:
    until = START_NS + 1000 * STEP_NS
    return Counter(
        {
            (source, each.from_ns, each.reason): each.frames
            for source in ("gate", "yard")
            for each in ledger.activity(source, START_NS, until, slot_ns)
        }
    )


def _true(ledger: Ledger, slot_ns: int) -> Counter[tuple[str, int, Reason]]:
    counted: Counter[tuple[str, int, Reason]] = Counter()
    for each in ledger.decisions():
        one = each.decision
        at_ns = START_NS + (one.captured_at_ns - START_NS) // slot_ns * slot_ns
        counted[one.source, at_ns, one.reason] += one.frames
    return counted


@pytest.mark.parametrize("slot_ns", [SLOT_NS, 60 * 10**9])
def test_activity_counts_every_frame(ledger: Ledger, slot_ns: int) -> None:
    assert _counted(ledger, slot_ns) == _true(ledger, slot_ns)


def test_activity_follows_what_is_decided_anew_and_forgotten(tmp_path: Path) -> None:
    random = Random(8)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        some = [made(number, random) for number in range(100)]
        ledger.commit(Batch("c", "m", decisions=[(each, None) for each in some]))
        again = [made(number, random) for number in range(0, 100, 3)]
        ledger.commit(Batch("c", "m", decisions=[(each, None) for each in again]))
        assert _counted(ledger, SLOT_NS) == _true(ledger, SLOT_NS)
        while ledger.forget(1 << 62):
            pass
        assert _counted(ledger, SLOT_NS) == _true(ledger, SLOT_NS)
        assert ledger.active_around("gate", START_NS, START_NS + 1)[0] is None


def test_a_changed_decision_leaves_no_day_without_frames(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        one = made(1, Random(8))
        ledger.commit(Batch("c", "m", decisions=[(one, None)]))
        later = replace(one, captured_at_ns=one.captured_at_ns + 100 * SLOT_NS)
        ledger.commit(Batch("c", "m", changed=[later]))
        from_ns = later.captured_at_ns // SLOT_NS * SLOT_NS
        assert ledger.active_around(one.source, from_ns, 1 << 62) == (None, None)


def test_a_kept_frame_is_repeated_by_what_it_shows_alone(tmp_path: Path) -> None:
    def one(number: int, reason: Reason, named: int | None = None) -> Decision:
        nearest = None if named is None else f"{named:024x}"
        at_ns = START_NS + number * STEP_NS
        return Decision(
            *(f"{number:024x}", "gate", reason, at_ns, TimeOrigin.PTS, number), nearest_kept=nearest
        )

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        some = [
            *(one(0, Reason.NOVEL), one(1, Reason.BUDGET, 0), one(2, Reason.RATE_LIMITED, 0)),
            *(one(3, Reason.NOVEL, 0), one(4, Reason.NEAR_DUPLICATE, 3), one(5, Reason.BUDGET, 3)),
            *(one(6, Reason.NOVEL, 3), one(7, Reason.SAME_OBJECT, 6), one(8, Reason.BLURRY, 6)),
        ]
        kept = KeptFile(some[6].id, "gate", Path("kept/6.jpg"), 1, "", 1, 1, some[6].captured_at_ns)
        files = {6: kept}
        ledger.commit(
            Batch("c", "m", decisions=[(each, files.get(each.frame_index)) for each in some])
        )
        shown = (Reason.NEAR_DUPLICATE, Reason.SAME_OBJECT)
        assert [id for _, id in ledger.kept_repeated(None, None, 9, shown)] == [
            some[6].id,
            some[3].id,
        ]
        assert ledger.repeating(some[3].id, shown, 9) == [some[4].id]
        assert ledger.repeating(some[6].id, shown, 9) == [some[7].id]
        assert ledger.repeating(some[0].id, shown, 9) == []
        ledger.mark_missing([kept])
        found = ledger.kept_repeated("gate", None, 9, shown)
        assert [id for _, id in found] == [some[3].id]
