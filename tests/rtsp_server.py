#!/usr/bin/python3
"""A camera on loopback for the tests: loops H.264 streams in real time and fails on demand.

Runs with Debian's own interpreter, which has the GStreamer bindings:

    /usr/bin/python3 rtsp_server.py PORT [--user U --password P] [--fps F] FILE [FILE...]

FILE is an H.264 elementary stream that begins with a key frame. Says `ready` when
rtsp://127.0.0.1:PORT/cam can be played, then takes one command per line of standard input and
answers each with `ok`:

    file N   go on with the N-th file     stall   send nothing, but stay connected
    go       end a stall                  kick    throw every client out
    fps F    frames per second
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

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

CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"


def access_units(path: str) -> list[bytes]:
    """The stream cut into one piece per frame."""
    pipeline = Gst.parse_launch(
        f"filesrc location={path} ! h264parse config-interval=-1 ! {CAPS} ! appsink name=sink"
        " sync=false"
    )
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units = []
    while (sample := sink.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
        buffer = sample.get_buffer()
        units.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(Gst.State.NULL)
    return units


class Camera:
    """The state that commands change and every running media follows."""

    def __init__(self, files: list[list[bytes]], fps: float) -> None:
        self.files = files
        self.fps = fps
        self.file = 0
        self.stalled = False

    def feed(self, media: GstRtspServer.RTSPMedia) -> None:
        """Push frames into one media until it is gone."""
        source = media.get_element().get_by_name_recurse_up("source")
        gone = threading.Event()
        media.connect("unprepared", lambda *_: gone.set())
        threading.Thread(target=self._pump, args=(source, gone), daemon=True).start()

    def _pump(self, source: Gst.Element, gone: threading.Event) -> None:
        began, pts, playing, position = time.monotonic(), 0.0, self.file, 0
        while not gone.is_set():
            if self.stalled:
                time.sleep(0.02)
                began = time.monotonic() - pts
                continue
            if playing != self.file:
                playing, position = self.file, 0
            units = self.files[playing]
            buffer = Gst.Buffer.new_wrapped(units[position % len(units)])
            buffer.pts = buffer.dts = int(pts * Gst.SECOND)
            buffer.duration = int(Gst.SECOND / self.fps)
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            position += 1
            pts += 1 / self.fps
            time.sleep(max(0.0, began + pts - time.monotonic()))


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
    made.set_launch(
        f"( appsrc name=source is-live=true format=time max-bytes=4000000 caps={CAPS}"
        " ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    if protected:
        role, _ = Gst.Structure.from_string(
            "viewer,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
        )
        made.add_role_from_structure(role)
    made.connect("media-configure", lambda _, media: camera.feed(media))
    return made


def obey(camera: Camera, server: GstRtspServer.RTSPServer) -> None:
    """Carry out one command per line of standard input."""
    for line in sys.stdin:
        command, *argument = line.split()
        if command == "file":
            camera.file = int(argument[0])
        elif command in ("stall", "go"):
            camera.stalled = command == "stall"
        elif command == "fps":
            camera.fps = float(argument[0])
        elif command == "kick":
            GLib.idle_add(
                lambda: (
                    server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE) and False
                )
            )
        print("ok", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--fps", type=float, default=25.0)
    given = parser.parse_args()
    Gst.init(None)
    camera = Camera([access_units(path) for path in given.files], given.fps)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(given.port)
    if given.user:
        protect(server, given.user, given.password)
    server.get_mount_points().add_factory("/cam", factory(camera, bool(given.user)))
    server.attach(None)
    threading.Thread(target=obey, args=(camera, server), daemon=True).start()
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
