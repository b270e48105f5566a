"""Reads the web configuration file of Prometheus exporters: TLS, and who may ask.

The format is that of Prometheus' exporter-toolkit (docs/web-configuration.md there), so one file
does for all exporters of a machine. Of its keys, those that stand here are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from . import marked_yaml
from .errors import ConfigError, Faults, Mistake

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TlsServer(_Section):
    """The certificate to show, and which clients may connect."""

    cert_file: Path
    """Certificate, with the chain to its authority, in PEM."""
    key_file: Path
    """Its private key, in PEM, without a passphrase."""
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    """Whether a client has to show a certificate of `client_ca_file`."""
    client_ca_file: Path | None = None
    """Authorities whose clients are believed, in PEM."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"

    @model_validator(mode="after")
    def _complete(self) -> TlsServer:
        if (self.client_auth_type != "NoClientCert") != (self.client_ca_file is not None):
            raise ValueError("client_ca_file and client_auth_type need each other")
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version")
        return self


class HttpServer(_Section):
    """What other exporters can switch off; HTTP/2 is never spoken here."""

    http2: bool = True


class WebConfig(_Section):
    """All that the file can say."""

    tls_server_config: TlsServer | None = None
    """None: without TLS."""
    http_server_config: HttpServer | None = None
    basic_auth_users: Mapping[str, str] = {}
    """bcrypt hashes of passwords by user; empty: everybody may ask."""

    @field_validator("basic_auth_users", mode="before")
    @classmethod
    def _hashed(cls, given: Any) -> Any:
        for user, hashed in given.items() if isinstance(given, dict) else ():
            if not isinstance(hashed, str) or _BCRYPT.fullmatch(hashed) is None:
                raise ValueError(
                    f"of {user!r} is no bcrypt hash; make one with `htpasswd -nBC 10 {user}`"
                )
            if ":" in str(user):
                raise ValueError(f"has {user!r}; a name cannot hold a colon")
        return given

    @property
    def files(self) -> tuple[Path, ...]:
        """Gives the files that it names."""
        tls = self.tls_server_config
        named = () if tls is None else (tls.cert_file, tls.key_file, tls.client_ca_file)
        return tuple(file for file in named if file is not None)


def read_web_config(file: Path) -> WebConfig:
    """Reads the file; its relative paths begin in its own folder. Raises ConfigError."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigError(str(file), [Mistake(None, "", reason)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), [Mistake(None, "", "is not UTF-8 text")]) from error
    document = marked_yaml.read(text, {})
    faults = Faults(document)
    given = {} if document.value is None else document.value
    if document.faults:
        raise ConfigError(str(file), faults.mistakes())
    try:
        made = WebConfig.model_validate(given)
    except ValidationError as error:
        for each in error.errors():
            unknown = each["type"] == "extra_forbidden"
            reason = "is not known here" if unknown else each["msg"].removeprefix("Value error, ")
            faults.add(each["loc"], reason)
        raise ConfigError(str(file), faults.mistakes()) from None
    tls = made.tls_server_config
    if tls is None:
        return made
    ca = None if tls.client_ca_file is None else file.parent / tls.client_ca_file
    placed = tls.model_copy(
        update={
            "cert_file": file.parent / tls.cert_file,
            "key_file": file.parent / tls.key_file,
            "client_ca_file": ca,
        }
    )
    return made.model_copy(update={"tls_server_config": placed})
