"""How fast one thread sifts, beside what decoding alone costs.

    python bench/speed.py [--repeat 3] [--clip FILE]...

Both sides are child processes and are counted in CPU seconds, one after the other, in turns. What
they cost in seconds belongs to this machine; their ratio holds across machines.

ffmpeg      `ffmpeg -threads 1 -i CLIP -f null -`, the whole process.
stillsift   an `Engine` and one `Line` over the clip, with store, ledger and fsync: from the first
            item of the source to the last record. Importing Python's packages and loading the
            model are left out and printed beside it: a daemon pays them once.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from inspect import isclass, isfunction
from pathlib import Path
from types import ModuleType
from typing import Any

import footage

TARGETS = {("still", "all"): 0.7, ("changing", "all"): 0.4}
TARGETS |= {("still", "5/s"): 0.9, ("changing", "5/s"): 0.65}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of one process."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class Sifted:
    """What one run of stillsift took, and what it did."""

    start_up: Cost
    sifting: Cost
    frames: int
    decided: int
    kept: int
    stages: dict[str, float]
    """CPU seconds by stage, without those of the stages within; empty unless it was profiled."""


# -- one run, in a process of its own --------------------------------------------------------------


class Stages:
    """CPU time of one thread by stage; time in an inner stage does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.thread_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def _switch(self) -> None:
        now = time.thread_time()
        self.seconds[self._open[-1] if self._open else "else"] += now - self._since
        self._since = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **named)

        return timed

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """Time a function of a module or class from now on."""
        setattr(owner, attribute, self.timed(name, getattr(owner, attribute)))

    def watch_room(self, user: ModuleType, room: str, name: str) -> None:
        """Time whatever `user` has imported from `room`: functions, and methods of classes."""
        for attribute, found in list(vars(user).items()):
            if getattr(found, "__module__", None) != room:
                continue
            if isfunction(found):
                self.watch(user, attribute, name)
            elif isclass(found):
                for method, value in list(vars(found).items()):
                    if isfunction(value) and not method.startswith("__"):
                        self.watch(found, method, name)


def _watched() -> Stages:
    """Timers around the rooms of the line. A room that moved is an AttributeError here."""
    from stillsift.embedding import onnx_model
    from stillsift.pipeline import line
    from stillsift.selection import sifter
    from stillsift.sources import picture
    from stillsift.store import store

    stages = Stages()
    stages.watch(picture.VideoPicture, "luma", "luma")
    stages.watch(picture.VideoPicture, "rgb", "rgb for the model")
    stages.watch(picture.VideoPicture, "bgr", "bgr to keep")
    stages.watch_room(sifter, "stillsift.selection.sharpness", "sharpness, thumbnail")
    stages.watch_room(sifter, "stillsift.selection.cells", "cells")
    stages.watch(onnx_model.Model, "run", "embed")
    stages.watch(sifter.Sifter, "offer", "decide")
    stages.watch(store.Store, "place", "persist")
    stages.watch(line.Line, "_record", "record")
    return stages


def sift_once(clip: Path, rate: str, *, profile: bool) -> Sifted:
    """Sift a clip in this process."""
    from stillsift.config import SourceConfig, load
    from stillsift.config.yaml_file import with_overrides
    from stillsift.pipeline import Engine
    from stillsift.service import Metrics

    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as folder:
        config = with_overrides(load(None), [f"rate={rate}"])
        store = config.store.model_copy(update={"path": Path(folder) / "store"})
        config = config.model_copy(update={"store": store})
        source = SourceConfig.model_validate({"name": "bench", "directory": clip.absolute()})
        with Engine(config, Metrics()) as engine:
            line = engine.line(source.under(config.defaults), watch=False)
            stages = _watched() if profile else None
            if stages is not None:
                line.source = _Timed(line.source, stages)
            before = _own_cost()
            line.run()
            after = _own_cost()
            decisions = list(engine.ledger.decisions())
            frames = max(file.next_frame for file in engine.ledger.files("bench"))
    return Sifted(
        start_up=before,
        sifting=Cost(after.user - before.user, after.system - before.system),
        frames=frames,
        decided=len(decisions),
        kept=sum(record.kept_path is not None for record in decisions),
        stages={} if stages is None else dict(stages.seconds),
    )


class _Timed:
    """A source whose items are timed as they are made."""

    def __init__(self, source: Any, stages: Stages) -> None:
        self._source = source
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def items(self) -> Iterator[Any]:
        items = self._source.items()
        end = object()
        while (item := self._stages.timed("decode", next)(items, end)) is not end:
            yield item


def _own_cost() -> Cost:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(used.ru_utime, used.ru_stime)


# -- the two sides ---------------------------------------------------------------------------------


def decode(clip: Path) -> Cost:
    """What ffmpeg pays to decode a clip with one thread."""
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(clip), "-f", "null", "-"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"ffmpeg cannot decode {clip}")
    return Cost(used.ru_utime, used.ru_stime)


def sift(clip: Path, rate: str, *, profile: bool = False) -> Sifted:
    """What stillsift pays for the same clip."""
    command = [sys.executable, __file__, "--worker", str(clip), rate, *["profile"] * profile]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told = json.loads(done.stdout)
    return Sifted(
        **{**told, "start_up": Cost(**told["start_up"]), "sifting": Cost(**told["sifting"])}
    )


def measure(clip: footage.Clip, rates: list[str], repeat: int) -> None:
    """Print the lines of one clip."""
    decode(clip.path)  # the file into the page cache
    pairs: dict[str, list[tuple[Cost, Sifted]]] = {rate: [] for rate in rates}
    for _ in range(repeat):
        for rate in rates:
            pairs[rate].append((decode(clip.path), sift(clip.path, rate)))
    for rate, measured in pairs.items():
        user = [decoding.user / run.sifting.user for decoding, run in measured]
        total = [decoding.total / run.sifting.total for decoding, run in measured]
        run = measured[0][1]
        ratio, target = statistics.median(user), TARGETS.get((clip.kind, rate))
        verdict = "" if target is None else f"{target:.2f} {'met' if ratio >= target else 'SHORT'}"
        print(
            f"{clip.kind:9} {rate:>4} {run.frames:>7} {run.decided:>8} {run.kept:>5}"
            f" {1000 * _median(d.user for d, _ in measured) / run.frames:>7.2f}"
            f" {1000 * _median(s.sifting.user for _, s in measured) / run.frames:>9.2f}"
            f" {ratio:>6.2f} {min(user):.2f}-{max(user):.2f}"
            f" {statistics.median(total):>7.2f}  {verdict}",
            flush=True,
        )


def profile(clip: footage.Clip, rates: list[str]) -> None:
    """Print where the time of one clip goes."""
    for rate in rates:
        run = sift(clip.path, rate, profile=True)
        print(f"\n{clip.kind} at {rate}: CPU ms per decoded frame")
        for name, seconds in sorted(run.stages.items(), key=lambda stage: -stage[1]):
            print(f"  {name:22} {1000 * seconds / run.frames:7.3f}")


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="pairs of runs for each ratio (3)")
    parser.add_argument("--rate", action="append", help="only this rate; may be repeated")
    parser.add_argument("--clip", action="append", type=Path, help="a clip of your own instead")
    parser.add_argument("--no-profile", action="store_true", help="leave the stages out")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        clip, rate, *more = given.worker
        json.dump(asdict(sift_once(Path(clip), rate, profile=bool(more))), sys.stdout)
        return
    if given.clip:
        clips = [footage.Clip("own", path, path.name) for path in given.clip]
    else:
        clips = [footage.still(), footage.changing()]
    rates = given.rate or ["all", "5/s"]
    for clip in clips:
        print(f"{clip.kind}: {clip.footage}")
    print("\nratio: user CPU of ffmpeg / user CPU of stillsift, median and range of the pairs;")
    print("+sys: the same with system time\n")
    print(
        f"{'clip':9} {'rate':>4} {'frames':>7} {'analysed':>8} {'kept':>5} {'ffmpeg':>7}"
        f" {'stillsift':>9} {'ratio':>6} {'range':>9} {'+sys':>7}  target"
    )
    print(f"{'':37} {'ms/frame':>7} {'ms/frame':>9}")
    for clip in clips:
        measure(clip, rates, given.repeat)
    if not given.no_profile:
        for clip in clips:
            profile(clip, rates)


if __name__ == "__main__":
    main()
