"""`stillsift view`: a real window on a display of its own, with keys, and the ways it can fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import displays
from cameras import Camera, write_stream
from clips import real_clip, write_clip
from conftest import Command
from displays import Display
from photographs import textured
from running import PATIENCE_S, STILLSIFT, until
from stillsift.commands.pairs import AHEAD, MOST_PAIRS, Pairs, pixels_of
from stillsift.commands.window import reason_of
from stillsift.decisions import Decision, Reason
from stillsift.frames import ArrayPicture, Frame, TimeOrigin

needs_display = pytest.mark.skipif(
    not displays.IS_THERE, reason="needs Xvfb, xdotool and ffmpeg (./test installs them)"
)


@pytest.fixture
def display() -> Iterator[Display]:
    with displays.display() as made:
        yield made


class View:
    """The command as a process, with its window."""

    def __init__(self, folder: Path, display: Display, words: tuple[object, ...]) -> None:
        self.folder, self.log, self.scratch = folder, folder / "said", folder / "scratch"
        self.scratch.mkdir(parents=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # A shell that starts the tests in the background leaves SIGINT ignored.
                [sys.executable, "-c", _WITH_CTRL_C, *STILLSIFT, "view", *map(str, words)],
                cwd=folder,
                stdout=log,
                stderr=log,
                env=os.environ | display.environ | {"TMPDIR": str(self.scratch)},
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ended(self) -> int:
        """Its exit status; nothing that it needed for itself is left."""
        status = self.process.wait(PATIENCE_S)
        assert "Traceback" not in self.said, self.said
        assert list(self.scratch.iterdir()) == [], "left behind"
        return status


_WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def viewing(folder: Path, display: Display, *words: object) -> Iterator[View]:
    made = View(folder, display, words)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def reasons(text: str) -> dict[str, int]:
    """The reasons with their numbers, as the summary tells them."""
    told: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith(("  keep ", "  drop ", "  failed ")) and "/" not in line:
            words = line.split()[1:]
            told |= {words[n]: int(words[n + 1]) for n in range(0, len(words), 3)}
    return told


# -- a clip ----------------------------------------------------------------------------------------


@needs_display
def test_a_clip_is_decided_as_sift_does(
    stillsift: Command, display: Display, tmp_path: Path
) -> None:
    clip = real_clip("carphone_pristine")
    summary = json.loads(stillsift("sift", clip, "--dry-run", "--json").out)["sources"][0]
    with viewing(tmp_path, display, clip) as view:
        until(lambda: display.window, "a window")
        display.press("plus", "plus", "plus", "plus")
        until(lambda: f" - {summary['frames']} " in display.title, f"the last frame: {view.said}")
        display.press("q")
        assert view.ended() == 0
    assert reasons(view.said) == summary["reasons"]
    assert f"{summary['frames']} frames decided, no store was changed" in view.said
    assert {*tmp_path.iterdir()} == {view.log, view.scratch}, "something was written"


@needs_display
def test_keys_step_keep_and_quit(display: Display, tmp_path: Path) -> None:
    clip = real_clip("bikes")
    with viewing(tmp_path, display, clip, "--output", "mine") as view:
        until(lambda: " - " in display.title, f"a frame: {view.said}")
        display.press("space", "Home")
        display.shows(" - 1 novel")
        seen = [display.title]
        for number in range(2, 7):
            display.press("n")
            display.shows_frame(number)
            seen.append(display.title)
        for before in reversed(seen[:-1]):
            display.press("b")
            display.shows(before)
        display.press("b")
        display.shows(seen[0])  # there is none before it
        for key, title in (("Right", seen[1]), ("Left", seen[0]), ("n", seen[1])):
            display.press(key)
            display.shows(title)
        display.press("k")
        until(lambda: list((tmp_path / "mine").glob("*.jpg")), f"a file: {view.said}")
        display.press("k", "d", "Home", "n")
        kept = [each for each in seen if each.endswith(("novel", "sharpest"))]
        display.shows(kept[1] if len(kept) > 1 else " novel")
        display.press("Escape")
        assert view.ended() == 0
    (file,) = (tmp_path / "mine").iterdir()
    with_cv2 = cv2.imread(str(file))
    assert with_cv2 is not None
    decisions = tmp_path / "decisions.jsonl"
    subprocess.run(
        [*STILLSIFT, "sift", clip, "--dry-run", "--decisions", decisions],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    second = json.loads(decisions.read_text().splitlines()[1])
    capture = cv2.VideoCapture(str(clip))
    for _ in range(second["frame_index"] + 1):
        _, frame = capture.read()
    assert with_cv2.shape == frame.shape, "kept in its full size"
    assert np.abs(with_cv2.astype(int) - frame).mean() < 4, "another frame was kept"
    assert "Kept by you   1 frame in mine" in view.said


def dyed(seed: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(360, 480, 3) RGB: a scene that is mostly of one colour."""
    scene = textured(seed)[:360, :480].astype(int)
    return np.asarray((scene + 2 * np.asarray(colour)) // 3, np.uint8)


@needs_display
def test_both_pictures_are_on_the_screen(display: Display, tmp_path: Path) -> None:
    """Of two scenes, the new one is on the left and the one before on the right."""
    scenes = dyed(1, (255, 0, 0)), dyed(2, (0, 0, 255))
    clip = write_clip(tmp_path / "scenes.mp4", [scene for scene in scenes for _ in range(15)])

    def colours() -> tuple[int, int]:
        """By how much each half of the screen is more red than blue, in levels."""
        shown = display.picture(tmp_path / "screen.png")[120:380].astype(int)
        left, right = shown[:, 150:500].mean((0, 1)), shown[:, 790:1130].mean((0, 1))
        return round(left[2] - left[0]), round(right[2] - right[0])

    with viewing(tmp_path, display, clip) as view:
        until(lambda: " - " in display.title, f"a frame: {view.said}")
        display.press("space", "d", "Home")
        display.shows(" novel")
        first = display.title
        display.draw_anew()
        until(lambda: colours()[0] > 50, "the first scene on the left")
        assert abs(colours()[1]) < 10, "it was compared with none"
        display.press("n")
        until(lambda: display.title.endswith("novel") and display.title != first, "news")
        until(lambda: colours()[0] < -50 and colours()[1] > 50, "the second scene by the first")
        display.press("d", "Home")
        display.shows_frame(1)
        assert not display.title.endswith("novel")
        until(lambda: min(colours()) > 50, "the first frame by the better one that came after it")
        display.press("End")
        display.resize(900, 700)
        until(lambda: _is_bar(display, tmp_path, 890, 690), "the window is filled")
        assert not _is_bar(display, tmp_path, 910, 690)
        display.press("q")
        assert view.ended() == 0


def _is_bar(display: Display, folder: Path, x: int, y: int) -> bool:
    return tuple(display.picture(folder / "screen.png")[y, x]) == (42, 36, 34)


# -- other things to look at -----------------------------------------------------------------------


@needs_display
def test_photographs_are_kept_byte_for_byte_and_nothing_is_overwritten(
    display: Display, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in (1, 2):
        cv2.imwrite(str(photos / f"{seed}.png"), textured(seed))
    cv2.imwrite(str(photos / "3.png"), textured(1) + 1)
    (photos / "4.jpg").write_bytes(b"no picture")
    with viewing(tmp_path, display, "photos") as view:
        until(lambda: " - 4 " in display.title, f"the last: {view.said}")
        display.press("Home")
        until(lambda: " - 1 " in display.title, "the first")
        display.press("k")
        until(lambda: (tmp_path / "stillsift-view").is_dir(), f"kept: {view.said}")
        display.press("k", "End", "k", "q")
        assert view.ended() == 0
    (file,) = (tmp_path / "stillsift-view").iterdir()
    assert file.read_bytes() == (photos / "1.png").read_bytes()
    assert sorted(each.name for each in photos.iterdir()) == ["1.png", "2.png", "3.png", "4.jpg"]
    assert reasons(view.said) == {"novel": 2, "near_duplicate": 1, "decode_error": 1}


@needs_display
def test_a_source_of_the_configuration_is_decided_as_it_is_set(
    display: Display, tmp_path: Path
) -> None:
    """It waits for new files, and neither its store nor its originals are touched."""
    capture = tmp_path / "capture"
    capture.mkdir()
    cv2.imwrite(str(capture / "1.jpg"), textured(1))
    config = tmp_path / "config.yaml"
    gate = {"name": "gate", "directory": str(capture), "retire": "delete", "min_contrast": 127}
    told = {"store": {"path": str(tmp_path / "store")}, "sources": [gate]}
    config.write_text(yaml.safe_dump(told | {"defaults": {"settle": "200ms"}}))
    with viewing(tmp_path, display, "gate") as view:
        display.shows("gate - 1 low_information")
        cv2.imwrite(str(capture / "2.jpg"), textured(2))
        display.shows("gate - 2 low_information")
        display.press("q")
        assert view.ended() == 0
    with viewing(
        tmp_path / "again", display, "gate", "-c", config, "--set", "min_contrast=0"
    ) as view:
        display.shows("gate - 2 novel")
        display.press("q")
        assert view.ended() == 0
    assert sorted(each.name for each in capture.iterdir()) == ["1.jpg", "2.jpg"]
    assert not (tmp_path / "store").exists()


@needs_display
def test_a_camera_is_shown_live_and_goes_on_while_the_window_pauses(
    display: Display, tmp_path: Path
) -> None:
    camera = Camera([write_stream(tmp_path / "stream.h264", 640, 360)])
    try:
        with viewing(tmp_path, display, camera.url) as view:
            until(lambda: " - " in display.title, f"a frame: {view.said}")
            display.press("space")
            paused = display.title
            display.press("k")
            until(lambda: (tmp_path / "stillsift-view").is_dir(), f"kept: {view.said}")
            number = int(paused.split(" - ")[1].split()[0])
            assert display.title == paused

            def newest() -> int:
                display.press("End")
                return int(display.title.split(" - ")[1].split()[0])

            until(lambda: newest() > number + 5, "what was decided meanwhile")
            view.process.send_signal(signal.SIGTERM)
            assert view.ended() == 130
    finally:
        camera.kill()
    (file,) = (tmp_path / "stillsift-view").iterdir()
    picture = cv2.imread(str(file))
    assert picture is not None
    assert picture.shape == (360, 640, 3)


# -- how it ends -----------------------------------------------------------------------------------


@needs_display
def test_closing_the_window_ends_it(display: Display, tmp_path: Path) -> None:
    with viewing(tmp_path, display, real_clip("bikes")) as view:
        until(lambda: " - " in display.title, f"a frame: {view.said}")
        display.close_window()
        assert view.ended() == 0
    assert "no store was changed" in view.said


@needs_display
def test_ctrl_c_ends_it_also_while_it_pauses(display: Display, tmp_path: Path) -> None:
    with viewing(tmp_path, display, real_clip("bikes")) as view:
        until(lambda: " - " in display.title, f"a frame: {view.said}")
        display.press("space")
        view.process.send_signal(signal.SIGINT)
        assert view.ended() == 130


@needs_display
def test_a_folder_without_pictures_says_so(display: Display, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("text")
    with viewing(tmp_path, display, "notes") as view:
        assert view.ended() == 1
    assert "there is no picture or clip in" in view.said


def test_without_a_display_it_says_what_to_do(
    stillsift: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = real_clip("bikes")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = stillsift("view", clip)
    assert done.status == 2
    assert "there is no display: DISPLAY is not set" in done.err
    assert "stillsift review" in done.err
    assert done.err.count("\n") == 1
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    done = stillsift("view", clip)
    assert done.status == 2
    assert "Xwayland" in done.err
    monkeypatch.setenv("DISPLAY", ":973")
    done = stillsift("view", clip)
    assert done.status == 2
    assert "the display :973 cannot be reached; look at a store in a browser" in done.err
    assert done.err.count("\n") == 1


def test_the_reason_is_found_in_what_opencv_says() -> None:
    """As opencv-python-headless 5.0.0 and Qt 5.15 say it."""
    headless = (
        "Traceback (most recent call last):\n"
        '  File "<string>", line 1, in <module>\n'
        "cv2.error: OpenCV(5.0.0) /io/opencv/modules/highgui/src/window.cpp:1200: error: "
        "(-2:Unspecified error) The function is not implemented. Rebuild the library with Windows, "
        "GTK+ 2.x or Cocoa support. If you are on Ubuntu or Debian, install libgtk2.0-dev and "
        "pkg-config, then re-run cmake or configure script in function 'namedWindowImpl'\n\n"
    )
    told = reason_of(headless, ":0")
    assert "opencv-python-headless" in told
    assert "ssh" not in told, "a display would not help"
    unreachable = "qt.qpa.xcb: could not connect to display :7\nqt.qpa.plugin: Could not load\n"
    assert reason_of(unreachable, ":7").startswith("the display :7 cannot be reached; ")
    other = reason_of("a\n  libX.so:  gone \n\n", ":7")
    assert other.startswith("no window can be opened on :7 (libX.so: gone); ")
    assert "(OpenCV does not say why)" in reason_of("", ":7")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere.mp4",), "nowhere.mp4: no such file or folder, and no source of that name"),
        (("yard", "-c", "config.yaml"), "no source of that name: config.yaml has gate"),
        (("config.yaml", "--output", "config.yaml"), "--output config.yaml: is no folder"),
        (("config.yaml", "--output", "no/such"), "there is no such directory above it"),
        (("pictures", "--output", "pictures/mine"), "lies in what is read"),
        (("gate", "--password-file", "config.yaml"), "--password-file is for a URL"),
        (("http://x/y",), "view: http://x/y: "),
        (("config.yaml", "--set", "sensitivty=1"), "sensitivity"),
    ],
)
def test_what_is_asked_for_wrongly_is_said_before_any_window(
    words: tuple[str, ...],
    told: str,
    stillsift: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "pictures").mkdir()
    sources = [{"name": "gate", "directory": "/nowhere"}]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"sources": sources}))
    done = stillsift("view", *words)
    assert done.status == 2
    assert told in done.err


# -- the pairs -------------------------------------------------------------------------------------


def frame(number: int, file: Path | None = Path("/a.mp4"), side: int = 32) -> Frame:
    random = np.random.default_rng(number)
    pixels = random.integers(0, 255, (side, side, 3), dtype=np.uint8)
    origin = TimeOrigin.PTS
    return Frame("gate", "a", number, number, origin, ArrayPicture(pixels), file, float(number))


def decision(of: Frame, reason: Reason, nearest: Frame | None = None) -> Decision:
    named = None if nearest is None else nearest.id
    time = of.captured_at_ns, of.captured_at_origin
    return Decision(of.id, "gate", reason, *time, of.frame_index, of.file, nearest_kept=named)


def anything(_: Decision) -> bool:
    return True


def test_a_decision_has_its_picture_and_that_of_the_frame_it_names() -> None:
    pairs = Pairs(95, waits=True)
    kept, dropped, failed = frame(0), frame(1, side=4000), frame(2)
    for each in (kept, dropped):
        pairs.offer(each)
    pairs.add(decision(kept, Reason.NOVEL))
    pairs.add(decision(dropped, Reason.NEAR_DUPLICATE, kept))
    pairs.add(decision(failed, Reason.DECODE_ERROR))
    first, second, third = (pairs.after(number, anything) for number in (-1, 0, 1))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.picture is not None
    assert second.picture is not None
    assert second.other == first.decision
    assert second.other_picture == first.picture
    assert max(pixels_of(second.picture).shape) == 1600, "no larger than it can be shown"
    assert (third.picture, third.other) == (None, None)
    assert (first.kept, second.kept, third.kept) == (1, 1, 1)
    assert pairs.picture_of(kept.id) == first.picture
    assert pairs.picture_of(dropped.id) is None
    later = frame(3)
    pairs.offer(later)
    assert pairs.picture_of(later.id) is not None, "it may be named before it is decided"
    assert pairs.after(2, anything) is None
    assert pairs.before(2, anything) == second
    assert pairs.before(0, anything) is None
    kept_again = replace(first.decision, reason=Reason.NEAR_DUPLICATE)
    pairs.change(kept_again)
    changed = pairs.after(-1, anything)
    assert changed is not None
    assert changed.decision == kept_again


@pytest.mark.parametrize("waits", [True, False])
def test_a_file_waits_for_who_looks_and_a_camera_does_not(waits: bool) -> None:
    pairs, done = Pairs(95, waits=waits), threading.Event()

    def add() -> None:
        for number in range(MOST_PAIRS + 100):
            pairs.add(decision(frame(number), Reason.NEAR_DUPLICATE))
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    if waits:
        until(lambda: pairs.count == AHEAD, "as many as may be ahead")
        assert not done.wait(0.3), "nobody looked, and it went on"
        assert pairs.after(9, anything) is not None
        until(lambda: pairs.count == AHEAD + 11, "eleven more, for the eleven that were seen")
        assert pairs.after(5, lambda _: False) is None, "all were passed over"
        until(lambda: pairs.count == 2 * AHEAD + 11, "as many as may be ahead, again")
        pairs.close()
    assert done.wait(PATIENCE_S)
    thread.join()
    assert pairs.count == MOST_PAIRS + 100
    oldest = pairs.after(-1, anything)
    assert oldest is not None
    assert oldest.number == 100, "the oldest are forgotten"


def test_a_frame_of_a_camera_stays_whole() -> None:
    pairs = Pairs(95, waits=False)
    large = frame(0, None, 2000)
    pairs.offer(large)
    pairs.add(decision(large, Reason.NOVEL))
    pair = pairs.after(-1, anything)
    assert pair is not None
    assert pair.picture is not None
    assert pixels_of(pair.picture).shape == (2000, 2000, 3)
