"""The line for one source: what is no frame, what fails, and what a camera says on a bad day."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]  # ships no types

from conftest import Command
from footage import START_S, scene, write_clip, write_stills
from running import assert_agree, decided, kept_on_disk, story
from scripted import Script, config
from stillsift.config import SourceConfig
from stillsift.decisions import Decision, Outcome, Reason
from stillsift.embedding import Embedding, EmbedError
from stillsift.frames import ArrayPicture, Frame, Picture, TimeOrigin
from stillsift.ledger import LedgerError, LedgerReader
from stillsift.ledger.records import KeptFile
from stillsift.pipeline import Engine
from stillsift.service import Metrics
from stillsift.sources import Failed, Gap, Idle, Item, Overload
from stillsift.sources.files import arrivals
from stillsift.sources.files.clip import ClipReader
from stillsift.sources.picture import ConversionError

ORIGIN = "rtsp://yard/cam|1"


def frame(index: int, *, at_s: float | None = None) -> Frame:
    """A scene of its own, two seconds after the one before."""
    at_s = START_S + 2 * index if at_s is None else at_s
    picture = ArrayPicture(scene(index))
    return Frame("yard", ORIGIN, index, round(at_s * 1e9), TimeOrigin.PTS, picture)


def run(
    store: Path,
    items: Iterable[Item],
    *,
    min_free: int = 0,
    audit: float = 0,
    metrics: Metrics | None = None,
) -> Metrics:
    """The items of one camera through the whole line."""
    metrics = metrics or Metrics()
    settings = config(store, min_free)
    yard = SourceConfig.model_validate({"name": "yard", "rtsp": "rtsp://yard/cam", "audit": audit})
    with Engine(settings, metrics) as engine:
        line = engine.line(yard.under(settings.defaults))
        line.source = Script(items)
        line.run()
    return metrics


def accounts(metrics: Metrics) -> dict[str, float | None]:
    labels = {"source": "yard"}
    return {
        name: metrics.registry.get_sample_value(f"stillsift_frames_{name}", labels)
        for name in ("offered_total", "in_flight")
    }


def test_every_loss_is_one_entry_in_the_order_of_events(tmp_path: Path) -> None:
    ns = START_S * 10**9
    metrics = run(
        tmp_path,
        [
            frame(0),
            Overload(f"{ORIGIN}|overload 1", 1, ns, 540_000),
            Overload(f"{ORIGIN}|overload 2", 9, ns, 1),
            Failed(None, f"{ORIGIN}|damaged 1", 10, ns, "torn"),
            Failed(None, f"{ORIGIN}|damaged 2", 10, ns, "torn again"),
            frame(10),
            Gap(f"{ORIGIN}|gap", ns, ns + 3 * 10**9, "no answer"),
            Gap("rtsp://yard/cam|2|gap", ns + 4 * 10**9, ns + 5 * 10**9, "refused"),
            frame(20),
        ],
    )
    records = decided(tmp_path)
    reasons = [record.decision.reason for record in records]
    assert reasons[1:3] == [Reason.OVERLOAD] * 2
    assert reasons[3:5] == [Reason.DECODE_ERROR] * 2
    assert reasons[6:8] == [Reason.GAP] * 2
    assert [records[place].decision.frame_index for place in (0, 1, 5, 8)] == [0, 1, 10, 20]
    assert [record.decision.frames for record in records] == [1, 540_000, *[1] * 7]
    assert accounts(metrics) == {"offered_total": 540_008, "in_flight": 0}
    assert metrics.totals()[Reason.OVERLOAD] == 540_001
    with LedgerReader(tmp_path / "ledger.sqlite") as ledger:
        assert [(gap.cause, gap.to_ns - gap.from_ns) for gap in ledger.gaps()] == [
            ("no answer", 3 * 10**9),
            ("refused", 10**9),
        ]
    assert gap_seconds(metrics) == 4
    assert_agree(tmp_path)


def gap_seconds(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("stillsift_gap_seconds_total", {"source": "yard"})


def test_a_camera_that_never_answered_is_a_gap_and_no_lost_frame(tmp_path: Path) -> None:
    ns = START_S * 10**9
    metrics = run(tmp_path, [Gap(f"{ORIGIN}|gap", ns, ns + 9 * 10**9, "no answer", answered=False)])
    assert not decided(tmp_path)
    assert accounts(metrics) == {"offered_total": 0, "in_flight": 0}
    assert gap_seconds(metrics) == 9
    with LedgerReader(tmp_path / "ledger.sqlite") as ledger:
        assert [gap.cause for gap in ledger.gaps()] == ["no answer"]


def test_an_outage_counts_while_it_lasts_and_once_in_all(tmp_path: Path) -> None:
    ns = START_S * 10**9
    metrics = Metrics()
    seen: list[float | None] = []

    def items() -> Iterator[Item]:
        for away_s in (0, 2, 5):
            yield Idle(away_s=away_s)
            seen.append(gap_seconds(metrics))
        yield Gap(f"{ORIGIN}|gap", ns, ns + 4 * 10**9, "no answer")
        seen.append(gap_seconds(metrics))
        for away_s in (0, 3):
            yield Idle(away_s=away_s)
            seen.append(gap_seconds(metrics))

    run(tmp_path, items(), metrics=metrics)
    assert seen == [0, 2, 5, 5, 5, 7], "a counter never falls"


def test_the_limits_in_force_are_those_of_the_last_frame_they_were_asked_for(
    tmp_path: Path,
) -> None:
    soft = [cv2.GaussianBlur(scene(0), (0, 0), 0.1 + number % 7 / 3) for number in range(20)]
    pictures = [ArrayPicture(np.asarray(pixels, np.uint8)) for pixels in soft]
    frames = [replace(frame(number), picture=each) for number, each in enumerate(pictures)]
    metrics = run(tmp_path, frames)
    records = decided(tmp_path)
    for limit in ("novelty_limit", "sharpness_limit"):
        values = [getattr(record.decision, limit) for record in records]
        known = [value for value in values if value is not None]
        shown = metrics.registry.get_sample_value(f"stillsift_{limit}", {"source": "yard"})
        assert shown == known[-1] > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [(EmbedError("NaN"), Reason.MODEL_ERROR), (ConversionError("odd"), Reason.DECODE_ERROR)],
)
def test_frames_that_cannot_be_measured_cost_no_other_and_are_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: Reason,
) -> None:
    embed, asked = Engine._embed, iter(range(100))

    def failing(self: Engine, picture: Picture) -> Embedding:
        if next(asked) in (1, 2, 4):
            raise error
        return embed(self, picture)

    monkeypatch.setattr(Engine, "_embed", failing)
    with caplog.at_level(logging.WARNING):
        metrics = run(tmp_path, map(frame, range(7)))
    records = decided(tmp_path)
    assert [record.decision.frame_index for record in records] == list(range(7))
    failed = [r.decision.frame_index for r in records if r.decision.reason is reason]
    assert failed == [1, 2, 4]
    assert accounts(metrics) == {"offered_total": 7, "in_flight": 0}
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 2, "once for each time that it began"
    assert "frame#1" in told[0].message
    assert sum("over: frames cannot be measured" in r.message for r in caplog.records) == 2
    assert_agree(tmp_path)


def test_a_camera_s_frames_fail_while_there_is_no_room_and_that_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        metrics = run(tmp_path, map(frame, range(4)), min_free=1 << 60)
    records = decided(tmp_path)
    assert [record.decision.frame_index for record in records] == list(range(4))
    outcomes = [record.decision.outcome for record in records]
    assert Outcome.KEPT not in outcomes
    assert outcomes == [Outcome.FAILED] * 4
    named = [record.decision.nearest_kept for record in records]
    assert named == [None] * 4, "what was not kept is nothing to compare with"
    assert accounts(metrics) == {"offered_total": 4, "in_flight": 0}
    assert sum("nothing can be kept" in record.message for record in caplog.records) == 1
    assert "min_free" in caplog.text


def test_the_libraries_have_no_threads_beside_those_of_the_sources(tmp_path: Path) -> None:
    """Those of OpenBLAS spin while they wait: a core or more for nothing."""
    cv2.setNumThreads(2)
    threadpool_limits(2, user_api="blas")
    run(tmp_path, [frame(0)])
    assert cv2.getNumThreads() == 1
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert [pool["num_threads"] for pool in pools] == [1] * len(pools)


def test_a_camera_is_ready_again_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not only when the next frame is kept, which may be hours later."""
    clock = [0.0]
    monkeypatch.setattr("stillsift.pipeline.line.time.monotonic", lambda: clock[0])
    settings = config(tmp_path, min_free=1 << 60)
    yard = SourceConfig.model_validate({"name": "yard", "rtsp": "rtsp://yard/cam"})
    told: list[str | None] = []
    with Engine(settings, Metrics()) as engine:
        line = engine.line(yard.under(settings.defaults))
        assert engine.storage is not None
        store = engine.storage.store

        def items() -> Iterator[Item]:
            yield frame(0)
            for min_free, step_s in ((1 << 60, 60), (1 << 60, 60), (0, 1), (0, 60)):
                store.min_free = min_free
                clock[0] += step_s
                yield Idle(away_s=60)
                told.append(line.trouble)

        line.source = Script(items())
        line.run()
    full, still_full, asked_too_soon, over = told
    assert full is not None
    assert "nothing can be kept" in full
    assert still_full == asked_too_soon == full
    assert over is None


def test_a_sample_of_the_audit_for_which_there_is_no_room_is_dropped_as_it_was_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def again(first: int) -> list[Item]:
        """One scene three times, two seconds apart."""
        return [replace(frame(0), frame_index=n, **_at(n)) for n in range(first, first + 3)]

    run(tmp_path, again(0), audit=1)
    run(tmp_path, again(3), audit=1, min_free=1 << 60)
    reasons = [record.decision.reason for record in decided(tmp_path)]
    assert reasons == [Reason.NOVEL, *[Reason.AUDIT] * 2, *[Reason.NEAR_DUPLICATE] * 3]
    assert sum("nothing can be kept" in record.message for record in caplog.records) == 1
    assert_agree(tmp_path)


def _at(index: int) -> dict[str, Any]:
    return {"captured_at_ns": (START_S + 2 * index) * 10**9}


def test_a_camera_that_goes_away_has_its_last_frames_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment that waits for a better frame does not wait for ever."""
    clock = [0.0]
    monkeypatch.setattr("stillsift.pipeline.line.time.monotonic", lambda: clock[0])
    seen: list[int] = []

    def items() -> Iterator[Item]:
        yield frame(0)
        for away_s in (0.0, 1.0, 60.0):
            clock[0] += 60
            yield Idle(away_s=away_s)
            seen.append(len(decided(tmp_path)))

    run(tmp_path, items())
    assert seen == [0, 0, 1]


def test_a_camera_that_stalls_is_decided_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three seconds without data its stream goes on where it stopped."""
    clock = [0.0]
    monkeypatch.setattr("stillsift.pipeline.line.time.monotonic", lambda: clock[0])
    blurred = np.asarray(cv2.GaussianBlur(scene(1), (0, 0), 4), np.uint8)
    pictures = [scene(0)] * 20 + [blurred] * 2 + [scene(1)] * 20
    frames = [
        replace(frame(index, at_s=START_S + index / 5), picture=ArrayPicture(picture))
        for index, picture in enumerate(pictures)
    ]

    def stalling() -> Iterator[Item]:
        yield from frames[:22]
        for _ in range(3):
            clock[0] += 1
            yield Idle()
        yield from frames[22:]

    run(tmp_path / "steady", frames)
    run(tmp_path / "stalling", stalling())
    assert story(tmp_path / "stalling") == story(tmp_path / "steady")
    kept = [r.decision.frame_index for r in decided(tmp_path / "steady") if r.kept_path]
    assert kept[1] >= 22, "the sharp one was kept"


def test_only_transactions_count_as_writes_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a frame that waits nothing can be recorded, however often that is tried."""
    clock = [0.0]
    monkeypatch.setattr("stillsift.pipeline.line.time.monotonic", lambda: clock[0])

    def items() -> Iterator[Item]:
        yield frame(0)
        yield Overload(f"{ORIGIN}|overload", 1, START_S * 10**9, 1)
        for _ in range(3):
            clock[0] += 0.5
            yield Idle()

    metrics = run(tmp_path, items())
    assert len(decided(tmp_path)) == 2
    assert metrics.registry.get_sample_value("stillsift_ledger_write_seconds_count") == 1


@pytest.mark.parametrize("live", [True, False])
def test_a_moment_that_is_cut_off_is_decided_for_a_camera_and_read_again_from_a_file(
    tmp_path: Path, live: bool
) -> None:
    """A stop must not decide what the frames still to come would have decided otherwise."""
    place = {"rtsp": "rtsp://yard/cam"} if live else {"directory": tmp_path}
    settings = config(tmp_path / "store")
    yard = SourceConfig.model_validate({"name": "yard", **place}).under(settings.defaults)
    with Engine(settings, Metrics()) as engine:
        line = engine.line(yard)

        def items() -> Iterator[Item]:
            yield frame(0)
            line.stop()

        line.source = Script(items())
        line.run()
    assert len(decided(tmp_path / "store")) == (1 if live else 0)


def test_an_original_that_nothing_shows_any_more_is_read_again_at_once(tmp_path: Path) -> None:
    """Its kept frame is removed between the record and the removal of the original."""
    gate = tmp_path / "gate"
    write_stills(gate, [1])
    (gate / "near.png").write_bytes(cv2.imencode(".png", scene(1))[1].tobytes())
    settings = config(tmp_path / "store")
    source = SourceConfig.model_validate(
        {"name": "gate", "directory": gate, "settle": 0, "max_silence": 0, "retire": "delete"}
    )
    decisions: list[Decision] = []

    def remove_kept(decision: Decision, _kept: KeptFile | None) -> None:
        decisions.append(decision)
        if len(decisions) == 2:
            for path in kept_on_disk(tmp_path / "store"):
                (tmp_path / "store" / path).unlink()
        if len(decisions) == 4:
            line.stop()

    with Engine(settings, Metrics()) as engine:
        line = engine.line(source.under(settings.defaults), on_decision=remove_kept)
        line.run()
    assert [d.file.name for d in decisions if d.file] == 2 * ["img1.jpg", "near.png"]
    assert [d.reason for d in decisions] == 2 * [Reason.NOVEL, Reason.NEAR_DUPLICATE]
    assert len(kept_on_disk(tmp_path / "store")) == 1
    assert list(gate.iterdir()) == [], "shown again, and retired"
    assert_agree(tmp_path / "store")


def test_a_clip_whose_disk_failed_while_it_was_read_is_no_copy_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    write_clip(gate / "a.mp4", [1, 2], frames=5)
    items_of = ClipReader.items_of
    failures = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def failing(reader: ClipReader, data: BinaryIO) -> Iterator[Item]:
        for number, item in enumerate(items_of(reader, data)):
            yield item
            if number == 4 and failures:
                raise failures.pop()

    monkeypatch.setattr(ClipReader, "items_of", failing)
    monkeypatch.setattr(arrivals, "_AGAIN_S", 0.5)
    settings = config(tmp_path / "store")
    source = SourceConfig.model_validate(
        {"name": "gate", "directory": gate, "settle": 0, "max_silence": 0, "retire": "delete"}
        | {"rate": "all"}
    )

    def stop_at_end(decision: Decision, _kept: KeptFile | None) -> None:
        if decision.frame_index == 9:
            line.stop()

    with Engine(settings, Metrics()) as engine:
        line = engine.line(source.under(settings.defaults), on_decision=stop_at_end)
        line.run()
    told = [r.decision for r in decided(tmp_path / "store")]
    assert sorted(d.frame_index for d in told if d.reason is not Reason.DECODE_ERROR) == [
        *range(10)
    ]
    assert list(gate.iterdir()) == [], "read whole, and retired"


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_a_line_that_cannot_be_made_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again every minute."""
    settings = config(tmp_path / "store")
    gate = SourceConfig.model_validate({"name": "gate", "directory": tmp_path})
    with Engine(settings, Metrics()) as engine:
        before = open_files()

        def broken(*_: object) -> None:
            raise LedgerError("a row is damaged")

        monkeypatch.setattr(engine.ledger, "gallery", broken)
        for _ in range(3):
            with pytest.raises(LedgerError):
                engine.line(gate.under(settings.defaults))
        assert open_files() == before


def test_a_clip_that_ends_in_the_middle_of_a_moment_is_decided_to_its_end(
    stillsift: Command, tmp_path: Path
) -> None:
    write_clip(tmp_path / "a.mp4", [1], frames=3)
    stillsift("sift", tmp_path / "a.mp4", "-o", tmp_path / "out", "--set", "rate=all")
    assert [r.decision.frame_index for r in decided(tmp_path / "out")] == [0, 1, 2]
    with LedgerReader(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert ledger.files("a")[0].next_frame == 3
