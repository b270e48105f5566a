#!/usr/bin/env python3
"""Tells how much slower the daemon becomes while somebody looks at its review.

    .venv/bin/python bench/review_beside.py [--rows 1000000] [--windows 10] [--seconds 12]

A real `stillsift run` with `review:` sifts a long clip at rate all, as fast as it can, into a
ledger that held --rows decisions before. Somebody opens a page every two seconds, as fast as a
person reads, with the pictures on it: the overview, the timeline of a source, kept frames, a list
of decisions, single decisions. Windows with and without them take turns, so that what else runs on
the machine counts for both. Told is the median of the ratios of neighbouring windows, and their
quartiles.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import footage
from review import make  # this also lets modules of the tests be found
from reviewing import Browser
from running import free_port

EVERY_S = 2.0
MOST_PICTURES = 40
PAGES = (
    "/review/",
    "/review/source?source=clips",
    "/review/kept?source=clips",
    "/review/decisions?source=clips",
    "/review/source?source=cam3",
    "/review/decisions?reason=blurry",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--windows", type=int, default=10, metavar="N", help="of each kind")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a window")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillsift-") as folder:
        root = Path(folder)
        make(root / "store" / "ledger.sqlite", given.rows)
        long_clip(root / "clips")
        web, review = free_port(), free_port()
        (root / "password").write_text("bench\n")
        (root / "password").chmod(0o600)
        (root / "config.yaml").write_text(
            f"store: {{path: {root}/store}}\n"
            f"metrics: {{listen: 127.0.0.1:{web}}}\n"
            f"review: {{listen: 127.0.0.1:{review}, password_file: {root}/password}}\n"
            "defaults: {rate: all}\n"
            f"sources: [{{name: clips, directory: {root}/clips}}]\n"
        )
        daemon = subprocess.Popen(
            [sys.executable, "-m", "stillsift", "run", "-c", str(root / "config.yaml")],
            stderr=(root / "log").open("w"),
        )
        try:
            measure(web, review, given.windows, given.seconds)
        finally:
            daemon.terminate()
            daemon.wait(60)


def long_clip(folder: Path) -> None:
    """Makes an hour and more of the still clip: the same again and again."""
    folder.mkdir()
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-stream_loop", "299", "-i", str(footage.still().path)),
            *("-c", "copy", str(folder / "long.mp4")),
        ],
        check=True,
    )


def measure(web: int, review: int, windows: int, seconds: float) -> None:
    """Prints the throughput with and without somebody who looks."""
    key = base64.b64encode(b":bench").decode()
    browser = Browser(f"http://127.0.0.1:{review}", headers={"Authorization": f"Basic {key}"})
    while decided(web) < 500:  # started, and past the first frames
        time.sleep(0.5)
    rates: dict[bool, list[float]] = {True: [], False: []}
    asked = pages(browser)
    opened = 0
    for looks in itertools.islice(itertools.cycle((False, True)), 2 * windows + 1):
        before, begin = decided(web), time.monotonic()
        while (now := time.monotonic()) - begin < seconds:
            if looks:
                opened += next(asked)
            time.sleep(max(0.0, min(EVERY_S, begin + seconds - now)))
        rates[looks].append((decided(web) - before) / (time.monotonic() - begin))
    alone = [(a + b) / 2 for a, b in itertools.pairwise(rates[False])]
    ratios = [busy / free for busy, free in zip(rates[True], alone, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"frames/s alone {statistics.median(alone):.0f}, requests answered {opened}")
    print(f"throughput while somebody looks: {middle:.3f} ({low:.3f} to {high:.3f}) of that alone")


def pages(browser: Browser) -> Iterator[int]:
    """Opens the next page and its pictures; gives the number of requests."""
    decisions: list[str] = []
    for page in itertools.cycle((*PAGES, "", "", "")):
        path = page
        if not path:
            if not decisions:
                continue
            path = decisions.pop(0)
        answer = browser.get(path)
        assert answer.status == 200, (path, answer.status)
        found = re.findall(r'href="(/review/decision/[0-9a-f]{24})', answer.text)
        decisions = (decisions + found[:5])[-50:]
        pictures = re.findall(r'src="(/review/[^"]+)"', answer.text)[:MOST_PICTURES]
        for picture in pictures:
            browser.get(picture.replace("&amp;", "&"))
        yield 1 + len(pictures)


def decided(port: int) -> float:
    """Number of frames decided so far, of all outcomes; 0 while the daemon starts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    found = re.findall(r'^stillsift_frames_total\{[^}]*source="clips"[^}]*\} (\S+)$', text, re.M)
    return sum(map(float, found))


if __name__ == "__main__":
    main()
