"""User and password in the URL of a camera: taken out of it, and never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit


def redacted(url: str) -> str:
    """The URL without its password, wherever cameras put one. Other text comes back unchanged."""
    # Up to the last @, since people write passwords with / and @ in them; digits before a slash
    # are a port. Some cameras want user and password as part of the path or query.
    url = re.sub(r"(?s)^(\w+://[^:@/]*):(?![0-9]{1,5}(?:/|$)).*@", r"\1@", url)
    if "://" not in url:
        return url
    return re.sub(r"(?i)((?:pass(?:word|wd)?|pwd|token|secret)=)[^&#]*", r"\1***", url)


def parts_of(url: object) -> SplitResult:
    """The parts of a URL; all empty for what is none."""
    try:
        return urlsplit(url if isinstance(url, str) else "")
    except ValueError:  # a bracket of an IPv6 address is missing
        return urlsplit("")


def behind_the_host(url: object) -> str:
    """Path, query and fragment of a URL."""
    return "".join(parts_of(url)[2:])


def login_of(url: object) -> tuple[str | None, str | None]:
    """User and password as they stand in the URL, percent-encoded; None for what is not there."""
    login, at, _ = parts_of(url).netloc.rpartition("@")
    user, colon, password = login.partition(":")
    return user if at else None, password if colon else None


def without_login(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of a source with user and password taken out of the URL, into keys of their own."""
    user, password = login_of(source.get("rtsp"))
    if user is None:
        return source
    parts = parts_of(source["rtsp"])
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    login = {"user": unquote(user)}
    if password is not None:
        login["password"] = unquote(password)
    return {**source, **login, "rtsp": address}
