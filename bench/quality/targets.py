"""What `require` loses and lets go on labelled footage, and what it costs, as whole commands.

    python bench/quality/targets.py [--media DIR]

Each clip is sifted as a user would, without and with `require`. An event is labelled by hand; it is
lost where no frame inside it is kept. `without it, gone`: of the frames looked at in which the
object is not, by the labels, those that were not kept. CPU: seconds of the whole process, which
begins with opening the models. The last line is a camera in whose view little happens: ten minutes
of the empty road of `intel_car-detection`, forth and back, and after five of them the clip itself.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2

import labels
from labels import Span

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
ALWAYS, NEVER = "in every frame", "in no frame"
CLIPS = (
    ("a/intel_car-detection.mp4", "car", ""),
    ("a/intel_car-detection.mp4", "person", NEVER),
    ("a/bgs_overhead_road.avi", "car", ""),
    ("a/bgs_overhead_road.avi", "vehicle", ""),
    ("a/opencv_vtest_pets09s2l1.avi", "person", ALWAYS),
    ("c/intel_asl_walk.mkv", "face", ALWAYS),
    ("c/intel_asl_book.mkv", "face", ALWAYS),
    ("a/bgs_overhead_road.avi", "face", NEVER),
    ("b/udacity_solidWhiteRight.mp4", "face", NEVER),
    ("d/dvrscan_brightness_change.avi", "person", NEVER),
)
"""Clip, what is required, and whether the labels, or the clip itself, say where it is."""
MINUTES = 10
"""Length of the clip in which little happens, without the one that is put into it."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of a clip."""

    frames: dict[int, bool]
    """Each frame that was looked at, and whether it was kept."""
    cpu_s: float


def sifted(path: Path, require: str | None) -> Sifted:
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "decisions.jsonl"
        words = [sys.executable, "-m", "stillsift", "sift", path, "--output", Path(place) / "out"]
        words += ["--decisions", told, *(["--set", f"require=[{require}]"] if require else [])]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = [json.loads(line) for line in told.read_text().splitlines()]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sifted({row["frame_index"]: row["outcome"] == "kept" for row in rows}, cpu)


def quiet(media: Path, into: Path) -> tuple[Path, list[Span]]:
    """Writes the camera in whose view little happens; returns it with its events."""
    path = media / CLIPS[0][0]
    (clip,) = (each for each in labels.labelled(media) if each.path == path)
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(read[1])
    empty = pictures[: clip.events[0].first - 10]
    there_and_back = [*empty, *empty[::-1]]
    half = round(MINUTES / 2 * 60 * rate)
    height, width = pictures[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    written = cv2.VideoWriter(str(into), codec, rate, (width, height))
    for number in range(half):
        written.write(there_and_back[number % len(there_and_back)])
    for picture in pictures:
        written.write(picture)
    for number in range(half):
        written.write(there_and_back[number % len(there_and_back)])
    written.release()
    return into, [Span(e.first + half, e.last + half, e.what) for e in clip.events]


def hit(events: list[Span], found: Sifted) -> int:
    return sum(any(k and event.holds(n) for n, k in found.frames.items()) for event in events)


def row(path: Path, label: str, where: str, events: list[Span], before: Sifted) -> str:
    """Returns a line of the table."""
    after = sifted(path, label)
    there = [Span(0, sys.maxsize, "")] if where == ALWAYS else events
    empty = [k for n, k in after.frames.items() if not any(e.holds(n) for e in there)]
    gone = f"{empty.count(False)} of {len(empty)}" if empty else "-"
    kept = [sum(each.frames.values()) for each in (before, after)]
    hits = f"{hit(events, before)} | {hit(events, after)}" if events else "- | -"
    cells = f"{len(events) or where} | {hits} | {kept[0]} | {kept[1]} | {gone}"
    return f"| {path.name} | {label} | {cells} | {before.cpu_s:.1f} | {after.cpu_s:.1f} |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--media", type=Path, default=MEDIA, metavar="DIR")
    media = parser.parse_args().media
    if not media.is_dir():
        raise SystemExit(f"{media}: no labelled media there; name them with --media")
    known = {clip.path: clip for clip in labels.labelled(media)}
    plain: dict[str, Sifted] = {}
    print(
        "| clip | `require` | events | hit without | hit with | kept without | kept with |", end=""
    )
    print(" without it, gone | CPU s without | with |\n|---|---|---|---|---|---|---|---|---|---|")
    for name, label, where in CLIPS:
        path = media / name
        if name not in plain:
            plain[name] = sifted(path, None)
        events = [] if where else list(known[path].events)
        print(row(path, label, where, events, plain[name]), flush=True)
    with tempfile.TemporaryDirectory() as place:
        path, events = quiet(media, Path(place) / "quiet.mp4")
        print(row(path, "car", "", events, sifted(path, None)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
