"""What is scraped while the disk does not answer."""

from __future__ import annotations

import threading
import time

from prometheus_client import generate_latest

from stillsift.service import Metrics


def test_a_disk_that_does_not_answer_holds_up_no_scrape() -> None:
    metrics, answered = Metrics(), threading.Event()
    asked: list[None] = []

    def free_bytes() -> int:
        asked.append(None)
        answered.wait(60)
        return 4711

    metrics.store(free_bytes)
    begin = time.monotonic()
    for _ in range(2):
        text = generate_latest(metrics.registry).decode()
        assert "stillsift_build_info" in text
        assert "stillsift_store_free_bytes 4" not in text
    assert time.monotonic() - begin < 20, "it waits for a moment only"
    assert len(asked) == 1, "one thread waits, not one for each scrape"
    answered.set()
    assert "stillsift_store_free_bytes 4711.0" in generate_latest(metrics.registry).decode()
