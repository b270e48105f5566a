"""`stillsift review` as a process, beside a running daemon and as a part of it."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Command
from footage import write_still, write_stills
from reviewing import Browser
from running import STILLSIFT, assert_agree, daemon, decided, free_port, until
from stillsift.decisions import Outcome, Reason
from stillsift.ledger import LedgerReader


@contextmanager
def review(store: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], Browser]]:
    process = subprocess.Popen(
        [*STILLSIFT, "review", "--store", str(store), "--port", "0", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http\S+", process.stdout.readline())
        assert found is not None
        yield process, Browser(found[0])
    finally:
        process.kill()
        process.communicate()


def copies(folder: Path, *numbers: int) -> None:
    """Stills, each with a copy that differs by one byte."""
    for still in write_stills(folder, numbers):
        still.with_stem(f"{still.stem}_copy").write_bytes(still.read_bytes() + b"\n")


def test_it_prints_its_address_and_ends_by_ctrl_c(tmp_path: Path, stillsift: Command) -> None:
    copies(tmp_path / "photos", 1)
    stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store")
    with review(tmp_path / "store") as (process, browser):
        browser.enter()
        assert "photos" in browser.get("/review/").text
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_others_in_the_network_are_warned_of(tmp_path: Path, stillsift: Command) -> None:
    copies(tmp_path / "photos", 1)
    stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store")
    with review(tmp_path / "store", "--host", "0.0.0.0") as (process, browser):
        assert "?token=" in browser.url
        process.terminate()
        assert "nothing is encrypted" in process.communicate()[1]


def test_no_store_no_port_no_password_are_told(tmp_path: Path, stillsift: Command) -> None:
    done = stillsift("review", "--store", tmp_path)
    assert done.status == 1
    assert "there is no ledger" in done.err
    copies(tmp_path / "photos", 1)
    stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store")
    empty = tmp_path / "empty"
    empty.touch()
    done = stillsift("review", "--store", tmp_path / "store", "--password-file", empty)
    assert (done.status, "is empty" in done.err) == (2, True)
    empty.write_text("open\n")
    empty.chmod(0o644)
    given = ("--password-file", empty, "--host", "256.0.0.1")
    done = stillsift("review", "--store", tmp_path / "store", *given)
    assert "everybody on this machine can read" in done.err
    assert stillsift("review", "--store", tmp_path / "store", "--port", "70000").status == 2
    with review(tmp_path / "store") as (_, browser):
        port = browser.host.split(":")[1]
        done = stillsift("review", "--store", tmp_path / "store", "--port", port)
        assert (done.status, "choose another port" in done.err) == (1, True)


def test_corrections_beside_a_daemon_that_writes(tmp_path: Path) -> None:
    """Frames come in all the while; every correction holds, and nothing is lost on either side."""
    folder = tmp_path / "gate"
    copies(folder, *range(1, 9))
    with daemon(tmp_path, [{"name": "gate", "directory": str(folder)}]) as running:
        running.start()
        running.until_done(16)
        fill = threading.Thread(
            target=lambda: [write_still(folder / f"more{n}.jpg", n) for n in range(20, 60)]
        )
        with review(running.store) as (_, browser):
            browser.enter()
            fill.start()
            dropped = [r for r in decided(running.store) if r.decision.outcome is Outcome.DROPPED]
            kept = [r for r in decided(running.store) if r.decision.outcome is Outcome.KEPT]
            for record in dropped[:4]:
                browser.look(record.decision.id)
                answer = browser.post(f"/review/decision/{record.decision.id}/keep")
                assert answer.status == 303, answer.text
            for record in kept[:4]:
                answer = browser.post(f"/review/decision/{record.decision.id}/drop")
                assert answer.status == 303, answer.text
            with LedgerReader(running.store / "ledger.sqlite") as ledger:
                last = ledger.corrections()[0]
            assert browser.post(f"/review/corrections/{last.id}/undo").status == 303
            fill.join()
            running.until_done(56)
        assert running.stop() == 0
        assert "ERROR" not in running.log
    reasons = [record.decision.reason for record in decided(running.store)]
    assert (reasons.count(Reason.PICKED), reasons.count(Reason.REJECTED)) == (4, 3)
    assert len(reasons) == 56
    assert_agree(running.store)


def test_the_daemon_serves_it_too(tmp_path: Path) -> None:
    folder = tmp_path / "gate"
    copies(folder, 1, 2)
    (tmp_path / "password").write_text("open\n")
    (tmp_path / "password").chmod(0o600)
    port = free_port()
    section = {"listen": f"127.0.0.1:{port}", "password_file": str(tmp_path / "password")}
    sources = [{"name": "gate", "directory": str(folder)}]
    with daemon(tmp_path, sources, review=section) as running:
        running.start()
        running.until_done(4)
        browser = Browser(f"http://127.0.0.1:{port}/review/")
        until(lambda: "review at" in running.log, "the review")
        assert browser.get("/review/").status == 401
        login = base64.b64encode(b"me:open").decode()
        browser.headers = {"Authorization": f"Basic {login}"}
        assert "gate" in browser.get("/review/").text
        one = next(r for r in decided(running.store) if r.decision.outcome is Outcome.DROPPED)
        browser.look(one.decision.id)
        assert browser.get(f"/review/heat/{one.decision.id}").status == 200
        assert browser.post(f"/review/decision/{one.decision.id}/keep").status == 303
        assert running.stop() == 0
        assert "password" not in running.log
    assert_agree(running.store)
