"""The report of real stores, as a browser that is given the file alone reads it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from clips import real_clip
from conftest import Command
from footage import write_stills
from stillsift.cli import main
from stillsift.decisions import Decision, Reason
from stillsift.frames import TimeOrigin, frame_id
from stillsift.health.alarms import AlarmKind
from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import AlarmRecord, Batch, GapRecord
from stillsift.review import report as reports
from stillsift.review.report import SOURCES_SHOWN, Asked, ReportError, report, write_report

MOST = 5_000_000
DAY_NS = 86400 * 10**9


@dataclass
class Read(HTMLParser):
    """What a file holds: pictures, text, and what it must not."""

    pictures: list[bytes] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    text: str = ""
    style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.style = tag == "style"
        if tag in ("script", "link", "iframe", "form", "a") or any(
            n.startswith("on") for n in given
        ):
            self.wrong.append(tag)
        if (uri := given.get("src")) is not None:
            head, _, data = uri.partition(",")
            if head == "data:image/jpeg;base64":
                self.pictures.append(base64.b64decode(data))
            else:
                self.wrong.append(uri)
        if tag == "img" and not given.get("alt"):
            self.wrong.append("no alt")

    def handle_data(self, data: str) -> None:
        if not self.style:
            self.text += " ".join(f" {data} ".split(" "))


def read(text: str) -> Read:
    found = Read()
    found.feed(text)
    assert found.wrong == []
    assert "url(" not in text
    found.text = " ".join(found.text.split())
    return found


def made_of(store: Path, asked: Asked | None = None) -> Read:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        return read(report(ledger, store, asked or Asked()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, and stills of which some repeat."""
    folder = tmp_path_factory.mktemp("report")
    for still in write_stills(folder / "photos", [1, 2, 3]):
        still.with_stem(f"{still.stem}_copy").write_bytes(still.read_bytes() + b"\n")
    (folder / "photos" / "<b>&.jpg").write_bytes((folder / "photos" / "img1.jpg").read_bytes())
    given = ["sift", folder / "photos", real_clip("bikes"), "-o", folder / "store"]
    assert main([str(each) for each in given]) == 0
    return folder / "store"


def test_it_holds_numbers_reasons_and_pictures(stillsift: Command, store: Path) -> None:
    file = store.parent / "report.html"
    done = stillsift("report", "--store", store, "-o", file)
    assert (done.status, done.err) == (0, "")
    assert "report.html" in done.out
    assert file.stat().st_size < MOST
    found = read(file.read_text("utf-8"))
    with LedgerReader(store / "ledger.sqlite") as ledger:
        for stats in ledger.stats():
            assert stats.source in found.text
            for reason, number in stats.reasons.items():
                assert f"{reason} {number} {100 * number / sum(stats.reasons.values()):.2f}" in (
                    found.text.replace("\xa0", " ")
                )
    assert "Kept, and most new" in found.text
    assert "Not stored: what the dropped frames would take" in found.text
    assert len(found.pictures) > 10
    for data in found.pictures:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert max(pixels.shape) <= 256


def test_one_source_and_a_time(store: Path) -> None:
    found = made_of(store, Asked("photos"))
    assert "bikes" not in found.text
    with LedgerReader(store / "ledger.sqlite") as ledger:
        times = sorted(each.decision.captured_at_ns for each in ledger.decisions(source="bikes"))
    found = made_of(store, Asked("bikes", times[10], times[20]))
    assert "kept share" in found.text
    assert f" {len([t for t in times if times[10] <= t < times[20]])} " in found.text
    assert "Nothing was looked at in this time" in made_of(store, Asked(None, 0, 1)).text


def test_it_replaces_nothing_but_a_report(stillsift: Command, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<p>mine</p>")
    done = stillsift("report", "--store", store, "-o", file)
    assert (done.status, "is no report" in done.err) == (1, True)
    with pytest.raises(ReportError, match="is no report"):
        write_report(file, "one that was begun before the other file came")
    assert file.read_text() == "<p>mine</p>"
    for _ in range(2):
        assert stillsift("report", "--store", store, "-o", tmp_path / "r.html").status == 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    done = stillsift("report", "--store", store, "-o", tmp_path / "no" / "r.html")
    assert (done.status, "no such directory" in done.err) == (1, True)
    assert stillsift("report", "--store", store, "-o", tmp_path).status == 1


def test_sheets_show_what_is_kept(stillsift: Command, store: Path, tmp_path: Path) -> None:
    sheets = tmp_path / "sheets"
    for _ in range(2):  # its own ones are replaced
        done = stillsift("report", "--store", store, "-o", tmp_path / "r.html", "--sheet", sheets)
        assert done.status == 0, done.err
    assert sorted(each.name for each in sheets.iterdir()) == ["bikes.png", "photos.png"]
    with Image.open(sheets / "bikes.png") as drawn:
        assert (drawn.format, drawn.width > 1500) == ("PNG", True)
    Image.new("RGB", (9, 9)).save(sheets / "bikes.png")
    done = stillsift("report", "--store", store, "-o", tmp_path / "r.html", "--sheet", sheets)
    assert (done.status, "is no contact sheet" in done.err) == (1, True)


def test_pictures_end_with_their_bytes_and_their_time(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_PICTURE_BYTES", 20_000)
    few = made_of(store)
    assert 0 < len(few.pictures) < 6
    assert "the file would be too large, or take long" in few.text
    monkeypatch.setattr(reports, "_PICTURES_S", -1.0)
    assert made_of(store).pictures == []


def test_what_is_covered_when_kept_is_not_shown_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_DOUBTFUL", float("inf"))  # every drop is shown
    write_stills(tmp_path / "photos", [1, 2])
    first = tmp_path / "photos" / "img1.jpg"
    first.with_stem("img1_copy").write_bytes(first.read_bytes() + b"\n")
    for name, more in (("open", []), ("covered", ["--set", "anonymize=[face]"])):
        given = ["sift", tmp_path / "photos", "-o", tmp_path / name, *more]
        assert main([str(each) for each in given]) == 0
    seen, covered = made_of(tmp_path / "open"), made_of(tmp_path / "covered")
    assert "is covered" not in seen.text
    assert "What its source kept then is covered, and this frame is not" in covered.text
    assert len(covered.pictures) == len(seen.pictures) - 1
    write_stills(tmp_path / "photos", [3])  # decided when nothing is covered any more
    assert main(["sift", str(tmp_path / "photos"), "-o", str(tmp_path / "covered")]) == 0
    assert "What its source kept then is covered" in made_of(tmp_path / "covered").text


def test_many_sources_and_full_days_stay_small(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    reasons = (
        *(Reason.NOVEL, Reason.NEAR_DUPLICATE, Reason.BLURRY, Reason.DARK, Reason.BUDGET),
        *(Reason.NO_TARGET, Reason.DECODE_ERROR, Reason.OVERLOAD),
    )
    with Ledger(store / "ledger.sqlite") as ledger:
        for number in range(SOURCES_SHOWN + 2):
            name = f"camera{number:02d}"
            made = [
                Decision(
                    frame_id(name, "clip", n),
                    name,
                    reasons[n % len(reasons)],
                    20_000 * DAY_NS + n // len(reasons) * 600 * 10**9,
                    TimeOrigin.PTS,
                    n,
                )
                for n in range(2 * 144 * len(reasons) + number)
            ]
            ledger.commit(Batch("", "", [(each, None) for each in made]))
    with LedgerReader(store / "ledger.sqlite") as ledger:
        text = report(ledger, store, Asked())
    assert len(text.encode()) < MOST - reports._PICTURE_BYTES
    assert text.count("<section") == SOURCES_SHOWN
    assert text.count('class="timeline"') == 2 * SOURCES_SHOWN
    assert read(text).text.count("camera00") == 1  # in the table; it has the fewest frames


def test_gaps_and_alarms_are_listed(tmp_path: Path) -> None:
    store, start = tmp_path / "store", 20_000 * DAY_NS
    store.mkdir()
    decisions = [
        Decision(
            frame_id("gate", "c", n), "gate", Reason.NOVEL, start + n * 10**9, TimeOrigin.PTS, n
        )
        for n in range(0, 9000, 1000)
    ]
    gaps = [
        GapRecord("gate", start + n * 10**11, start + n * 10**11 + 10**10, f"cause {n}")
        for n in range(30)
    ]
    alarms = [AlarmRecord("gate", AlarmKind.COVERED, start + 10**12, None, "all <dark>")]
    with Ledger(store / "ledger.sqlite") as ledger:
        batch = [(each, None) for each in decisions]
        ledger.commit(Batch("", "", batch, gaps=gaps, alarms=alarms))  # type: ignore[arg-type]
    text = made_of(store).text
    assert "Gaps 30" in text
    assert "cause 29" in text
    assert "for 10 s: cause 10" in text
    assert "The last 20 are listed" in text
    assert "Alarms 1" in text
    assert "not over: covered, all <dark>" in text
