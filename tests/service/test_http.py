"""The server of the metrics: few connections, each for a short time; TLS, and who may ask."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import bcrypt
import pytest

from certificates import certificate, needs_openssl
from running import until
from stillsift.config import ConfigError
from stillsift.service import Metrics
from stillsift.service import http as service
from stillsift.service.http import MetricsServer, serve


@contextmanager
def serving(web_config: Path | None = None) -> Iterator[MetricsServer]:
    server = serve(
        *(Metrics(), "127.0.0.1", 0),
        healthy=lambda: None,
        ready=lambda: "a\nb\x1b[2J",
        web_config=web_config,
    )
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask(
    server: MetricsServer,
    path: str = "/healthz",
    *,
    login: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, str]:
    """Status and text of one answer."""
    where = ("127.0.0.1", server.server_port)
    made = (
        http.client.HTTPConnection(*where, timeout=10)
        if tls is None
        else http.client.HTTPSConnection(*where, timeout=10, context=tls)
    )
    headers = {}
    if login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    with closing(made):
        made.request("GET", path, headers=headers)
        got = made.getresponse()
        return got.status, got.read().decode()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def answering_threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


# -- connections -----------------------------------------------------------------------------------


def test_idle_connections_take_neither_descriptors_nor_the_place_of_a_scrape() -> None:
    before = descriptors()
    with serving() as server:
        idle = []
        for number in range(300):
            made = socket.create_connection(("127.0.0.1", server.server_port), timeout=5)
            if number % 2:
                made.send(b"GET /metrics HT")
            idle.append(made)
        # Ours are counted too, since client and server are one process here.
        until(lambda: descriptors() - before - len(idle) <= 20, "the oldest are closed", 10)
        assert answering_threads() <= 20
        begun = time.monotonic()
        assert ask(server) == (200, "ok\n")
        assert time.monotonic() - begun < 2
        for each in idle:
            each.close()


def test_a_question_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_ASK_S", 0.5)
    with serving() as server:
        slow = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
        begun = time.monotonic()
        slow.settimeout(0.1)
        with slow:
            while time.monotonic() - begun < 8:  # a byte now and then, as slow attackers do
                try:
                    slow.send(b"G")
                    if slow.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        assert time.monotonic() - begun < 4
        assert ask(server) == (200, "ok\n")


def test_what_clients_do_is_not_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        for said in (b"", b"nonsense\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
            with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as made:
                made.send(said)
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as made:
            made.send(b"GET /nowhere HTTP/1.0\r\n\r\n")
            answer = made.recv(4096)
    assert b"404" in answer
    assert b"Python" not in answer  # no versions for those who look for holes
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("version", ["x", "1.x", "", 5000 * "1", 1000 * ",;version=1"])
def test_any_version_asked_for_gives_metrics(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    accept = f"application/openmetrics-text;version={version}"
    with serving() as server:
        made = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        with closing(made):
            made.request("GET", "/metrics", headers={"Accept": accept})
            assert made.getresponse().status == 200
    assert caplog.text == ""


def test_a_reason_is_one_line() -> None:
    with serving() as server:
        assert ask(server, "/readyz") == (503, "a\\nb\\x1b[2J\n")


# -- TLS and logins --------------------------------------------------------------------------------


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def written(folder: Path, text: str) -> Path:
    file = folder / "web.yml"
    file.write_text(text)
    return file


TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"


def test_only_users_get_an_answer(tmp_path: Path) -> None:
    users = f"basic_auth_users:\n  prometheus: {hashed('geheim')}\n"
    with serving(written(tmp_path, users)) as server:
        for path in ("/metrics", "/healthz", "/readyz", "/nowhere"):
            assert ask(server, path)[0] == 401
        for login in ("prometheus:falsch", "other:geheim", ":", "prometheus:" + 80 * "x", "\0:\0"):
            assert ask(server, login=login)[0] == 401, login
        for _ in range(2):
            assert ask(server, login="prometheus:geheim") == (200, "ok\n")


def test_guesses_do_not_keep_out_who_is_known(tmp_path: Path) -> None:
    slow = bcrypt.hashpw(b"geheim", bcrypt.gensalt(12)).decode()
    answers: set[int] = set()
    over = threading.Event()

    def guess() -> None:
        while not over.wait(0.05):
            with suppress(OSError, http.client.HTTPException):
                answers.add(ask(server, login="prometheus:falsch")[0])

    with serving(written(tmp_path, f"basic_auth_users:\n  prometheus: {slow}\n")) as server:
        assert ask(server, login="prometheus:geheim") == (200, "ok\n")
        guessing = [threading.Thread(target=guess) for _ in range(20)]
        for each in guessing:
            each.start()
        try:
            until(lambda: answers == {401, 503}, "guesses wait, and are refused")
            for _ in range(10):
                begun = time.monotonic()
                assert ask(server, login="prometheus:geheim") == (200, "ok\n")
                assert time.monotonic() - begun < 2
        finally:
            over.set()
            for each in guessing:
                each.join()


@needs_openssl
def test_tls_and_a_renewed_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate(tmp_path)
    file = written(tmp_path, TLS)
    trusted = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    with serving(file) as server:
        assert server.url == f"https://127.0.0.1:{server.server_port}/metrics"
        assert ask(server, tls=trusted) == (200, "ok\n")
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(server)
        # A client that does not shake hands keeps nobody waiting.
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5):
            assert ask(server, tls=trusted) == (200, "ok\n")
        certificate(tmp_path, "renewed")
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(server, tls=trusted)
        renewed = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        assert ask(server, tls=renewed) == (200, "ok\n")
        file.write_text("tls: {}\n")
        assert ask(server, tls=renewed) == (200, "ok\n")
        assert "web configuration not changed" in caplog.text
        assert caplog.text.count("web configuration not changed") == 1


@needs_openssl
def test_a_client_has_to_show_its_certificate(tmp_path: Path) -> None:
    certificate(tmp_path)
    file = written(
        tmp_path,
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n",
    )
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    with serving(file) as server:
        with pytest.raises(OSError, match=r"certificate required|reset|EOF|pipe"):
            ask(server, tls=context)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        assert ask(server, tls=context) == (200, "ok\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls: {}\n", ":1: tls: is not known here"),
        ("basic_auth_users: {a: geheim}\n", "basic_auth_users: of 'a' is no bcrypt hash"),
        ("tls_server_config: {cert_file: c.pem}\n", ":1: tls_server_config.key_file"),
        (TLS, "cert.pem cannot be read: No such file or directory"),
        ("a: [\n", "web.yml:"),
        (
            "tls_server_config: {cert_file: c, key_file: k, client_ca_file: d}\n",
            "client_ca_file and client_auth_type need each other",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        serve(
            *(Metrics(), "127.0.0.1", 0),
            healthy=lambda: None,
            ready=lambda: None,
            web_config=written(tmp_path, text),
        )
    assert said in str(raised.value)
    assert "geheim" not in str(raised.value)


@needs_openssl
def test_a_key_that_does_not_belong_to_the_certificate_is_named(tmp_path: Path) -> None:
    certificate(tmp_path)
    kept = (tmp_path / "cert.pem").read_bytes()
    certificate(tmp_path)
    (tmp_path / "cert.pem").write_bytes(kept)
    with pytest.raises(ConfigError, match="no certificate with its open key"):
        serve(
            *(Metrics(), "127.0.0.1", 0),
            healthy=lambda: None,
            ready=lambda: None,
            web_config=written(tmp_path, TLS),
        )
