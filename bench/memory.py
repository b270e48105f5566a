"""Whether memory stays flat, and whether ten thousand stills take ten times as long as a thousand.

    python bench/memory.py [--frames 10000] [--stills 10000] [--only clip,loop,stills]

clip      the 1080p clips of the speed bench: the most that one source holds.
loop      a small clip over and over, as files that differ by a few bytes in a `free` box: the slope
          of the resident memory, fitted over the second half.
stills    one folder of JPEGs that differ in picture or in a comment: CPU and memory per thousand.

Each runs in a process of its own, an `Engine` and one `Line` with store, ledger and fsync. MB are
10^6 bytes of resident memory, shared libraries included.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import footage

LIMIT_MB = 350
SLOPE_MB = 1.0
"""Per 10,000 frames."""
_GROWTH = 1.25
"""Last thousand stills over the second thousand."""
_SAMPLE = 500
"""Decisions between two looks."""

Sample = tuple[int, float, float]
"""Decisions so far, resident MB, CPU seconds so far."""


# -- in a process of its own -----------------------------------------------------------------------


def sift(folder: Path, rate: str) -> dict[str, Any]:
    """Sift everything in a folder, or one clip, and look at the process meanwhile."""
    from stillsift.config import SourceConfig, load
    from stillsift.config.yaml_file import with_overrides
    from stillsift.pipeline import Engine
    from stillsift.service import Metrics

    samples: list[Sample] = []
    decided = 0

    def told(*_: object) -> None:
        nonlocal decided
        decided += 1
        if decided % _SAMPLE == 0:
            samples.append((decided, resident_mb(), time.process_time()))

    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as store:
        config = with_overrides(load(None), [f"rate={rate}"])
        settings = config.store.model_copy(update={"path": Path(store) / "store"})
        config = config.model_copy(update={"store": settings})
        source = SourceConfig.model_validate({"name": "bench", "directory": folder.absolute()})
        with Engine(config, Metrics()) as engine:
            opened = resident_mb()
            engine.line(source.under(config.defaults), watch=False, on_decision=told).run()
            totals = engine.metrics.totals()
            steady = resident_mb()
    return {
        "opened": opened,
        "steady": steady,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "outcomes": {str(reason): count for reason, count in totals.items() if count},
        "samples": samples,
    }


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# -- what is sifted --------------------------------------------------------------------------------


def loop(folder: Path, frames: int) -> None:
    """As many copies of a small clip as make `frames`, no two the same file."""
    length = 200
    clip = footage.small(320, 180, length).read_bytes()
    for number in range(-(-frames // length)):
        box = struct.pack(">I4sQ", 16, b"free", number)
        (folder / f"{number:06d}.mp4").write_bytes(clip + box)


def stills(folder: Path, number: int) -> None:
    """JPEGs of a drive, no two the same file."""
    import av
    import cv2

    with av.open(str(footage.small(320, 180, 200))) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    encoded = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
    for index, jpeg in zip(range(number), itertools.cycle(encoded), strict=False):
        comment = b"\xff\xfe" + struct.pack(">HQ", 10, index)
        (folder / f"{index:06d}.jpg").write_bytes(jpeg[:2] + comment + jpeg[2:])


# -- reports ---------------------------------------------------------------------------------------


def slope(samples: list[Sample]) -> float:
    """MB per 10,000 frames, by least squares over the second half."""
    half = samples[len(samples) // 2 :]
    if len(half) < 3:
        raise SystemExit("too few frames for a slope: ask for more")
    at = sum(n for n, _, _ in half) / len(half)
    mb = sum(m for _, m, _ in half) / len(half)
    rise = sum((n - at) * (m - mb) for n, m, _ in half)
    return 1e4 * rise / sum((n - at) ** 2 for n, _, _ in half)


def clip_report() -> None:
    for clip, rate in itertools.product((footage.still(), footage.changing()), ("all", "5/s")):
        run = _in_child(clip.path, rate)
        verdict = "met" if run["peak"] < LIMIT_MB else "SHORT"
        print(
            f"clip    {clip.kind:9} at {rate:>4}: {run['opened']:.0f} MB before the first frame, "
            f"{run['steady']:.0f} after the last, peak {run['peak']:.0f} "
            f"(below {LIMIT_MB}: {verdict})",
            flush=True,
        )


def loop_report(frames: int) -> None:
    run = _made_and_sifted(lambda folder: loop(folder, frames))
    mb = slope(run["samples"])
    for n, m, _ in run["samples"][:: max(1, len(run["samples"]) // 10)]:
        print(f"loop    {n:7} frames: {m:.1f} MB")
    print(
        f"loop    {frames} frames, {run['outcomes']}: {mb:+.2f} MB per 10,000 frames over the "
        f"second half (below {SLOPE_MB}: {'met' if mb < SLOPE_MB else 'SHORT'}); "
        f"peak {run['peak']:.0f} MB",
        flush=True,
    )


def stills_report(number: int) -> None:
    run = _made_and_sifted(lambda folder: stills(folder, number))
    marks = [sample for sample in run["samples"] if sample[0] % 1000 == 0]
    spent = [(b[0], b[1], b[2] - a[2]) for a, b in itertools.pairwise(marks)]
    for n, m, cpu in spent:
        print(f"stills  to {n:6}: {cpu:.2f} CPU s for the last 1,000, {m:.1f} MB")
    growth = spent[-1][2] / spent[0][2]
    print(
        f"stills  {number}, {run['outcomes']}: last thousand / second thousand = {growth:.2f} "
        f"(below {_GROWTH}: {'met' if growth < _GROWTH else 'SHORT'}); peak {run['peak']:.0f} MB",
        flush=True,
    )


def _made_and_sifted(make: Callable[[Path], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as folder:
        make(Path(folder))
        return _in_child(Path(folder), "all")


def _in_child(path: Path, rate: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", str(path), rate]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000, help="of the loop (10000)")
    parser.add_argument("--stills", type=int, default=10_000, help="in the folder (10000)")
    parser.add_argument("--only", default="clip,loop,stills", help="which of clip, loop, stills")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        json.dump(sift(Path(given.worker[0]), given.worker[1]), sys.stdout)
        return
    wanted = given.only.split(",")
    if "clip" in wanted:
        clip_report()
    if "loop" in wanted:
        loop_report(given.frames)
    if "stills" in wanted:
        stills_report(given.stills)


if __name__ == "__main__":
    main()
