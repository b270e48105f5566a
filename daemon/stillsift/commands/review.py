"""Implements `stillsift review`: shows in a browser what was decided, and takes corrections."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import suppress
from pathlib import Path

from ..config import Config, ConfigError
from ..config.field_types import is_local, public_url
from ..config.password import password_in
from ..embedding import Embedder
from ..ledger import LedgerReader
from ..pipeline.model_choice import open_model
from ..review.application import Reviewed
from ..review.reverse_proxy import ReverseProxy
from ..review.server import ReviewServer
from ..service.logs import set_up_logging
from ..store import Store
from ..store.in_place import InPlaceStore, mode_of
from .arguments import Commands, UsageError, add_command, add_store, configured, store_path

log = logging.getLogger(__name__)

_PORT = 9479
_EXAMPLES = """\
  stillsift review --store sifted               prints the address to open in a browser
  stillsift review -c config.yaml --port 8000   beside a running daemon, too
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "review",
        review,
        "Look at every decision in a browser: the frame beside the one it was compared with.",
        _EXAMPLES,
    )
    add_store(parser)
    parser.add_argument(
        "--port",
        type=_port,
        default=_PORT,
        metavar="N",
        help=f"port (default: {_PORT}; 0: any free one)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen at (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="ask for the password in this file instead of the token in the address",
    )
    parser.add_argument(
        "--public-url",
        type=_public_url,
        metavar="URL",
        help="URL under which a reverse proxy shows it, such as https://box.example/stillsift",
    )


def review(given: argparse.Namespace) -> int:
    """Serves the page until it is interrupted."""
    set_up_logging("info", "text", stream=sys.stderr)
    config = configured(given)
    password = _password(given.password_file)
    root = store_path(given).absolute()
    store = _opened_store(root, config)
    with LedgerReader(store.ledger_path) as ledger:
        reviewed = Reviewed.under(config, ledger, store, lambda: Embedder(open_model(config.model)))
        proxy = (
            None
            if given.public_url is None
            else ReverseProxy.at(given.public_url, config.review.trusted_proxies)
        )
        server = ReviewServer(reviewed, given.host, given.port, password, proxy)
        if not is_local(given.host):
            log.warning(
                "review: others in the network reach this address, and nothing is encrypted on the "
                "way; leave --host away, and come in through a proxy that encrypts "
                "(--public-url), or a tunnel such as `ssh -L`"
            )
        print(f"Open {server.url}", flush=True)
        print("It ends with Ctrl-C.", flush=True)
        with suppress(KeyboardInterrupt):
            server.run()
    return 0


def _opened_store(root: Path, config: Config) -> Store:
    mode = mode_of(root)
    if mode is not None:
        return InPlaceStore(root, mode)
    settings = config.store
    return Store(root, settings.min_free, settings.format, settings.jpeg_quality)


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return password_in(str(file.absolute()), "--password-file", "review")
    except ConfigError as error:
        raise UsageError(str(error.mistakes[0])) from error


def _public_url(text: str) -> str:
    try:
        return public_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number
