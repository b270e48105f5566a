"""The end of a process that cannot end by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import logging, threading
from stillsift.service.deadline import Deadline

logging.basicConfig()
asked, never = threading.Event(), threading.Event()
with Deadline(asked, 0.5):
    asked.set()
    never.wait({waits})
print("ended by itself")
"""


@pytest.mark.parametrize(("waits", "status"), [("60", 1), ("0", 0)])
def test_a_process_that_does_not_end_is_ended_and_no_other(waits: str, status: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(waits=waits)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == status
    assert ("not ended within 0.5 s" in ran.stderr) == (status == 1)
    assert ("ended by itself" in ran.stdout) == (status == 0)


def test_it_is_ended_also_while_the_log_does_not_return() -> None:
    holds_log = _PROGRAM.replace("asked.set()", "logging.root.handlers[0].acquire(); asked.set()")
    ran = subprocess.run(
        [sys.executable, "-c", holds_log.format(waits="60")], timeout=50, check=False
    )
    assert ran.returncode == 1
