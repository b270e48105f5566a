"""The pages and forms of the review, asked of the real server over a store that `sift` made."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Command
from footage import write_clip, write_stills
from reviewing import Browser, reviewed
from running import assert_agree
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import CorrectionKind

ODD = b"a<script>alert(1)<b>\xff\xfe.jpg"
"""A name that holds markup and is not UTF-8."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills with copies, a clip, and a still with a terrible name."""
    from stillsift.cli import main

    root = tmp_path_factory.mktemp("reviewed")
    photos = root / "photos"
    write_stills(photos, [1, 2, 3, 5])
    for number in (1, 2):
        copy = photos / f"img{number}_copy.jpg"
        copy.write_bytes((photos / f"img{number}.jpg").read_bytes() + b"\n")
    odd = Path(os.fsdecode(os.fsencode(photos) + b"/" + ODD))
    odd.write_bytes((photos / "img3.jpg").read_bytes() + b"\n")
    write_clip(root / "walk.mp4", [4, 6], frames=12)
    given = ["sift", photos, root / "walk.mp4", "--output", root / "store", "--set", "rate=all"]
    assert main([str(word) for word in given]) == 0
    return root / "store"


@pytest.fixture
def browser(store: Path) -> Iterator[Browser]:
    with reviewed(store) as made:
        made.enter()
        yield made


def decisions(store: Path, **asked: object) -> list[Decision]:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        return [each.decision for each in ledger.decisions(**asked)]  # type: ignore[arg-type]


def dropped(store: Path, source: str = "photos") -> Decision:
    return decisions(store, source=source, outcome=Outcome.DROPPED)[0]


PAGES = (
    *("/", "/source?source=photos", "/source?source=walk&at=2025-11-24T16:00:00&hour="),
    *("/kept", "/kept?source=walk", "/decisions", "/decisions?outcome=dropped&least=0&most=5"),
    *("/decisions?reason=near_duplicate&from=2020-01-01&to=2099-01-01T00:00", "/groups"),
    *("/groups?source=photos", "/what-if?source=walk&min_gap=9", "/corrections", "/help"),
)


class _Checked(HTMLParser):
    """Notes what a page must not hold: scripts and styles within it, foreign addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.wrong.append(f"<{tag} {name}>")
            if name in ("src", "href", "action") and not (value or "").startswith(("/", "#", "?")):
                self.wrong.append(f"{name}={value}")
        if (tag == "script" and "src" not in given) or tag == "style":
            self.wrong.append(f"<{tag}>")
        if tag == "img" and "alt" not in given:
            self.unnamed.append(str(given.get("src")))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_and_asks_nobody_else(browser: Browser, path: str) -> None:
    answer = browser.get(f"/review{path}")
    assert answer.status == 200, answer.text
    checked = _Checked()
    checked.feed(answer.text)
    assert checked.wrong == []
    assert checked.unnamed == []
    assert "<script>alert" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_every_decision_has_its_page_and_its_picture(browser: Browser, store: Path) -> None:
    for one in decisions(store):
        page = browser.look(one.id)
        assert one.reason in page
        picture = browser.get(f"/review/picture/{one.id}/large")
        assert picture.status == 200, (one, picture.text)
        pixels = cv2.imdecode(np.frombuffer(picture.body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert (pixels.shape[1], pixels.shape[0]) == (one.width, one.height)


def test_the_frames_that_show_an_object_are_beside_it(browser: Browser, store: Path) -> None:
    one = dropped(store, "walk")
    assert one.nearest_kept is not None
    page = browser.look(one.id)
    assert ("Its objects are shown best by" in page) is bool(one.objects_shown_by)
    with sqlite3.connect(store / "ledger.sqlite") as db:
        db.execute(
            "UPDATE decisions SET objects_shown_by = ? WHERE id = ?",
            (one.nearest_kept, one.id),
        )
    try:
        page = browser.look(one.id)
        assert "Its objects are shown best by" in page
        assert f'href="/review/decision/{one.nearest_kept}"' in page
    finally:
        with sqlite3.connect(store / "ledger.sqlite") as db:
            before = " ".join(one.objects_shown_by) or None
            db.execute("UPDATE decisions SET objects_shown_by = ? WHERE id = ?", (before, one.id))


def test_names_are_shown_escaped(browser: Browser, store: Path) -> None:
    odd = next(each for each in decisions(store) if b"script" in os.fsencode(each.file or ""))
    page = browser.look(odd.id)
    assert "&lt;script&gt;" in page
    assert "\\udcff" in page
    assert "<script>alert" not in page


def test_the_cells_that_differ_are_drawn(browser: Browser, store: Path) -> None:
    one = next(each for each in decisions(store, source="walk") if each.nearest_kept)
    answer = browser.get(f"/review/heat/{one.id}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<svg")


def test_pages_follow_each_other_and_show_everything_once(browser: Browser, store: Path) -> None:
    path, seen = "/review/decisions", list[str]()
    while path:
        text = browser.get(path).text
        seen += re.findall(r'<li class="row[^"]*"><a href="/review/decision/([0-9a-f]{24})', text)
        found = re.search(r'<a href="([^"]+)" data-keys="PageDown n">', text)
        path = found[1].replace("&amp;", "&") if found else ""
    assert seen == [each.id for each in decisions(store)][::-1]


@pytest.mark.parametrize(
    "path",
    [
        *("decisions?reason=nonsense", "decisions?from=yesterday", "decisions?least=x"),
        *("decision/../../etc/passwd", "decision/zz", "picture/zz/small", "decisions?behind=-1"),
        *("decisions?names=%27", "source?source=nowhere", "corrections?before=1e9", "nothing"),
        *("static/../application.py", "static/%2e%2e/application.py", "picture/0/../../x"),
    ],
)
def test_what_is_no_address_is_answered_and_opens_nothing(browser: Browser, path: str) -> None:
    answer = browser.get(f"/review/{path}")
    assert 400 <= answer.status < 500
    assert "Traceback" not in answer.text
    assert "import" not in answer.text


# -- who may -----------------------------------------------------------------------------------


def test_nobody_enters_without_the_token(store: Path) -> None:
    with reviewed(store) as browser:
        for path in ("/review/", "/review/decisions", "/", "/review/?token=wrong"):
            assert browser.get(path).status == 403
        browser.cookie = f"stillsift_review_{browser.host.split(':')[1]}=wrong"
        assert browser.get("/review/").status == 403
        browser.cookie = None
        browser.enter()
        assert browser.get("/review/").status == 200


def test_the_cookie_is_for_this_site_alone(store: Path) -> None:
    with reviewed(store) as browser:
        path = browser.url.split(browser.host)[1]
        answer = browser.ask("GET", path)
        told = answer.headers["set-cookie"]
        assert "HttpOnly" in told
        assert "SameSite=Strict" in told
        assert answer.headers["location"] == "/review/"
        token = path.split("token=")[1]
        # A token does not lead to a place elsewhere.
        assert (
            browser.ask("GET", f"//evil.example/?token={token}").headers["location"] == "/review/"
        )


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_for_this_machine_is_refused(browser: Browser, host: str) -> None:
    assert browser.ask("GET", "/review/", Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "[::1]:9479", "192.0.2.7:80"])
def test_numbers_and_own_names_are_not(browser: Browser, host: str) -> None:
    assert browser.ask("GET", "/review/", Host=host).status == 200


def test_forms_of_others_change_nothing(browser: Browser, store: Path) -> None:
    one = dropped(store)
    browser.look(one.id)
    path, right = f"/review/decision/{one.id}/keep", f"form_token={browser.form_token}"
    ours = f"http://{browser.host}"
    assert browser.ask("POST", path, right, Origin="http://evil.example").status == 403
    assert browser.ask("POST", path, right, Origin="null").status == 403
    assert browser.ask("POST", path, right).status == 403
    assert browser.ask("POST", path, "form_token=wrong", Origin=ours).status == 403
    assert browser.ask("POST", path, "", Origin=ours).status == 403
    assert browser.ask("POST", path, "x" * 5000, Origin=ours).status == 413
    many = "&".join(f"a{n}=1" for n in range(30))
    assert browser.ask("POST", path, many, Origin=ours).status == 400
    assert browser.ask("GET", path).status == 405
    browser.cookie = None
    assert browser.ask("POST", path, right, Origin=ours).status == 403
    assert decisions(store, id=one.id) == [one]


def test_a_form_that_is_cut_off_is_no_error(
    browser: Browser, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = dropped(store)
    host, port = browser.host.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /review/decision/{one.id}/keep HTTP/1.1\r\nHost: {browser.host}\r\n"
        head += f"Cookie: {browser.cookie}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(f"{head}form_token=".encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    assert browser.get("/review/").status == 200
    assert caplog.messages == []
    assert decisions(store, id=one.id) == [one]


def test_a_password_lets_in_instead_of_the_token(store: Path) -> None:
    with reviewed(store, "pässword") as browser:
        assert "token" not in browser.url
        refused = browser.get("/review/")
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert browser.ask("GET", "/review/", Authorization="Basic bm9ib2R5Ondyb25n").status == 401
        for odd in ("Basic \xe9", "Basic /w==", "Basic", "Bearer x"):
            assert browser.ask("GET", "/review/", Authorization=odd).status == 401
        right = "Basic YW55OnDDpHNzd29yZA=="
        assert browser.ask("GET", "/review/", Authorization=right).status == 200


# -- corrections -------------------------------------------------------------------------------


def test_keep_drop_label_and_undo(browser: Browser, store: Path) -> None:
    one = dropped(store)
    assert 'data-keys="k"' in browser.look(one.id)
    answer = browser.post(f"/review/decision/{one.id}/keep", asked="?source=photos")
    assert answer.status == 303
    assert answer.headers["location"] == f"/review/decision/{one.id}?source=photos"
    assert decisions(store, id=one.id)[0].reason is Reason.PICKED
    assert_agree(store)
    page = browser.look(one.id)
    assert 'data-keys="u"' in page
    assert "kept; it was" in browser.get("/review/corrections").text
    assert browser.post(f"/review/decision/{one.id}/drop").status == 303  # which undoes it
    assert decisions(store, id=one.id) == [one]
    for kind in ("same", "different"):
        assert browser.post(f"/review/decision/{one.id}/{kind}").status == 303
    with LedgerReader(store / "ledger.sqlite") as ledger:
        newest = ledger.corrections(one.id)[0]
    assert newest.kind is CorrectionKind.DIFFERENT
    assert newest.undone_at is None
    assert browser.post(f"/review/corrections/{newest.id}/undo", back="corrections").status == 303
    assert browser.post(f"/review/corrections/{newest.id}/undo").status == 409
    assert_agree(store)


def test_a_frame_of_a_clip_is_kept(browser: Browser, store: Path) -> None:
    one = dropped(store, "walk")
    browser.look(one.id)
    assert browser.post(f"/review/decision/{one.id}/keep").status == 303
    assert_agree(store)
    browser.post(f"/review/decision/{one.id}/drop")
    assert decisions(store, id=one.id) == [one]
    assert_agree(store)


def test_a_still_that_has_changed_since_is_not_kept(browser: Browser, store: Path) -> None:
    one = dropped(store)
    assert one.file is not None
    data = one.file.read_bytes()
    try:
        one.file.write_bytes(data + b"more")
        browser.look(one.id)
        answer = browser.post(f"/review/decision/{one.id}/keep")
        assert answer.status == 409
        assert "changed" in answer.text
        one.file.unlink()
        assert "Its file is gone" in browser.look(one.id)
        gone = browser.get(f"/review/picture/{one.id}/large")
        assert gone.status in (200, 404)  # it may be remembered
    finally:
        one.file.write_bytes(data)
    assert decisions(store, id=one.id) == [one]


def test_what_is_covered_is_not_kept_uncovered(tmp_path: Path, stillsift: Command) -> None:
    write_stills(tmp_path / "photos", [1])
    copy = tmp_path / "photos" / "img1_copy.jpg"
    copy.write_bytes((tmp_path / "photos" / "img1.jpg").read_bytes() + b"\n")
    stillsift(
        *("sift", tmp_path / "photos", "--output", tmp_path / "store"),
        *("--set", "anonymize=[face]"),
    )
    one = dropped(tmp_path / "store")
    with reviewed(tmp_path / "store") as browser:
        browser.enter()
        browser.look(one.id)
        answer = browser.post(f"/review/decision/{one.id}/keep")
    assert answer.status == 409
    assert "anonymize" in answer.text


def test_a_folder_cleaned_in_place_can_be_looked_at(tmp_path: Path, stillsift: Command) -> None:
    write_stills(tmp_path / "photos", [1, 2])
    copy = tmp_path / "photos" / "img1_copy.jpg"
    copy.write_bytes((tmp_path / "photos" / "img1.jpg").read_bytes() + b"\n")
    stillsift("sift", tmp_path / "photos", "--remove-to", tmp_path / "gone")
    with LedgerReader(tmp_path / "gone" / ".stillsift" / "ledger.sqlite") as ledger:
        found = [each.decision for each in ledger.decisions()]
    with reviewed(tmp_path / "gone") as browser:
        browser.enter()
        for one in found:
            browser.look(one.id)
            assert browser.get(f"/review/picture/{one.id}/small").status == 200
        one = next(each for each in found if each.outcome is Outcome.DROPPED)
        assert 'data-keys="k"' not in browser.look(one.id)
        answer = browser.post(f"/review/decision/{one.id}/keep")
        assert answer.status == 409
        assert "stillsift restore" in answer.text


def test_what_a_daemon_writes_meanwhile_is_seen_and_not_kept_waiting(
    browser: Browser, store: Path
) -> None:
    """A transaction of another writer delays a correction, and does not fail it."""
    import threading
    import time

    one = dropped(store)
    browser.look(one.id)
    with Ledger(store / "ledger.sqlite") as other, other._writing():
        thread = threading.Thread(target=lambda: browser.post(f"/review/decision/{one.id}/same"))
        thread.start()
        time.sleep(0.3)
        assert browser.get("/review/").status == 200
    thread.join(30)
    with LedgerReader(store / "ledger.sqlite") as ledger:
        assert ledger.corrections(one.id)[0].kind is CorrectionKind.SAME


def test_a_keep_is_not_undone_where_the_quarantine_holds_nothing(store: Path) -> None:
    one = dropped(store, "walk")
    with reviewed(store) as browser:
        browser.enter()
        browser.look(one.id)
        assert browser.post(f"/review/decision/{one.id}/keep").status == 303
    with LedgerReader(store / "ledger.sqlite") as ledger:
        made = ledger.corrections(one.id)[0].id
    with reviewed(store, holds=False) as browser:
        browser.enter()
        browser.look(one.id)
        assert browser.post(f"/review/corrections/{made}/undo").status == 409
    with reviewed(store) as browser:
        browser.enter()
        browser.look(one.id)
        assert browser.post(f"/review/corrections/{made}/undo").status == 303
    assert_agree(store)


@pytest.mark.parametrize("year", ["0001", "1677-09-22", "2262-04-11", "9999"])
def test_times_that_cannot_be_recorded_are_no_error(browser: Browser, year: str) -> None:
    at = year if "-" in year else f"{year}-01-01"
    for path in (f"/decisions?from={at}", f"/decisions?to={at}", f"/source?source=walk&at={at}"):
        assert browser.get(f"/review{path}").status == 200
    assert browser.get(f"/review/source?source=walk&at={at}&hour=").status == 200


def test_a_correction_of_no_number_is_no_error(browser: Browser, store: Path) -> None:
    browser.look(dropped(store).id)
    assert browser.post(f"/review/corrections/{10**30}/undo").status == 400
    assert browser.post("/review/corrections/999999/undo").status == 404


def test_no_clip_is_decoded_for_what_may_be_looked_at_next(browser: Browser, store: Path) -> None:
    for one in decisions(store):
        for id in re.findall(r'rel="prefetch" href="/review/picture/(\w+)/', browser.look(one.id)):
            near = decisions(store, id=id)[0]
            assert near.pts_s is None or near.outcome is Outcome.KEPT


def test_what_a_source_covers_by_now_or_may_have_covered_is_not_kept(store: Path) -> None:
    one = dropped(store, "walk")
    with reviewed(store, covered=["walk"]) as browser:
        browser.enter()
        browser.look(one.id)
        assert browser.post(f"/review/decision/{one.id}/keep").status == 409
    with reviewed(store) as browser:
        browser.enter()
        browser.look(one.id)
        with closing(sqlite3.connect(store / "ledger.sqlite")) as db, db:
            texts = db.execute("SELECT yaml, key FROM configs").fetchall()
            db.execute("UPDATE configs SET yaml = ''")
        assert browser.post(f"/review/decision/{one.id}/keep").status == 409
        with closing(sqlite3.connect(store / "ledger.sqlite")) as db, db:
            db.executemany("UPDATE configs SET yaml = ? WHERE key = ?", texts)
    assert decisions(store, id=one.id) == [one]
