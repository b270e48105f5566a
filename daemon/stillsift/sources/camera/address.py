"""Separates what may be shown of a camera's URL from its secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ...config.secrets import redacted


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Holds an RTSP URL in two forms: one to show, and one to connect with."""

    shown: str
    """URL without user and password, and with *** for what may be a secret in the rest."""
    host: str
    """Host and port as in the URL."""
    rest: str = field(repr=False)
    scheme: str = "rtsp"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, user: str | None = None, password: str | None = None) -> CameraAddress:
        """Reads an RTSP URL; `user` and `password` replace those in it. Raises ValueError."""
        parts = urlsplit(url)
        userinfo, _, host = parts.netloc.rpartition("@")
        if parts.scheme not in ("rtsp", "rtsps") or not host:
            raise ValueError("a camera's URL looks like rtsp://host[:port]/path")
        named, _, secret = userinfo.partition(":")
        rest = parts.path + (f"?{parts.query}" if parts.query else "")
        return cls(
            shown=redacted(f"{parts.scheme}://{host}{rest}"),
            host=host,
            rest=rest,
            scheme=parts.scheme,
            user=user if user is not None else unquote(named) or None,
            password=password if password is not None else unquote(secret) or None,
        )

    def with_secret(self) -> str:
        """Returns the URL to connect with. It must never be stored, logged or raised."""
        if self.user is None:
            return f"{self.scheme}://{self.host}{self.rest}"
        login = quote(self.user, safe="")
        if self.password is not None:
            login += ":" + quote(self.password, safe="")
        return f"{self.scheme}://{login}@{self.host}{self.rest}"
