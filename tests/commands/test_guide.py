"""Every command of docs/guide.md, in its order, in a shell, with a camera and real pictures."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import pytest
import yaml

import displays
from cameras import Camera, write_stream
from clips import real_clip
from photographs import textured
from running import PATIENCE_S, STILLSIFT, decided, free_port, until
from stillsift.decisions import Outcome

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
SERVERS = ("stillsift run", "stillsift review")
"""Commands that go on until they are stopped."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    made = Camera([write_stream(tmp_path / "stream.h264", 640, 360)], "--path", "stream1")
    try:
        yield made
    finally:
        made.kill()


def written(path: Path, seed: int, quality: int = 95) -> None:
    assert cv2.imwrite(str(path), textured(seed), [cv2.IMWRITE_JPEG_QUALITY, quality])


class Box:
    """A machine as the guide takes it to be: what it calls /srv lies below a folder."""

    def __init__(self, folder: Path, camera: Camera) -> None:
        self.folder = folder
        self.metrics, self.page = free_port(), free_port()
        self.replaced = {
            "/srv/": f"{folder}/srv/",
            "rtsp://192.0.2.7/": f"rtsp://127.0.0.1:{camera.port}/",
            "127.0.0.1:9478": f"127.0.0.1:{self.metrics}",
        }
        (folder / "bin").mkdir()
        command = folder / "bin" / "stillsift"
        command.write_text(f'#!/bin/sh\nexec {" ".join(STILLSIFT)} "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        (folder / "srv" / "capture" / "gate").mkdir(parents=True)
        (folder / "day.mp4").write_bytes(real_clip("bikes").read_bytes())
        for name, seeds in (("photos", (1, 2, 3)), ("phone", (3, 4))):
            (folder / name).mkdir()
            for seed in seeds:
                quality = 95 if name == "photos" else 60
                written(folder / name / f"{seed}.jpg", seed, quality)
        told = yaml.safe_load(self.here(blocks("yaml")[0]))
        told["metrics"] = {"listen": f"127.0.0.1:{self.metrics}"}
        (folder / "config.yaml").write_text(yaml.safe_dump(told))

    def here(self, text: str) -> str:
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        return text

    @property
    def environ(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(script)],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S * 2,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, script: str) -> subprocess.Popen[bytes]:
        if "review" in script:
            script = script.rstrip() + f" --port {self.page}"
        with (self.folder / "served.log").open("ab") as log:
            return subprocess.Popen(
                ["bash", "-c", f"exec {self.here(script)}"],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
            )

    def says(self, word: str) -> bool:
        return word in self.served

    @property
    def served(self) -> str:
        return (self.folder / "served.log").read_text()


@pytest.mark.timeout(300)
def test_every_command_of_the_guide_works(camera: Camera, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    box = Box(folder, camera)
    running: list[subprocess.Popen[bytes]] = []
    ready = {"stillsift run": "watching", "stillsift review": f":{box.page}/"}
    said: dict[str, str] = {}
    try:
        for script in blocks("sh"):
            if script.startswith("stillsift view"):
                watched(box, script)
                continue
            server = next((each for each in SERVERS if script.startswith(each)), None)
            if server is None:
                said[script] = box.run(script)
                continue
            running.append(box.serve(script))
            until(partial(box.says, ready[server]), f"{script}: {box.served}")
            if server == "stillsift run":
                until(lambda: kept_of_the_yard(box), f"the yard has a kept frame: {box.served}")
                written(folder / "srv" / "capture" / "gate" / "1.jpg", 7)
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) in (0, -signal.SIGTERM)
    finally:
        for process in running:
            process.kill()
            process.wait()
    told = "\n".join(said.values())
    assert "Traceback" not in told + box.served
    assert sorted(p.name for p in (folder / "photos").iterdir()) == ["1.jpg", "2.jpg", "3.jpg"]
    assert sorted(p.name for p in (folder / "phone").iterdir()) == ["3.jpg", "4.jpg"]
    assert list((folder / "for-training").rglob("*.jpg"))
    assert list((folder / "for-labelling").rglob("tasks-*.json"))
    assert len(list((folder / "selected").rglob("*.jpg"))) == 4


def watched(box: Box, script: str) -> None:
    """A command that opens a window, on a display of its own, until somebody quits."""
    if not displays.IS_THERE:
        return
    with displays.display() as display:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {script}"],
            cwd=box.folder,
            env=box.environ | display.environ,
        )
        try:
            until(lambda: display.title.endswith("near_duplicate"), "a dropped frame is shown")
            display.press("q")
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()


def kept_of_the_yard(box: Box) -> bool:
    rows = decided(box.folder / "srv" / "stillsift", "yard")
    return any(row.decision.outcome is Outcome.KEPT for row in rows)


def test_every_file_that_the_guide_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", GUIDE.read_text("utf-8")):
        assert (GUIDE.parent / target).exists(), target
