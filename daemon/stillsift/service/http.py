"""Serves the metrics and the health probes over HTTP.

Few connections at a time and each for a short time, so that nobody can use up the descriptors that
the sources need. Where one more comes than there is room for, the one that has waited longest for
its own question is closed: a scrape is answered while idle connections hold all places.
"""

from __future__ import annotations

import errno
import logging
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from ..config.field_types import Address
from ..escapes import escaped
from ..problems import Problem
from .access import Access, Busy
from .metrics import Metrics

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 16
"""Connections at a time, with a thread each: two Prometheus servers, probes and a person need
four."""
_ASK_S = 5.0
"""Seconds for a whole question to come, TLS included: Prometheus gives up after 10."""
_ANSWER_S = 10.0
"""Seconds without a byte taken or given after which a connection is closed."""
_LONGEST_ACCEPT = 4096
"""Characters of a header that says what is accepted; that of Prometheus has some 300."""
_PAUSE_S = 0.2
"""Seconds to wait where no connection can be taken, such as without a free descriptor."""


class MetricsError(Problem):
    """Says that the address of the metrics cannot be used."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Answers each connection in a thread, `_MOST_CONNECTIONS` at a time."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._asking: dict[socket.socket, float] = {}
        """Connections whose question has not come yet, with the time until which it must."""
        self._answered: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Binds the address; the base class would ask the name service for the host's name."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    @property
    def url(self) -> str:
        """Gives the URL of the metrics."""
        scheme = "http" if self._access.tls() is None else "https"
        host, port = self.server_address[:2]
        return f"{scheme}://{Address(str(host), int(port))}/metrics"

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            connection, client = super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                time.sleep(_PAUSE_S)  # the connection still waits, and would be tried at once
            raise
        connection.settimeout(_ANSWER_S)
        if (context := self._access.tls()) is None:
            return connection, client
        try:
            # The handshake comes later, in the connection's thread: a client may take its time.
            wrapped = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        except OSError:
            connection.close()
            raise
        return wrapped, client

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._asking) + len(self._answered) >= _MOST_CONNECTIONS:
                if not self._asking:
                    self.close_request(request)
                    return
                self._hang_up(next(iter(self._asking)))
            self._asking[request] = time.monotonic() + _ASK_S
        super().process_request(request, client_address)

    def has_asked(self, connection: socket.socket) -> bool:
        """Notes that a question has come; returns False if the connection was given up before."""
        with self._lock:
            if self._asking.pop(connection, None) is None:
                return False
            self._answered.add(connection)
        return True

    def service_actions(self) -> None:
        """Gives up connections that take too long to ask; called about twice a second."""
        now = time.monotonic()
        with self._lock:
            for connection in [each for each, until in self._asking.items() if until < now]:
                self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        """Ends a connection whose thread may wait in a read; the thread closes it then."""
        del self._asking[connection]
        with suppress(OSError):
            # Not that of SSLSocket, which changes what the thread may be using.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._asking.pop(request, None)
            self._answered.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Logs what went wrong with one connection; that a client left or was slow is no news."""
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR
        log.log(level, "metrics: the connection of %s failed", client_address, exc_info=True)


class _Server6(MetricsServer):
    address_family = socket.AF_INET6


class _Answer(ServerHandler):
    server_software = "stillsift"

    def log_exception(self, exc_info: OptExcInfo) -> None:
        slow = isinstance(exc_info[1], OSError)
        log.log(logging.DEBUG if slow else logging.ERROR, "metrics: no answer", exc_info=exc_info)


class _Handler(WSGIRequestHandler):
    timeout = _ANSWER_S
    server: MetricsServer

    def handle(self) -> None:
        """Answers one question; the base class would write what goes wrong on standard error."""
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request() and self.server.has_asked(self.connection):
            answer = _Answer(
                self.rfile,
                self.wfile,  # type: ignore[arg-type]  # typeshed knows only IO[bytes]
                self.get_stderr(),
                self.get_environ(),
                multithread=True,
            )
            answer.request_handler = self  # type: ignore[attr-defined]  # not in typeshed
            answer.run(self.server.get_app())  # type: ignore[arg-type]  # it was set

    def version_string(self) -> str:
        return "stillsift"

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing, since a scrape every fifteen seconds is not worth a line."""


def _readable(accept: str) -> str:
    """Returns what a client accepts, or nothing where prometheus_client cannot read it.

    It fails at versions that are no numbers, and takes seconds for megabytes.
    """
    versions = re.findall(r"version=([^;,]*)", accept[:_LONGEST_ACCEPT])
    known = all(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})*", each.strip()) for each in versions)
    return accept if known and len(accept) <= _LONGEST_ACCEPT else ""


def serve(
    metrics: Metrics,
    host: str,
    port: int,
    *,
    healthy: Callable[[], str | None],
    ready: Callable[[], str | None],
    web_config: Path | None = None,
) -> MetricsServer:
    """Serves /metrics, /healthz and /readyz in a thread of its own until `shutdown()`.

    `healthy` and `ready` return None, or the reason why not, which is then answered with 503.
    `web_config` says who may ask, and whether over TLS; None: everybody, without. Raises
    MetricsError where the address cannot be bound, and ConfigError for what is wrong in
    `web_config`.
    """
    access = Access(web_config)
    scrape = make_wsgi_app(metrics.registry)
    probes = {"/healthz": healthy, "/readyz": ready}
    plain = ("Content-Type", "text/plain; charset=utf-8")

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            admitted = access.admits(environ.get("HTTP_AUTHORIZATION"))
        except Busy:
            start("503 Service Unavailable", [plain, ("Retry-After", "1")])
            return [b"stillsift: too many logins at once\n"]
        if not admitted:
            start("401 Unauthorized", [plain, ("WWW-Authenticate", 'Basic realm="stillsift"')])
            return [b"stillsift: user and password, please\n"]
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            for name in ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING"):
                environ[name] = _readable(environ.get(name, ""))
            answer: Iterable[bytes] = scrape(environ, start)
            return answer
        if path not in probes:
            start("404 Not Found", [plain])
            return [b"stillsift: /metrics /healthz /readyz\n"]
        reason = probes[path]()
        start("200 OK" if reason is None else "503 Service Unavailable", [plain])
        return [f"{escaped(reason or 'ok')}\n".encode()]

    try:
        server = (_Server6 if ":" in host else MetricsServer)((host, port), access)
    except OSError as error:
        raise MetricsError(
            f"metrics.listen: cannot listen on {host}:{port}: {error.strerror}; "
            "choose another port, or `listen: off`"
        ) from error
    server.set_app(application)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
