"""The RTSP source against cameras that do what cameras in the field do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from cameras import Watching, source
from odd_camera import OddCamera, Unit, units
from running import until
from stillsift.frames import Frame
from stillsift.sources import Gap, Idle, Item, Overload
from stillsift.sources.camera import connection, inbox, rtsp
from stillsift.sources.camera.address import CameraAddress
from stillsift.sources.camera.connection import Connection
from stillsift.sources.camera.enquiry import Refusal, ask

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def plain() -> list[Unit]:
    return units()


def rate_of(frames: list[Frame]) -> float:
    """Frames per second of the time at which they were taken."""
    taken_ns = [frame.captured_at_ns for frame in frames]
    assert taken_ns == sorted(set(taken_ns))
    return (len(frames) - 1) * 1e9 / (taken_ns[-1] - taken_ns[0])


# --- time in the stream


@pytest.mark.parametrize("ticks", [9, 45_000])
def test_frames_are_taken_by_arrival_where_stream_time_does_not_keep_up(
    ticks: int, plain: list[Unit], started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts thousandths of what it should, or runs five times too fast."""
    camera = started(OddCamera, [plain], fps=10, ticks=ticks)
    watching = started(Watching, source(camera.url, rate=5))
    found = [watching.frame() for _ in range(15)]
    # Not before the third: the second took until it was known. Less where the machine is busy.
    assert 2 < rate_of(found[2:]) < 6
    assert abs(found[-1].captured_at_ns - time.time_ns()) < 2e9
    told = [line for line in caplog.messages if "do not keep up with the clock" in line]
    assert len(told) == (ticks < 9000), "once"


@pytest.mark.parametrize("presentation", [True, False])
def test_frames_out_of_order_are_analysed_at_the_wanted_rate(
    presentation: bool, started: Start
) -> None:
    """Also from cameras that number B frames in the order of decoding: times go to and fro then."""
    camera = started(OddCamera, [units(b_frames=3)], presentation=presentation)
    watching = started(Watching, source(camera.url, rate=5))
    assert 2 < rate_of([watching.frame() for _ in range(15)]) < 6


def test_the_first_frame_of_a_slow_camera_comes_with_its_first_packets(
    plain: list[Unit], started: Start
) -> None:
    camera = started(OddCamera, [plain], fps=1)
    watching = started(Watching, source(camera.url, timeout_s=2.5))
    first, second = watching.frame(2.5), watching.frame(2.5)
    assert (first.frame_index, second.frame_index) == (0, 1)
    assert second.pts_s == pytest.approx(1)
    assert camera.plays == 1
    assert not [item for item in watching.items if isinstance(item, Gap)]


# --- key frames


def test_packets_are_a_sign_of_life_while_a_key_frame_is_waited_for(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    camera = started(OddCamera, [units(key_every=50)], begin=5, fps=12)
    watching = started(Watching, source(camera.url, timeout_s=1.0))
    assert watching.frame(8).frame_index == 0
    assert camera.plays == camera.most_open == 1
    assert not [item for item in watching.items if isinstance(item, Gap)]
    waits = [line for line in caplog.messages if "waiting for a key frame" in line]
    assert len(waits) == 1


def test_a_connection_that_was_left_is_closed_before_the_next_call(
    started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtsp, "_KEY_FRAME_S", 0.3)
    keyless = [unit for unit in units() if not unit.key]
    camera = started(OddCamera, [keyless])
    watching = started(Watching, source(camera.url, timeout_s=0.3))
    while camera.plays < 4:
        assert isinstance(watching.until(lambda _: True, 5), Idle)
    watching.rest()
    assert camera.most_open == 1


def test_a_source_begun_again_waits_for_the_connection_of_the_one_before(
    plain: list[Unit], started: Start
) -> None:
    """As after a reload, while FFmpeg still blocks in a read."""
    camera = started(OddCamera, [plain])
    before = started(Watching, source(camera.url, timeout_s=2.0))
    before.frame()
    camera.silent.add(0)
    time.sleep(0.2)
    before.rest()
    after = started(Watching, source(camera.url, timeout_s=2.0))
    camera.silent.clear()
    after.frame()
    assert camera.plays == 2
    assert camera.most_open == 1


# --- refusals


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("DESCRIBE", "403 Forbidden"),
        ("DESCRIBE", "453 Not Enough Bandwidth"),
        ("DESCRIBE", "503 Service Unavailable"),
        ("SETUP", "453 Not Enough Bandwidth"),
    ],
)
def test_a_refusal_is_told_by_its_number_and_tried_again_soon(
    method: str,
    answer: str,
    plain: list[Unit],
    started: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    camera = started(OddCamera, [plain], answers={method: answer})
    watching = started(Watching, source(camera.url))
    while camera.requests.count(method) < 8:
        assert isinstance(watching.until(lambda _: True, 5), Idle)
    camera.answers.clear()
    gap = watching.gap()
    assert gap.cause == f"the camera answers {answer}"
    assert not gap.answered
    assert len([line for line in caplog.messages if answer in line]) == 1
    watching.frame()
    assert camera.most_open == 1


@pytest.mark.parametrize("answers", [{}, {"SETUP": "453 Not Enough Bandwidth"}])
def test_a_length_that_is_no_number_ends_no_source(
    answers: dict[str, str], plain: list[Unit], started: Start
) -> None:
    """Python reads no number of more than 4300 digits. Also where the refusal is asked for."""
    camera = started(OddCamera, [plain], answers=answers)
    camera.headers["SETUP"] = camera.headers["DESCRIBE"] = f"Content-Length: {5000 * '1'}"
    watching = started(Watching, source(camera.url))
    if answers:
        while camera.requests.count("SETUP") < 8:
            assert isinstance(watching.until(lambda _: True, 5), Idle)
        camera.answers.clear()
    watching.frame()


def test_a_reader_that_fails_in_an_unforeseen_way_ends_in_a_sentence(
    plain: list[Unit],
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("as none should")

    monkeypatch.setattr(connection, "refusal_of_setup", fails)
    camera = started(OddCamera, [plain], answers={"SETUP": "453 Not Enough Bandwidth"})
    watching = started(Watching, source(camera.url))
    until(lambda: "the reader of" in caplog.text, "the log")
    camera.answers.clear()
    assert watching.gap().cause == "internal error"


def test_a_header_without_end_holds_back_no_other_thread(plain: list[Unit], started: Start) -> None:
    camera = started(OddCamera, [plain], answers={"DESCRIBE": "401 Unauthorized"})
    for length in (8000, 500_000):
        camera.headers["DESCRIBE"] = f"WWW-Authenticate: Digest {length * 'a'}"
        begun = time.process_time()
        with suppress(Refusal):
            ask(CameraAddress.parse(camera.url), 5.0)
        assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("digest", "user", "password", "cause"),
    [
        ("MD5", "viewer", "wrong", "the camera refuses the user or password"),
        ("MD5", None, None, "the camera asks for a user and password, and none is set"),
        ("SHA-256", "viewer", "right", "a SHA-256 digest, which FFmpeg does not know"),
    ],
)
def test_a_login_that_is_not_let_in_waits_long_and_says_why(
    digest: str,
    user: str | None,
    password: str | None,
    cause: str,
    plain: list[Unit],
    started: Start,
    caplog: pytest.LogCaptureFixture,
) -> None:
    camera = started(OddCamera, [plain], digest=digest)
    watching = started(Watching, source(camera.url, user=user, password=password))
    assert isinstance(watching.until(lambda _: True, 5), Idle)
    until(lambda: caplog.records, "the log")
    assert camera.requests.count("DESCRIBE") <= 2, "the challenge, and at most one answer"
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert cause in line.message
    assert line.message.endswith("the next call is in 300 s")


def test_a_right_digest_is_let_in(plain: list[Unit], started: Start) -> None:
    camera = started(OddCamera, [plain], digest="MD5")
    started(Watching, source(camera.url, user="viewer", password="right")).frame()


def test_redirects_that_lead_nowhere_are_followed_a_few_times_only(
    plain: list[Unit], started: Start
) -> None:
    camera = started(OddCamera, [plain])
    camera.redirect = camera.url
    watching = started(Watching, source(camera.url))
    for _ in range(2):
        assert isinstance(watching.until(lambda _: True, 5), Idle)
    assert 0 < camera.requests.count("DESCRIBE") <= 6 * 6
    camera.redirect = None
    assert watching.gap().cause == "the camera's redirects lead nowhere"


def test_a_redirect_to_another_camera_is_followed_with_the_login(
    plain: list[Unit], started: Start
) -> None:
    there = started(OddCamera, [plain], digest="MD5")
    here = started(OddCamera, [plain], redirect=there.url)
    watching = started(Watching, source(here.url, user="viewer", password="right"))
    assert watching.frame().origin.startswith(here.url)
    assert here.plays == 0


# --- tracks


@pytest.mark.parametrize("sizes", [[(160, 90), (640, 360)], [(640, 360), (160, 90)]])
def test_of_several_video_tracks_the_largest_is_read(
    sizes: list[tuple[int, int]], started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    camera = started(OddCamera, [units(*size) for size in sizes])
    watching = started(Watching, source(camera.url, rate=5))
    pictures = [watching.frame().picture for _ in range(3)]
    assert {(picture.width, picture.height) for picture in pictures} == {(640, 360)}
    (line,) = [line for line in caplog.messages if "2 video tracks" in line]
    assert "(640x360) is read" in line
    assert "(160x90)" in line


# --- what is told


def test_an_outage_is_told_while_it_lasts(
    plain: list[Unit],
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rtsp, "_FIRST_REMINDER_S", 1.0)
    camera = started(OddCamera, [plain])
    watching = started(Watching, source(camera.url))
    watching.frame()
    camera.kill()
    aways: list[float] = []
    while not aways or aways[-1] < 1.5:
        item = watching.until(lambda item: isinstance(item, Idle), 5)
        assert isinstance(item, Idle)
        aways += [item.away_s] if item.away_s else []
    assert aways == sorted(aways)
    assert [line for line in caplog.messages if line.startswith("cam: still away: ")] == [
        "cam: still away: Connection refused"
    ]
    assert len([line for line in caplog.messages if line.startswith("cam: away for")]) == 1
    (gap,) = [item for item in watching.rest() if isinstance(item, Gap)]
    assert gap.answered


def test_a_clock_that_is_set_while_a_camera_is_away_makes_no_outage_longer(
    plain: list[Unit], started: Start
) -> None:
    ahead_ns = 0
    camera = started(OddCamera, [plain])
    watching = started(Watching, source(camera.url, wall_ns=lambda: time.time_ns() + ahead_ns))
    watching.frame()
    camera.kill()
    while not (isinstance(item := watching.until(lambda _: True, 5), Idle) and item.away_s):
        pass
    ahead_ns = 365 * 86400 * 10**9
    late = watching.rest()
    (gap,) = [each for each in late if isinstance(each, Gap)]
    assert gap.to_ns - gap.from_ns > ahead_ns / 2
    assert gap.seconds < 60
    assert max(each.away_s for each in [item, *late] if isinstance(each, Idle)) < 60


def test_an_overload_is_told_when_it_begins_and_when_it_is_over(
    plain: list[Unit],
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rtsp, "_CALM_S", 1.0)
    monkeypatch.setattr(inbox, "_TELL_EVERY_S", 0.5)
    camera = started(OddCamera, [plain])
    slow = source(camera.url, queue_frames=2)
    items = slow.items()
    lost = 0
    while lost < 20:  # each takes longer than frames are apart
        item = next(items)
        lost += item.frames if isinstance(item, Overload) else 0
        time.sleep(0.1)
    begun = [line for line in caplog.messages if "analysis does not keep up" in line]
    assert len(begun) == 1
    until = time.monotonic() + 10
    while "keeps up again" not in caplog.text and time.monotonic() < until:
        item = next(items)
        lost += item.frames if isinstance(item, Overload) else 0
    slow.stop()
    list(items)
    assert f"cam: analysis keeps up again; frames lost: {lost}" in caplog.messages


def test_frames_that_are_lost_for_long_are_told_together(
    plain: list[Unit], started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is always a little too slow loses every few frames."""
    monkeypatch.setattr(inbox, "_TELL_EVERY_S", 1.0)
    camera = started(OddCamera, [plain])
    slow = source(camera.url, queue_frames=2)
    taken: list[Item] = []
    until = time.monotonic() + 3.5
    for item in slow.items():
        taken.append(item)
        if time.monotonic() < until:
            time.sleep(0.06)
        else:
            slow.stop()
    told = [item for item in taken if isinstance(item, Overload)]
    assert 2 <= len(told) <= 5, "about one a second, and the rest"
    frames = [item for item in taken if isinstance(item, Frame)]
    last = max(frame.frame_index for frame in frames)
    first = min(frame.frame_index for frame in frames)
    lost = sum(each.frames for each in told)
    assert last - first + 1 - len(frames) <= lost <= last - first + 1 - len(frames) + 2
    assert lost > 2 * len(told)


def test_no_thread_is_left(plain: list[Unit], started: Start) -> None:
    camera = started(OddCamera, [plain])
    watching = started(Watching, source(camera.url))
    watching.frame()
    watching.rest()
    time.sleep(0.3)
    assert not [each for each in threading.enumerate() if isinstance(each, Connection)]


def test_a_track_that_falls_silent_is_noticed_though_another_goes_on(
    plain: list[Unit], started: Start
) -> None:
    camera = started(OddCamera, [plain, units(640, 360)])
    watching = started(Watching, source(camera.url, timeout_s=1.0))
    watching.frame()
    camera.silent.add(1)
    while watching.source.up:
        watching.until(lambda _: True, 5)
    camera.silent.clear()
    assert watching.gap().cause == "no data for 1 s"
    watching.frame()
    assert camera.most_open == 1
