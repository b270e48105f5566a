"""Reads passwords from where the configuration says that they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError, Mistake
from .settings import SourceConfig

log = logging.getLogger(__name__)


def password_of(source: SourceConfig, *, environ: Mapping[str, str] = os.environ) -> str | None:
    """Reads the camera's password now; None: the source has none. Raises ConfigError."""
    if source.password is not None:
        return source.password.get_secret_value()
    if source.password_file is None:
        return None
    return password_in(
        source.password_file, f"sources.{source.name}.password_file", source.name, environ=environ
    )


def password_in(file: str, key: str, what: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """Reads a password from an absolute path, or from the systemd credential of this name.

    `key` is where the configuration names it, and `what` it is for. Raises ConfigError.
    """

    def refused(reason: str) -> ConfigError:
        return ConfigError("configuration", [Mistake(None, key, reason)])

    path = Path(file)
    if not path.is_absolute():
        if not (credentials := environ.get("CREDENTIALS_DIRECTORY")):
            raise refused(
                f"is the systemd credential {file!r}, and CREDENTIALS_DIRECTORY "
                "is not set; run under systemd with LoadCredential=, or write an absolute path"
            )
        path = Path(credentials) / path
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
        mode = path.stat().st_mode
    except OSError as error:
        raise refused(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise refused(f"{path} is not UTF-8 text") from error
    if not password:
        raise refused(f"{path} is empty")
    if mode & 0o004:
        log.warning("%s: everybody on this machine can read %s; chmod 600", what, path)
    return password
