"""The fuzzer of tests/system: a few hundred damaged files, and a crash that it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "system" / "fuzz"


def fuzz(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FUZZ), "--output", str(folder), "--jobs", "2", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def test_damaged_files_are_failures_of_their_own(folder: Path) -> None:
    done = fuzz(folder, "--cases", "500")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "500 cases of" in done.stdout
    assert "0 findings" in done.stdout
    again = fuzz(folder, "--cases", "500")
    assert again.returncode == 0
    assert "cases/s" not in again.stderr, "what is done is not run again"


def test_a_crash_in_native_code_is_named_and_the_other_cases_run(folder: Path) -> None:
    done = fuzz(folder, "--cases", "30", "--seed", "2", "--crash-at", "7")
    assert done.returncode == 1
    assert "case 7 (" in done.stdout
    assert ": crashed with SIGSEGV: " in done.stdout
    assert "30 cases of" in done.stdout
    assert "1 findings" in done.stdout
    assert (folder / "case-2-7").stat().st_size > 0
