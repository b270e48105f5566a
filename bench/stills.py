"""What cleaning a folder of stills costs, beside a naive loop and other tools, and what it buys.

    python bench/stills.py [--number 1000] [--rounds 3] [--media DIR] [--only frames,photos]
    python bench/stills.py --scale 1000,10000,100000 [--media DIR]

frames    one clip as 1080p JPEGs in the order of their numbers.
photos    1080p photographs in no order, most with copies: resized, recompressed, brightened,
          cropped. A copy is found when it goes, or when the original goes for it. An original is
          lost when nothing that shows it is kept.

Each method is a process of its own, from the start of the interpreter to its last line, and all
take turns. Seconds are medians of the rounds. `of naive` is the median of the ratios to the naive
loop of the same round: seconds belong to this machine, ratios hold across machines. CPU is user
and system time, workers included. MiB is the peak of resident memory of the largest process.

The naive loop is `cv2.imread`, a resize, stillsift's own network with one thread, and the cosine
to the last kept frame, or, of photographs, to each that is kept.

Other tools are measured where they are installed; none is needed, and none is in the extra `bench`:

    pip install imagehash cleanvision
    pip install --no-deps imagededup && pip install PyWavelets    # PHash, which needs no torch
    pip install imagededup                                        # CNN: torch, torchvision, weights

The CNN of imagededup downloads its weights when it is first used.

--scale times folders of many small photographs, a tenth of them copies, made on the way: a dry run
and a run that keeps them in a store. 100,000 of them take 6 GB in the folder for temporary files
(TMPDIR), and their store as much again while it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

# Nothing large is imported here: a process that is started inherits the peak of this one.

ROOT = Path(__file__).resolve().parents[1]
MEDIA = ROOT.parent / "shared" / "media"
FOLDERS = ("frames", "photos")
COSINE = 0.98
"""Limit of the naive loop. Of 0.9 to 0.999 it finds most copies among `photos` and loses none."""
BITS = 10
"""Limit of pHash, of 64 bits: the default of imagededup."""
NAIVE = "naive loop"
MIB = 1 << 20

Kept = list[str]
"""Names of the files that a method keeps."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took."""

    wall: float
    cpu: float
    """Seconds of user and system time, of the workers that it waited for, too."""
    peak: float
    """MiB of resident memory, of the largest process."""
    kept: Kept
    missing: str | None = None
    """Why it could not be measured; None: it was."""


# -- the methods, each in a process of its own -----------------------------------------------------


def naive(folder: Path) -> Kept:
    """The loop that one writes first."""
    import cv2
    import numpy as np

    from stillsift.config.settings import ModelSettings
    from stillsift.embedding import Embedder
    from stillsift.frames import ArrayPicture
    from stillsift.pipeline import model_choice

    cv2.setNumThreads(1)
    embed = Embedder(model_choice.open_model(ModelSettings(provider="cpu", threads=1)))
    kept: Kept = []
    vectors: list[np.ndarray] = []
    for path in sorted(folder.iterdir()):
        picture = np.asarray(cv2.imread(str(path)), np.uint8)
        vector = embed(ArrayPicture(picture)).vector
        nearest = vectors if folder.name == "photos" else vectors[-1:]
        if not nearest or float(np.max(np.stack(nearest) @ vector)) <= COSINE:
            kept.append(path.name)
            vectors.append(vector)
    return kept


def imagehash_phash(folder: Path) -> Kept:
    """A hash of each picture, kept when it is more than `BITS` from each that is kept."""
    import imagehash  # type: ignore[import-not-found]  # not of the project
    import numpy as np
    from PIL import Image

    kept: Kept = []
    hashes: list[np.ndarray] = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            bits = imagehash.phash(picture).hash.ravel()
        if not hashes or int((np.stack(hashes) != bits).sum(1).min()) > BITS:
            kept.append(path.name)
            hashes.append(bits)
    return kept


def imagededup_phash(folder: Path, workers: int | None = None) -> Kept:
    """`workers` None: as many as it takes by itself."""
    try:
        from imagededup.methods import PHash  # type: ignore[import-not-found]  # not of the project
    except (ImportError, RuntimeError):
        past_torch()
        from imagededup.methods.hashing import PHash  # type: ignore[import-not-found]
    asked = {} if workers is None else {"num_enc_workers": workers, "num_dist_workers": workers}
    gone = PHash(verbose=False).find_duplicates_to_remove(
        image_dir=folder, max_distance_threshold=BITS, **asked
    )
    return _all_but(folder, gone)


def imagededup_cnn(folder: Path) -> Kept:
    from imagededup.methods import CNN

    return _all_but(folder, CNN(verbose=False).find_duplicates_to_remove(image_dir=folder))


def cleanvision(folder: Path, workers: int | None = None) -> Kept:
    """Exact and near duplicates; of each set the first is kept."""
    from cleanvision import Imagelab  # type: ignore[import-not-found]  # not of the project

    lab = Imagelab(data_path=str(folder), verbose=False)
    kinds = ("exact_duplicates", "near_duplicates")
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=workers, verbose=False)
    sets = [each for kind in kinds for each in lab.info[kind]["sets"]]
    return _all_but(folder, (Path(path).name for some in sets for path in sorted(some)[1:]))


def past_torch() -> None:
    """Lets the hashes of imagededup be imported where torch is not, or does not fit: two of its
    packages import the CNN first, though hashes need nothing of it."""
    import importlib.util

    found = importlib.util.find_spec("imagededup")
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'imagededup'")
    for name in ("methods", "utils"):
        package = ModuleType(f"imagededup.{name}")
        package.__path__ = [f"{each}/{name}" for each in found.submodule_search_locations]
        sys.modules[package.__name__] = package


def _all_but(folder: Path, gone: Iterable[str]) -> Kept:
    left_out = set(gone)
    return sorted(path.name for path in folder.iterdir() if path.name not in left_out)


METHODS: dict[str, Callable[[Path], Kept]] = {
    NAIVE: naive,
    "imagehash pHash": imagehash_phash,
    "imagededup PHash, 1 worker": lambda folder: imagededup_phash(folder, 1),
    "imagededup PHash": imagededup_phash,
    "imagededup CNN": imagededup_cnn,
    "cleanvision, 1 worker": lambda folder: cleanvision(folder, 1),
    "cleanvision": cleanvision,
}
OURS: dict[str, tuple[str, ...]] = {
    "stillsift sift --jobs 1": ("--dry-run", "--jobs", "1"),
    "stillsift sift": ("--dry-run",),
}


def work(method: str, folder: Path, told: Path) -> None:
    """Runs a method in this process and writes what it kept, or what it lacks, to `told`."""
    try:
        told.write_text(json.dumps(METHODS[method](folder)), "utf-8")
    except (ImportError, OSError, RuntimeError) as error:
        # OSError: weights that cannot be downloaded; RuntimeError: a torchvision for another torch.
        told.write_text(json.dumps({"missing": f"{type(error).__name__}: {error}"}), "utf-8")


# -- measuring -------------------------------------------------------------------------------------


def measured(method: str, folder: Path) -> Run:
    """Runs a method on a folder in a new process."""
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as scratch:
        told = Path(scratch) / "told"
        if method in OURS:
            run = sifted(folder, OURS[method], told)
            return Run(run.wall, run.cpu, run.peak, kept_of(told))
        run = timed([sys.executable, __file__, "--worker", method, str(folder), str(told)])
        answer = json.loads(told.read_text("utf-8"))
    if isinstance(answer, dict):
        return Run(run.wall, run.cpu, run.peak, [], answer["missing"])
    return Run(run.wall, run.cpu, run.peak, answer)


def sifted(folder: Path, options: Sequence[str], told: Path) -> Run:
    """Runs `stillsift sift` as a user would; its decisions go to `told`."""
    command = [sys.executable, "-m", "stillsift", "sift", str(folder), *options]
    return timed([*command, "--decisions", str(told)])


def kept_of(told: Path) -> Kept:
    """Returns the names of the files that stillsift kept."""
    with told.open(encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        return sorted({Path(row["file"]).name for row in rows if row["outcome"] == "kept"})


def timed(command: Sequence[str]) -> Run:
    """Runs a command to its end. Raises SystemExit with what it said if it fails."""
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MIB, [])


def made(kind: str, media: Path, folder: Path, first: int, end: int) -> dict[str, int]:
    """Makes stills in a process of its own; returns which original each of them shows."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--make", kind, str(folder), str(first), str(end)]
    done = subprocess.run(
        [*command, "--media", str(media)], check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(done.returncode)  # it has said why
    truth: dict[str, int] = json.loads(done.stdout)
    return truth


def make(kind: str, media: Path, folder: Path, first: int, end: int) -> None:
    """Makes stills in this process and prints the truth about them."""
    import still_folders

    if kind == "crowd":
        truth = still_folders.crowd(media, folder, first, end)
    else:
        truth = {"frames": still_folders.frames, "photos": still_folders.photos}[kind](
            media, folder, end
        )
    json.dump(truth, sys.stdout)


# -- what it buys ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What a method did with copies."""

    copies: int
    found: int
    """Copies that went, or whose original went for them."""
    originals: int
    lost: int
    """Originals of which nothing that shows them is kept."""

    def __str__(self) -> str:
        return f"{self.found}/{self.copies} {self.lost}/{self.originals}"


def judged(truth: dict[str, int], kept: Kept) -> Found:
    there = Counter(truth.values())
    left = Counter(truth[name] for name in kept)
    found = sum(number - max(left[original], 1) for original, number in there.items())
    lost = sum(not left[original] for original in there)
    return Found(len(truth) - len(there), found, len(there), lost)


# -- reports ---------------------------------------------------------------------------------------


def report(kind: str, media: Path, number: int, rounds: int) -> None:
    """Prints the table of one folder."""
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as scratch:
        folder = Path(scratch) / kind
        truth = made(kind, media, folder, 0, number)
        runs: dict[str, list[Run]] = {name: [] for name in (*METHODS, *OURS)}
        for turn in range(rounds):
            print(f"{kind}: round {turn + 1} of {rounds} ...", file=sys.stderr)
            for name, some in runs.items():
                if not some or some[-1].missing is None:
                    some.append(measured(name, folder))
    sizes = f"{number} JPEGs of 1920 x 1080, rounds: {rounds}, CPUs: {len(os.sched_getaffinity(0))}"
    known = kind == "photos"
    print(f"\n{kind}: {sizes}")
    print(
        f"{'':26} {'wall':>8} {'CPU':>8} {'wall':>8} {'peak':>6} {'of naive':>12} {'kept':>6}"
        + known * f" {'copies':>9} {'originals':>9}"
    )
    print(
        f"{'':26} {'s':>8} {'s':>8} {'ms/pict.':>8} {'MiB':>6} {'wall':>6}{'CPU':>6} {'':6}"
        + known * f" {'found':>9} {'lost':>9}"
    )
    for name, some in runs.items():
        if some[-1].missing is not None:
            print(f"{name:26} missing: {some[-1].missing}")
            continue
        wall = statistics.median(run.wall for run in some)
        cpu = statistics.median(run.cpu for run in some)
        walls = [run.wall / base.wall for run, base in zip(some, runs[NAIVE], strict=True)]
        cpus = [run.cpu / base.cpu for run, base in zip(some, runs[NAIVE], strict=True)]
        told = judged(truth, some[-1].kept)
        print(
            f"{name:26} {wall:8.1f} {cpu:8.1f} {1000 * wall / number:8.1f}"
            f" {max(run.peak for run in some):6.0f}"
            f" {statistics.median(walls):6.2f}{statistics.median(cpus):6.2f}"
            f" {len(some[-1].kept):6}"
            + known
            * f" {f'{told.found}/{told.copies}':>9} {f'{told.lost}/{told.originals}':>9}",
            flush=True,
        )


def scale(media: Path, sizes: Sequence[int]) -> None:
    """Prints what larger and larger folders cost; each holds those before it."""
    print(f"{'':9} {'run':>9} {'wall s':>9} {'CPU s':>9} {'ms/pict.':>9} {'peak MiB':>9}  found")
    truth: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as scratch:
        folder = Path(scratch) / "crowd"
        for number in sorted(sizes):
            truth |= made("crowd", media, folder, len(truth), number)
            for name in ("dry run", "store"):
                with tempfile.TemporaryDirectory(dir=scratch) as other:
                    told = Path(other) / "told"
                    store = str(Path(other) / "store")
                    options = ("--dry-run",) if name == "dry run" else ("--output", store)
                    run = sifted(folder, options, told)
                    found = judged(truth, kept_of(told))
                print(
                    f"{number:9} {name:>9} {run.wall:9.1f} {run.cpu:9.1f}"
                    f" {1000 * run.wall / number:9.1f} {run.peak:9.0f}"
                    f"  {found.found} of {found.copies} copies,"
                    f" {found.lost} of {found.originals} lost",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--number", type=int, default=1000, help="stills in each folder (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each method (3)")
    parser.add_argument("--only", default=",".join(FOLDERS), help="which of frames, photos")
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    parser.add_argument(
        "--scale",
        nargs="?",
        const="1000,10000,100000",
        metavar="N,N",
        help="instead: folders of so many photographs (1000,10000,100000)",
    )
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker[0], Path(given.worker[1]), Path(given.worker[2]))
        return
    media = given.media.resolve()
    if not media.is_dir():
        raise SystemExit(f"{media}: no labelled media there; name them with --media")
    if given.make:
        kind, folder, first, end = given.make
        make(kind, media, Path(folder), int(first), int(end))
        return
    if given.scale:
        scale(media, [int(number) for number in given.scale.split(",")])
        return
    for kind in given.only.split(","):
        report(kind, media, given.number, given.rounds)


if __name__ == "__main__":
    main()
