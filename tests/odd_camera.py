"""An RTSP camera in this process whose every oddity is an option, over TCP alone.

`cameras.Camera` is a real server and behaves; this one misbehaves as cameras in the field do.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import av
import numpy as np
from av.video.stream import VideoStream

_CLOCK = 90000
"""Ticks per second of RTP's clock for video."""


@dataclass(frozen=True)
class Unit:
    """One frame as the encoder gave it, in the order of decoding."""

    parts: list[bytes]
    """Units (NAL) without start codes."""
    place: int
    """Its place in the order of presentation."""
    key: bool


def units(
    width: int = 320,
    height: int = 240,
    frames: int = 50,
    *,
    key_every: int = 10,
    b_frames: int = 0,
) -> list[Unit]:
    """A bar that moves, as H.264."""
    made: list[Unit] = []
    with av.open(os.devnull, "w", format="h264") as container:
        options = {"preset": "ultrafast", "x264-params": "scenecut=0:b-adapt=0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = key_every
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        packets = []
        for number in range(frames):
            pixels = np.full((height, width, 3), 60, np.uint8)
            left = number * (width - 20) // frames
            pixels[:, left : left + 20] = 220
            packets += stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24"))
        packets += stream.encode()
        for packet in packets:
            assert packet.pts is not None
            parts = [part for part in re.split(b"\0\0\0?\1", bytes(packet)) if part]
            made.append(Unit(parts, packet.pts, packet.is_keyframe))
    return made


@dataclass
class OddCamera:
    """Plays tracks of H.264 in real time, from when it is made until `kill`."""

    tracks: list[list[Unit]]
    fps: float = 25.0
    ticks: float | None = None
    """Ticks of RTP's clock per frame; None: the right number."""
    presentation: bool = True
    """Whether frames carry the time at which they are shown, else that of their decoding."""
    begin: int = 0
    """Unit at which every client joins."""
    answers: dict[str, str] = field(default_factory=dict)
    """What methods are answered with, such as "453 Not Enough Bandwidth"."""
    headers: dict[str, str] = field(default_factory=dict)
    """Lines that the answers to methods have before all others; stillsift's own questions alone."""
    redirect: str | None = None
    digest: str | None = None
    """Algorithm that the digest of user `viewer`, password `right`, must have; None: no login."""
    silent: set[int] = field(default_factory=set)
    """Tracks of which nothing is sent, while clients stay connected."""
    requests: list[str] = field(default_factory=list)
    """The methods asked for, in order."""
    most_open: int = 0
    """Most connections that were open at once."""
    plays: int = 0

    def __post_init__(self) -> None:
        self._open = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        threading.Thread(target=self._accept, daemon=True).start()

    def kill(self) -> None:
        self._over.set()
        for each in (self._listener, *self._clients):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                time.sleep(0.02)  # who hung up before is seen to be gone
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        gone = threading.Event()
        received = b""
        channels: dict[int, int] = {}
        try:
            while data := client.recv(65536):
                received += data
                while received[:1] == b"$" and len(received) >= 4:
                    received = received[4 + struct.unpack(">H", received[2:4])[0] :]
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    request = head.decode()
                    client.sendall(self._reply(request, channels).encode())
                    if request.startswith("PLAY") and "PLAY" not in self.answers:
                        self.plays += 1
                        for track, channel in channels.items():
                            threading.Thread(
                                target=self._play, args=(client, track, channel, gone), daemon=True
                            ).start()
        except OSError:
            pass
        finally:
            gone.set()
            client.close()
            with self._lock:
                self._open -= 1

    def _reply(self, request: str, channels: dict[int, int]) -> str:
        method, url = request.split()[:2]
        self.requests.append(method)
        counted = re.search(r"CSeq: *(\d+)", request)
        assert counted is not None
        status, lines, body = self.answers.get(method, "200 OK"), [f"CSeq: {counted[1]}"], ""
        if method in self.headers and "User-Agent: stillsift" in request:
            lines.append(self.headers[method])
        if self.digest is not None and method != "OPTIONS" and not self._let_in(request):
            status = "401 Unauthorized"
            lines.append(
                f'WWW-Authenticate: Digest realm="cam", nonce="4711", algorithm={self.digest}'
            )
        elif self.redirect is not None and method == "DESCRIBE":
            status = "302 Moved Temporarily"
            lines.append(f"Location: {self.redirect}")
        elif not status.startswith("200"):
            pass
        elif method == "DESCRIBE":
            body = self._description()
            lines += [f"Content-Base: {url}/", "Content-Type: application/sdp"]
        elif method == "SETUP":
            channel = re.search(r"interleaved=(\d+)-(\d+)", request)
            if channel is None:
                status = "461 Unsupported Transport"
            else:
                channels[int(url[-1])] = int(channel[1])
                lines += [f"Transport: RTP/AVP/TCP;unicast;{channel[0]}", "Session: 1;timeout=60"]
        elif method == "PLAY":
            lines.append("Session: 1")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([f"RTSP/1.0 {status}", *lines, "", body])

    def _let_in(self, request: str) -> bool:
        given = dict(re.findall(r'(\w+)="([^"]*)"', request))
        hashed = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[self.digest or "MD5"]

        def proof(*parts: str) -> str:
            return hashed(":".join(parts).encode()).hexdigest()

        user = proof("viewer", "cam", "right")
        asked = proof(request.split()[0], given.get("uri", ""))
        return given.get("response") == proof(user, "4711", asked)

    def _description(self) -> str:
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "c=IN IP4 0.0.0.0", "t=0 0"]
        for number in range(len(self.tracks)):
            lines += ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"]
            lines += ["a=fmtp:96 packetization-mode=1", f"a=control:track{number}"]
        return "\r\n".join([*lines, ""])

    def _play(self, client: socket.socket, track: int, channel: int, gone: threading.Event) -> None:
        played, began, sequence = self.tracks[track], time.monotonic(), 0
        ticks = _CLOCK / self.fps if self.ticks is None else self.ticks
        number = self.begin
        with suppress(OSError):
            while not gone.is_set() and not self._over.is_set():
                unit = played[number % len(played)]
                rounds = number // len(played)
                place = rounds * len(played) + unit.place if self.presentation else number
                if track not in self.silent:
                    for packet in _packets(unit, round(place * ticks), sequence):
                        client.sendall(b"$" + struct.pack(">BH", channel, len(packet)) + packet)
                        sequence += 1
                number += 1
                gone.wait(max(0.0, began + (number - self.begin) / self.fps - time.monotonic()))


def _packets(unit: Unit, stamp: int, sequence: int) -> list[bytes]:
    """The RTP packets of one frame (RFC 6184)."""
    pieces: list[bytes] = []
    for part in unit.parts:
        if len(part) <= 1400:
            pieces.append(part)
            continue
        kind, body = part[0], part[1:]
        for at in range(0, len(body), 1400):
            mark = (0x80 if at == 0 else 0) | (0x40 if at + 1400 >= len(body) else 0)
            head = bytes([(kind & 0xE0) | 28, mark | (kind & 31)])
            pieces.append(head + body[at : at + 1400])
    return [
        struct.pack(
            ">BBHII",
            *(0x80, (0x80 if at == len(pieces) - 1 else 0) | 96),
            *((sequence + at) & 0xFFFF, (stamp + 1000) & 0xFFFFFFFF, 0x1234),
        )
        + piece
        for at, piece in enumerate(pieces)
    ]
