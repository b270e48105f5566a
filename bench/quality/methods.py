"""Ways to choose frames: stillsift itself, and what one would use instead."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stillsift.config.settings import ModelSettings
from stillsift.embedding import Embedder
from stillsift.frames import Frame
from stillsift.pipeline import model_choice
from stillsift.sources.files import ClipReader

RATE = 5.0
"""Frames looked at per second, by everything that looks at frames: stillsift's default."""
Row = dict[str, Any]
"""One line of JSON that stillsift wrote."""
ENGINE = shlex.join([sys.executable, "-m", "stillsift", "sift", "--dry-run"])


@dataclass(frozen=True, slots=True)
class Kept:
    """One frame that a method kept."""

    frame: int
    marked: bool = False
    """It says itself that it is blurred (reason `sharpest`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What the simple methods need to know of the frames looked at in one clip."""

    frames: tuple[int, ...]
    """Index in the file of each."""
    vectors: NDArray[np.float32]
    """(n, D) pooled embeddings, length 1."""
    hashes: NDArray[np.bool_]
    """(n, 64) perceptual hashes."""
    sharpness: NDArray[np.float64]
    """(n,) energy of the second derivative over the first, the smaller of both axes."""
    pictures: NDArray[np.uint8]
    """(n, height, 160, 3) BGR, for contact sheets."""


def look(clip: Path, *, closely: bool = True) -> Looks:
    """Decode a clip once at `RATE`. Not `closely`: without vectors and hashes."""
    embed = Embedder(model_choice.open_model(ModelSettings())) if closely else None
    frames, vectors, hashes, sharp, small = [], [], [], [], []
    for item in ClipReader(clip, "bench", rate=RATE).items():
        if isinstance(item, Frame):
            luma = item.picture.luma()
            frames.append(item.frame_index)
            vectors.append(embed(item.picture).vector if embed else np.zeros(1, np.float32))
            hashes.append(phash(luma) if embed else np.zeros(1, np.bool_))
            sharp.append(edge_sharpness(luma))
            height = round(160 * item.picture.height / item.picture.width)
            small.append(cv2.cvtColor(item.picture.rgb(160, height), cv2.COLOR_RGB2BGR))
    return Looks(
        tuple(frames), np.stack(vectors), np.stack(hashes), np.array(sharp), np.stack(small)
    )


def phash(luma: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(64,) the low frequencies of the cosine transform against their median, as imagehash does."""
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return np.asarray(low > np.median(low))


def edge_sharpness(luma: NDArray[np.uint8]) -> float:
    """Independent of stillsift's own measure in code, so that a slip there shows here."""
    width = min(640, luma.shape[1])
    small = cv2.resize(
        luma, (width, round(luma.shape[0] * width / luma.shape[1])), interpolation=cv2.INTER_AREA
    )
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0)
    ratios = []
    for axis in (0, 1):
        first = np.diff(smooth, axis=axis)
        ratios.append(float((np.diff(first, axis=axis) ** 2).mean() / ((first**2).mean() + 0.05)))
    return min(ratios)


def sifted(paths: Iterable[Path], command: str = ENGINE) -> tuple[list[Row], Row]:
    """stillsift itself, from the outside: every decision about these paths, and the summary."""
    with tempfile.TemporaryDirectory(prefix="stillsift-bench-") as folder:
        told = Path(folder) / "decisions.jsonl"
        asked = [*shlex.split(command), *map(str, paths), "--decisions", str(told), "--json"]
        if "--output" not in asked:
            asked += ["--output", folder]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{shlex.join(asked)} ended with {done.returncode}:\n{done.stderr}")
        return [json.loads(line) for line in told.read_text("utf-8").splitlines()], json.loads(
            done.stdout
        )


def engine(clip: Path, command: str = ENGINE) -> list[Kept]:
    """What stillsift keeps of a clip, with its defaults."""
    return kept_of(sifted([clip], command)[0])


def kept_of(rows: Iterable[Row]) -> list[Kept]:
    return [
        Kept(row["frame_index"], row["reason"] == "sharpest")
        for row in rows
        if row["outcome"] == "kept"
    ]


def uniform(looks: Looks, count: int) -> list[int]:
    """As many frames as asked for, evenly spread."""
    places = np.linspace(0, len(looks.frames), max(count, 1), endpoint=False)
    return [looks.frames[int(place)] for place in places]


def previous_cosine(looks: Looks, limit: float) -> list[int]:
    """The well-known script: a frame is dropped when it is that close to the frame before."""
    near = np.einsum("nd,nd->n", looks.vectors[1:], looks.vectors[:-1])
    return [looks.frames[0], *(looks.frames[i + 1] for i in np.flatnonzero(near <= limit))]


def kept_cosine(looks: Looks, limit: float) -> list[int]:
    """The same against the previous kept frame."""
    kept = [0]
    for i in range(1, len(looks.frames)):
        if float(looks.vectors[i] @ looks.vectors[kept[-1]]) <= limit:
            kept.append(i)
    return [looks.frames[i] for i in kept]


def kept_hash(looks: Looks, limit: float) -> list[int]:
    """pHash, at most `limit` bits from any kept frame."""
    kept = [0]
    for i in range(1, len(looks.frames)):
        if (looks.hashes[kept] != looks.hashes[i]).sum(1).min() > limit:
            kept.append(i)
    return [looks.frames[i] for i in kept]


def mpdecimate(clip: Path, options: str) -> list[int]:
    """ffmpeg's filter, on every frame: it has no rate."""
    asked = ["ffmpeg", "-nostdin", "-v", "debug", "-threads", "1", "-i", str(clip)]
    asked += ["-an", "-vf", f"mpdecimate={options}", "-f", "null", "-"]
    done = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    verdicts = re.findall(r"\b(keep|drop) pts:", done.stderr)
    return [i for i, verdict in enumerate(verdicts) if verdict == "keep"]


def pyscenedetect(clip: Path) -> list[int] | None:
    """The first frame of each scene that its adaptive detector finds. None: not installed."""
    try:
        from scenedetect import (  # type: ignore[import-untyped]  # it has no type marker
            AdaptiveDetector,
            detect,
        )
    except ImportError:
        return None
    scenes = detect(str(clip), AdaptiveDetector())
    return [start.frame_num for start, _ in scenes] or [0]


Rule = Callable[[Looks, float], list[int]]

LIMITED: dict[str, tuple[Rule, tuple[float, ...]]] = {
    "pooled cosine to the previous kept": (kept_cosine, (0.999, 0.99, 0.98, 0.95, 0.9, 0.85)),
    "pHash to any kept": (kept_hash, (2, 4, 6, 8, 10, 14)),
}
"""Methods with a limit, and the limits to choose from."""


def spread(kept: Iterable[int]) -> list[Kept]:
    return [Kept(frame) for frame in kept]
