"""Runs the test camera as a process of its own, makes streams for it, and watches cameras."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from collected import Collected
from running import free_port
from stillsift.frames import Frame
from stillsift.sources import Gap, Item
from stillsift.sources.camera import RtspSource
from stillsift.sources.camera.rtsp import Retry

SYSTEM_PYTHON = Path("/usr/bin/python3")


SERVER = Path(__file__).with_name("rtsp_server.py")


FPS = 25


ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    ".h264": ("libx264", "yuv420p", {"preset": "ultrafast"}),
    ".hevc": ("libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ".mjpeg": ("mjpeg", "yuvj420p", {"huffman": "default"}),  # RTP carries no tables of its own
}


def write_stream(path: Path, width: int, height: int, frames: int = 50) -> Path:
    """An elementary stream of a bar that moves, key frames every 10 frames. The suffix is that of
    the codec."""
    encoder, pixel_format, options = ENCODERS[path.suffix]
    with av.open(str(path), "w", format=path.suffix[1:]) as container:
        stream = container.add_stream(encoder, rate=FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.gop_size = 10
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = 1  # one slice per frame
        for number in range(frames):
            pixels = np.full((height, width, 3), 60, np.uint8)
            left = number * (width - 20) // frames
            pixels[:, left : left + 20] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path


class Camera:
    """The test server as a subprocess."""

    def __init__(
        self,
        streams: list[Path],
        *options: str,
        port: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.port = port or free_port()
        self.url = f"rtsp://{host}:{self.port}/cam"
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, SERVER, str(self.port), "--host", host, *options, *streams],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Of a session of its own: the kernel wakes a stopped process whose group is orphaned,
            # as happens when the shell behind the tests goes away.
            start_new_session=True,
        )
        self._expect("ready")

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._expect("ok")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word


QUICK = Retry(first_s=0.1, longest_s=0.4)


class Watching(Collected):
    """A camera whose items are collected."""

    def __init__(self, source: RtspSource) -> None:
        self.source = source
        super().__init__(source)

    def until(self, what: Callable[[Item], bool], within_s: float = 15) -> Item:
        """The next item that is `what`."""
        return self.first(what, within_s)

    def frame(self, within_s: float = 15) -> Frame:
        found = self.until(is_frame, within_s)
        assert isinstance(found, Frame)
        return found

    def gap(self, within_s: float = 15) -> Gap:
        found = self.until(lambda item: isinstance(item, Gap), within_s)
        assert isinstance(found, Gap)
        return found

    def rest(self) -> list[Item]:
        """Stop, and say what still came."""
        self.source.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        late = []
        while (item := self.next(1)) is not None:
            late.append(item)
        return late


def anything(_: Item) -> bool:
    return True


def is_frame(item: Item) -> bool:
    return isinstance(item, Frame)


def source(url: str, **options: Any) -> RtspSource:
    return RtspSource("cam", url, **{"timeout_s": 3.0, "retry": QUICK, **options})
