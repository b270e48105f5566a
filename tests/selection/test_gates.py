"""The gates for frames that show nothing: real pictures, real clips, real commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import real_pictures, write_clip
from conftest import Command
from footage import taken, write_still
from running import assert_agree, decided
from sifting import (
    LIMITS,
    WORLD,
    blocks,
    frame,
    fresh,
    noisy,
    photo,
    reasons,
    scene,
    sift,
    thumbnail_of,
    with_object,
)
from stillsift.arrays import Image
from stillsift.decisions import Reason
from stillsift.embedding import Embedding
from stillsift.frames import FULL_RANGE, VIDEO_RANGE, ArrayPicture, Frame, Picture
from stillsift.selection import Gallery, GalleryFrame, Limits, Sifter
from stillsift.selection.gates import Exposure, Gates
from stillsift.selection.thumbnail import thumbnail
from stillsift.sources.files import ClipReader

SENSIBLE = Gates(min_brightness=16, max_brightness=250, min_contrast=0.6)
"""What config.yaml names to begin with."""
GATED = replace(LIMITS, gates=SENSIBLE)
SIZE = (720, 1280)
BLACK: Image = np.zeros((144, 256, 3), np.uint8)


def flat(level: float, noise: float) -> Image:
    """What a sensor makes of nothing."""
    grey = level + np.random.default_rng(1).normal(0, noise, SIZE)
    return np.asarray(np.clip(grey, 0, 255), np.uint8)


def footage(factor: float, offset: float = 0.0, noise: float = 2.0) -> Image:
    """A real picture in less light, in more, or in fog."""
    grey = np.asarray(cv2.cvtColor(real_pictures("bikes", 1)[0], cv2.COLOR_RGB2GRAY), np.float32)
    grey = cv2.resize(grey, SIZE[::-1]) * factor + offset
    made = grey + np.random.default_rng(2).normal(0, noise, SIZE)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


def night(lamps: int) -> Image:
    light = np.zeros(SIZE, np.float32)
    for number in range(lamps):
        cv2.circle(light, (150 + 240 * number, 200 + 90 * (number % 3)), 12, 230, -1)
    glow = 3 * cv2.GaussianBlur(light, (0, 0), 48)
    return np.asarray(np.clip(flat(6, 3) + light + glow, 0, 255), np.uint8)


def page(*lines: str) -> Image:
    made = flat(245, 1.5)
    for number, line in enumerate(lines):
        cv2.putText(made, line, (60, 90 + 40 * number), 0, 0.9, 30, 2)
    return made


def snow() -> Image:
    made = flat(240, 2)
    made[400:520, 600:640] = 55
    return made


def as_jpeg(picture: Image) -> Image:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (flat(0, 0), Reason.DARK),
        (flat(4, 2), Reason.DARK),
        (flat(4, 10), Reason.DARK),
        (footage(0.03), Reason.DARK),
        (flat(255, 0), Reason.BRIGHT),
        (footage(1, 250), Reason.BRIGHT),
        (flat(40, 10), Reason.LOW_INFORMATION),
        (flat(235, 5), Reason.LOW_INFORMATION),
        (flat(89, 0), Reason.LOW_INFORMATION),
        (flat(120, 3) + np.linspace(0, 25, SIZE[1]).astype(np.uint8), Reason.LOW_INFORMATION),
        (footage(1), None),
        (footage(0.1), None),
        (footage(0.1, 185), None),
        (footage(2.5), None),
        (night(4), None),
        (page("one line of text on a sheet of paper"), None),
        (page(*["the quick brown fox jumps over the lazy dog"] * 14), None),
        (snow(), None),
    ],
    ids=[
        *("black", "lens cap", "noisy lens cap", "deep night", "white", "blown out"),
        *("covered lens", "white fog", "test card", "light past a cover"),
        *("footage", "dusk", "fog", "overexposed", "lamps", "line of text", "page", "snow"),
    ],
)
def test_what_shows_nothing_is_told_from_what_shows_little(
    picture: Image, reason: Reason | None
) -> None:
    found = Exposure.of(thumbnail(as_jpeg(picture)), ArrayPicture(picture).levels)
    dropped = SENSIBLE.dropped(found)
    assert (None if dropped is None else dropped[0]) == reason


def test_black_and_white_are_the_same_in_every_range(tmp_path: Path) -> None:
    picture = np.zeros((180, 320, 3), np.uint8)
    picture[:, 160:] = 255
    for codec, name, levels in (
        ("libx264", "a.mp4", VIDEO_RANGE),
        ("mjpeg", "a.avi", FULL_RANGE),
        ("ffv1", "a.mkv", VIDEO_RANGE),
    ):
        clip = write_clip(tmp_path / name, [picture] * 2, codec=codec)
        frames = [
            each for each in ClipReader(clip, "a", rate=None).items() if isinstance(each, Frame)
        ]
        assert frames[0].picture.levels == levels
        found = Exposure.of(thumbnail(frames[0].picture.luma()), levels)
        assert found.shadows <= 2
        assert found.highlights >= 253


def test_a_gate_says_which_measure_missed_which_limit() -> None:
    verdicts = sift(fresh(GATED), [frame(BLACK, 0), frame(BLACK + 255, 1), frame(BLACK + 90, 2)])
    assert [(v.decision.reason, v.decision.detail) for v in verdicts] == [
        (Reason.DARK, "brightness 0.0 < 16"),
        (Reason.BRIGHT, "brightness 255.0 > 250"),
        (Reason.LOW_INFORMATION, "contrast 0.00 < 0.6"),
    ]
    assert {v.decision.outcome for v in verdicts} == {"dropped"}
    assert {(v.decision.nearest_kept, v.decision.novelty) for v in verdicts} == {(None, None)}


@pytest.mark.parametrize("kind", [frame, photo])
def test_what_waits_is_decided_before_what_is_dropped(kind: Callable[[Image, int], Frame]) -> None:
    sifter = fresh(GATED)
    assert sifter.offer(kind(scene(0), 0)) == []
    assert sifter.offer(kind(noisy(scene(0), 1), 1)) == []
    verdicts = sifter.offer(kind(BLACK, 2))
    assert [v.decision.frame_index for v in verdicts] == [0, 1, 2]
    assert reasons(verdicts)[2] is Reason.DARK
    assert Reason.NOVEL in reasons(verdicts)[:2]
    assert sifter.waiting == 0


def test_the_embedder_is_not_asked_and_the_view_before_is_known_behind() -> None:
    asked = []

    def counting(picture: Picture) -> Embedding:
        asked.append(picture)
        return blocks(picture)

    sifter = Sifter(GATED, counting, Gallery(32))
    view = scene(0)
    pictures = [view] * 10 + [BLACK] * 10 + [view] * 10
    verdicts = sift(sifter, [frame(each, index) for index, each in enumerate(pictures)])
    assert len(asked) == 1
    assert reasons(verdicts).count(Reason.NOVEL) == 1
    assert reasons(verdicts)[10:20] == [Reason.DARK] * 10
    assert set(reasons(verdicts)[20:]) == {Reason.NEAR_DUPLICATE}


def darkened(frames: list[Frame], dark: set[int]) -> list[Frame]:
    black = frame(BLACK, 0).picture
    return [replace(each, picture=black) if each.frame_index in dark else each for each in frames]


def test_a_dropped_frame_leaves_no_trace() -> None:
    # The alarms do see it: a covered lens is dark.
    sifter = Sifter(GATED, blocks, Gallery(32), alarms=False)
    for index in range(0, 30, 2):
        sifter.offer(frame(noisy(with_object(scene(0), 8 * index, 1), index), index))
        sifter.flush()
        before = sifter.state()
        assert reasons(sifter.offer(frame(BLACK, index + 1))) == [Reason.DARK]
        assert sifter.state() == before


@settings(max_examples=25, deadline=None)
@given(WORLD, st.sets(st.integers(0, 39)), st.sets(st.integers(1, 39), max_size=4))
def test_a_restart_among_dropped_frames_changes_nothing(
    frames: list[Frame], dark: set[int], stops: set[int]
) -> None:
    frames = darkened(frames, dark)
    undisturbed = [verdict.decision for verdict in sift(fresh(GATED), frames)]
    assert [each.frame_index for each in undisturbed] == list(range(len(frames)))
    decided = []
    sifter, position = fresh(GATED), 0
    while position < len(frames):
        decided += [verdict.decision for verdict in sifter.offer(frames[position])]
        position += 1
        if position in stops:
            stops = stops - {position}
            stored = [(kept.id, kept.to_bytes()) for kept in sifter.gallery.kept]
            gallery = Gallery(32, (GalleryFrame.from_bytes(id_, data) for id_, data in stored))
            position -= sifter.waiting
            sifter = Sifter(GATED, blocks, gallery, sifter.state(), model="blocks")
    decided += [verdict.decision for verdict in sifter.flush()]
    assert decided == undisturbed


@pytest.mark.parametrize("kind", [frame, photo])
@pytest.mark.parametrize("limits", [LIMITS, GATED])
def test_the_light_of_every_frame_is_recorded(
    kind: Callable[[Image, int], Frame], limits: Limits
) -> None:
    pictures = [scene(0), scene(0), BLACK]
    for verdict, picture in zip(
        sift(fresh(limits), [kind(each, index) for index, each in enumerate(pictures)]),
        pictures,
        strict=True,
    ):
        found = Exposure.of(thumbnail_of(picture), ArrayPicture(picture).levels)
        told = verdict.decision
        assert {name: getattr(told, name) for name in found.told()} == found.told()


def test_sift_drops_a_clips_black_frames_and_its_folders_black_photograph(
    stillsift: Command, tmp_path: Path
) -> None:
    shown = real_pictures("bikes", 20)
    black = np.zeros_like(shown[0])
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_still(folder / "1.jpg", 1)
    done, data = cv2.imencode(".jpg", black)
    assert done
    (folder / "2.jpg").write_bytes(data.tobytes())
    taken(folder / "2.jpg", 2)
    write_still(folder / "3.jpg", 3)
    taken(write_clip(folder / "4.mp4", [black] * 5 + [*shown[:10]] + [black] * 5), 4)
    run = ("sift", folder, "-o", out, "--set", "rate=all", "--set", "min_brightness=16")
    assert stillsift(*run).status == 0
    ends = decided(out)
    clip = [each.decision for each in ends if each.decision.file == folder / "4.mp4"]
    assert [each.frame_index for each in clip if each.reason is Reason.DARK] == [
        *range(5),
        *range(15, 20),
    ]
    stills = {each.decision.file.name: each.decision for each in ends if each.decision.file}
    assert stills["2.jpg"].reason is Reason.DARK
    assert stills["1.jpg"].reason is stills["3.jpg"].reason is Reason.NOVEL
    assert_agree(out)
    told = stillsift("decisions", "--store", out, "--reason", "dark", "--format", "jsonl").out
    assert len(told.splitlines()) == 11
