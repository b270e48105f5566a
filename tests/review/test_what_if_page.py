"""What if, asked of the real server over stores that `sift` made."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from clips import real_clip
from footage import write_stills
from reviewing import Browser, reviewed
from stillsift.cli import main
from stillsift.config.settings import SourceSettings
from stillsift.config.yaml_file import parse_quietly
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.frames import TimeOrigin, frame_id
from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import Batch
from stillsift.review import what_if
from stillsift.review.filters import BadAddress
from stillsift.review.sliders import asked, texts, yaml_lines
from stillsift.review.what_if import Held, recorded


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("what_if") / "store"
    assert main(["sift", str(real_clip("bikes")), "-o", str(store)]) == 0
    return store


@pytest.fixture
def browser(store: Path) -> Iterator[Browser]:
    with reviewed(store) as made:
        made.enter()
        yield made


def page(browser: Browser, query: str = "") -> str:
    answer = browser.get(f"/review/what-if?{query}")
    assert answer.status == 200, answer.text
    return answer.text


def told(text: str) -> tuple[int, int, int, int]:
    """How many would be kept, were kept, are added and are lost."""
    found = re.search(r'<div id="answer"[^>]*>(.*?)</div>', text, re.S)
    assert found is not None, text
    words = " ".join(re.sub(r"<[^>]+>", "", found[1]).split())
    numbers = re.search(
        r"(\d+)(?: \(.*?\))? of .* instead of (\d+): (\d+) added, (\d+) lost", words
    )
    assert numbers is not None, words
    kept, was, added, lost = map(int, numbers.groups())
    return kept, was, added, lost


def shown(text: str, which: str) -> list[str]:
    """Ids of the frames in one of the grids."""
    found = re.search(rf'<section aria-labelledby="{which}">(.*?)</section>', text, re.S)
    assert found is not None
    return re.findall(r"/decision/([0-9a-f]{24})", found[1])


def kept(store: Path) -> list[str]:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        return [each.decision.id for each in ledger.decisions(outcome=Outcome.KEPT)]


def test_with_the_settings_that_were_nothing_changes(browser: Browser, store: Path) -> None:
    text = page(browser)
    was = len(kept(store))
    assert told(text) == (was, was, 0, 0)
    assert (shown(text, "added"), shown(text, "lost"), "<pre" in text) == ([], [], False)


def test_added_and_lost_frames_are_shown_with_the_lines_to_write(
    browser: Browser, store: Path
) -> None:
    text = page(browser, "source=bikes&min_gap=4&novelty_limit=0.5&max_per_hour=&sensitivity=high")
    number, was, added, lost = told(text)
    assert (number, was) == (was + added - lost, len(kept(store)))
    assert lost > 0
    assert set(shown(text, "lost")) <= set(kept(store))
    assert not set(shown(text, "added")) & set(kept(store))
    assert (len(shown(text, "lost")), len(shown(text, "added"))) == (lost, added)
    assert "In two of three cases" in text
    lines = re.search(r"<pre[^>]*>(.*?)</pre>", text, re.S)
    assert lines is not None
    config = parse_quietly(lines[1].replace("- name: bikes", "- name: bikes\n  directory: /srv"))
    (source,) = config.sources
    assert (source.min_gap, source.novelty_limit, source.sensitivity) == (4.0, 0.5, "high")
    assert "max_per_hour" not in lines[1]


def test_it_says_what_tune_says(browser: Browser, store: Path) -> None:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        past = recorded(ledger, "bikes", None, None)
    assert past is not None
    found = past.at(past.settings.model_copy(update={"min_gap": 3.0}))
    assert told(page(browser, "min_gap=3"))[0] == found.count


def test_gates_are_tried_and_what_is_not_known_is_told(browser: Browser) -> None:
    text = page(browser, "min_contrast=127")
    assert told(text)[0] == 0
    assert "Not known" not in text
    assert "Not known:</strong> a kept frame that would be called blurred" in page(
        browser, "min_sharpness=0.9"
    )


def test_many_frames_are_turned_page_by_page(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillsift.review.pages.TILES", 4)
    query, seen = "source=bikes&min_contrast=127", []
    while True:
        text = page(browser, query)
        seen += shown(text, "lost")
        older = re.search(r'what-if\?([^"#]*)#lost">older', text)
        if older is None:
            break
        query = older[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == told(text)[3] > 8


def test_a_time_is_chosen_and_its_end_is_filled_in(browser: Browser) -> None:
    end = re.search(r'name="to" value="([^"]+)"', page(browser))
    assert end is not None
    assert told(page(browser, f"to={end[1]}")) == told(page(browser))
    assert "Nothing was kept or dropped in this time" in page(browser, "to=2001-01-01T00:00:00")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("source=nobody", "there is no source"),
        ("sensitivity=loud", "sensitivity is none of"),
        ("novelty_limit=much", "is no number"),
        ("novelty_limit=0", "novelty_limit"),
        ("min_sharpness=7", "min_sharpness"),
        ("min_gap=.", "is no number"),
        ("max_per_hour=1.5", "max_per_hour"),
        ("min_brightness=200&max_brightness=", "is no number"),
        ("added=x", "is no whole number"),
        (f"from={quote('now')}", "is no time"),
    ],
)
def test_mistakes_are_told(browser: Browser, query: str, says: str) -> None:
    answer = browser.get(f"/review/what-if?{query}")
    assert (answer.status, says in answer.text) == (400, True), answer.text


def test_a_store_in_which_nothing_was_decided(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    Ledger(tmp_path / "store" / "ledger.sqlite").close()
    with reviewed(tmp_path / "store") as browser:
        browser.enter()
        assert "Nothing was kept or dropped yet" in page(browser)


def test_odd_names_of_sources_stay_names() -> None:
    lines = yaml_lines("1.0", SourceSettings(), SourceSettings(max_per_hour=9, min_gap=0.5))
    config = parse_quietly(lines.replace("  max", "  directory: /srv\n  max"))
    assert (config.sources[0].name, config.sources[0].max_per_hour) == ("1.0", 9)
    assert config.sources[0].min_gap == 0.5
    assert yaml_lines("gate", SourceSettings(), SourceSettings()) == ""


def test_no_limit_is_written_as_none() -> None:
    before = SourceSettings(max_per_hour=9)
    after = asked({"max_per_hour": ""}, before)
    assert after.max_per_hour is None
    assert "max_per_hour: none" in yaml_lines("gate", before, after)
    assert asked(texts(before), before) == before
    with pytest.raises(BadAddress):
        asked({"min_gap": ""}, before)


# -- what is held ----------------------------------------------------------------------------------


def decided(ledger: Ledger, first: int, number: int) -> None:
    """Records decisions, one a second; each tenth frame is kept."""
    made = [
        Decision(
            frame_id("gate", "clip", n),
            "gate",
            Reason.NEAR_DUPLICATE if n % 10 else Reason.NOVEL,
            10**18 + n * 10**9,
            TimeOrigin.PTS,
            n,
            novelty=0.5 if n % 10 else 2.0,
            novelty_limit=1.0,
            distance=0.5,
        )
        for n in range(first, first + number)
    ]
    ledger.commit(Batch("", "", [(each, None) for each in made]))


def test_it_is_read_again_only_once_something_was_decided(tmp_path: Path) -> None:
    held, path = Held(), tmp_path / "ledger.sqlite"
    end = 10**18 + 100 * 10**9
    with Ledger(path) as ledger, LedgerReader(path) as reader:
        decided(ledger, 0, 50)
        first = held.recorded(reader, "gate", None, end)
        assert held.recorded(reader, "gate", None, end) is first
        decided(ledger, 200, 10)  # behind the time that was asked for
        assert held.recorded(reader, "gate", None, end) is first
        decided(ledger, 60, 10)
        again = held.recorded(reader, "gate", None, end)
        assert again is not None
        assert len(again.measures) == 60
        assert held.recorded(reader, "gate", 10**18, end) is not again
        assert held.recorded(reader, "door", None, end) is None


def test_it_is_dropped_after_a_time(tmp_path: Path) -> None:
    held, path = Held(held_s=0.05), tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        decided(ledger, 0, 20)
        assert held.recorded(ledger, "gate", None, 1 << 62) is not None
        deadline = time.monotonic() + 20
        while not held.empty and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held.empty
        assert held.recorded(ledger, "gate", None, 1 << 62) is not None


def test_the_newest_decisions_of_many_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "MOST_HELD", 30)
    monkeypatch.setattr("stillsift.review.application.MOST_HELD", 30)
    (tmp_path / "store").mkdir()
    with Ledger(tmp_path / "store" / "ledger.sqlite") as ledger:
        decided(ledger, 50, 50)
        decided(ledger, 0, 50)  # decided later, captured before
        newest = ledger.measures("gate", newest=30)
        assert set(newest.at_ns.tolist()) == {10**18 + n * 10**9 for n in range(70, 100)}
        assert ledger.extent("gate", 0, 1 << 62)[0] == 100
    with reviewed(tmp_path / "store") as browser:
        browser.enter()
        text = page(browser)
        assert told(text) == (3, 3, 0, 0)
        assert "the newest 30 decisions" in text


def test_photographs_have_no_rate_a_day(tmp_path: Path) -> None:
    write_stills(tmp_path / "photos", [1, 2, 3])
    assert main(["sift", str(tmp_path / "photos"), "-o", str(tmp_path / "store")]) == 0
    with reviewed(tmp_path / "store") as browser:
        browser.enter()
        assert "a day" not in page(browser)
