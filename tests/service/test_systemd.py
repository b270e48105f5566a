"""The shipped unit, as systemd itself reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillsift.config import ConfigError

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "stillsift.service"

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze (Debian: systemd) is missing"
)
variants = pytest.mark.parametrize("drop_in", [None, "gpu.conf"])


def installed(folder: Path, drop_in: str | None) -> Path:
    """The unit as installed, but with this environment's command, which `verify` looks for."""
    unit = folder / UNIT.name
    command = str(Path(sys.prefix, "bin", "stillsift"))
    unit.write_text(UNIT.read_text().replace("/opt/stillsift/bin/stillsift", command))
    if drop_in:
        (folder / f"{UNIT.name}.d").mkdir()
        shutil.copy(SYSTEMD / drop_in, folder / f"{UNIT.name}.d")
    return unit


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
    )


def settings() -> dict[str, str]:
    lines = UNIT.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


@needs_systemd_analyze
@variants
def test_verify_has_nothing_to_say(tmp_path: Path, drop_in: str | None) -> None:
    done = analyze("verify", installed(tmp_path, drop_in))
    assert (done.returncode, done.stdout) == (0, "")


@needs_systemd_analyze
def test_verify_would_say_something(tmp_path: Path) -> None:
    unit = installed(tmp_path, None)
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in analyze("verify", unit).stdout


@needs_systemd_analyze
@variants
def test_exposure_is_at_most_one_point_three(tmp_path: Path, drop_in: str | None) -> None:
    done = analyze("security", "--offline=true", "--threshold=13", installed(tmp_path, drop_in))
    assert done.returncode == 0, done.stdout
    level = re.search(r"Overall exposure level for stillsift\.service: (\d\.\d)", done.stdout)
    assert level is not None
    # The figures that README.md gives.
    assert level[1] == ("1.2" if drop_in else "1.1")


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers here")
def test_sysusers_makes_the_user_of_the_unit(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "stillsift.sysusers"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    [user] = (tmp_path / "etc/passwd").read_text().splitlines()
    assert user.split(":")[0] == settings()["User"]
    assert user.split(":")[5] == "/var/lib/" + settings()["StateDirectory"]


def test_the_unit_and_the_daemon_agree() -> None:
    unit = settings()
    assert unit["RestartPreventExitStatus"] == str(ConfigError.exit_status)
    assert int(unit["TimeoutStopSec"].removesuffix("s")) > 10
    assert unit["ExecStart"].split()[1:] == ["run", "-c", "/etc/stillsift/config.yaml"]


def test_every_line_is_explained() -> None:
    readme = (SYSTEMD / "README.md").read_text()
    obvious = {"Description", "ExecStart", "WantedBy"}
    keys = (set(settings()) | {"LoadCredential", "ReadWritePaths"}) - obvious
    assert sorted(key for key in keys if f"{key}=" not in readme) == []
