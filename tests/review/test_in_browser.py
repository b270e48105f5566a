"""The review in a real Chromium, where there is one: `tests/system/review`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_every_page_and_key_in_a_real_browser() -> None:
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: see docs/testing.md")
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("no chromium here: apt-get install -y chromium")
    script = Path(__file__).parents[1] / "system" / "review"
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
