"""stillsift calls nobody, and leaves nothing outside of its store: as the kernel sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cameras import SYSTEM_PYTHON, Camera, write_stream
from footage import write_still, write_stills
from running import Daemon, until
from traced import Seen, python, traced, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

TELEMETRY_S = 3.0
"""onnxruntime's telemetry looked its collector up two seconds after the model was open."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def environment(home: Path) -> dict[str, str]:
    """That of a person who wants the telemetry; every place for caches lies in `home`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "ORT_DISABLE_TELEMETRY": "0"}


def test_sift_opens_no_socket_and_writes_only_into_its_store(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_stills(tmp_path / "in", range(4))
    store, told, log = tmp_path / "out", tmp_path / "told", tmp_path / "trace"
    command = python("-m", "stillsift", "sift", str(tmp_path / "in"), "-o", str(store))
    subprocess.run(
        traced(log, *command, "--decisions", told),
        env=environment(home),
        cwd=tmp_path,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=90,
    )
    seen = Seen.of(log, tmp_path)
    assert (store / "ledger.sqlite") in seen.files
    assert seen.outside(store, told, told.with_name(".told.part")) == []
    assert (seen.sockets, seen.programs, list(home.iterdir())) == ([], [], [])


def test_the_daemon_has_one_socket_its_own_and_writes_only_into_its_store(
    home: Path, tmp_path: Path
) -> None:
    watched = tmp_path / "in"
    watched.mkdir()
    made = Daemon(tmp_path, [{"name": "in", "directory": str(watched)}])
    log = tmp_path / "trace"
    with (tmp_path / "log").open("ab") as out:
        made.process = subprocess.Popen(
            traced(log, *python("-m", "stillsift", "run", "-c", str(made.config_file))),
            env=environment(home),
            cwd=tmp_path,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(lambda: made.get("/readyz")[0] == 200, "ready")
        write_still(watched / "1.jpg", 1)
        made.until_done(1)
        time.sleep(TELEMETRY_S)
        os.killpg(made.process.pid, signal.SIGTERM)
        assert made.ended(20) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
    finally:
        if made.process.poll() is None:
            os.killpg(made.process.pid, signal.SIGKILL)
            made.process.wait()
    seen = Seen.of(log, tmp_path)
    address = f'sa_family=AF_INET, sin_port=htons({made.port}), sin_addr=inet_addr("127.0.0.1")'
    assert "stopped: 1 kept" in made.log
    assert [call for call in seen.sockets if address not in call] == []
    assert len(seen.sockets) == 1, seen.sockets
    assert seen.outside(made.store) == []
    assert (seen.programs, list(home.iterdir())) == ([], [])


def test_a_camera_is_all_that_sift_calls(home: Path, tmp_path: Path) -> None:
    ask = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, check=False).returncode:
        pytest.skip("needs GStreamer's RTSP server for the system's Python")
    camera = Camera([write_stream(tmp_path / "yard.h264", 320, 240)])
    store, log, password = tmp_path / "out", tmp_path / "trace", tmp_path / "password"
    password.write_text("geheim")
    url = camera.url.replace("//", "//viewer@")
    command = ["stillsift", "sift", url, "--password-file", str(password), "-o", str(store)]
    try:
        done = subprocess.run(
            traced(log, *python("-m", *command, "--duration", "3s", "--json")),
            env=environment(home),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            timeout=90,
        )
    finally:
        camera.kill()
    seen = Seen.of(log, tmp_path)
    assert json.loads(done.stdout)["sources"][0]["kept"] > 0
    called = [call for call in seen.sockets if f"htons({camera.port})" not in call]
    assert (called, seen.outside(store), seen.programs) == ([], [], [])
    assert any(call.startswith("connect") for call in seen.sockets)


def test_the_trace_would_see_a_call_and_a_file(home: Path, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    speaker = (
        "import os, socket\n"
        "os.makedirs(os.path.expanduser('~/.cache/Microsoft'))\n"
        "open(os.path.expanduser('~/.cache/Microsoft/deviceid'), 'w').close()\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:\n"
        "    out.sendto(b'', ('127.0.0.1', 53))\n"
    )
    subprocess.run(
        traced(log, *python("-c", speaker)),
        env=environment(home),
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    seen = Seen.of(log, tmp_path)
    assert home / ".cache/Microsoft/deviceid" in seen.outside(tmp_path / "store")
    assert "htons(53)" in seen.sockets[0]
