"""Takes user and password out of URLs, and hides them wherever one is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_PASSWORD_IN_URL = re.compile(r"^(\w+://[^:@/]*):(?![0-9]{1,5}(?:/|$)).*@", re.DOTALL)
"""A password in a URL, up to the last @, since people write passwords with / and @ in them; digits
before a slash are a port."""
_LOGIN_IN_TEXT = re.compile(r"(?<=://)[^/\s:@]*:\S*@")
"""A login in the middle of a sentence, where only a blank ends it."""
_SECRET_PARAMETER = re.compile(r"((?:pass(?:word|wd)?|pwd|token|secret)=)[^&#]*", re.IGNORECASE)
"""A password in the path or query, where some cameras want it:
/user=admin&password=123&channel=1.sdp"""


def redacted(url: str) -> str:
    """Returns the URL without its password, wherever cameras put one; other text as it is."""
    url = _PASSWORD_IN_URL.sub(r"\1@", url)
    return with_parameters_masked(url) if "://" in url else url


def with_parameters_masked(path: str) -> str:
    """Returns the path and query of a URL with *** in the place of each password in it."""
    return _SECRET_PARAMETER.sub(r"\1***", path)


def with_logins_masked(text: str) -> str:
    """Returns a sentence with *** in the place of each user and password of a URL in it.

    stillsift writes no such sentence itself; the errors of its libraries can hold one.
    """
    return _LOGIN_IN_TEXT.sub("***@", text)


def parts_of(url: object) -> SplitResult:
    """Returns the parts of a URL; all are empty for anything that is no URL."""
    try:
        return urlsplit(url if isinstance(url, str) else "")
    except ValueError:  # a bracket of an IPv6 address is missing
        return urlsplit("")


def behind_the_host(url: object) -> str:
    """Returns path, query and fragment of a URL."""
    return "".join(parts_of(url)[2:])


def login_of(url: object) -> tuple[str | None, str | None]:
    """Returns user and password as they stand in the URL, percent-encoded; None: not there."""
    login, at, _ = parts_of(url).netloc.rpartition("@")
    user, colon, password = login.partition(":")
    return user if at else None, password if colon else None


def without_login(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the keys of a source with user and password moved from the URL to their own keys."""
    user, password = login_of(source.get("rtsp"))
    if user is None:
        return source
    parts = parts_of(source["rtsp"])
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    login = {"user": unquote(user)}
    if password is not None:
        login["password"] = unquote(password)
    return {**source, **login, "rtsp": address}
