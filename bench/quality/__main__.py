"""How good the selection is, on labelled clips, composed footage and photographs.

    python bench/quality [--only PART,PART] [--media DIR] [--out DIR] [--hours 1.0] [--fast]
        [--even]

stillsift runs from the outside, `stillsift sift --dry-run`, with nothing but its defaults. Each
part prints a table and writes a plot to --out. Footage is composed once, into .cache/bench; the
same seeds give the same footage. bench/README.md says what each part measures and what it takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import copies
import heldout
import kinds
import methods
import people
import sequences
import shake
import truth
import unseen
import views
from bench import Bench

import clips

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
MEDIA = ROOT.parent / "shared" / "media"

PARTS: dict[str, Callable[[Bench], None]] = {
    "clips": clips.measure,
    "people": people.measure,
    "shake": shake.measure,
    "views": views.measure,
    "truth": truth.measure,
    "copies": copies.measure,
    "sequences": sequences.measure,
    "unseen": unseen.measure,
    "kinds": kinds.measure,
    "heldout": heldout.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, as in people,shake")
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    parser.add_argument("--out", type=Path, default=CACHE / "quality")
    parser.add_argument("--hours", type=float, default=1.0, help="per capture day; 0: none")
    parser.add_argument("--fast", action="store_true", help="a quarter of the hours of shake")
    parser.add_argument("--even", action="store_true", help="the half of kinds to tune on")
    parser.add_argument(
        "--engine", default=methods.ENGINE, help="a command that takes CLIP --decisions FILE --json"
    )
    asked = parser.parse_args()
    parts = asked.only.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise SystemExit(f"--only: no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if not asked.media.is_dir():
        raise SystemExit(f"{asked.media}: no labelled media there; name them with --media")
    asked.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(asked.media, CACHE, asked.out, asked.engine, asked.hours, asked.fast, asked.even)
    for part in parts:
        began = time.monotonic()
        PARTS[part](bench)
        print(f"({part}: {time.monotonic() - began:.0f} s)", flush=True)
    print(f"\nplots and results: {asked.out}")


main()
