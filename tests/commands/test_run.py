"""The daemon as a process of its own: filled, signalled, asked over HTTP and driven into faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import clips
from cameras import SYSTEM_PYTHON, Camera, write_stream
from conftest import Command, Disks
from disks import SmallDisk
from footage import jpeg, scene, taken, write_clip, write_still, write_stills
from running import (
    Daemon,
    assert_agree,
    daemon,
    decided,
    kept_on_disk,
    story,
    until,
)
from stillsift.config import Config, load
from stillsift.config.settings import ModelSettings
from stillsift.decisions import Outcome, Reason, outcome_of
from stillsift.ledger import LedgerReader
from stillsift.pipeline import Engine
from stillsift.pipeline.fleet import Fleet, give_memory_back
from stillsift.pipeline.model_choice import open_model
from stillsift.service import Metrics
from stillsift.service.metrics import STAGES
from stillsift.service.watchdog import Liveness


def directory(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return {"name": name, "directory": str(folder), **settings}


def names(store: Path) -> list[str]:
    return [record.decision.file.name for record in decided(store) if record.decision.file]


# -- directories that are being filled -------------------------------------------------------------


def test_what_is_there_and_what_arrives_is_taken_once_and_whole(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        write_still(gate / "a there.jpg", 0)
        running.start()
        running.until_done(1)

        slow = jpeg(1)
        with (gate / "b slow.jpg").open("wb") as file:
            for start in range(0, len(slow), len(slow) // 4):
                file.write(slow[start : start + len(slow) // 4])
                file.flush()
                time.sleep(0.15)  # together longer than the time after which a file has settled
        running.until_done(2)

        outside = write_still(tmp_path / "elsewhere.jpg", 2)
        outside.rename(gate / "c renamed.jpg")
        running.until_done(3)

        linked = write_still(tmp_path / "linked.jpg", 3)
        (gate / "d linked.jpg").hardlink_to(linked)
        running.until_done(4)

        write_still(tmp_path / "deep" / "er" / "x.jpg", 4)
        (tmp_path / "deep").rename(gate / "e deep")
        running.until_done(5)
        assert running.stop() == 0
        records = running.decided()
        assert [record.decision.file.name for record in records if record.decision.file] == [
            *("a there.jpg", "b slow.jpg", "c renamed.jpg", "d linked.jpg", "x.jpg")
        ]
        assert {record.decision.outcome for record in records} <= {Outcome.KEPT, Outcome.DROPPED}
        assert_agree(running.store)


def test_a_pattern_that_no_name_matches_is_told_once(tmp_path: Path) -> None:
    wrong = directory("wrong", tmp_path / "wrong", filename_time="cam_%Y%m%d")
    right = directory("right", tmp_path / "right", filename_time="img%s")
    with daemon(tmp_path, [wrong, right]) as running:
        write_stills(tmp_path / "wrong", [1, 2])
        write_still(tmp_path / "right" / "img1761350400.jpg", 3)
        running.start()
        running.until_done(3)
        assert running.stop() == 0
        (line,) = [line for line in running.log.splitlines() if "filename_time" in line]
    assert "wrong: filename_time 'cam_%Y%m%d' does not match any of 2 files" in line
    assert "img1.jpg" in line


def test_what_is_left_alone_is_told_once_for_each_kind(stillsift: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate, polling=True)]) as running:
        (gate / "a.xmp").touch()
        (gate / "link.jpg").symlink_to("nowhere")
        running.start()
        write_still(gate / "a.jpg", 1)
        running.until_done(1)
        os.link(gate / "a.jpg", gate / "z.jpg")
        (gate / "b.xmp").touch()
        (gate / "notes.txt").touch()
        write_still(gate / "b.jpg", 2)
        running.until_done(2)
        assert running.stop() == 0
        first = "gate: left alone: 1 file is of no kind that stillsift reads (.xmp 1); 1 symbolic"
        assert running.log.count(first) == 1
        assert running.log.count("left alone: 3 files") == 1, "once more for a new kind"
        told = stillsift("stats", "--store", running.store, "--json").out
        assert json.loads(told)[0]["left_alone"] == {
            ".xmp": 2,
            ".txt": 1,
            "links": 1,
            "hard_links": 1,
        }


def test_a_missing_directory_does_not_stop_another_and_is_taken_up_when_it_comes(
    tmp_path: Path,
) -> None:
    away = tmp_path / "mount" / "away"
    sources = [{"name": "away", "directory": str(away)}, directory("gate", tmp_path / "gate")]
    with daemon(tmp_path, sources) as running:
        running.start()
        write_still(tmp_path / "gate" / "a.jpg", 1)
        running.until_done(1, "gate")
        assert sample(running, "stillsift_source_up", source="away") == 0
        assert sample(running, "stillsift_source_up", source="gate") == 1
        assert running.log.count("away: waiting for") == 1, "a transition, told once"
        write_still(away / "b.jpg", 2)
        running.until_done(1, "away")
        assert sample(running, "stillsift_source_up", source="away") == 1
        assert running.stop() == 0


def test_a_bad_file_is_one_warning_and_stays_and_quarantine_has_its_limits(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    store = {"path": str(tmp_path / "store"), "min_free": 0, "quarantine": {"max_size": 0}}
    with daemon(tmp_path, [directory("gate", gate, retire="move")], store=store) as running:
        (gate / "a.jpg").write_bytes(jpeg(1)[:500])
        write_clip(gate / "b.mp4", [2])
        running.start()
        running.until_done(2)
        until(lambda: not (gate / "b.mp4").exists(), "the good one is retired")
        assert running.stop() == 0
        running.start()
        until(lambda: "quarantine: 1 file deleted" in running.log, "tidied at the start")
        assert not any((running.store / "quarantine").rglob("*.mp4"))
        assert running.stop() == 0
        assert sum(str(gate / "a.jpg") in line for line in running.log.splitlines()) == 1
        assert (gate / "a.jpg").exists()


# -- signals ---------------------------------------------------------------------------------------


def test_sigterm_drains_and_the_next_start_goes_on(stillsift: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        write_clip(gate / "long.mp4", range(60), frames=2)
        running.start()
        until(lambda: len(kept_on_disk(running.store)) >= 3, "three kept frames")
        assert running.stop() == 0, running.log
        half = story(running.store)
        assert 0 < len(half) < 120
        assert_agree(running.store)
        running.start()
        running.until_done(1)
        assert running.stop() == 0
        stillsift("sift", gate, "-o", tmp_path / "whole", "--set", "rate=all")
        assert story(running.store) == story(tmp_path / "whole")
        assert_agree(running.store)
        assert "ERROR" not in running.log


def test_the_start_tells_model_metrics_and_store_once(tmp_path: Path) -> None:
    with daemon(tmp_path, [directory("gate", tmp_path / "gate")]) as running:
        running.start()
        until(lambda: "watching" in running.log, "the start is told")
        model = open_model(ModelSettings())
        assert model.why is not None
        told = [line.split(" INFO ")[-1] for line in running.log.splitlines()]
        assert told == [
            f"model {model.spec.name} on {model.provider} ({model.why})",
            f"metrics at http://127.0.0.1:{running.port}/metrics",
            f"watching 1 source, keeping in {running.store}",
        ]
        assert running.stop() == 0


def test_sighup_starts_ends_and_changes_sources_and_refuses_a_bad_file(tmp_path: Path) -> None:
    gate, yard = tmp_path / "gate", tmp_path / "yard"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        running.start()

        def reloaded(said: str) -> None:
            before = running.log.count(said)
            running.write_config()
            running.signal(signal.SIGHUP)
            until(lambda: running.log.count(said) > before, f"{said}: {running.log}")

        reloaded("configuration read again: nothing changed")

        running.config["sources"].append(directory("yard", yard))
        reloaded("configuration read again: 2 sources; yard: added")
        write_still(yard / "a.jpg", 1)
        running.until_done(1, "yard")

        good = running.config["sources"]
        running.config["sources"] = [{"name": "gate", "folder": "x"}]
        reloaded("configuration not changed")
        assert "folder" in running.log
        write_still(yard / "b.jpg", 2)
        running.until_done(2, "yard")

        good[1] |= {"retire": "delete", "novelty_limit": 0.4}
        running.config["sources"] = good
        reloaded("configuration read again: 2 sources; yard: novelty_limit, retire")
        write_still(yard / "c.jpg", 3)
        until(lambda: not (yard / "c.jpg").exists(), "the new retire")
        assert (yard / "b.jpg").exists(), "what was done before stays done"

        running.config["sources"] = good[:1]
        reloaded("configuration read again: 1 source; yard: removed")
        write_still(yard / "d.jpg", 4)
        write_still(gate / "d.jpg", 4)
        running.until_done(1, "gate")
        assert names(running.store) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]

        running.config["store"]["format"] = "png"
        reloaded("only after a restart: store.format")
        reloaded("only after a restart: store.format")
        del running.config["store"]["format"]
        reloaded("configuration read again: nothing changed")
        assert running.stop() == 0
        with LedgerReader(running.store / "ledger.sqlite") as ledger:
            recorded = [ledger.config(r.config_hash or "") or "" for r in ledger.decisions()]
            assert ["delete" in text for text in recorded] == [False, False, True, False]
            assert all("gate" in text for text in recorded)


def test_a_reload_changes_nothing_of_the_store_before_a_restart(tmp_path: Path) -> None:
    gate = directory("gate", tmp_path / "gate", retire="move", rate="all")
    clip = write_clip(tmp_path / "gate" / "a.mp4", range(3), frames=4)

    def config(**settings: Any) -> Config:
        store = {"path": str(tmp_path / "store"), "min_free": 0, **settings}
        return Config.model_validate({"store": store, "sources": [gate]})

    begun, edited = config(), config(quarantine={"max_size": 0}, keep_decisions=1)
    with Engine(begun, Metrics()) as engine:
        engine.line(begun.sources[0], watch=False).run()
        assert not clip.exists()
        engine.reconfigure(edited)
        engine.tidy(lambda: True)
        assert len([*(tmp_path / "store").rglob("*a.mp4")]) == 1
        assert Outcome.DROPPED in {each.decision.outcome for each in engine.ledger.decisions()}
        recorded = engine.ledger.config(engine.config.hash) or ""
    assert yaml.safe_load(recorded)["store"] == yaml.safe_load(begun.to_yaml())["store"]
    with Engine(edited, Metrics()) as engine:
        engine.tidy(lambda: True)
        assert not [*(tmp_path / "store").rglob("*a.mp4")]


def test_a_reload_in_the_middle_of_a_clip_counts_and_decides_every_frame_once(
    stillsift: Command, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        write_clip(gate / "long.mp4", range(40), frames=2)
        running.start()
        until(lambda: len(kept_on_disk(running.store)) >= 3, "three kept frames")
        running.config["sources"][0]["queue"] = 9
        running.write_config()
        running.signal(signal.SIGHUP)
        until(lambda: "configuration read again: 1 source; gate: queue" in running.log, "reload")
        running.until_done(1)
        until(lambda: balance(running)["gate"].in_flight == 0, "nothing in flight")
        assert balance(running)["gate"].offered == 80
        assert running.stop() == 0
        stillsift("sift", gate, "-o", tmp_path / "whole", "--set", "rate=all")
        assert story(running.store) == story(tmp_path / "whole")


def test_settings_of_what_is_kept_change_in_the_middle_of_a_clip(
    stillsift: Command, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        write_clip(gate / "long.mp4", range(40), frames=2)
        running.start()
        until(lambda: len(kept_on_disk(running.store)) >= 3, "three kept frames")
        running.config["sources"][0]["alarms"] = False
        running.write_config()
        running.signal(signal.SIGHUP)
        running.until_done(1)
        until(lambda: balance(running)["gate"].in_flight == 0, "nothing in flight")
        assert balance(running)["gate"].offered == 80
        assert running.log.count("gate: goes on with its new settings") == 1
        recorded = [record.config_hash for record in decided(running.store)]
        assert running.stop() == 0
        first, second = dict.fromkeys(recorded)
        assert recorded == sorted(recorded, key=[first, second].index)
        stillsift("sift", gate, "-o", tmp_path / "whole", "--set", "rate=all")
        assert story(running.store) == story(tmp_path / "whole")


def test_stills_that_wait_are_decided_when_settings_change(tmp_path: Path) -> None:
    gate = {"name": "gate", "directory": tmp_path / "gate", "settle": 0, "max_wait": 60}
    write_stills(tmp_path / "gate", range(2))
    begun, edited = (
        Config.model_validate(
            {"store": {"path": tmp_path / "store", "min_free": 0}, "sources": [gate | more]}
        )
        for more in ({}, {"gallery": 3})
    )
    with Engine(begun, Metrics()) as engine:
        line = engine.line(begun.sources[0], on_step=lambda: retune())

        def retune() -> None:
            if line.sifter.holds_stills:
                line.retune(engine.tuning(edited.sources[0]))
            elif line.sifter.gallery.size == 3:
                line.stop()

        line.run()
        assert len(list(engine.ledger.decisions())) >= 1
        assert line.sifter.gallery.size == 3


def test_what_a_kept_frame_showed_is_kept_again_once_somebody_removed_it(tmp_path: Path) -> None:
    """Be it shown by a copy, or by a picture that is almost the same, here or in its group."""
    gate, yard = tmp_path / "gate", tmp_path / "yard"
    sources = [directory("gate", gate, group="all"), directory("yard", yard, group="all")]
    almost = cv2.imencode(".png", scene(1))[1].tobytes()
    with daemon(tmp_path, sources) as running:
        running.start()

        def kept_of(files: int) -> set[str]:
            running.until_done(files)
            kept = [r.decision for r in running.decided() if r.decision.outcome is Outcome.KEPT]
            return {decision.file.name for decision in kept if decision.file}

        def remove_kept() -> None:
            for path in kept_on_disk(running.store):
                (running.store / path).unlink()

        write_still(gate / "1.jpg", 1)
        assert kept_of(1) == {"1.jpg"}
        (yard / "2.png").write_bytes(almost)
        assert kept_of(2) == {"1.jpg"}
        remove_kept()
        (gate / "3.png").write_bytes(almost + b"3")
        assert kept_of(3) == {"1.jpg", "3.png"}
        remove_kept()
        (yard / "4.png").write_bytes(almost + b"4")
        assert kept_of(4) == {"1.jpg", "3.png", "4.png"}
        assert running.log.count("gate: 1 kept frame gone from the store") == 2
        assert running.stop() == 0


@pytest.mark.parametrize("kind", ["clips", "stills"])
def test_files_of_one_moment_that_come_one_by_one_are_decided_as_all_at_once(
    stillsift: Command, tmp_path: Path, kind: str
) -> None:
    """A recorder cuts in the middle of a moment: before the cut it is blurred, after it sharp."""
    gate, aside = tmp_path / "gate", tmp_path / "aside"
    aside.mkdir()
    named = {"filename_time": "%Y%m%d%H%M%S%f"}
    blurred = np.asarray(cv2.GaussianBlur(scene(1), (0, 0), 4), np.uint8)
    pictures = [scene(0)] * 20 + [blurred] * 2 + [scene(1)] * 20
    cut = 22

    def come(first: int, end: int) -> None:
        """Lets frames come, ten to the second of their own time."""
        if kind == "clips":
            clip = aside / f"{20251124120000 + first // 10}{first % 10}.mp4"
            clips.write_clip(clip, pictures[first:end], rate=10).rename(gate / clip.name)
            return
        for number in range(first, end):
            still = aside / f"{20251124120000 + number // 10}{number % 10}.png"
            cv2.imwrite(str(still), pictures[number])
            still.rename(gate / still.name)

    with daemon(tmp_path, [directory("gate", gate, max_silence="4s", **named)]) as running:
        running.start()
        come(0, cut)
        until(lambda: balance(running)["gate"].offered == cut, "the frames before the cut")
        time.sleep(3)  # the moment lasts for a second
        come(cut, len(pictures))
        running.until_done(len(list(gate.iterdir())))
        assert running.stop() == 0
    options = ("--set", "rate=all", "--set", f"filename_time='{named['filename_time']}'")
    stillsift("sift", gate, "-o", tmp_path / "whole", *options)
    assert story(running.store) == story(tmp_path / "whole")


def test_a_smaller_gallery_is_taken_up_before_a_scene_at_rest(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate)]) as running:
        write_clip(gate / "1.mp4", range(4), frames=8)
        running.start()
        running.until_done(1)
        running.config["sources"][0] |= {"gallery": 2, "sensitivity": "low"}
        running.write_config()
        running.signal(signal.SIGHUP)
        until(lambda: "gate: goes on with its new settings" in running.log, running.log)
        write_clip(gate / "2.mp4", [3], frames=8)
        running.until_done(2)
        assert running.stop() == 0
        assert "ERROR" not in running.log
        late = [record.decision for record in running.decided()][-8:]
        shown = [r.decision.id for r in running.decided() if r.decision.outcome is Outcome.KEPT][-1]
        assert {decision.nearest_kept for decision in late} == {shown}


# -- what stands in the way of starting ------------------------------------------------------------


def test_two_daemons_on_one_store_the_second_refuses(tmp_path: Path) -> None:
    with daemon(tmp_path, [directory("gate", tmp_path / "gate")]) as first:
        first.start()
        (tmp_path / "2").mkdir()
        second = Daemon(tmp_path / "2", first.config["sources"], store=first.config["store"])
        second.start(wait=False)
        assert second.ended() == 75, second.log
        assert str(first.process.pid if first.process else 0) in second.log
        assert "Traceback" not in second.log
        assert first.stop() == 0


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken_by_us:
        taken_by_us.bind(("127.0.0.1", 0))
        taken_by_us.listen()
        listen = f"127.0.0.1:{taken_by_us.getsockname()[1]}"
        running = Daemon(
            tmp_path, [directory("gate", tmp_path / "gate")], metrics={"listen": listen}
        )
        running.start(wait=False)
        assert running.ended() == 1
        assert f"cannot listen on {listen}: Address already in use" in running.log
        assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"sources": []}, 78, "sources: there are none"),
        ({"store": {"path": "/dev/null/store"}}, 1, "/dev/null"),
        ({"model": {"path": "nothere.onnx", "custom": {"cell_limit": 0.4}}}, 78, "nothere.onnx"),
        ({"store": {"path": "s"}, "typo": 1}, 78, "typo"),
    ],
)
def test_a_configuration_that_cannot_work_is_said(
    stillsift: Command, tmp_path: Path, change: dict[str, Any], status: int, said: str
) -> None:
    made = Daemon(tmp_path, [directory("gate", tmp_path / "gate")])
    made.config |= change
    made.write_config()
    done = stillsift("run", "-c", made.config_file)
    assert done.status == status, done.err
    assert said in done.err


# -- over HTTP -------------------------------------------------------------------------------------


def samples(running: Daemon) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    status, text = running.get("/metrics")
    assert status == 200
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def sample(running: Daemon, name: str, **labels: str) -> float:
    return samples(running)[name, tuple(sorted(labels.items()))]


class Balance:
    """The accounts of one source in one scrape."""

    def __init__(self, scrape: dict[Any, float], source: str) -> None:
        self.offered = scrape["stillsift_frames_offered_total", (("source", source),)]
        self.in_flight = scrape["stillsift_frames_in_flight", (("source", source),)]
        self.ended = {
            Reason(dict(labels)["reason"]): value
            for (name, labels), value in scrape.items()
            if name == "stillsift_frames_total" and dict(labels)["source"] == source
        }


def balance(running: Daemon) -> dict[str, Balance]:
    """Every source's accounts; that they balance is checked at every call."""
    scrape = samples(running)
    sources = [dict(labels)["source"] for name, labels in scrape if name == "stillsift_source_up"]
    accounts = {source: Balance(scrape, source) for source in sources}
    for one in accounts.values():
        assert one.in_flight >= 0
        assert one.offered == sum(one.ended.values()) + one.in_flight
    return accounts


def test_the_accounts_balance_at_every_scrape_and_agree_with_the_ledger(tmp_path: Path) -> None:
    gate, yard = tmp_path / "gate", tmp_path / "yard"
    sources = [directory("gate", gate), directory("yard", yard)]
    write_clip(gate / "a.mp4", range(30), frames=3)
    (gate / "b.jpg").write_bytes(b"\xff\xd8\xff broken")
    write_stills(yard, range(12))
    shutil.copy(yard / "img3.jpg", yard / "img90.jpg")
    with daemon(tmp_path, sources) as running:
        running.start(wait=False)
        until(lambda: running.get("/metrics")[0] == 200, "the first scrape")
        scrapes, between, offered = 0, 0, 0.0
        while offered < 104:
            now = balance(running).values()
            offered = sum(one.offered for one in now)
            scrapes += 1
            between += any(one.in_flight > 0 for one in now)
        until(lambda: all(b.in_flight == 0 for b in balance(running).values()), "all decided")
        assert scrapes > 5
        assert between > 0, "it was looked at while frames were in flight"
        accounts = balance(running)
        with LedgerReader(running.store / "ledger.sqlite") as ledger:
            for source in ledger.stats():
                told = {r: n for r, n in accounts[source.source].ended.items() if n}
                assert told == source.reasons
                kept = sample(running, "stillsift_kept_bytes_total", source=source.source)
                assert kept == source.kept_bytes
        assert accounts["gate"].ended[Reason.DECODE_ERROR] == 1
        assert accounts["yard"].ended[Reason.EXACT_DUPLICATE] == 1
        assert sample(running, "stillsift_store_free_bytes") > 0
        assert sample(running, "stillsift_source_last_frame_timestamp_seconds", source="gate") > 0
        assert running.stop() == 0


def test_every_series_is_there_from_the_start_and_promtool_likes_them(tmp_path: Path) -> None:
    with daemon(tmp_path, [directory("gate", tmp_path / "gate")]) as running:
        running.start()
        there = samples(running)
        for reason in Reason:
            labels = {"source": "gate", "outcome": outcome_of(reason).value, "reason": reason.value}
            assert there["stillsift_frames_total", tuple(sorted(labels.items()))] == 0
        gate = (("source", "gate"),)
        for name in ("source_up", "queue_frames", "source_reconnects_total", "gap_seconds_total"):
            assert (f"stillsift_{name}", gate) in there
        for measure in ("similarity", "sharpness", "novelty"):
            assert there[f"stillsift_{measure}_count", gate] == 0
        for stage in STAGES:
            assert ("stillsift_stage_seconds_count", (("stage", stage),)) in there
        info = {name: dict(labels) for name, labels in there if name.endswith("_info")}
        assert info["stillsift_model_info"].keys() == {"model", "provider"}
        assert info["stillsift_build_info"].keys() == {"version"}
        used = {label for _, labels in there for label, _ in labels} - {"le"}
        assert used <= {"source", "outcome", "reason", "stage", "model", "provider", "version"}
        text = running.get("/metrics")[1]
        assert running.stop() == 0
    told = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.endswith("_created"):  # of every histogram
            assert f"| `{name}` |" in told, f"docs/commands.md does not tell of {name}"
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_probes_turn_bad_while_a_worker_is_stuck_or_nothing_has_started(tmp_path: Path) -> None:
    from stillsift.commands.run import _Daemon

    clock = [1000.0]
    liveness = Liveness(lambda: clock[0])
    asked = Daemon(tmp_path, [directory("gate", tmp_path / "gate")])
    config, metrics = load(asked.config_file), Metrics()
    with Engine(config, metrics) as engine:
        inside = _Daemon(
            asked.config_file,
            config,
            Fleet(engine, liveness),
            metrics,
            lambda: liveness.stale(clock[0], 30),
        )
        server = inside.serve(config)
        assert server is not None
        try:
            liveness.beat("gate")
            assert asked.get("/healthz") == (200, "ok\n")
            clock[0] += 31
            assert asked.get("/healthz") == (503, "no progress for 30 s: gate\n")
            liveness.beat("gate")
            assert asked.get("/healthz") == (200, "ok\n")
            assert asked.get("/readyz") == (503, "no source has been started yet\n")
            assert asked.get("/nowhere")[0] == 404
        finally:
            server.shutdown()
            server.server_close()


def test_memory_of_threads_that_have_ended_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C library keeps it, one pool for each thread, as long as anything above it is in use."""
    monkeypatch.setattr("stillsift.pipeline.fleet._TIDY_EVERY_S", 0.1)
    asked = Daemon(tmp_path, [directory("gate", tmp_path / "gate")])
    kept: list[bytes] = []

    def work() -> None:
        parts = [bytes([1]) * 100_000 for _ in range(1000)]
        kept.append(parts[-1])

    with Engine(load(asked.config_file), Metrics()) as engine:
        give_memory_back()  # what other tests have freed would be taken first
        before = resident_mb()
        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert resident_mb() > before + 50, "else there is nothing to give back"
        fleet = Fleet(engine, Liveness())
        fleet.begin([])
        until(lambda: resident_mb() < before + 20, "memory is given back", 10)
        assert fleet.stop_all(10) == []


def test_threads_share_few_pools_of_memory(tmp_path: Path) -> None:
    sources = [directory(name, tmp_path / name) for name in ("gate", "yard", "door")]
    with daemon(tmp_path, sources) as running:
        running.start()
        assert running.process is not None
        maps = Path(f"/proc/{running.process.pid}/maps").read_text().splitlines()
        assert running.stop() == 0
    begins = [int(line.partition("-")[0], 16) for line in maps if " rw-p 00000000 00:00 0" in line]
    # glibc puts the pools of threads at multiples of 64 MiB.
    assert sum(begin % (64 << 20) == 0 for begin in begins) <= 2


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_ready_means_that_every_source_can_work(tmp_path: Path) -> None:
    store = {"path": str(tmp_path / "store"), "min_free": "9000TB"}
    sources = [directory(name, tmp_path / name) for name in ("gate", "yard")]
    with daemon(tmp_path, sources, store=store) as running:
        running.start()
        assert sample(running, "stillsift_source_trouble", source="gate") == 0
        write_still(tmp_path / "gate" / "a.jpg", 1)
        until(lambda: running.get("/readyz")[0] == 503, f"not ready: {running.log}")
        why = running.get("/readyz")[1]
        assert why.startswith(f"gate: nothing can be kept: {running.store}: "), why
        assert "yard" not in why
        assert running.get("/healthz") == (200, "ok\n"), "a restart would not help"
        assert sample(running, "stillsift_source_trouble", source="gate") == 1
        assert sample(running, "stillsift_source_trouble", source="yard") == 0
        assert running.stop() == 0


# -- originals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("retire", ["move", "delete"])
def test_without_the_right_to_move_originals_it_is_not_ready_and_says_so_once(
    small_disk: SmallDisk, tmp_path: Path, retire: str
) -> None:
    watched = small_disk.path
    for place, number in enumerate((1, 1, 2)):
        write_still(watched / "day" / f"{place}.jpg", number)
    small_disk.remount("ro")  # as ProtectSystem=strict makes it
    why = f"gate: originals cannot be retired: {watched}: nothing can be taken out of it: the file"
    with daemon(tmp_path, [directory("gate", watched, retire=retire)]) as running:
        running.start(wait=False)
        until(lambda: why in running.get("/readyz")[1], f"the reason: {running.log}")
        assert running.get("/readyz")[0] == 503
        running.until_done(3)
        assert sample(running, "stillsift_source_trouble", source="gate") == 1
        running.stop()
        running.start(wait=False)
        until(lambda: running.log.count(why) == 2, f"the same again: {running.log}")
        assert len(list(watched.rglob("*.jpg"))) == 3
        small_disk.remount("rw")
        until(lambda: not list(watched.rglob("*.jpg")), f"they are retired: {running.log}")
        until(lambda: running.get("/readyz")[0] == 200, f"ready: {running.log}")
        assert running.log.count("cannot be retired") == 3  # and once that it is over
        assert "not moved" not in running.log
        assert "not deleted" not in running.log
        running.stop()


@pytest.mark.parametrize("retire", ["leave", "move", "delete"])
def test_originals_go_where_they_are_told_and_come_back_byte_for_byte(
    stillsift: Command, tmp_path: Path, retire: str
) -> None:
    gate = tmp_path / "gate"
    with daemon(tmp_path, [directory("gate", gate, retire=retire)]) as running:
        write_stills(gate, [1, 2, 3])
        shutil.copy(gate / "img2.jpg", gate / "img7.jpg")
        write_clip(gate / "img8.mp4", [8, 9], number=8)
        before = {path.name: path.read_bytes() for path in gate.iterdir()}
        inodes = {path.name: path.stat().st_ino for path in gate.iterdir()}
        running.start()
        running.until_done(len(before))
        if retire != "leave":
            until(lambda: not any(gate.iterdir()), f"originals gone: {running.log}")
        assert running.stop() == 0
        assert_agree(running.store)
        assert any((running.store / "quarantine").rglob("*.mp4")) == (retire == "move")
        for record in running.decided():
            file = record.decision.file
            if file is not None and file.suffix == ".jpg" and record.kept_path is not None:
                place = running.store / record.kept_path
                assert place.read_bytes() == before[file.name]
                assert place.stat().st_ino != inodes[file.name], "no link to it"
        done = stillsift("restore", "--all", "--store", running.store)
        assert done.status == 0
        back = {path.name: path.read_bytes() for path in gate.iterdir()}
        assert back.items() <= before.items()
        if retire == "leave":
            assert back == before
        elif retire == "move":
            assert "img8.mp4" in back
        else:
            assert back == {}
        if retire != "move":
            return
        known = len(running.decided())
        running.start()
        write_still(gate / "new.jpg", 10)
        until(lambda: len(running.decided()) == known + 1, "only the new one is taken")
        assert running.stop() == 0


# -- disks -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(disks: Disks) -> SmallDisk:
    """Four megabytes, as a file system of its own."""
    return disks("size=4m")


def test_a_full_disk_stops_keeping_and_retiring_until_there_is_room(
    tmp_path: Path, small_disk: SmallDisk
) -> None:
    gate = tmp_path / "gate"
    store = {"path": str(small_disk.path / "store"), "min_free": 0}
    with daemon(tmp_path, [directory("gate", gate, retire="move")], store=store) as running:
        running.store = small_disk.path / "store"
        write_still(gate / "a.jpg", 0)
        running.start()
        until(lambda: not (gate / "a.jpg").exists(), "the first one is kept")
        small_disk.fill()
        arrived = write_stills(gate, range(1, 7))
        until(lambda: "No space left" in running.log or "disk is full" in running.log, "it says so")
        time.sleep(1.0)  # longer than any of this takes where there is room
        assert all(path.is_file() for path in arrived), "originals stay"
        assert len(kept_on_disk(running.store)) == 1
        assert balance(running)["gate"].ended[Reason.WRITE_ERROR] == 0, "it waits instead"
        assert running.get("/healthz")[0] == 200, "a restart would not help"
        assert running.get("/readyz")[0] == 503
        small_disk.free()
        until(lambda: not any(gate.iterdir()), f"it goes on by itself: {running.log}")
        until(lambda: running.get("/readyz")[0] == 200, "ready again")
        assert sample(running, "stillsift_source_trouble", source="gate") == 0
        assert running.stop() == 0
        assert len(running.decided()) == 7
        assert_agree(running.store)
        assert running.log.count("ERROR") <= 3, "transitions, not frames"


def test_an_original_that_quarantine_has_no_room_for_is_moved_once_it_has(
    tmp_path: Path, small_disk: SmallDisk
) -> None:
    gate = tmp_path / "gate"
    store = {"path": str(small_disk.path / "store"), "min_free": 0}
    with daemon(tmp_path, [directory("gate", gate, retire="move")], store=store) as running:
        running.store = small_disk.path / "store"
        clips = [write_clip(gate / f"{number}.mp4", [number], number=number) for number in (1, 2)]
        for number, clip in enumerate(clips, 1):
            with clip.open("ab") as file:
                file.write(bytes(2_500_000))  # room for one of them, and for the kept frames
            taken(clip, number)
        running.start()
        until(lambda: "originals wait to be retired" in running.log, f"told: {running.log}")
        assert len(kept_on_disk(running.store)) >= 2
        assert [path.name for path in gate.iterdir()] == ["2.mp4"]
        assert running.get("/readyz")[0] == 503
        for moved in (running.store / "quarantine").rglob("*.mp4"):
            moved.unlink()
        until(lambda: not any(gate.iterdir()), f"moved by itself: {running.log}")
        until(lambda: "over: originals wait to be retired" in running.log, "and says so")
        assert running.stop() == 0


def test_a_read_only_store_is_said_and_nothing_is_touched(
    tmp_path: Path, small_disk: SmallDisk
) -> None:
    gate = tmp_path / "gate"
    store = {"path": str(small_disk.path / "store"), "min_free": 0}
    running = Daemon(tmp_path, [directory("gate", gate, retire="delete")], store=store)
    original = write_still(gate / "a.jpg", 0)
    small_disk.remount("ro")
    running.start(wait=False)
    assert running.ended() == 1
    assert "read-only" in running.log.lower()
    assert "Traceback" not in running.log
    assert original.is_file()


def test_an_original_that_vanishes_before_it_is_kept_is_a_failure_and_no_endless_wait(
    stillsift: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody tidied the folder between reading and keeping."""
    from stillsift.store import Store

    place = Store.place

    def vanished(self: Store, frame: Any, decision: Any, repair: Any) -> Any:
        frame.file.unlink()
        return place(self, frame, decision, repair)

    monkeypatch.setattr(Store, "place", vanished)
    write_stills(tmp_path / "gate", [1])
    done = stillsift("sift", tmp_path / "gate", "-o", tmp_path / "out")
    assert done.status == 1
    (record,) = decided(tmp_path / "out")
    assert record.decision.reason is Reason.WRITE_ERROR
    assert "img1.jpg" in (record.decision.detail or "")
    assert kept_on_disk(tmp_path / "out") == {}


def is_told(running: Daemon, line: str) -> bool:
    return line in running.get("/metrics")[1]


def test_pictures_that_a_camera_uploads_under_one_name_are_all_kept(tmp_path: Path) -> None:
    """The next one comes while the one before still waits for what follows it."""
    snapshot, made = tmp_path / "gate" / "snapshot.jpg", []
    with daemon(tmp_path, [directory("gate", tmp_path / "gate", max_wait="2s")]) as running:
        running.start()
        for count in range(1, 4):
            made.append(write_still(snapshot, count).read_bytes())
            offered = f'stillsift_frames_offered_total{{source="gate"}} {count}.0'
            until(partial(is_told, running, offered), "it is read")
        running.until_done(3)
        assert running.stop() == 0
    assert_agree(running.store)
    kept = [(running.store / path).read_bytes() for path in kept_on_disk(running.store)]
    assert sorted(kept) == sorted(made)


def test_a_still_that_is_renamed_before_it_is_kept_is_kept_under_its_new_name(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    settings = {"polling": True, "max_wait": "2s", "retire": "move"}
    with daemon(tmp_path, [directory("gate", gate, **settings)]) as running:
        running.start()
        data = write_still(gate / "upload.jpg", 1).read_bytes()
        offered = 'stillsift_frames_in_flight{source="gate"} 1.0'
        until(lambda: offered in running.get("/metrics")[1], "it is read, and waits")
        (gate / "upload.jpg").rename(gate / "img.jpg")
        until(lambda: not any(gate.iterdir()), f"retired: {running.log}")
        assert running.stop() == 0
    told = [(r.decision.file, r.decision.outcome) for r in decided(running.store)]
    assert told == [(gate / "upload.jpg", Outcome.FAILED), (gate / "img.jpg", Outcome.KEPT)]
    assert_agree(running.store)
    (kept,) = kept_on_disk(running.store)
    assert (running.store / kept).read_bytes() == data


# -- a camera --------------------------------------------------------------------------------------


def has_rtsp_server() -> bool:
    ask = "import gi; gi.require_version('GstRtspServer', '1.0')"
    return (
        subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, check=False).returncode == 0
    )


def test_a_camera_that_dies_and_comes_back_leaves_a_gap_and_no_frame_unaccounted(
    stillsift: Command, tmp_path: Path
) -> None:
    if not has_rtsp_server():
        pytest.skip("needs Debian's gir1.2-gst-rtsp-server-1.0 for the camera")
    camera = Camera([write_stream(tmp_path / "yard.h264", 320, 240)])
    other = write_stream(tmp_path / "yard.hevc", 640, 480)  # it comes back with another codec
    yard = {"name": "yard", "rtsp": camera.url, "timeout": "2s", "rate": "10/s"}
    with daemon(tmp_path, [yard, directory("gate", tmp_path / "gate")]) as running:
        try:
            running.start()

            def up() -> bool:
                return sample(running, "stillsift_source_up", source="yard") == 1

            def offered() -> float:
                return balance(running)["yard"].offered

            until(lambda: up() and offered() > 5, "the first frames")
            camera.kill()
            until(lambda: not up(), "its death is noticed")
            write_still(tmp_path / "gate" / "a.jpg", 1)
            running.until_done(1, "gate")
            before = offered()
            camera = Camera([other], port=camera.port)
            until(lambda: up() and offered() > before + 5, f"it is back: {running.log}")
            assert "yard: connected, hevc over tcp" in running.log
            assert sample(running, "stillsift_source_reconnects_total", source="yard") == 1
            assert sample(running, "stillsift_gap_seconds_total", source="yard") > 0
            camera.kill()
            until(lambda: not up() and balance(running)["yard"].in_flight == 0, "all are decided")
            account = balance(running)["yard"]
            assert account.ended[Reason.GAP] == 1
            until(lambda: len(running.decided("yard")) == account.offered, "all are recorded")
        finally:
            camera.kill()
        assert running.stop() == 0, running.log
        gaps = json.loads(stillsift("gaps", "--store", running.store, "--json").out)
        assert [gap["source"] for gap in gaps] == ["yard", "yard"], "the second ended with us"
        assert all(gap["seconds"] > 0 and gap["cause"] for gap in gaps)
        assert_agree(running.store)
        assert running.log.count("calling again") == 2, "a transition, not every attempt"
        ended = Counter(record.decision.outcome for record in running.decided())
        counted = ", ".join(f"{ended[outcome]} {outcome.value}" for outcome in Outcome)
        assert f"stopped: {counted}" in running.log


def test_a_camera_stays_connected_while_its_limits_change(tmp_path: Path) -> None:
    if not has_rtsp_server():
        pytest.skip("needs Debian's gir1.2-gst-rtsp-server-1.0 for the camera")
    camera = Camera([write_stream(tmp_path / "yard.h264", 320, 240)])
    password = tmp_path / "password"
    password.write_text("old")
    login = {"user": "me", "password_file": str(password)}  # which this camera does not ask for
    yard = {"name": "yard", "rtsp": camera.url, "rate": "10/s", **login}
    with daemon(tmp_path, [yard]) as running:

        def offered() -> float:
            return balance(running)["yard"].offered

        def reloaded(sensitivity: str) -> None:
            running.config["sources"][0]["sensitivity"] = sensitivity
            running.write_config()
            before = running.log.count("read again")
            running.signal(signal.SIGHUP)
            until(lambda: running.log.count("read again") > before, running.log)

        try:
            running.start()
            until(lambda: offered() > 5, "the first frames")
            reloaded("lowest")
            until(lambda: "yard: goes on with its new settings" in running.log, running.log)
            before = offered()
            until(lambda: offered() > before + 5, running.log)
            assert running.log.count("yard: connected") == 1
            password.write_text("new")
            reloaded("high")
            until(lambda: running.log.count("yard: connected") == 2, running.log)
        finally:
            camera.kill()
        assert running.stop() == 0, running.log
