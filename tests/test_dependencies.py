"""What the service is installed with is locked, with hashes, and fits what the project asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "dependencies"


def run(root: Path, command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "dependencies", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def test_the_lock_fits_the_project() -> None:
    assert run(ROOT, "check") == (0, "")


def test_a_lock_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for folder in ("scripts", "systemd"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scripts" / "dependencies").write_bytes(SCRIPT.read_bytes())
    asked = 'dependencies = ["numpy>=1.26", "av>=17", "bcrypt>=4.2"]\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\n{asked}[build-system]\nrequires = ["hatchling>=1.25"]\n'
    )
    (tmp_path / "systemd" / "constraints.txt").write_text(
        f"numpy==1.25.0 \\\n    --hash=sha256:{64 * 'a'}\n"
        f"av==18.1 ; python_full_version < '3.12'\nhatchling==1.33.0 --hash=sha256:{64 * 'b'}\n"
    )
    status, said = run(tmp_path, "check")
    assert status == 1
    for mistake in ("av==18.1 has no hash", "numpy==1.25.0 does not fit", "bcrypt is not locked"):
        assert mistake in said, said
    assert "hatchling" not in said


def test_the_command_is_documented() -> None:
    readme = (ROOT / "systemd" / "README.md").read_text("utf-8")
    for command in ("lock", "check", "audit"):
        assert f"scripts/dependencies {command}" in readme
    assert "--require-hashes" in readme
