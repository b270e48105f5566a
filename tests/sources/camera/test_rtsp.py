"""The RTSP source against a real camera on loopback, with every fault a camera has."""

from __future__ import annotations

import logging
import math
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras import Camera, Watching, anything, is_frame, source
from running import free_port
from stillsift.frames import Frame, TimeOrigin
from stillsift.sources import Failed, Gap, Idle, Overload
from stillsift.sources.camera.stream_clock import StreamClock
from stillsift.sources.pace import LivePace


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_plays(transport: str, streams: list[Path], started: Callable[..., Any]) -> None:
    camera = started(Camera, streams)
    begun_ns = time.time_ns()
    watching = started(Watching, source(camera.url, transport=transport, rate=5))
    frames = [watching.frame() for _ in range(8)]

    pts = [frame.pts_s for frame in frames]
    assert pts[0] == 0
    assert np.diff(pts) == pytest.approx(0.2, abs=0.05)
    indices = [frame.frame_index for frame in frames]
    assert np.diff(indices).tolist() == pytest.approx([5] * 7, abs=1)
    assert (frames[0].picture.width, frames[0].picture.height) == (320, 240)
    assert frames[0].picture.bgr().max() > 180, "the bar is bright"
    assert frames[0].captured_at_origin is TimeOrigin.PTS
    for frame in frames:
        assert begun_ns <= frame.captured_at_ns <= time.time_ns()
        assert frame.pts_s is not None
        since_first_ns = frame.captured_at_ns - frames[0].captured_at_ns
        assert since_first_ns == pytest.approx(frame.pts_s * 1e9, abs=3e8)
    assert len({frame.id for frame in frames}) == 8
    assert watching.source.up
    assert not [item for item in watching.rest() if isinstance(item, Gap)]
    assert not watching.source.up


def test_a_picture_that_stands_is_looked_at_although_it_is_not_due(
    streams: list[Path], started: Callable[..., Any]
) -> None:
    camera = started(Camera, streams)
    watching = started(Watching, source(camera.url, rate=1))
    due = [watching.frame(), watching.frame()][-1]
    time.sleep(0.3)
    camera.tell("fps 0.7")  # the next frame is not due, and stands for 1.4 s
    stood, after = watching.frame(), watching.frame()
    assert stood.pts_s is not None
    assert due.pts_s is not None
    assert after.pts_s is not None
    assert stood.pts_s - due.pts_s < 0.9
    assert after.frame_index == stood.frame_index + 1
    assert after.pts_s - stood.pts_s == pytest.approx(1 / 0.7, abs=0.1)


def test_a_killed_camera_is_called_again_and_the_gap_told(
    streams: list[Path], started: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera = started(Camera, streams)
    watching = started(Watching, source(camera.url, rate=5))
    before = [watching.frame(), watching.frame()][-1]
    camera.kill()
    killed_ns = time.time_ns()
    time.sleep(1.5)  # away for longer than several calls take
    started(Camera, streams, port=camera.port)

    gap = watching.gap()
    after = watching.frame()
    assert before.captured_at_ns <= gap.from_ns <= killed_ns
    assert gap.to_ns == after.captured_at_ns
    assert gap.to_ns - killed_ns > 1e9
    assert gap.cause
    assert after.origin != before.origin
    assert after.frame_index == 0
    assert watching.source.reconnects == 1
    lost = [line for line in caplog.messages if "calling again" in line]
    assert len(lost) == 1, "one line however often it is called"


@pytest.mark.parametrize("fault", ["frozen", "stalled"])
def test_a_camera_that_gives_nothing_is_noticed_in_time(
    fault: str, streams: list[Path], started: Callable[..., Any]
) -> None:
    camera = started(Camera, streams)
    watching = started(Watching, source(camera.url, timeout_s=2.0))
    watching.frame()
    if fault == "frozen":
        camera.signal(signal.SIGSTOP)
    else:
        camera.tell("stall")
    silent = time.monotonic()
    while watching.source.up:
        watching.until(anything, 8)
    assert time.monotonic() - silent < 4, "the time-out is 2 s"
    if fault == "frozen":
        camera.signal(signal.SIGCONT)
    else:
        camera.tell("go")
    gap = watching.gap()
    assert gap.cause in ("no frame for 2 s", "no data for 2 s")
    assert watching.frame().captured_at_ns >= gap.to_ns


def test_a_wrong_password_is_not_hammered_and_not_told(
    streams: list[Path], started: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    camera = started(Camera, streams, "--user", "viewer", "--password", "right")
    wrong = "s3cr/t:@%41"
    watching = started(Watching, source(camera.url, user="viewer", password=wrong))
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        assert isinstance(watching.until(anything, 3), Idle)
    (gap,) = [item for item in watching.rest() if isinstance(item, Gap)]

    assert len([line for line in caplog.messages if "refuses the user or password" in line]) == 1
    assert not [line for line in caplog.messages if "calling again" in line]
    said = caplog.text + repr(gap) + repr(vars(watching.source))
    assert "s3cr" not in said
    assert camera.url in caplog.text


def test_a_password_with_every_awkward_character_opens(
    streams: list[Path], started: Callable[..., Any]
) -> None:
    password = "p@ss/w:r d%41?#&="
    camera = started(Camera, streams, "--user", "viewer", "--password", password)
    frame = started(Watching, source(camera.url, user="viewer", password=password)).frame()
    assert "viewer" not in frame.origin
    assert frame.origin.startswith(camera.url + "|")


def test_the_picture_changes_its_size(streams: list[Path], started: Callable[..., Any]) -> None:
    camera = started(Camera, streams)
    watching = started(Watching, source(camera.url, rate=10))
    assert watching.frame().picture.width == 320
    camera.tell("file 1")
    large = watching.until(lambda item: isinstance(item, Frame) and item.picture.width == 640)
    assert isinstance(large, Frame)
    assert large.picture.bgr().shape == (360, 640, 3)
    assert large.picture.rgb(224, 126).shape == (126, 224, 3)


OTHER_CODECS = {"hevc": (2, 640, 480), "mjpeg": (3, 480, 272), "h264": (0, 320, 240)}
"""Which stream has the codec, and its size."""


ROOM = 64
"""In the queue, for the second of frames that FFmpeg hands out at once when it has opened."""


def assert_goes_on(before: Frame, gap: Gap, after: list[Frame], codec: str) -> None:
    """Frames of the other codec follow the gap: whole, of its size, and later than all before."""
    assert 0 <= gap.from_ns - before.captured_at_ns < 1e8, "from the last frame, looked at or not"
    assert gap.to_ns == after[0].captured_at_ns
    taken = [before.captured_at_ns, *(each.captured_at_ns for each in after)]
    assert taken == sorted(set(taken)), "captured times rise"
    assert after[0].pts_s == 0
    assert np.diff([each.pts_s or 0.0 for each in after]) == pytest.approx(0.1, abs=0.05)
    assert {each.origin for each in after} == {after[0].origin} != {before.origin}
    _, width, height = OTHER_CODECS[codec]
    for each in after:
        assert (each.picture.width, each.picture.height) == (width, height)
        row = each.picture.bgr()[height // 2].astype(int)
        assert np.count_nonzero(abs(row - 220) < 12) >= 3 * 16, "the bar"
        assert np.count_nonzero(abs(row - 60) < 12) >= 3 * (width - 28), "and what is beside it"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_changes_its_codec_goes_on_in_the_next_connection(
    transport: str,
    streams: list[Path],
    started: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    camera = started(Camera, streams)
    options = {"transport": transport, "rate": 10, "queue_frames": ROOM}
    watching = started(Watching, source(camera.url, **options))
    watching.frame()
    begun = watching.source.reconnects
    for codec, (number, *_) in OTHER_CODECS.items():
        camera.tell(f"file {number}")
        gap = watching.gap()
        before = [item for item in watching.items if isinstance(item, Frame)][-1]
        assert gap.cause == "the camera ended the stream"
        assert_goes_on(before, gap, [watching.frame() for _ in range(4)], codec)
        assert f"cam: connected, {codec} over {transport}" in caplog.messages
    assert watching.source.reconnects == begun + 3
    assert {type(item) for item in watching.items} <= {Frame, Gap, Idle}, "nothing is damaged"


def test_a_camera_that_changes_its_codec_without_a_word_is_called_again(
    streams: list[Path], started: Callable[..., Any]
) -> None:
    """Data keeps coming, but none that the codec of the connection makes a picture of."""
    camera = started(Camera, streams)
    watching = started(Watching, source(camera.url, rate=10, timeout_s=2.0, queue_frames=ROOM))
    watching.frame()
    camera.tell(f"slip {OTHER_CODECS['hevc'][0]}")
    gap = watching.gap()
    before = [item for item in watching.items if isinstance(item, Frame)][-1]
    assert gap.cause == "no frame for 2 s"
    assert_goes_on(before, gap, [watching.frame() for _ in range(4)], "hevc")
    assert sum(isinstance(item, Failed) for item in watching.items) <= 1, "one stretch of damage"


def test_frames_that_wait_too_long_are_given_up_and_counted(
    streams: list[Path], started: Callable[..., Any]
) -> None:
    camera = started(Camera, streams)
    slow = source(camera.url, queue_frames=3)
    items = slow.items()
    first = next(item for item in items if isinstance(item, Frame))
    assert slow.queued <= 3
    time.sleep(2)  # analysis that takes this long
    after = []
    for item in items:
        after.append(item)
        if sum(map(is_frame, after)) == 6:
            break
    slow.stop()
    assert list(map(type, after[:4])) == [Overload, Frame, Frame, Frame]
    overload = after[0]
    assert isinstance(overload, Overload)
    assert overload.frame_index == first.frame_index + 1
    assert overload.frames >= 30, "2 s at 25/s, less the queue"
    # Every frame is either lost or told: no index is missing. What is lost after that comes last.
    frames = [item.frame_index for item in after if isinstance(item, Frame)]
    lost = sum(item.frames for item in [*after, *items] if isinstance(item, Overload))
    assert lost >= frames[-1] - first.frame_index - len(frames)
    assert frames[0] >= overload.frame_index + overload.frames
    items.close()  # type: ignore[attr-defined]


def test_stop_ends_within_a_second_also_while_connecting() -> None:
    with socket.socket() as mute:  # takes the call and never answers
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        watching = Watching(source(f"rtsp://127.0.0.1:{mute.getsockname()[1]}/cam"))
        watching.until(lambda item: isinstance(item, Idle))
        begun = time.monotonic()
        assert not any(map(is_frame, watching.rest()))
        assert time.monotonic() - begun < 1


def test_a_duration_ends_it_though_the_camera_never_answers() -> None:
    begun = time.monotonic()
    items = list(source(f"rtsp://127.0.0.1:{free_port()}/cam", duration_s=1.5).items())
    assert 1.4 < time.monotonic() - begun < 3
    (gap,) = [item for item in items if isinstance(item, Gap)]
    assert gap.cause == "Connection refused"
    assert gap.to_ns - gap.from_ns > 1e9


SECOND = 10**9


def test_captured_times_follow_presentation_times_and_not_arrival() -> None:
    clock = StreamClock(started_ns=1000 * SECOND)
    # Opened after 1.1 s, then a second of buffered frames at once, then live.
    burst = [clock.at(number / 25, 1001 * SECOND + 10**8 + number) for number in range(25)]
    assert np.diff(burst).tolist() == [SECOND // 25] * 24
    assert burst[0] == 1000 * SECOND
    assert clock.at(1.2, 1002 * SECOND) == 1000 * SECOND + 1_200_000_000


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 2**32 / 90000])
def test_presentation_times_that_jump_leave_captured_times_sane(jump_s: float) -> None:
    clock = StreamClock(started_ns=1000 * SECOND)
    times = [
        clock.at(number + (jump_s if number >= 10 else 0), (1000 + number) * SECOND + 1)
        for number in range(20)
    ]
    assert np.diff(times).tolist() == pytest.approx([SECOND] * 19, abs=2)


def test_a_camera_clock_that_runs_fast_never_leads_to_the_future() -> None:
    clock = StreamClock(started_ns=0)
    for number in range(1000):
        arrived_ns = number * SECOND
        at_ns = clock.at(number * 1.001, arrived_ns)
        assert arrived_ns - SECOND < at_ns <= arrived_ns + 1


def at_the_end(rate: float, fps: int, seconds: int, stall_at: float = math.inf) -> StreamClock:
    """A clock after a stream whose time passes at `rate`; what a network holds back comes 3 s late,
    all at once."""
    clock = StreamClock(started_ns=0)
    for number in range(fps * seconds):
        arrived_s = number / fps
        if stall_at <= arrived_s < stall_at + 3:
            arrived_s = stall_at + 3
        clock.at(rate * number / fps, round(arrived_s * SECOND))
    return clock


@pytest.mark.parametrize("fps", [1, 10, 25])
@pytest.mark.parametrize("rate", [0, 0.01, 0.5])
def test_stream_time_that_does_not_keep_up_is_noticed_within_seconds(fps: int, rate: float) -> None:
    assert at_the_end(rate, fps, 3 if fps > 3 else 12).by_arrival


@pytest.mark.parametrize("rate", [0.99, 1, 1.01, 10])
def test_stream_time_that_keeps_up_is_trusted(rate: float) -> None:
    assert not at_the_end(rate, 25, 20).by_arrival


@pytest.mark.parametrize("stall_at", [2.0, 2.5, 2.96, 3.0])
def test_a_network_that_holds_frames_back_for_a_while_changes_no_captured_time(
    stall_at: float,
) -> None:
    clock = at_the_end(1, 25, 10, stall_at)
    assert not clock.by_arrival
    assert clock.at(10, 10 * SECOND) == 10 * SECOND


def test_a_stream_that_keeps_up_again_is_trusted_again() -> None:
    clock = StreamClock(started_ns=0)
    times = [
        clock.at(max(0.0, number / 25 - 5), number * SECOND // 25 + 1) for number in range(25 * 12)
    ]
    assert not clock.by_arrival
    assert times == sorted(set(times))
    assert np.diff(times[-50:]).tolist() == pytest.approx([SECOND / 25] * 49, abs=2)


def taken(rate: float | None, times_s: Iterable[float]) -> int:
    pace = LivePace(rate)
    return sum(pace.takes(round(time_s * SECOND)) for time_s in times_s)


def test_live_frames_are_taken_as_they_fall_due() -> None:
    assert taken(None, [0, 0, 0]) == 3
    assert taken(5, [number / 25 for number in range(250)]) == pytest.approx(50, abs=1)
    assert taken(5, [number / 6 for number in range(60)]) == pytest.approx(50, abs=1)
    jitter = [number / 5 + (0.04 if number % 3 else 0) for number in range(50)]
    assert taken(5, jitter) == 50, "a camera that gives just the wanted rate loses none"
    assert taken(5, [number / 25 - (3600 if number > 50 else 0) for number in range(100)]) >= 20
    with pytest.raises(ValueError, match="more than 0"):
        LivePace(0)
