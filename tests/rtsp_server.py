#!/usr/bin/python3
"""A camera on loopback for the tests: loops streams in real time and fails on demand.

Runs with Debian's own interpreter, which has the GStreamer bindings:

    /usr/bin/python3 rtsp_server.py PORT [--user U --password P] [--fps F] [--host H] [--audio]
        [--path NAME]... FILE [FILE...]

FILE is an elementary stream that begins with a key frame; its suffix says the codec: .h264, .hevc
or .mjpeg. Says `ready` when rtsp://127.0.0.1:PORT/cam, or each NAME, can be played, then takes one
command per line of standard input and answers each with `ok`:

    file N   go on with the N-th file     stall   send nothing, but stay connected
    go       end a stall                  kick    throw every client out
    fps F    frames per second            slip N  go on with the N-th file, and throw nobody out
    spoil P  give wrong bytes to this share of the frames

A file of another codec throws every client out, as cameras do when their settings are changed: who
calls again is offered the new codec. After `slip` clients get it under the name of the old one.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found] # noqa: E402
    GLib,
    Gst,
    GstRtsp,
    GstRtspServer,
)


@dataclass(frozen=True)
class Codec:
    """How GStreamer reads a stream and puts it into packets."""

    caps: str
    parser: str
    payloader: str


CODECS = {
    ".h264": Codec(
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "h264parse config-interval=-1",
        "rtph264pay config-interval=-1 pt=96",
    ),
    ".hevc": Codec(
        "video/x-h265,stream-format=byte-stream,alignment=au",
        "h265parse config-interval=-1",
        "rtph265pay config-interval=-1 pt=96",
    ),
    ".mjpeg": Codec("image/jpeg,parsed=true", "jpegparse", "rtpjpegpay pt=26"),
}


@dataclass(frozen=True)
class Stream:
    """A file, cut into one piece per frame."""

    codec: Codec
    caps: Gst.Caps
    """With what the parser found out, such as the size."""
    units: list[bytes]

    @classmethod
    def of(cls, path: str) -> Stream:
        codec = CODECS[Path(path).suffix]
        pipeline = Gst.parse_launch(
            f"filesrc location={path} ! {codec.parser} ! {codec.caps} ! appsink name=sink"
            " sync=false"
        )
        sink = pipeline.get_by_name("sink")
        pipeline.set_state(Gst.State.PLAYING)
        caps, units = None, []
        while (sample := sink.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
            caps, buffer = sample.get_caps(), sample.get_buffer()
            units.append(buffer.extract_dup(0, buffer.get_size()))
        pipeline.set_state(Gst.State.NULL)
        return cls(codec, caps, units)


class Camera:
    """The state that commands change and every running media follows."""

    def __init__(self, files: list[Stream], fps: float, paths: list[str], audio: bool) -> None:
        self.files = files
        self.fps = fps
        self.paths = paths
        self.audio = audio
        self.file = 0
        self.stalled = False
        self.spoilt = 0.0
        """Share of frames with wrong bytes."""
        self.slips = False
        """Whether a client may get another codec than it was offered."""

    @property
    def codec(self) -> Codec:
        return self.files[self.file].codec

    def feed(self, media: GstRtspServer.RTSPMedia) -> None:
        """Push frames into one media until it is gone."""
        source = media.get_element().get_by_name_recurse_up("source")
        source.set_property("caps", self.files[self.file].caps)
        gone = threading.Event()
        media.connect("unprepared", lambda *_: gone.set())
        threading.Thread(target=self._pump, args=(source, gone), daemon=True).start()

    def _pump(self, source: Gst.Element, gone: threading.Event) -> None:
        began, pts, playing, position = time.monotonic(), 0.0, self.file, 0
        codec = self.codec
        while not gone.is_set() and (self.slips or self.codec is codec):
            if self.stalled:
                time.sleep(0.02)
                began = time.monotonic() - pts
                continue
            if playing != self.file:
                playing, position = self.file, 0
            units = self.files[playing].units
            unit = units[position % len(units)]
            if random.random() < self.spoilt:
                unit = spoil(unit)
            buffer = Gst.Buffer.new_wrapped(unit)
            buffer.pts = buffer.dts = int(pts * Gst.SECOND)
            buffer.duration = int(Gst.SECOND / self.fps)
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            position += 1
            pts += 1 / self.fps
            time.sleep(max(0.0, began + pts - time.monotonic()))


def spoil(unit: bytes) -> bytes:
    """Write over some bytes in the last two thirds, where the picture is."""
    spoilt = bytearray(unit)
    for _ in range(5):
        spoilt[random.randrange(len(unit) // 3, len(unit))] = random.randrange(1, 256)
    return bytes(spoilt)


def protect(server: GstRtspServer.RTSPServer, user: str, password: str) -> None:
    """Digest authentication for everything."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)


def factory(camera: Camera, protected: bool) -> GstRtspServer.RTSPMediaFactory:
    made = GstRtspServer.RTSPMediaFactory()
    made.set_shared(True)
    made.set_latency(0)
    sound = "audiotestsrc is-live=true ! alawenc ! rtppcmapay pt=8 name=pay1"
    made.set_launch(
        "( appsrc name=source is-live=true format=time max-bytes=4000000"
        f" ! {camera.codec.payloader} name=pay0 {sound if camera.audio else ''} )"
    )
    if protected:
        role, _ = Gst.Structure.from_string(
            "viewer,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
        )
        made.add_role_from_structure(role)
    made.connect("media-configure", lambda _, media: camera.feed(media))
    return made


def begin(camera: Camera, server: GstRtspServer.RTSPServer, protected: bool) -> None:
    """Offer the present codec. Whoever is offered another one is thrown out."""
    for path in camera.paths:
        server.get_mount_points().add_factory(f"/{path}", factory(camera, protected))
    if not camera.slips:
        kick(server)


def kick(server: GstRtspServer.RTSPServer) -> None:
    server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)


def obey(camera: Camera, server: GstRtspServer.RTSPServer, protected: bool) -> None:
    """Carry out one command per line of standard input."""
    for line in sys.stdin:
        command, *argument = line.split()
        if command in ("file", "slip"):
            camera.slips = command == "slip"
            codec, camera.file = camera.codec, int(argument[0])
            if camera.codec is not codec:
                GLib.idle_add(begin, camera, server, protected)
        elif command in ("stall", "go"):
            camera.stalled = command == "stall"
        elif command == "spoil":
            camera.spoilt = float(argument[0])
        elif command == "fps":
            camera.fps = float(argument[0])
        elif command == "kick":
            GLib.idle_add(kick, server)
        print("ok", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--audio", action="store_true", help="a second track, A-law")
    parser.add_argument("--path", action="append", help="default: cam")
    given = parser.parse_args()
    Gst.init(None)
    files = [Stream.of(path) for path in given.files]
    camera = Camera(files, given.fps, given.path or ["cam"], given.audio)
    server = GstRtspServer.RTSPServer()
    server.set_address(given.host)
    server.set_service(given.port)
    if given.user:
        protect(server, given.user, given.password)
    begin(camera, server, bool(given.user))
    server.attach(None)
    threading.Thread(target=obey, args=(camera, server, bool(given.user)), daemon=True).start()
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
