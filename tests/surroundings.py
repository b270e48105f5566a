"""What goes on around a daemon for hours: cameras in trouble, folders that fill, what to count."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from cameras import Camera
from clips import real_clip, real_pictures, write_clip

_FRAMES = re.compile(r"^stillsift_frames(\w*)\{([^}]*)\} ([\d.e+]+)$", re.M)
_SOURCE = re.compile(r'source="([^"]+)"')
_SIGN = {"_offered_total": 1, "_total": -1, "_in_flight": -1}


def off_balance(metrics: str) -> list[str]:
    """Sources whose frames offered are not those kept, dropped, failed, lost and in flight."""
    balance: Counter[str] = Counter()
    for kind, labels, value in _FRAMES.findall(metrics):
        source = _SOURCE.search(labels)
        assert source is not None
        balance[source[1]] += round(_SIGN[kind] * float(value))
    return [f"{source} {off:+}" for source, off in balance.items() if off]


_SIZES = ((320, 180), (320, 240), (240, 320), (400, 225))
_PART = 100
"""Stills in a folder; three folders later it is removed."""


class Filled:
    """Folders `stills` and `clips` that programs fill which know nothing of each other."""

    def __init__(self, folder: Path, over: threading.Event) -> None:
        self.stills, self.clips, self._aside = (
            folder / name for name in ("stills", "clips", "aside")
        )
        for made in (self.stills, self.clips, self._aside):
            made.mkdir()
        self._over = over
        self.written: set[Path] = set()
        self.withdrawn: set[Path] = set()
        """What was removed or renamed, maybe before it was read."""
        self.renamed: dict[Path, Path] = {}
        """New names with the old ones."""
        self.cleared: set[Path] = set()
        """What still lay in folders that were removed."""

    @property
    def there(self) -> set[Path]:
        return {path for folder in (self.stills, self.clips) for path in folder.rglob("*.*")}

    def fill_stills(self) -> None:
        """One each second; something befalls every seventh."""
        chance = random.Random(2)
        ways = [self._written, self._written_slowly, self._moved, self._linked]
        fates = [self._copied, self._renamed, self._removed, self._overwritten, self._torn]
        number = 0
        while not self._over.wait(1):
            folder = self.stills / f"part-{number // _PART}"
            if not folder.exists():
                folder.mkdir()
                self._clear(self.stills / f"part-{number // _PART - 3}")
            data = jpeg(new_picture(chance, _SIZES[number % len(_SIZES)]))
            way = ways[number % len(ways)] if number % 7 else fates[number // 7 % len(fates)]
            way(folder / f"still-{number}.jpg", data)
            number += 1

    def fill_clips(self) -> None:
        """One of a second every ten seconds; every twelfth is torn."""
        chance = random.Random(3)
        number = 0
        while not self._over.wait(10):
            aside = self._aside / f"clip-{number}.mp4"
            picture = new_picture(chance, _SIZES[0])
            write_clip(aside, [np.roll(picture, 8 * step, axis=1) for step in range(10)])
            if number % 12 == 11:
                os.truncate(aside, aside.stat().st_size // 2)
            self.written.add(aside.rename(self.clips / aside.name))
            number += 1

    def _clear(self, folder: Path) -> None:
        if folder.exists():
            self.cleared |= set(folder.iterdir())
            shutil.rmtree(folder)

    def _written(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self.written.add(path)

    def _written_slowly(self, path: Path, data: bytes) -> None:
        with path.open("wb") as out:
            for start in range(0, len(data), 1 + len(data) // 4):
                out.write(data[start : start + 1 + len(data) // 4])
                out.flush()
                time.sleep(0.1)
        self.written.add(path)

    def _moved(self, path: Path, data: bytes) -> None:
        aside = self._aside / path.name
        aside.write_bytes(data)
        self.written.add(aside.rename(path))

    def _linked(self, path: Path, data: bytes) -> None:
        aside = self._aside / path.name
        aside.write_bytes(data)
        os.link(aside, path)
        aside.unlink()
        self.written.add(path)

    def _copied(self, path: Path, data: bytes) -> None:
        self._moved(path, data)
        self._written(path.with_stem(f"{path.stem}-copy"), data)

    def _renamed(self, path: Path, data: bytes) -> None:
        self._written(path, data)
        self._over.wait(random.uniform(0, 3))
        target = path.with_stem(f"{path.stem}-renamed")
        try:
            path.rename(target)
        except FileNotFoundError:  # it was retired already
            return
        self.withdrawn.add(path)
        self.written.add(target)
        self.renamed[target] = path

    def _removed(self, path: Path, data: bytes) -> None:
        self._moved(path, data)
        self._over.wait(random.uniform(0, 3))
        path.unlink(missing_ok=True)
        self.withdrawn.add(path)

    def _overwritten(self, path: Path, data: bytes) -> None:
        path = path.with_name("latest.jpg")
        self._written(path, data)
        self._over.wait(random.uniform(0, 1))
        self._written(path, data + bytes(8))

    def _torn(self, path: Path, data: bytes) -> None:
        self._moved(path, data[: len(data) // 3])


def new_picture(chance: random.Random, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture that nobody has seen, of parts of two real ones; `size` is width and height."""
    left, right = (
        chance.choice(real_pictures(chance.choice(("bigbuckbunny", "bikes")))) for _ in range(2)
    )
    cut = chance.randrange(40, 280)
    made = np.roll(np.hstack([left[:, :cut], right[:, cut:]]), chance.randrange(320), axis=1)
    if chance.random() < 0.5:
        made = np.ascontiguousarray(made[:, ::-1])
    return np.asarray(cv2.resize(made, size), np.uint8)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


class TroubledCamera:
    """A camera that is killed and comes back, is frozen, and throws its viewer out, in turn."""

    def __init__(self, stream: Path, port: int) -> None:
        self._stream = stream
        self._port = port
        self.camera = Camera([stream], port=port)

    def trouble(self, over: threading.Event) -> None:
        """One trouble every 25 to 45 s, until it is over."""
        chance = random.Random(1)
        troubles: list[Callable[[threading.Event], None]] = [self._kill, self._freeze, self._kick]
        number = 0
        while not over.wait(25 + 20 * chance.random()):
            troubles[number % len(troubles)](over)
            number += 1

    def _kill(self, over: threading.Event) -> None:
        self.camera.kill()
        over.wait(8)
        self.camera = Camera([self._stream], port=self._port)

    def _freeze(self, over: threading.Event) -> None:
        self.camera.signal(signal.SIGSTOP)
        over.wait(12)
        self.camera.signal(signal.SIGCONT)

    def _kick(self, _: threading.Event) -> None:
        self.camera.tell("kick")


def write_stream(path: Path) -> Path:
    """A real clip as an H.264 elementary stream with a key frame every second."""
    with av.open(str(real_clip("bikes"))) as clip, av.open(str(path), "w", format="h264") as out:
        options = {"tune": "zerolatency", "x264-params": "sliced-threads=0"}
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 272, "yuv420p"
        stream.codec_context.gop_size = 25
        for frame in clip.decode(video=0):
            picture = frame.reformat(width=640, height=272, format="yuv420p")
            picture.pts = None
            for packet in stream.encode(picture):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return path
