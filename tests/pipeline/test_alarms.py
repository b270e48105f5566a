"""Alarms along the line: logged, gauged, recorded and shown once each."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Command
from running import decided, until
from scripted import Script, config
from sifting import LIMITS, blocks
from stillsift.config import Config, SourceConfig
from stillsift.config.reload import reload_plan
from stillsift.decisions import Reason
from stillsift.frames import Frame
from stillsift.health import AlarmKind
from stillsift.ledger import Ledger, LedgerReader
from stillsift.ledger.records import AlarmRecord, Retire
from stillsift.pipeline import Engine
from stillsift.pipeline import fleet as fleets
from stillsift.pipeline.fleet import Fleet
from stillsift.pipeline.recorder import Recorder
from stillsift.selection import Gallery, Sifter
from stillsift.service import Metrics
from stillsift.service.watchdog import Liveness
from troubled import START_NS, covered, days, usual


def run(store: Path, frames: Iterable[Frame], **keys: object) -> Metrics:
    metrics, settings = Metrics(), config(store)
    yard = SourceConfig.model_validate({"name": "yard", "rtsp": "rtsp://yard/cam", **keys})
    with Engine(settings, metrics) as engine:
        line = engine.line(yard.under(settings.defaults))
        line.source = Script(frames)
        line.run()
    return metrics


def gauge(metrics: Metrics) -> dict[str, float | None]:
    return {
        kind.value: metrics.registry.get_sample_value(
            "stillsift_source_alarm", {"source": "yard", "reason": kind.value}
        )
        for kind in AlarmKind
    }


def recorded(store: Path) -> list[AlarmRecord]:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        return ledger.alarms()


def test_an_alarm_is_logged_gauged_recorded_and_shown_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stillsift: Command
) -> None:
    frames = days(80, covered, 30, 60)
    with caplog.at_level(logging.WARNING):
        assert gauge(run(tmp_path, frames[:50])) == {
            kind.value: float(kind is AlarmKind.COVERED) for kind in AlarmKind
        }
    (standing,) = recorded(tmp_path)
    assert (standing.source, standing.kind, standing.to_ns) == ("yard", AlarmKind.COVERED, None)
    assert ["alarm: covered since 2025-11-24T16:05:00" in r.message for r in caplog.records] == [
        True
    ]
    shown = stillsift("alarms", "--store", tmp_path).out
    assert "covered" in shown
    assert json.loads(stillsift("alarms", "--store", tmp_path, "--json").out)[0]["to"] is None
    # After a restart the gauge still stands, until the alarm is over.
    assert gauge(run(tmp_path, frames[50:50]))["covered"] == 1
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert set(gauge(run(tmp_path, frames[50:])).values()) == {0.0}
    assert ["alarm over: covered" in r.message for r in caplog.records] == [True]
    (over,) = recorded(tmp_path)
    assert over == replace(standing, to_ns=over.to_ns)
    assert over.to_ns == frames[60].captured_at_ns
    (row,) = json.loads(stillsift("alarms", "--store", tmp_path, "--source", "yard", "--json").out)
    assert (row["kind"], row["seconds"]) == ("covered", 300.0)
    assert "it has yard" in stillsift("alarms", "--store", tmp_path, "--source", "gate").err


def test_the_same_file_again_and_again_is_frozen_where_its_name_tells_the_time(
    tmp_path: Path, stillsift: Command
) -> None:
    folder, start_s = tmp_path / "yard", START_NS // 10**9
    folder.mkdir()
    for number in range(140):
        picture = np.ascontiguousarray(usual(min(number, 70))[::2, ::2])
        assert cv2.imwrite(str(folder / f"{start_s + number}.png"), picture)
    store = tmp_path / "store"
    sift = ("sift", folder, "--output", store, "--set")
    assert stillsift(*sift, "filename_time='%s'").status == 0
    (begun,) = recorded(store)
    assert (begun.kind, begun.from_ns) == (AlarmKind.FROZEN, START_NS + 71 * 10**9)
    assert begun.to_ns == START_NS + 139 * 10**9, "with the last of them"
    reasons = [each.decision.reason for each in decided(store)]
    assert reasons.count(Reason.EXACT_DUPLICATE) == 69


def test_a_source_that_is_not_watched_has_no_alarms(tmp_path: Path) -> None:
    assert set(gauge(run(tmp_path, days(50, covered, 30, 50), alarms=False)).values()) == {0.0}
    assert recorded(tmp_path) == []


def test_a_kill_right_after_an_alarm_has_begun_leaves_it_known(tmp_path: Path) -> None:
    """Though what a camera taught is written down twice a minute only: it has to end one day."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        recorder = Recorder("yard", ledger, config_hash="c", model="blocks", retire=Retire.LEAVE)
        sifter = Sifter(LIMITS, blocks, Gallery(32), model="blocks")
        for each in days(41, covered, 30, 41):
            recorder.expect(each.frame_index)
            for verdict in sifter.offer(each):
                recorder.fill(verdict.decision, None)
            for alarm in sifter.take_alarms():
                recorder.alarm(alarm)
            if each.frame_index % 20 == 0:
                recorder.commit(sifter)
        (standing,) = ledger.alarms()
        state = ledger.state("yard")
    again = Sifter(LIMITS, blocks, Gallery(32), state, model="blocks")
    assert [(alarm.kind, alarm.from_ns) for alarm in again.alarms] == [
        (standing.kind, standing.from_ns)
    ]


def sources(store: Path, *names: str) -> Config:
    base, made = config(store), []
    for name in names:
        folder = store.parent / name
        folder.mkdir(exist_ok=True)
        made.append(SourceConfig.model_validate({"name": name, "directory": folder}))
    return base.model_copy(update={"sources": tuple(each.under(base.defaults) for each in made)})


def test_the_alarm_of_a_source_that_is_removed_ends_with_its_last_frame(tmp_path: Path) -> None:
    store, frames = tmp_path / "store", days(50, covered, 30, 50)
    run(store, frames)
    before = sources(store, "yard", "gate")
    after = before.model_copy(update={"sources": before.sources[1:]})
    with Engine(before, Metrics()) as engine:
        fleet = Fleet(engine, Liveness())
        fleet.begin(before.sources)
        (standing,) = recorded(store)
        assert standing.to_ns is None
        fleet.reload(after, reload_plan(before, after), 8.0)
        (ended,) = recorded(store)
        assert fleet.stop_all(8.0) == []
    assert ended.to_ns == frames[-1].captured_at_ns
    assert ended.detail == f"{standing.detail}; not over when the frames ended"


def test_an_alarm_ends_with_the_frames_and_goes_on_with_more_of_them(tmp_path: Path) -> None:
    store, frames = tmp_path / "store", days(80, covered, 30, 60)
    run(store, frames[:50])
    (standing,) = recorded(store)
    gate = sources(store, "gate")
    with Engine(gate, Metrics()) as engine:
        fleet = Fleet(engine, Liveness())
        fleet.begin(gate.sources)  # a daemon that was started again without the source
        assert fleet.stop_all(8.0) == []
    (ended,) = recorded(store)
    assert ended.to_ns == frames[49].captured_at_ns
    run(store, [])
    assert recorded(store) == [ended]
    run(store, frames[50:55])
    assert recorded(store) == [standing]
    run(store, frames[55:])
    assert recorded(store) == [replace(standing, to_ns=frames[60].captured_at_ns)]


def test_tidying_goes_on_after_an_error_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fleets, "_TIDY_EVERY_S", 0.01)
    tried: list[int] = []

    def fails_at_first(_go_on: object) -> None:
        tried.append(len(tried))
        if len(tried) < 4:
            raise RuntimeError("nobody thought of it")

    settings = sources(tmp_path / "store")
    with Engine(settings, Metrics()) as engine:
        monkeypatch.setattr(engine, "tidy", fails_at_first)
        fleet = Fleet(engine, Liveness())
        fleet.begin(())
        until(lambda: len(tried) > 5, "it is tried again")
        fleet.stop_all(8.0)
    assert caplog.messages == ["quarantine: unexpected; it is tried again"]


def test_a_clip_that_ends_in_trouble_ends_the_alarm(tmp_path: Path, stillsift: Command) -> None:
    clip = tmp_path / "yard.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 1.0, (320, 180))
    for number in range(190):
        writer.write(usual(min(number, 110)))
    writer.release()
    stillsift("sift", clip, "-o", tmp_path / "store")
    (alarm,) = json.loads(stillsift("alarms", "--store", tmp_path / "store", "--json").out)
    assert (alarm["kind"], alarm["seconds"]) == ("frozen", 78.0)
    assert alarm["detail"].endswith("; not over when the frames ended")
