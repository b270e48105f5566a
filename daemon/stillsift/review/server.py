"""Listens at an address and runs the application until it is told to stop."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn

from ..config.field_types import Address
from ..problems import Problem
from .access import PREFIX, Access
from .application import Review, Reviewed
from .reverse_proxy import ReverseProxy

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 64
"""Requests at a time; a browser makes six. What is beyond is answered with 503."""
_IDLE_S = 15
_END_S = 2
"""Seconds without a request after which a connection is closed, and for requests to be answered
when the server ends."""


class ReviewError(Problem):
    """Says that the address of the review cannot be used."""


class ReviewServer:
    """Serves the review at one address."""

    def __init__(
        self,
        reviewed: Reviewed,
        host: str,
        port: int,
        password: str | None = None,
        proxy: ReverseProxy | None = None,
    ) -> None:
        """Binds the address; port 0: any free one. Raises ReviewError where that cannot be done."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(_MOST_CONNECTIONS)
        except OSError as error:
            self._socket.close()
            raise ReviewError(
                f"review: cannot listen on {host}:{port}: {error.strerror}; choose another port"
            ) from error
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._host, self.port = host, int(self._socket.getsockname()[1])
        self._proxy = proxy
        self._access = Access(self.port, password, [host], proxy)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Review(reviewed, self._access).application(),
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_END_S,
            )
        )

    @property
    def url(self) -> str:
        """Gives the address to open, with the token where one enters by that."""
        token = "" if self._access.asks_for_password else f"?token={self._access.token}"
        own = f"http://{Address(self._host, self.port)}{PREFIX}"
        return f"{own if self._proxy is None else self._proxy.url}/{token}"

    def run(self) -> None:
        """Answers requests until `stop` is called, or, in the main thread, SIGINT or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Runs in a thread of its own, beside the lines of a daemon; they go on if it fails."""
        threading.Thread(target=self._run_beside, name="review", daemon=True).start()

    def _run_beside(self) -> None:
        try:
            self.run()
        except Exception:
            log.exception("review: ended; the sources go on")

    def stop(self) -> None:
        """Lets `run` end soon; any thread may call it."""
        self._server.should_exit = True
