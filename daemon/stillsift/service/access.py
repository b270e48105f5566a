"""Tells who may ask for the metrics, and encrypts what they are told.

TLS and basic authentication as Prometheus exporters have them. The file that says so and the
certificates it names are read again when they change, as a renewed certificate does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from ..config import ConfigError
from ..config.errors import Mistake
from ..config.web_config import TlsServer, read_web_config

log = logging.getLogger(__name__)

_MOST_WAITING = 2
"""Most logins that are compared or wait for it: whoever guesses must not take all connections."""
_MOST_REMEMBERED = 100
"""Most logins that are remembered; a scraper has one, and a person one more."""
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_CERTIFICATES = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_NOBODY = b"$2b$10$abcdefghijklmnopqrstuuXq3aRV5Hhe3hAIovJ0Ib2jw9xTpRA2S"
"""Hash that is compared where there is no such user: an answer must take as long."""


class Busy(Exception):
    """Says that a login cannot be looked at now, since others wait already."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """Holds what the file said when it was read."""

    tls: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


class Access:
    """Holds the rules of a web configuration file; without a file everybody may ask."""

    def __init__(self, file: Path | None = None) -> None:
        """Reads the file. Raises ConfigError for what is wrong in it or cannot be read."""
        self._file = file
        self._lock = threading.Lock()
        self._rules = _Rules() if file is None else _read(file)
        self._state = self._files_state()
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        """Keyed hashes of logins that were right, so that bcrypt need not work at each scrape."""
        self._bcrypt = threading.Lock()
        """Held while a hash is computed: guesses must not take more than one core."""
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def tls(self) -> ssl.SSLContext | None:
        """Returns how to encrypt a new connection; None: not at all."""
        self._renew()
        return self._rules.tls

    def admits(self, authorization: str | None) -> bool:
        """Tells whether the value of an Authorization header is that of a user.

        Raises Busy, but not for a login that was right before.
        """
        users = self._rules.users
        if not users:
            return True
        user, password = _login(authorization)
        hashed = users.get(user)
        mark = self._mark(user, hashed, password)
        if hashed is not None and mark in self._right:
            return True
        if not self._waiting.acquire(blocking=False):
            raise Busy
        try:
            with self._bcrypt:
                right = _fits(password, _NOBODY if hashed is None else hashed.encode())
        finally:
            self._waiting.release()
        if not right or hashed is None:
            return False
        if len(self._right) >= _MOST_REMEMBERED:
            self._right = {}
        self._right[mark] = None
        return True

    def _mark(self, user: str, hashed: str | None, password: bytes) -> bytes:
        parts = (user.encode(), (hashed or "").encode(), password)
        return hmac.digest(self._key, b"".join(hashlib.sha256(p).digest() for p in parts), "sha256")

    def _renew(self) -> None:
        """Reads the file again if it or a certificate has changed; a bad one changes nothing."""
        if self._file is None or (state := self._files_state()) == self._state:
            return
        with self._lock:
            if state == self._state:
                return
            self._state = state
            try:
                self._rules = _read(self._file)
            except ConfigError as error:
                for mistake in error.mistakes:
                    log.error("web configuration not changed: %s: %s", error.name, mistake)
            else:
                self._state = self._files_state()
                log.info("web configuration read again: %s", self._file)

    def _files_state(self) -> tuple[tuple[int, int, int] | None, ...]:
        files = () if self._file is None else (self._file, *self._rules.files)
        return tuple(map(_state, files))


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(file: Path) -> _Rules:
    made = read_web_config(file)
    tls = made.tls_server_config
    context = None if tls is None else _context(tls, file)
    return _Rules(context, made.basic_auth_users, made.files)


def _context(tls: TlsServer, file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    for named in (tls.cert_file, tls.key_file, tls.client_ca_file):
        try:
            if named is not None:
                named.open("rb").close()
        except OSError as error:
            raise _refused(file, f"{named} cannot be read: {error.strerror}") from error
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        reason = f"{tls.cert_file} and {tls.key_file} are no certificate with its open key: {why}"
        raise _refused(file, reason) from error
    context.verify_mode = _CLIENT_CERTIFICATES[tls.client_auth_type]
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except ssl.SSLError as error:
            raise _refused(file, f"{tls.client_ca_file} holds no certificate") from error
    return context


def _refused(file: Path, reason: str) -> ConfigError:
    return ConfigError(str(file), [Mistake(None, "tls_server_config", reason)])


def _login(authorization: str | None) -> tuple[str, bytes]:
    """Returns user and password of a header; both are empty where it holds none."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, UnicodeDecodeError):
        return "", b""


def _fits(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # longer than the 72 bytes that bcrypt takes, or with a zero in it
        return False
