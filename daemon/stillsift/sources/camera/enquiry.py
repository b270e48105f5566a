"""Asks a camera what it offers (RTSP DESCRIBE), before FFmpeg calls it.

FFmpeg follows redirects without a limit (20,000 in ten seconds were counted) and tells most
refusals apart by their first digit only. So a camera of which nothing is known is asked once from
here, and this connection is closed before FFmpeg opens one. It logs in as FFmpeg does, so what it
is refused FFmpeg would be refused too; what it does not understand is left to FFmpeg.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ... import __version__
from .address import CameraAddress

_MOST_REDIRECTS = 5
"""A load balancer sends a client on once, an NVR behind one once more."""
_LONGEST_REPLY = 1 << 20
"""Bytes; a description of a stream has some hundred."""
_LONGEST_HEADER = 8192
"""Bytes of one line; HTTP servers take as many."""
_PORTS = {"rtsp": 554, "rtsps": 322}
"""Ports that FFmpeg calls where the URL names none."""
_PARAMETER = re.compile(r'\b(\w++)\s*+=\s*+(?:"([^"]*+)"|([^\s,]*))')
"""A parameter of a challenge: name, and value in quotes or without. It takes each character once:
`re` holds back all threads while it works."""
_KNOWN_DIGESTS = ("", "MD5", "MD5-sess")
"""Digests that FFmpeg answers, spelled as it compares them."""


class Refusal(Exception):
    """Says in words why a camera gives no stream."""


class Denied(Refusal):
    """Says that the camera does not let this user in: the next call will fail like this one."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Says where a camera has its stream, and how many video tracks that has."""

    address: CameraAddress
    """Address after redirects."""
    videos: int
    """Number of video tracks; 0: unknown."""


def ask(address: CameraAddress, timeout_s: float) -> Offer:
    """Asks a camera what it offers; takes at most `timeout_s`, besides finding its name.

    Raises Refusal, and OSError if there is no connection or no answer.
    """
    deadline = time.monotonic() + timeout_s
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            with _Call(address, deadline) as call:
                reply = call.describe()
        except _Unclear:
            return Offer(address, 0)
        target = reply.header("location")
        if 300 <= reply.status < 400 and target is not None:
            address = _redirected(address, target)
        elif reply.status == 401:
            raise Denied(_denial(address, reply))
        elif reply.status >= 300:
            raise Refusal(_answer(reply))
        else:
            return Offer(address, len(re.findall(r"^m=video ", reply.body, re.M)))
    raise Refusal("the camera's redirects lead nowhere")


def refusal_of_setup(address: CameraAddress, transport: str, timeout_s: float) -> str | None:
    """Asks for the first video track, as FFmpeg did, and returns the camera's refusal in words.

    None: it is not refused now, or the camera is not understood. Ends a session that is granted.
    """
    try:
        with _Call(address, time.monotonic() + timeout_s) as call:
            reply = call.set_up(transport)
    except (OSError, _Unclear):
        return None
    return _answer(reply) if reply.status >= 400 else None


def _answer(reply: _Reply) -> str:
    return f"the camera answers {reply.status} {reply.phrase}".rstrip()


def _redirected(address: CameraAddress, target: str) -> CameraAddress:
    """Returns the address that a camera sends to, with the same login unless it names another."""
    try:
        new = CameraAddress.parse(target)
    except ValueError:
        raise Refusal("the camera redirects to what is no rtsp:// address") from None
    return (
        new if new.user is not None else replace(new, user=address.user, password=address.password)
    )


def _denial(address: CameraAddress, reply: _Reply) -> str:
    challenge = _Challenge.of(reply)
    if address.user is None:
        return "the camera asks for a user and password, and none is set"
    if challenge is not None and not challenge.known:
        return (
            f"the camera asks for a {challenge.algorithm} digest, which FFmpeg does not know; let "
            "the camera use MD5 or basic"
        )
    return "the camera refuses the user or password"


class _Unclear(Exception):
    """Says that a reply cannot be understood, or that the camera hung up."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """Holds one reply of a camera."""

    status: int
    phrase: str
    headers: list[tuple[str, str]]
    """Names in lower case, and values."""
    body: str = ""

    @classmethod
    def parse(cls, head: str) -> _Reply:
        """Reads everything up to the body. Raises _Unclear."""
        first, *lines = head.split("\r\n")
        found = re.match(r"RTSP/\d\.\d +(\d{3}) *(.*)", first)
        if found is None or any(len(line) > _LONGEST_HEADER for line in lines):
            raise _Unclear
        parts = [line.partition(":") for line in lines]
        # What the camera says goes to the log.
        phrase = "".join(letter for letter in found[2] if letter.isprintable())[:60]
        return cls(int(found[1]), phrase, [(n.strip().lower(), v.strip()) for n, _, v in parts])

    def header(self, name: str) -> str | None:
        """Returns the first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def length(self) -> int:
        """Gives the length of the body, bytes."""
        length = self.header("content-length") or "0"
        # Python reads no number of more than 4300 digits.
        if re.fullmatch(r"[0-9]{1,7}", length) is None or int(length) > _LONGEST_REPLY:
            raise _Unclear
        return int(length)


@dataclass(frozen=True, slots=True)
class _Challenge:
    """Says how the camera wants the user to be proved."""

    digest: bool
    values: dict[str, str]

    @classmethod
    def of(cls, reply: _Reply) -> _Challenge | None:
        """Returns the challenge that FFmpeg would answer: the last digest, else basic."""
        given = [value for name, value in reply.headers if name == "www-authenticate"]
        for scheme in ("digest ", "basic "):
            for value in reversed(given):
                if value.lower().startswith(scheme):
                    found = _PARAMETER.findall(value)
                    values = {name.lower(): quoted or plain for name, quoted, plain in found}
                    return cls(scheme == "digest ", values)
        return None

    @property
    def algorithm(self) -> str:
        return self.values.get("algorithm", "")

    @property
    def known(self) -> bool:
        """Tells whether FFmpeg can answer it."""
        return not self.digest or self.algorithm in _KNOWN_DIGESTS

    def answer(self, address: CameraAddress, method: str, uri: str) -> str:
        """Returns the value of the Authorization header (RFC 7617, RFC 2617)."""
        user, password = address.user or "", address.password or ""
        if not self.digest:
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        realm, nonce = self.values.get("realm", ""), self.values.get("nonce", "")
        cnonce, count = secrets.token_hex(8), "00000001"
        proof = _md5(user, realm, password)
        if self.algorithm == "MD5-sess":
            proof = _md5(proof, nonce, cnonce)
        fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
        asked = _md5(method, uri)
        plain = f", algorithm={self.algorithm}" if self.algorithm else ""
        if "auth" in re.split(r"[\s,]+", self.values.get("qop", "")):
            fields["response"] = _md5(proof, nonce, count, cnonce, "auth", asked)
            fields["cnonce"] = cnonce
            plain += f", qop=auth, nc={count}"
        else:
            fields["response"] = _md5(proof, nonce, asked)
        if (opaque := self.values.get("opaque")) is not None:
            fields["opaque"] = opaque
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + plain


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Call:
    """Holds one connection to a camera. A context manager."""

    address: CameraAddress
    deadline: float
    """Monotonic time of giving up, with TimeoutError."""
    _socket: socket.socket | None = None
    _received: bytes = b""
    _requests: int = 0
    _challenge: _Challenge | None = None
    _url: str = field(init=False)

    def __post_init__(self) -> None:
        self._url = replace(self.address, user=None, password=None).with_secret()

    def __enter__(self) -> _Call:
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def describe(self) -> _Reply:
        return self._asked("DESCRIBE", self._url, "Accept: application/sdp")

    def set_up(self, transport: str) -> _Reply:
        """Asks for the first video track; returns the refusal, or the reply to SETUP."""
        described = self.describe()
        if described.status >= 300:
            return described
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1] & ~1
        ways = {
            "tcp": "/TCP;unicast;interleaved=0-1",
            "udp": f";unicast;client_port={port}-{port + 1}",
        }
        reply = self._asked("SETUP", self._track(described), f"Transport: RTP/AVP{ways[transport]}")
        if (session := reply.header("session")) is not None:
            self._send("TEARDOWN", self._url, f"Session: {session.split(';')[0]}")
        return reply

    def _track(self, described: _Reply) -> str:
        base = described.header("content-base") or described.header("content-location")
        base = (base or self._url).rstrip("/")
        video = described.body.partition("m=video ")[2].partition("\nm=")[0]
        control = re.search(r"^a=control:(\S+)", video, re.M)
        if control is None or control[1] == "*":
            return base
        return control[1] if "://" in control[1] else f"{base}/{control[1]}"

    def _asked(self, method: str, url: str, header: str) -> _Reply:
        """Returns the reply to a request, which is sent again with the login if need be."""
        self._send(method, url, header)
        reply = self._reply()
        challenge = _Challenge.of(reply)
        refused = reply.status == 401 and self._challenge is not None
        if reply.status != 401 or refused or challenge is None:
            return reply
        if self.address.user is None or not challenge.known:
            return reply
        self._challenge = challenge
        try:
            self._send(method, url, header)
            return self._reply()
        except (ConnectionError, _Unclear):  # some cameras hang up after every 401
            self._connect()
            self._send(method, url, header)
            return self._reply()

    def _send(self, method: str, url: str, header: str) -> None:
        self._requests += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._requests}", header]
        lines.append(f"User-Agent: stillsift/{__version__}")
        if self._challenge is not None:
            lines.append(f"Authorization: {self._challenge.answer(self.address, method, url)}")
        assert self._socket is not None
        self._socket.settimeout(self._left_s())
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def _reply(self) -> _Reply:
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._receive()
        reply = _Reply.parse(self._received[:end].decode("utf-8", "replace"))
        while len(self._received) < end + 4 + reply.length:
            self._receive()
        body = self._received[end + 4 : end + 4 + reply.length]
        self._received = self._received[end + 4 + reply.length :]
        return replace(reply, body=body.decode("utf-8", "replace"))

    def _receive(self) -> None:
        assert self._socket is not None
        self._socket.settimeout(self._left_s())
        received = self._socket.recv(65536)
        if not received or len(self._received) > _LONGEST_REPLY:
            raise _Unclear
        self._received += received

    def _connect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._received = b""
        scheme = self.address.scheme
        try:
            parts = urlsplit(f"{scheme}://{self.address.host}")
            place = parts.hostname or "", parts.port or _PORTS[scheme]
        except ValueError as error:
            raise _Unclear from error
        self._socket = socket.create_connection(place, self._left_s())
        if scheme == "rtsps":
            # As FFmpeg does: a camera vouches for its certificate itself.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)

    def _left_s(self) -> float:
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s
