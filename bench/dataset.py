"""What `leaks` finds of planted copies, beside other tools, and how long each takes.

    python bench/dataset.py [--media DIR] [--tools PYTHON]...
    python bench/dataset.py --scale 10000,100000 [--media DIR]

Two splits are made of photographs and of frames of clips in the media: each picture lies in `train`
or `val`, in a folder of its kind. Into `val` come copies of pictures of `train`, six of each sort,
and into another folder of `train` five smaller copies. A planted copy is found where a tool puts it
together with its original. `others` are pictures that a tool puts together with another one though
neither is planted; some are real repeats, since one clip of the media was made of another.

Each tool is a process of its own, and its seconds begin with the interpreter. Tools are measured
where they are installed; `--tools` names the Python of another environment in which they may be:

    pip install cleanvision
    pip install --no-deps imagededup && pip install PyWavelets    # PHash, which needs no torch
    pip install fastdup

--scale times `groups` and `outliers` on vectors of windows cut at random out of the media; beyond
2,000 windows, others are vectors of these with the change that a poor JPEG makes to one of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

# Nothing large is imported here: a process that is started inherits the peak of this one.

ROOT = Path(__file__).resolve().parents[1]
MEDIA = ROOT.parent / "shared" / "media"
EACH, RELABELLED, EVERY = 6, 5, 97
"""Planted copies of each sort, and under another label; of a clip, each 97th frame is taken."""
WINDOWS = 2000
MIB = 1024

Sets = list[list[str]]
"""Files that a tool puts together."""


# -- the tools, each in a process of its own -------------------------------------------------------


def stillsift(folder: Path) -> Sets:
    """`stillsift leaks train val --copies`."""
    words = [sys.executable, "-m", "stillsift", "leaks", folder / "train", folder / "val"]
    done = subprocess.run([*words, "--copies", "--json"], stdout=subprocess.PIPE, check=False)
    return [[leak["file"], leak["repeats"]] for leak in json.loads(done.stdout)["leaks"]]


def cleanvision(folder: Path) -> Sets:
    """Exact and near duplicates, with its defaults."""
    from cleanvision import Imagelab  # type: ignore[import-not-found]  # not of the project

    lab = Imagelab(data_path=str(folder))
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}})
    found: Sets = []
    for issue in ("exact_duplicates", "near_duplicates"):
        found += lab.info[issue]["sets"]
    return found


def imagededup(folder: Path) -> Sets:
    """PHash with its default limit of 10 bits."""
    from stills import past_torch

    past_torch()
    from imagededup.methods.hashing import PHash  # type: ignore[import-not-found]

    near = PHash(verbose=False).find_duplicates(image_dir=str(folder), recursive=True)
    return [[str(folder / one), str(folder / other)] for one in near for other in near[one]]


def fastdup(folder: Path) -> Sets:
    """Pairs from a similarity of 0.9 on, its default for duplicates."""
    import fastdup as tool  # type: ignore[import-not-found]  # not of the project

    with tempfile.TemporaryDirectory() as work:
        made = tool.create(work_dir=work, input_dir=str(folder))
        made.run(ccthreshold=0.9, print_summary=False)
        table = made.similarity()
        pairs = table[table["distance"] >= 0.9]
        columns = ("filename_from", "filename_to")
        return [[str(row[name]) for name in columns] for _, row in pairs.iterrows()]


TOOLS: dict[str, Callable[[Path], Sets]] = {
    "stillsift": stillsift,
    "cleanvision": cleanvision,
    "imagededup": imagededup,
    "fastdup": fastdup,
}


def measured(tool: str, python: str, folder: Path) -> str:
    """Runs one tool and returns its line of the table."""
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [python, __file__, "--run", tool, "--folder", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it failed"
        return f"| {tool} | {why} |"
    told = json.loads(done.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kinds = planted_kinds(folder)
    cells = [f"{told['found'].get(kind, 0)} of {number}" for kind, number in kinds.items()]
    peak = told["peak_kib"] / MIB
    return (
        f"| {tool} | {' | '.join(cells)} | {told['others']} | {wall:.0f} | {cpu:.0f} | {peak:.0f} |"
    )


def judged(folder: Path, sets: Iterable[list[str]]) -> dict[str, Any]:
    """Counts the planted copies that are in one set with their original, by sort."""
    truth = json.loads((folder / "truth.json").read_text())
    together: defaultdict[str, set[str]] = defaultdict(set)
    for some in sets:
        names = {str(Path(name).resolve()) for name in some}
        for name in names:
            together[name] |= names - {name}
    found = Counter(sort for copy, (sort, original) in truth.items() if original in together[copy])
    planted = {*truth, *(original for _, original in truth.values())}
    others = sum(1 for name, near in together.items() if name not in planted and near - planted)
    return {"found": found, "others": others}


# -- the splits ------------------------------------------------------------------------------------


def pictures(media: Path) -> Iterator[tuple[str, str, Any]]:
    """Yields name, kind and BGR pixels of each picture."""
    import av
    import cv2

    for folder in ("imagededup_base", "ena24"):
        for path in sorted((media / "f" / folder).glob("*.jpg")):
            yield path.stem, folder, cv2.imread(str(path))
    for path in sorted(media.glob("[a-e]/*")):
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % EVERY == 5:
                    yield (
                        f"{path.stem}_{number:05d}",
                        path.parent.name,
                        frame.to_ndarray(format="bgr24"),
                    )


def plant(media: Path, folder: Path) -> None:
    """Writes both splits with their copies, and truth.json, which names the originals of these."""
    import cv2
    import numpy as np

    random = np.random.default_rng(3)

    def write(path: Path, pixels: Any, quality: int = 92) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return str(path)

    def cropped(pixels: Any, share: float) -> Any:
        y, x = (round(side * share / 2) for side in pixels.shape[:2])
        return pixels[y : pixels.shape[0] - y, x : pixels.shape[1] - x]

    sorts: dict[str, Callable[[Any], Any]] = {
        "half size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "JPEG 35": lambda p: p,
        "crop 5 %": lambda p: cropped(p, 0.05),
        "crop 16 %": lambda p: cropped(p, 0.16),
        "mirrored": lambda p: p[:, ::-1],
        "light": lambda p: np.clip(p * 1.12 + 4, 0, 255).astype(np.uint8),
        "grey": lambda p: cv2.cvtColor(p, cv2.COLOR_BGR2GRAY),
    }
    all_ = list(pictures(media))
    val = set(random.permutation(len(all_))[: len(all_) // 3])
    files = [
        write(folder / ("val" if place in val else "train") / kind / f"{name}.jpg", pixels)
        for place, (name, kind, pixels) in enumerate(all_)
    ]
    rest = [place for place in range(len(all_)) if place not in val]
    truth: dict[str, tuple[str, str]] = {}
    for number, sort in enumerate(("exact", *sorts, "other label")):
        for place in random.choice(rest, RELABELLED if sort == "other label" else EACH, False):
            name, kind, pixels = all_[place]
            copy = folder / "val" / kind / f"{name}_{number}.jpg"
            if sort == "exact":
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(files[place], copy)
            elif sort == "other label":
                copy = folder / "train" / "other" / copy.name
                write(copy, cv2.resize(pixels, None, fx=0.7, fy=0.7), 80)
            else:
                write(copy, sorts[sort](pixels), 35 if sort == "JPEG 35" else 92)
            truth[str(copy)] = sort, files[place]
    (folder / "truth.json").write_text(json.dumps(truth))


def planted_kinds(folder: Path) -> Counter[str]:
    truth = json.loads((folder / "truth.json").read_text())
    return Counter(sort for sort, _ in truth.values())


# -- how it grows ----------------------------------------------------------------------------------


def vectors(media: Path, count: int) -> Any:
    """Returns (count, D) vectors of length 1."""
    import cv2
    import numpy as np

    from stillsift.config.settings import ModelSettings
    from stillsift.embedding import Embedder
    from stillsift.frames import ArrayPicture
    from stillsift.pipeline.model_choice import open_model

    embed = Embedder(open_model(ModelSettings(provider="cpu")))
    random = np.random.default_rng(1)
    all_ = [pixels for _, _, pixels in pictures(media)]
    made, noise = [], []
    for number in range(min(count, WINDOWS)):
        pixels = all_[random.integers(len(all_))]
        share = random.uniform(0.15, 0.6)
        height, width = (int(share * side) for side in pixels.shape[:2])
        y, x = (int(random.uniform(0, (1 - share) * side)) for side in pixels.shape[:2])
        window = np.ascontiguousarray(pixels[y : y + height, x : x + width])
        made.append(embed(ArrayPicture(window)).vector)
        if number % 10 == 0:
            _, data = cv2.imencode(".jpg", window, [cv2.IMWRITE_JPEG_QUALITY, 40])
            poor = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
            noise.append(embed(ArrayPicture(poor)).vector - made[-1])
    stacked, changes = np.stack(made), np.stack(noise)
    taken = stacked[np.arange(count) % len(stacked)]
    changed = changes[random.integers(0, len(changes), count)] * random.uniform(
        0.3, 1.5, (count, 1)
    )
    taken += np.where(np.arange(count)[:, None] < len(stacked), 0, changed)
    return np.asarray(taken / np.linalg.norm(taken, axis=1, keepdims=True), np.float32)


def scale(file: Path) -> str:
    """Times both on the vectors in a file; returns a line of the table."""
    import numpy as np

    from stillsift.dataset.alike import similarity_limit
    from stillsift.dataset.groups import groups_of
    from stillsift.dataset.outliers import outliers_of

    some = np.load(file)
    cells = []
    for work in (lambda: groups_of(some, similarity_limit(some)), lambda: outliers_of(some)):
        began, cpu = time.monotonic(), time.process_time()
        work()
        cells.append(f"{time.monotonic() - began:.1f} | {time.process_time() - cpu:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return f"| {len(some):,} | {' | '.join(cells)} | {peak:.0f} |"


def _run(step: str, media: Path, folder: Path, *more: str) -> None:
    """Runs one step in a process of its own."""
    words = [sys.executable, __file__, "--run", step, "--media", media, "--folder", folder, *more]
    sys.stdout.flush()
    subprocess.run(words, check=True)


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--media", type=Path, default=MEDIA, help="labelled media")
    parser.add_argument("--tools", action="append", default=[], help="Python of other tools")
    parser.add_argument("--scale", help="numbers of vectors, as 10000,100000")
    parser.add_argument(
        "--run", choices=(*TOOLS, "plant", "vectors", "scale"), help=argparse.SUPPRESS
    )
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is None and not given.media.is_dir():
        parser.error(f"{given.media}: there are no labelled media; name them with --media")
    if given.run == "plant":
        plant(given.media, given.folder)
        return 0
    if given.run == "vectors":
        import numpy as np

        np.save(given.folder / "vectors.npy", vectors(given.media, int(given.scale)))
        return 0
    if given.run == "scale":
        print(scale(given.folder / "vectors.npy"))
        return 0
    if given.run:
        told = judged(given.folder, TOOLS[given.run](given.folder))
        who = resource.RUSAGE_CHILDREN if given.run == "stillsift" else resource.RUSAGE_SELF
        print(json.dumps({**told, "peak_kib": resource.getrusage(who).ru_maxrss}))
        return 0
    if given.scale:
        print(
            "| vectors | groups: s | CPU s | outliers: s | CPU s | MiB |\n|---|---|---|---|---|---|"
        )
        for count in given.scale.split(","):
            with tempfile.TemporaryDirectory() as place:
                for step in ("vectors", "scale"):
                    _run(step, given.media, Path(place), "--scale", count)
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        _run("plant", given.media, folder)
        kinds = planted_kinds(folder)
        number = sum(1 for _ in folder.rglob("*.jpg"))
        print(f"{number} pictures, {sum(kinds.values())} of them planted\n")
        print(f"| | {' | '.join(kinds)} | others | s | CPU s | MiB |")
        print(f"|{'---|' * (len(kinds) + 5)}")
        for tool in TOOLS:
            pythons = [sys.executable] if tool == "stillsift" else [sys.executable, *given.tools]
            lines = (measured(tool, python, folder) for python in pythons)
            told = next((line for line in lines if "No module" not in line), None)
            print(told or f"| {tool} | not installed |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
