"""Serves the metrics and the health probes over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from ..problems import Problem
from .metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class MetricsError(Problem):
    """Says that the address of the metrics cannot be used."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing, since a scrape every fifteen seconds is not worth a line."""


def serve(
    metrics: Metrics,
    host: str,
    port: int,
    *,
    healthy: Callable[[], str | None],
    ready: Callable[[], str | None],
) -> WSGIServer:
    """Serves /metrics, /healthz and /readyz in a thread of its own until `shutdown()`.

    `healthy` and `ready` return None, or the reason why not, which is then answered with 503.
    Raises MetricsError where the address cannot be bound.
    """
    scrape = make_wsgi_app(metrics.registry)
    probes = {"/healthz": healthy, "/readyz": ready}

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            answer: Iterable[bytes] = scrape(environ, start)
            return answer
        if path not in probes:
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"stillsift: /metrics /healthz /readyz\n"]
        reason = probes[path]()
        status = "200 OK" if reason is None else "503 Service Unavailable"
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{reason or 'ok'}\n".encode()]

    try:
        kind = _Server6 if ":" in host else _Server
        server = make_server(host, port, application, kind, _Quiet)
    except OSError as error:
        raise MetricsError(
            f"metrics.listen: cannot listen on {host}:{port}: {error.strerror}; "
            "choose another port, or `listen: off`"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
