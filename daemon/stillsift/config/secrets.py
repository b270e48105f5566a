"""Takes user and password out of URLs, and shows of a URL only what is known to be harmless.

Cameras want passwords in many places: `/user=admin&password=123`, `?psw=123`, `/admin:123/ch1`, or
a token as a part of the path. No list of such places is complete. So it is the other way round:
scheme, host and port are shown, and of the rest the words and numbers that cameras have in their
paths. Everything else is ***.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

MASK = "***"
"""What stands in the place of a secret."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOGIN = re.compile(r"[^\s:@]+:\S*@[^\s@]")
"""A login as people write it who forget the scheme: admin:123@10.0.0.7/cam."""
_URL_IN_TEXT = re.compile(
    r"(?<![A-Za-z0-9+.-])(?P<before>[0-9+.-]*+)(?P<url>[A-Za-z][A-Za-z0-9+.-]*+://\S*)"
)
"""Begins only where a word does: else a long word would be read anew from each of its letters."""
_AFTER_A_URL = ".,:;!?)'\"`>"
"""Marks of a sentence that may follow a URL in it."""
_TEMPLATES = ("rtsp://HOST[:PORT]/PATH", "rtsp://host[:port]/path")
"""What messages of our own tell people to write."""
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^\s:/?#@\[\]]*)(?::[0-9]{1,5})?(?=[/?#]|$)")
_SEPARATORS = re.compile(r"[._@-]+")
_WORD = re.compile(r"([A-Za-z]*)([0-9]{0,3})")
"""A word and the number behind it, as in cam1: numbers of channels are short."""
_SIZE = re.compile(r"[0-9]{2,4}x[0-9]{2,4}")
_MOST_DIGITS = 5
_MOST_LETTERS = 2
"""Most digits, and most letters standing alone, of one part: more of them could be a password."""

_SPELT_WORDS = """
amp asp av avc avstream axis bin bps brightness cam camera cgi ch chan channel channels codec
compression extern fps gateway h264 h264preview h265 h265preview height hevc high http https
image img input ipcam jpeg jpg live livestream liveview low main mainstream max mediainput media
medium min mjpeg mjpg mobile mode mp4 mpeg mpeg4 multicast onvif output playback port preview
primary profile proto protocol quality realmonitor res resolution rotation rtp rtpmulticast rtsp
rtspgateway rtspstream rtsptunnel sd sdp second secondary session size snap snapshot speed
stream streaming streams streamtype sub substream subtype tcp tertiary track trackid transport
transportmode tunnel type ucast udp unicast vga video videocodec videoinput videomain videosub
videostreamid width
healthz metrics path readyz review stillsift
auto default false no none off on true yes
"""
_WORDS = frozenset(_SPELT_WORDS.split())
"""Words in the paths and parameters of cameras of many makers, and in URLs of our own."""
_SPELT_NAMES = """
account auth authorization code credential credentials key login name pass passwd passwort
password pin psw pswd pw pwd secret sid sig signature token u user username usr
"""
_NAMES = frozenset(_SPELT_NAMES.split())
"""Names of parameters that are shown, but whose values are not."""
_NAMES_OF_USERS = frozenset({"account", "login", "name", "u", "user", "username", "usr"})
"""Those of them whose values may be words that cameras have in their paths."""


def redacted(url: str) -> str:
    """Returns what may be shown of a URL, also of one without its scheme; other text as it is."""
    if (scheme := _URL.match(url)) is None:
        return redacted(f"rtsp://{url}")[len("rtsp://") :] if _LOGIN.match(url) else url
    login, host, rest = _parts(url[scheme.end() :])
    user = "" if login is None else f"{_shown_user(login)}@"
    return f"{scheme[0]}{user}{host}{with_secrets_masked(rest)}"


def _parts(rest: str) -> tuple[str | None, str, str]:
    """Divides what follows the scheme into login (None: none), host with port, and the rest.

    People write passwords with / and @ in them, so a login goes on to the last @ that may end it.
    """
    head, at, _ = rest.rpartition("@")
    host = _HOST.match(rest)
    if at and (host is None or with_secrets_masked(rest[host.end() :]) != rest[host.end() :]):
        # What looks like a host can be a user, and what looks like a port begin a password.
        begin = re.match(r"[^/?#]*", head)
        if begin is not None and (":" in begin[0] or "@" in begin[0] or begin[0] == head):
            host = None
    if host is not None:
        return None, host[0], rest[host.end() :]
    login = head if at else None
    behind = rest[len(head) + 1 :] if at else rest
    if (found := _HOST.match(behind)) is None and (found := re.match(r"[^/?#]*", behind)) is None:
        return login, MASK, ""
    known = _HOST.fullmatch(found[0]) or all(map(_is_harmless, re.split(r"[:\[\]]", found[0])))
    return login, found[0] if known else MASK, behind[found.end() :]


def _shown_user(login: str) -> str:
    user = login.partition(":")[0]
    return user if _is_harmless(user) else MASK


def with_secrets_masked(rest: str) -> str:
    """Returns path, query and fragment of a URL with *** for all that is not known as harmless.

    A part of the path, and name and value of a parameter, are shown or hidden as a whole. After a
    value that is hidden, everything is hidden up to the next parameter: passwords hold slashes.
    """
    shown, hiding = "", False
    for piece in re.split(r"([/?&;#])", rest):
        if piece in ("", "/", "?", "&", ";", "#"):
            hiding = hiding and piece in ("", "/")
            shown += piece
            continue
        name, equals, value = piece.partition("=")
        named = name.lower() in _NAMES or _is_harmless(name)
        if hiding or not named or (not equals and not _is_harmless(name)):
            name = MASK
        if value and (name == MASK or not _may_be_shown(name, value)):
            value, hiding = MASK, True
        shown += name + equals + value
    return shown


def _may_be_shown(name: str, value: str) -> bool:
    secret = name.lower() in _NAMES - _NAMES_OF_USERS
    return _is_harmless(value) and (value == MASK or not secret)


def _is_harmless(piece: str) -> bool:
    """Tells whether a piece has only words that cameras have in their paths, and short numbers."""
    if piece == MASK or _SIZE.fullmatch(piece):
        return True  # *** was redacted before
    words = _SEPARATORS.split(piece)
    letters = sum(len(word) == 1 and word.isalpha() for word in words)
    digits = sum(character.isdigit() for character in piece)
    known = all(map(_is_known, words))
    return known and letters <= _MOST_LETTERS and digits <= _MOST_DIGITS


def _is_known(word: str) -> bool:
    if word.lower() in _WORDS:
        return True
    found = _WORD.fullmatch(word)
    return found is not None and (len(found[1]) <= 1 or found[1].lower() in _WORDS)


def with_urls_redacted(text: str) -> str:
    """Returns a sentence in which every URL is as `redacted` shows it.

    stillsift writes no login into a sentence; the errors of its libraries can hold one.
    """
    return _URL_IN_TEXT.sub(_redacted_in_text, text) if "://" in text else text


def _redacted_in_text(found: re.Match[str]) -> str:
    url = found["url"].rstrip(_AFTER_A_URL)
    behind = found["url"][len(url) :]
    return found[0] if url in _TEMPLATES else f"{found['before']}{redacted(url)}{behind}"


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
