"""The review behind a proxy that ends TLS: a small one, and nginx with the lines of the docs."""

from __future__ import annotations

import re
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from certificates import needs_openssl
from conftest import Command
from footage import write_stills
from proxies import NGINX, block_in, forwarding, nginx, trusting
from reviewing import Browser, reviewed
from stillsift.config.settings import ReviewSettings
from stillsift.decisions import Outcome, Reason
from stillsift.ledger import LedgerReader
from stillsift.review.reverse_proxy import ReverseProxy, holder

COMMANDS = Path(__file__).parents[2] / "docs" / "commands.md"
URL = "https://box.example/stillsift"
PROXY = ReverseProxy.at(URL, ("127.0.0.1", "::1"))


@pytest.fixture
def store(tmp_path: Path, stillsift: Command) -> Path:
    for still in write_stills(tmp_path / "photos", [1, 2]):
        still.with_stem(f"{still.stem}_copy").write_bytes(still.read_bytes() + b"\n")
    stillsift("sift", tmp_path / "photos", "--output", tmp_path / "store")
    return tmp_path / "store"


def dropped(store: Path) -> str:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        return next(ledger.decisions(outcome=Outcome.DROPPED)).decision.id


def reason(store: Path, id: str) -> Reason:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        found = ledger.decision(id)
        assert found is not None
        return found.decision.reason


def walk(browser: Browser, store: Path) -> None:
    """Follows a link of each kind, looks at every picture, keeps a frame and undoes it."""
    root, seen, found = browser.root, set[str](), [f"{browser.root}/"]
    kinds_seen = Counter[str]()
    while found:
        path = found.pop()
        kind = re.sub(r"=[^&]*|[0-9a-f]{24}", "", path)
        if path in seen or kinds_seen[kind] >= 2:  # there is always an hour before
            continue
        seen.add(path)
        kinds_seen[kind] += 1
        answer = browser.get(path)
        assert answer.status == 200, (path, answer.text)
        if answer.headers["content-type"].startswith("text/html"):
            links = re.findall(r'(?:href|src|action|data-src)="(/[^"]*)"', answer.text)
            assert all(link.startswith(f"{root}/") for link in links)
            found += [
                link.replace("&amp;", "&")
                for link in links
                if not re.search(r"/(keep|drop|same|different|undo)$", link)
            ]
    kinds = ("static/review.css", "static/review.js", "picture/", "heat/", "what-if", "source?")
    assert all(any(f"{root}/{kind}" in path for path in seen) for kind in kinds)
    id = dropped(store)
    browser.look(id)
    answer = browser.post(f"{root}/decision/{id}/keep", asked="?source=photos")
    assert (answer.status, answer.headers["location"]) == (
        303,
        f"{root}/decision/{id}?source=photos",
    )
    assert reason(store, id) is Reason.PICKED
    page = browser.look(id)
    undo = re.search(rf'action="({root}/corrections/[0-9]+/undo)"', page)
    assert undo is not None
    answer = browser.post(undo[1], back="corrections")
    assert (answer.status, answer.headers["location"]) == (303, f"{root}/corrections")
    assert reason(store, id) is not Reason.PICKED


WAYS: dict[str, tuple[str, Callable[[str], str]]] = {
    "as it is": (URL, str),
    "stripped": (URL, lambda path: path.removeprefix("/stillsift")),
    "ours instead": (URL, lambda path: path.replace("/stillsift/", "/review/", 1)),
    "a name of its own": ("https://sift.example", str),
    "another port": ("https://box.example:8443/a/b", str),
}


@needs_openssl
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", [None, "127.0.0.1:9479"])
def test_everything_works_behind_a_proxy(
    tmp_path: Path, store: Path, way: str, host: str | None
) -> None:
    url, path = WAYS[way]
    with (
        reviewed(store, proxy=ReverseProxy.at(url)) as direct,
        forwarding(tmp_path, int(direct.host.split(":")[1]), path, host) as port,
    ):
        browser = direct.behind(url, port, trusting(tmp_path))
        browser.enter()
        walk(browser, store)


@needs_openssl
@pytest.mark.skipif(NGINX is None, reason="no nginx here: apt-get install -y nginx-light")
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"9479;": "9479/review/;"},
        {"9479;": "9479/;"},
        {"    proxy_set_header Host $host;\n": ""},
    ],
)
def test_the_lines_for_nginx(tmp_path: Path, store: Path, changed: dict[str, str]) -> None:
    given = yaml.safe_load(block_in(COMMANDS, "yaml", "public_url"))["review"]
    settings = ReviewSettings.model_validate(given)
    assert settings.public_url == URL
    lines = block_in(COMMANDS, "nginx", "proxy_pass")
    for before, after in changed.items():
        assert before in lines
        lines = lines.replace(before, after)
    proxy = ReverseProxy.at(settings.public_url, settings.trusted_proxies)
    with reviewed(store, proxy=proxy) as direct:
        lines = lines.replace("127.0.0.1:9479", direct.host)
        with nginx(tmp_path, lines) as port:
            browser = direct.behind(URL, port, trusting(tmp_path))
            answer = browser.get("/stillsift")
            assert answer.status == 301
            assert answer.headers["location"].endswith("/stillsift/")
            browser.enter()
            walk(browser, store)


def test_the_cookie_is_for_that_path_and_passes_encrypted_only(store: Path) -> None:
    for url, told in (
        (URL, "; Path=/stillsift/; HttpOnly; SameSite=Strict; Secure"),
        ("http://box.example", "; Path=/; HttpOnly; SameSite=Strict"),
    ):
        with reviewed(store, proxy=ReverseProxy.at(url)) as browser:
            query = browser.url.split("?")[1]
            answer = browser.ask("GET", f"{browser.root}/?{query}", Host="box.example")
            assert answer.headers["set-cookie"].endswith(told)
            assert answer.headers["location"] == f"{browser.root}/"


def test_forms_come_from_the_public_url_alone(store: Path) -> None:
    id = dropped(store)
    with reviewed(store, proxy=PROXY) as browser:
        browser.enter()
        browser.look(id)
        path, right = f"/stillsift/decision/{id}/same", f"form_token={browser.form_token}"

        def status(origin: str, host: str, **more: str) -> int:
            return browser.ask("POST", path, right, Origin=origin, Host=host, **more).status

        for host in ("box.example", "box.example:443", browser.host):
            assert status("https://box.example", host) == 303
        assert status(f"http://{browser.host}", browser.host) == 303
        for origin in (
            *("http://box.example", "https://evil.example", "https://box.example.evil.example"),
            *("https://box.example:8443", "null", "https://BOX.example", ""),
        ):
            assert status(origin, "box.example") == 403, origin
        # What is said of the host by other headers than Host counts for nothing.
        said = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "http"}
        assert status("http://evil.example", "box.example", **said) == 403
        assert status("https://evil.example", "evil.example", **said) == 421
        said["Forwarded"] = "host=evil.example;proto=https"
        assert status("https://evil.example", "evil.example", **said) == 421
        assert status("https://evil.example", browser.host, **said) == 403


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example", "/stillsift//evil.example/"])
@pytest.mark.parametrize("url", [URL, "https://box.example"])
def test_no_address_leads_elsewhere(store: Path, path: str, url: str) -> None:
    proxy = ReverseProxy.at(url)
    with reviewed(store, proxy=proxy) as browser:
        token = browser.url.split("token=")[1]
        answer = browser.ask("GET", f"{path}?token={token}")
        assert answer.headers["location"] == f"{proxy.path}/"
        browser.enter()
        for slash in ("/stillsift", "/review", "/kept/", "/stillsift/kept/", "/static"):
            place = browser.get(slash).headers.get("location", "/")
            assert place in ("/", f"{proxy.path}/")
        answer = browser.get(path)
        assert (answer.status, answer.headers.get("location")) == (404, None)


def login(password: str) -> str:
    return f"Basic {b64encode(f'me:{password}'.encode()).decode()}"


def wrong(browser: Browser, **headers: str) -> tuple[int, float]:
    """Status and seconds of a wrong password."""
    began = time.monotonic()
    answer = browser.ask("GET", "/stillsift/", Authorization=login("wrong"), **headers)
    return answer.status, time.monotonic() - began


def test_a_client_is_told_from_the_others_where_the_proxy_is_trusted(store: Path) -> None:
    for networks, share in (((), True), (("127.0.0.1",), False)):
        with reviewed(store, "right", proxy=ReverseProxy.at(URL, networks)) as browser:
            wrong(browser, X_Forwarded_For="192.0.2.1")
            status, seconds = wrong(browser, X_Forwarded_For="192.0.2.1, 192.0.2.2")
            assert (status, seconds > 0.7) == (401, share)


def test_guessing_in_parallel_is_slow_and_keeps_out_nobody_who_is_in(store: Path) -> None:
    with reviewed(store, "right", proxy=PROXY) as browser:
        page = browser.ask("GET", "/stillsift/", Authorization=login("right"))
        assert page.status == 200
        known = page.headers["set-cookie"].split(";")[0]
        # The cookie is no password, and is given once.
        assert browser.ask("GET", "/stillsift/", Cookie=known).status == 401
        again = browser.ask("GET", "/stillsift/", Cookie=known, Authorization=login("right"))
        assert "set-cookie" not in again.headers
        told, over = Counter[int](), time.monotonic() + 3

        def guess(number: int) -> None:
            address = f"192.0.2.{number % 25}"
            while time.monotonic() < over:
                told[wrong(browser, X_Forwarded_For=address)[0]] += 1

        threads = [threading.Thread(target=guess, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        waited = []
        while time.monotonic() < over:
            began = time.monotonic()
            answer = browser.ask("GET", "/stillsift/", Cookie=known, Authorization=login("right"))
            assert answer.status == 200
            waited.append(time.monotonic() - began)
        began = time.monotonic()
        statuses = []
        while 200 not in statuses:  # somebody new, who presses F5
            answer = browser.ask("GET", "/stillsift/", Authorization=login("right"))
            statuses.append(answer.status)
            time.sleep(0.05)
        assert time.monotonic() - began < 15
        for thread in threads:
            thread.join()
        assert set(told) <= {401, 429}
        assert told[401] <= 12 + 33  # those who wait at the end are answered after it
        assert sorted(waited)[len(waited) // 2] < 1.0, waited


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),  # no proxy
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["forged, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),  # two proxies
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("unix", ["1.2.3.4"], "unix"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert ReverseProxy.at(URL, ["10.0.0.0/24"]).client(peer, forwarded) == client


def test_an_ipv6_network_is_one_holder() -> None:
    assert holder("2001:db8::1") == holder("2001:db8::ffff:1") != holder("2001:db8:0:1::1")
    assert holder("::ffff:192.0.2.1") == holder("192.0.2.1") != holder("192.0.2.2")
