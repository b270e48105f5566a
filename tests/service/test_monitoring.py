"""The alerts and the dashboard of docs/monitoring, asked of promtool and of a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from prometheus_client import generate_latest

from running import daemon, free_port, until
from stillsift.service import Metrics

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"


def tool(name: str) -> str:
    """The path of a program of Prometheus."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus)")
    return found


def promtool(*arguments: object) -> str:
    """What promtool prints; it has to be content."""
    asked = [tool("promtool"), *map(str, arguments)]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=MONITORING)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def dashboard() -> dict[str, Any]:
    made: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    return made


def queries() -> Iterator[tuple[str, str]]:
    """The title of a panel and what it asks Prometheus, with all variables chosen."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            asked = re.sub(r'=~"\$\w+"', '=~".*"', target["expr"])
            yield panel["title"], asked.replace("$__rate_interval", "30s")


def expressions() -> Iterator[str]:
    """Everything that is asked, by alerts and by the dashboard."""
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]
    yield from (rule["expr"] for group in groups for rule in group["rules"])
    yield from (asked for _, asked in queries())


def test_promtool_plays_each_alert() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "alerts_test.yml")
    played = yaml.safe_load((MONITORING / "alerts_test.yml").read_text("utf-8"))["tests"]
    raised = {
        each["alertname"]
        for one in played
        for each in one["alert_rule_test"]
        if "exp_alerts" in each
    }
    quiet = {each["alertname"] for each in played[0]["alert_rule_test"]}
    assert raised == quiet == {rule["alert"] for rule in rules}


def test_what_is_asked_for_is_measured() -> None:
    metrics = Metrics()
    metrics.announce("gate")
    metrics.looks_for("gate", ["person"])
    metrics.model("a", "b")
    metrics.store(lambda: 1)
    told = generate_latest(metrics.registry).decode()
    there = set(re.findall(r"^(stillsift_\w+)", told, re.MULTILINE))
    for asked in expressions():
        names = set(re.findall(r"\bstillsift_\w+", asked))
        assert names <= there, asked


def test_the_panels_of_the_dashboard_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    ids = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        ids.add(panel["id"])
    assert len(ids) == len(dashboard()["panels"])


@pytest.mark.timeout(180)
def test_each_panel_has_data_from_a_prometheus_that_scrapes_a_daemon(tmp_path: Path) -> None:
    server = tool("prometheus")
    gate = tmp_path / "gate"
    gate.mkdir()
    source = {"name": "gate", "directory": str(gate), "require": ["person"], "max_silence": "1s"}
    port = free_port()

    def ask(path: str, **what: object) -> Any:
        address = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(what)}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return json.load(answer)["data"]

    def value(expression: str) -> float:
        found = ask("/api/v1/query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else -1.0

    def scraped(frames: int) -> bool:
        return value('sum(stillsift_frames_total{source="gate"})') >= frames

    def ready() -> bool:
        try:
            return value('up{job="stillsift"}') == 1
        except OSError:
            return False

    with daemon(tmp_path, [source]) as running:
        running.start()
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text("utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(MONITORING / "alerts.yml")]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{running.port}"]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with (tmp_path / "prometheus.log").open("wb") as log:
            prometheus = subprocess.Popen(
                [
                    *(server, f"--config.file={tmp_path / 'prometheus.yml'}"),
                    *(f"--storage.tsdb.path={tmp_path / 'tsdb'}", "--log.level=warn"),
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            until(ready, "it scrapes")
            rng = np.random.default_rng(0)
            for number in range(6):
                small = rng.integers(0, 255, (9, 16, 3)).astype(np.uint8)
                picture = cv2.resize(small, (640, 360), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(gate / f".{number}.jpg"), picture)
                (gate / f".{number}.jpg").rename(gate / f"{number}.jpg")
                until(partial(scraped, number + 1), "it is decided and scraped")
            time.sleep(2)  # two scrapes more: a rate needs them
            for title, asked in queries():
                assert ask("/api/v1/query", query=asked)["result"], f"{title}: nothing for {asked}"
            for name in ("job", "instance", "source"):
                (variable,) = (v for v in dashboard()["templating"]["list"] if v["name"] == name)
                label = re.search(r", (\w+)\)$", variable["query"]["query"])
                assert label is not None
                assert label[1] == name
                assert ask(f"/api/v1/label/{name}/values"), f"no value for ${name}"
            rules = ask("/api/v1/rules")["groups"][0]["rules"]
            assert len(rules) > 10
            assert {rule["health"] for rule in rules} == {"ok"}
            assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
        finally:
            prometheus.terminate()
            prometheus.wait(30)
        assert running.stop() == 0
