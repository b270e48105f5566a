"""Tells who may look and who may change something, and what browsers are told of that.

A random token is in the address that is printed at the start, and exchanged for a cookie that
scripts cannot read and other sites cannot have sent; or there is a password. Whatever changes
something has to come from a page of ours: from our own origin, with a token that only our pages
hold. A request must name us by a number or a name of this machine: another name that leads here
belongs to a page that tries to pass for us (DNS rebinding).
"""

from __future__ import annotations

import asyncio
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

_WRONG_S = 1.0
"""Seconds until a wrong password is answered."""


class Access:
    """Holds the secrets of one start of the server."""

    def __init__(self, port: int, password: str | None = None, names: Iterable[str] = ()) -> None:
        """`password`: what a person logs in with, under any name, instead of the token.

        `names`: further names under which others reach this server.
        """
        self.token = secrets.token_urlsafe(24)
        self._password = None if password is None else _digest(password)
        self._session = secrets.token_urlsafe(32)
        # Cookies are sent to every port of a host: two servers on one machine have two names.
        self.cookie = f"stillsift_review_{port}"
        self.form_token = hmac.digest(self._session.encode(), b"form", "sha256").hex()
        """What every form holds that changes something."""
        self._names = {"localhost", socket.gethostname().lower(), *(n.lower() for n in names)}

    def knows(self, host: str) -> bool:
        """Tells whether the value of a Host header names this machine."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        bare = name.strip("[]")
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            return bare.lower().removesuffix(".local") in self._names
        return True

    def is_token(self, given: str) -> bool:
        """Tells whether this is the token of the printed address, where that is how one enters."""
        return self._password is None and hmac.compare_digest(given.encode(), self.token.encode())

    def admits(self, headers: Headers) -> bool:
        """Tells whether a request comes from somebody who has entered."""
        if self._password is not None:
            return hmac.compare_digest(_login(headers.get("authorization")), self._password)
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
        """Returns the value of the header that lets a browser in."""
        return f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def accepts(self, headers: Headers, scheme: str, form: dict[str, str]) -> bool:
        """Tells whether a form comes from a page of ours."""
        origin = headers.get("origin")
        ours = origin == f"{scheme}://{headers.get('host', '')}"
        token = form.get("form_token", "")
        return ours and hmac.compare_digest(token.encode(), self.form_token.encode())


class Guard:
    """Stands before the application: admits, exchanges the token, and adds the headers."""

    def __init__(self, app: ASGIApp, access: Access, prefix: str) -> None:
        self._app = app
        self._access = access
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if not self._access.knows(headers.get("host", "")):
            await _answer(with_headers, 421, "This server goes by another name.")
        elif scope["path"].startswith(f"{self._prefix}/static/") or self._access.admits(headers):
            await self._app(scope, receive, with_headers)
        elif (given := _token_of(scope)) is not None and self._access.is_token(given):
            query = {k: v for k, v in _query(scope).items() if k != "token"}
            ours = scope["path"].startswith(f"{self._prefix}/")
            place = quote(scope["path"]) if ours else f"{self._prefix}/"
            place += f"?{urlencode(query, doseq=True)}" if query else ""
            more = {"location": place, "set-cookie": self._access.set_cookie()}
            await _answer(with_headers, 303, "", more)
        elif self._access.asks_for_password:
            if "authorization" in headers:
                await asyncio.sleep(_WRONG_S)  # whoever guesses has to wait
            more = {"www-authenticate": 'Basic realm="stillsift review", charset="UTF-8"'}
            await _answer(with_headers, 401, "The password, please; any name will do.", more)
        else:
            await _answer(
                with_headers,
                403,
                "Open the address that `stillsift review` printed at its start; it holds a token.",
            )


async def _answer(
    send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    given = {"content-type": "text/plain; charset=utf-8", **(headers or {})}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": f"{text}\n".encode() if text else b""})


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
