"""A camera's password, from where the configuration says it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from stillsift.config import ConfigError, SourceConfig
from stillsift.config.password import password_of


def with_password_file(name: str) -> SourceConfig:
    return SourceConfig(name="door", rtsp="rtsp://h/", user="u", password_file=name)


def test_a_password_comes_from_a_file_or_a_systemd_credential(tmp_path: Path) -> None:
    file = tmp_path / "door"
    file.write_text("ge heim\n")
    file.chmod(0o600)
    assert password_of(with_password_file(str(file))) == "ge heim"
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert password_of(with_password_file("door"), environ=environ) == "ge heim"
    bare = SourceConfig(name="door", rtsp="rtsp://h/")
    assert password_of(bare) is None
    direct = SourceConfig(name="door", rtsp="rtsp://h/", user="u", password=SecretStr("x"))
    assert password_of(direct) == "x"


def test_a_password_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    where = "configuration: sources.door.password_file: "
    for name, variables, reason in (
        ("none", environ, f"{tmp_path}/none cannot be read: No such file or directory"),
        ("empty", environ, f"{tmp_path}/empty is empty"),
        ("bytes", environ, f"{tmp_path}/bytes is not UTF-8 text"),
        (
            "door",
            {},
            "is the systemd credential 'door', and CREDENTIALS_DIRECTORY is not set; run under "
            "systemd with LoadCredential=, or write an absolute path",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            password_of(with_password_file(name), environ=variables)
        assert str(caught.value) == where + reason


def test_a_password_that_everybody_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "door"
    file.write_text("geheim")
    file.chmod(0o644)
    assert password_of(with_password_file(str(file))) == "geheim"
    assert caplog.messages == [f"door: everybody on this machine can read {file}; chmod 600"]
