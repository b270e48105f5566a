"""Runs the test camera as a process of its own, and makes streams for it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from running import free_port

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

    def __init__(self, streams: list[Path], *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, SERVER, str(self.port), *options, *streams],
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
