"""What goes on around a daemon for hours: cameras in trouble, folders that fill, what to count."""

from __future__ import annotations

import random
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av

from cameras import Camera
from clips import real_clip

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
