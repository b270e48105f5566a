"""The recipe of docs/frigate.md, run against a server that offers what Frigate's does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cameras import Camera, write_stream
from running import daemon, until
from stillsift.decisions import Outcome

RECIPE = Path(__file__).parents[2] / "docs" / "frigate.md"


@pytest.fixture
def restream(tmp_path: Path) -> Iterator[Camera]:
    stream = write_stream(tmp_path / "stream.h264", 640, 360)
    camera = Camera([stream], "--audio", "--path", "gate", "--path", "yard")
    try:
        yield camera
    finally:
        camera.kill()


def test_a_box_with_frigate_as_the_recipe_says(restream: Camera, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", RECIPE.read_text("utf-8"), re.DOTALL)
    frigate, told = yaml.safe_load(blocks[0]), yaml.safe_load(blocks[1])
    assert list(frigate["go2rtc"]["streams"]) == [source["name"] for source in told["sources"]]
    for source in told["sources"]:
        assert source["rtsp"] == f"rtsp://127.0.0.1:8554/{source['name']}"
        source["rtsp"] = source["rtsp"].replace(":8554/", f":{restream.port}/")
    with daemon(tmp_path, told["sources"], defaults=told["defaults"]) as running:
        running.start()

        def kept(source: str) -> int:
            rows = running.decided(source)
            return sum(row.decision.outcome is Outcome.KEPT for row in rows)

        until(lambda: kept("gate") and kept("yard"), "both cameras have a kept frame")
        assert running.stop() == 0
        assert "Traceback" not in running.log
