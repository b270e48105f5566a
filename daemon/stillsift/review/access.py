"""Tells who may look and who may change something, and what browsers are told of that.

A random token is in the address that is printed at the start, and exchanged for a cookie that
scripts cannot read and other sites cannot have sent; or there is a password, and the cookie says
only that this browser has given it before (a device cookie). Whatever changes something has to come
from a page of ours: from our own origin, with a token that only our pages hold. A request must name
us by a number, a name of this machine or that of the proxy before it: another name that leads here
belongs to a page that tries to pass for us (DNS rebinding).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .reverse_proxy import ReverseProxy, holder
from .throttle import Throttle, TooManyTry

PREFIX = "/review"
"""Path below which the pages are, but for what a proxy shows."""
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: browsers then name no origin in a form either.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
MOST_FORM = 4096
"""Bytes of the largest form that is read."""


class Access:
    """Holds the secrets of one start of the server, and the names it goes by."""

    def __init__(
        self,
        port: int,
        password: str | None = None,
        names: Iterable[str] = (),
        proxy: ReverseProxy | None = None,
    ) -> None:
        """`password`: what a person logs in with, under any name, instead of the token.

        `names`: further names under which others reach this server. `proxy`: None where none
        stands before it.
        """
        self.token = secrets.token_urlsafe(24)
        self._password = None if password is None else _digest(password)
        self._throttle = Throttle()
        self._session = secrets.token_urlsafe(32)
        # Cookies are sent to every port of a host: two servers on one machine have two names.
        self.cookie = f"stillsift_review_{port}"
        self.form_token = hmac.digest(self._session.encode(), b"form", "sha256").hex()
        """What every form holds that changes something."""
        self._proxy = proxy
        self._names = {"localhost", socket.gethostname().lower(), *(n.lower() for n in names)}
        self.root = PREFIX if proxy is None else proxy.path
        """Path of every link, without a slash at its end."""
        self._roots = (PREFIX,) if proxy is None else (proxy.path, PREFIX, "")
        """Paths of the pages as requests have them: a proxy may hand its own on, put ours in its
        place, or strip it."""

    def below_root(self, path: str) -> str | None:
        """Returns the path of a request as the application knows it; None: it is none of ours."""
        # Behind two slashes a browser would look for a host, where such a path is a link.
        if "//" in path or path in self._roots:
            return None
        for root in self._roots:
            if path.startswith(f"{root}/"):
                return path[len(root) :]
        return None

    def knows(self, host: str) -> bool:
        """Tells whether the value of a Host header names this machine, or the proxy before it."""
        name = _name(host)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.removesuffix(".local") in self._names or self._is_proxy(name)
        return True

    def _is_proxy(self, name: str) -> bool:
        return self._proxy is not None and name == self._proxy.host

    def is_token(self, given: str) -> bool:
        """Tells whether this is the token of the printed address, where that is how one enters."""
        return self._password is None and hmac.compare_digest(given.encode(), self.token.encode())

    async def admits(self, peer: str, headers: Headers) -> bool:
        """Tells whether a request comes from somebody who has entered.

        `peer`: the address where its connection comes from. Raises TooManyTry.
        """
        known = self._has_cookie(headers)
        if self._password is None:
            return known
        if "authorization" not in headers:
            return False
        digest, password = _login(headers.get("authorization")), self._password
        return await self._throttle.tried(
            None if known else holder(self._client(peer, headers)),
            lambda: hmac.compare_digest(digest, password),
        )

    def _client(self, peer: str, headers: Headers) -> str:
        if self._proxy is None:
            return peer
        return self._proxy.client(peer, headers.getlist("x-forwarded-for"))

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self.cookie)
        return found is not None and hmac.compare_digest(
            found.value.encode(), self._session.encode()
        )

    @property
    def asks_for_password(self) -> bool:
        return self._password is not None

    def set_cookie(self) -> str:
        """Returns the value of the header that tells a browser who has entered."""
        path = "/" if self._proxy is None else f"{self.root}/"
        secure = "; Secure" if self._proxy is not None and self._proxy.encrypts else ""
        return f"{self.cookie}={self._session}; Path={path}; HttpOnly; SameSite=Strict{secure}"

    def needs_cookie(self, headers: Headers) -> bool:
        """Tells whether somebody who has entered by the password is to be given the cookie."""
        return self.asks_for_password and not self._has_cookie(headers)

    def accepts(self, headers: Headers, scheme: str, form: dict[str, str]) -> bool:
        """Tells whether a form comes from a page of ours."""
        host = headers.get("host", "")
        origins = set() if self._proxy is None else {self._proxy.origin}
        # Who names the proxy has come through it, and may not have come by http: to a page of
        # https, one of http with the same name is another site.
        if not self._is_proxy(_name(host)):
            origins.add(f"{scheme}://{host}")
        token = form.get("form_token", "")
        return headers.get("origin") in origins and hmac.compare_digest(
            token.encode(), self.form_token.encode()
        )


class Guard:
    """Stands before the application: admits, exchanges the token, and adds the headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more: dict[str, str] = {}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (HEADERS | more).items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        access, headers = self._access, Headers(scope=scope)
        path = access.below_root(scope["path"])
        if not access.knows(headers.get("host", "")):
            await _answer(with_headers, 421, "This server goes by another name.")
        elif path is not None and path.startswith("/static/"):
            await self._app({**scope, "path": path}, receive, with_headers)
        elif (given := _token_of(scope)) is not None and access.is_token(given):
            query = {k: v for k, v in _query(scope).items() if k != "token"}
            place = f"{access.root}{quote(path or '/')}"
            place += f"?{urlencode(query, doseq=True)}" if query else ""
            cookie = {"location": place, "set-cookie": access.set_cookie()}
            await _answer(with_headers, 303, "", cookie)
        elif not await self._admitted(scope, headers, with_headers):
            pass  # it was answered
        elif path is None:
            ours = scope["path"] in ("/", access.root, PREFIX)
            if ours:
                await _answer(with_headers, 303, "", {"location": f"{access.root}/"})
            else:
                await _answer(with_headers, 404, "There is no such page.")
        else:
            if access.needs_cookie(headers):
                more["set-cookie"] = access.set_cookie()
            await self._app({**scope, "path": path}, receive, with_headers)

    async def _admitted(self, scope: Scope, headers: Headers, send: Send) -> bool:
        """Tells whether somebody may go on; answers who may not."""
        peer = (scope.get("client") or ("",))[0]
        try:
            if await self._access.admits(peer, headers):
                return True
        except TooManyTry:
            more = {"retry-after": "1"}
            await _answer(send, 429, "Too many try passwords now; again in a moment.", more)
            return False
        if self._access.asks_for_password:
            more = {"www-authenticate": 'Basic realm="stillsift review", charset="UTF-8"'}
            await _answer(send, 401, "The password, please; any name will do.", more)
        else:
            await _answer(
                send,
                403,
                "Open the address that `stillsift review` printed at its start; it holds a token.",
            )
        return False


async def _answer(
    send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    given = {"content-type": "text/plain; charset=utf-8", **(headers or {})}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": f"{text}\n".encode() if text else b""})


def _name(host: str) -> str:
    """Returns the name or number in the value of a Host header, without its port."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.strip("[]").lower()


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50)


def _token_of(scope: Scope) -> str | None:
    if scope["method"] not in ("GET", "HEAD"):
        return None
    try:
        return _query(scope).get("token", [None])[-1]
    except ValueError:  # too many fields
        return None


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


def _login(authorization: str | None) -> bytes:
    """Returns the hash of the password in an Authorization header; empty: there is none."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no UTF-8 in it
        return b""
    return _digest(password)
