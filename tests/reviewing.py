"""A store that is reviewed: the real server in a thread, and a browser without a screen."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from stillsift.config.settings import ModelSettings
from stillsift.embedding import Embedder
from stillsift.ledger import LedgerReader
from stillsift.pipeline.model_choice import open_model
from stillsift.review.access import PREFIX
from stillsift.review.application import Reviewed
from stillsift.review.reverse_proxy import ReverseProxy
from stillsift.review.server import ReviewServer
from stillsift.store import Store
from stillsift.store.in_place import InPlaceStore, mode_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True)
class Browser:
    """Asks a server as a browser does: with its cookie, its origin and the token of its forms."""

    url: str
    cookie: str | None = None
    form_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    connects_to: tuple[str, ssl.SSLContext] | None = None
    """HOST:PORT of a proxy, and how its certificate is checked; None: there is none."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        return f"{urlsplit(self.url).scheme}://{self.host}"

    @property
    def root(self) -> str:
        """The path below which the pages are."""
        return urlsplit(self.url).path.removesuffix("/")

    def behind(self, url: str, port: int, trusted: ssl.SSLContext) -> Browser:
        """A browser that has not entered yet, and comes in through a proxy at a port."""
        query = urlsplit(self.url).query
        return replace(
            self,
            url=f"{url}/?{query}".removesuffix("?"),
            cookie=None,
            connects_to=(f"127.0.0.1:{port}", trusted),
        )

    def _connection(self) -> http.client.HTTPConnection:
        if self.connects_to is None:
            return http.client.HTTPConnection(self.host, timeout=60)
        at, trusted = self.connects_to
        return http.client.HTTPSConnection(at, timeout=60, context=trusted)

    def ask(self, method: str, path: str, body: str | None = None, **headers: str | None) -> Answer:
        """One request; a header of None is left out."""
        given: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie, **self.headers}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self._connection()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
        connection.endheaders()
        if body is not None:
            connection.send(body.encode())
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        data = answer.read()
        connection.close()
        return Answer(answer.status, told, data)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def enter(self) -> None:
        """Opens the printed address, as a person does first."""
        parts = urlsplit(self.url)
        answer = self.ask("GET", f"{parts.path}?{parts.query}")
        assert answer.status == 303
        self.cookie = answer.headers["set-cookie"].split(";")[0]

    def post(self, path: str, **more: str) -> Answer:
        """A form of a page of ours."""
        if not self.form_token:
            raise AssertionError("look at a page with a form first")
        body = urlencode({"form_token": self.form_token, **more})
        return self.ask("POST", path, body, Origin=self.origin)

    def look(self, id: str) -> str:
        """The page of one decision, whose form may be sent after that."""
        answer = self.get(f"{self.root}/decision/{id}")
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', answer.text)
        if found is not None:
            self.form_token = found[1]
        return answer.text


@contextmanager
def reviewed(
    root: Path,
    password: str | None = None,
    *,
    holds: bool = True,
    covered: Iterable[str] = (),
    proxy: ReverseProxy | None = None,
) -> Iterator[Browser]:
    """Serves a store at a free port; gives a browser that has not entered yet."""
    mode = mode_of(root)
    store = Store(root, 0) if mode is None else InPlaceStore(root, mode)
    with LedgerReader(store.ledger_path) as ledger:
        server = ReviewServer(
            Reviewed(
                ledger,
                store,
                lambda: Embedder(open_model(ModelSettings())),
                holds=holds,
                covered=frozenset(covered),
            ),
            *("127.0.0.1", 0, password, proxy),
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            # Beside the proxy, if there is one.
            token = urlsplit(server.url).query
            path = PREFIX if proxy is None else proxy.path
            yield Browser(f"http://127.0.0.1:{server.port}{path}/?{token}".removesuffix("?"))
        finally:
            server.stop()
            thread.join(20)
            assert not thread.is_alive()
