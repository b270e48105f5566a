"""Clips: every frame with its true time, damage counted, nothing hung."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.format import ContainerFormat
from av.video.stream import VideoStream
from PIL import Image

from clips import SHARED_MEDIA, real_clip, real_pictures, write_clip
from disks import FaultyDisk, why_not
from stillsift.frames import LATEST_NS, Frame, TimeOrigin
from stillsift.sources import Failed, FileIdentity, Finished, Idle, Item, Opened, Shorter
from stillsift.sources.files import ClipReader, clip, joined, tree
from stillsift.sources.files.contents import CLIP_SUFFIXES
from stillsift.sources.pace import Pace
from stillsift.sources.picture import Converter, upright
from stillsift.sources.times import NamePattern, Times

JPEG = rb"\xff\xd8\xff"
"""How a JPEG begins."""
MTIME_NS = 1_700_000_000_000_000_000


@dataclass
class Read:
    items: list[Item]

    @property
    def frames(self) -> list[Frame]:
        return [item for item in self.items if isinstance(item, Frame)]

    @property
    def failures(self) -> list[Failed]:
        return [item for item in self.items if isinstance(item, Failed)]

    @property
    def finished(self) -> Finished:
        last = self.items[-1]
        assert isinstance(last, Finished)
        return last


def read(path: Path, **options: Any) -> Read:
    return Read(list(ClipReader(path, "clips", **options).items()))


def far(frame: Frame, rgb: np.ndarray[Any, Any]) -> float:
    pixels = frame.picture.bgr()[:, :, ::-1]
    assert pixels.shape == rgb.shape
    return float(np.abs(pixels.astype(int) - rgb.astype(int)).mean())


@pytest.mark.parametrize(
    ("name", "codec", "format"),
    [
        ("a.mp4", "libx264", None),
        ("a.mkv", "libx264", None),
        ("a.mov", "libx264", None),
        ("a.ts", "libx264", "mpegts"),
        ("a.avi", "mjpeg", None),
        ("a.webm", "libvpx-vp9", None),
        ("a.h264", "libx264", "h264"),
        ("a.hevc", "libx265", "hevc"),
    ],
)
def test_reads(name: str, codec: str, format: str | None, tmp_path: Path) -> None:
    pictures = real_pictures()[:12]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_clip(tmp_path / name, pictures, codec=codec, format=format, options=options)
    result = read(path)

    opened = result.items[0]
    assert opened == Opened(
        path, FileIdentity.of(path), hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert result.finished.frames == 12
    assert not result.failures
    assert [frame.frame_index for frame in result.frames] == list(range(12))
    for frame, picture in zip(result.frames, pictures, strict=True):
        assert far(frame, picture) < 9
    gaps = np.diff([frame.pts_s for frame in result.frames])
    assert gaps == pytest.approx(1 / 25 if name.endswith("hevc") else 0.1, abs=0.061)
    stat = path.stat()
    assert {frame.origin for frame in result.frames} == {
        f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
    }


def test_a_real_clip_has_all_its_frames() -> None:
    result = read(real_clip("bigbuckbunny"), rate=5)
    assert result.finished.frames == 132
    assert [frame.frame_index for frame in result.frames] == list(range(0, 132, 5))


NO_VIDEO = {".m4a", ".m4b", ".isma", ".mka", ".mks", ".ogg", ".wma"}
"""Suffixes of sound and subtitles."""
NO_CLIP = {".avif", ".heic", ".heif", ".mpo", ".psp", ".ism"}
"""Suffixes of stills, and of what is hardly ever a recording."""


def test_every_suffix_of_a_format_that_is_read_is_footage() -> None:
    suffixes = set()
    for name in clip._FORMATS.split(","):
        for mode in ("r", "w"):
            with suppress(ValueError):  # a demuxer alone, or a muxer of another name
                found = ContainerFormat(name, mode)
                suffixes |= {f".{each}" for each in found.extensions}
    assert suffixes - NO_VIDEO - NO_CLIP <= CLIP_SUFFIXES
    assert len(suffixes) > 30


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *((".mpg", "mpeg1video"), (".mpeg", "mpeg2video"), (".vob", "mpeg2video")),
        *((".m2v", "mpeg2video"), (".flv", "flv"), (".3gp", "mpeg4"), (".3g2", "mpeg4")),
        *((".asf", "wmv2"), (".wmv", "wmv2"), (".mjpeg", "mjpeg"), (".ogv", "libtheora")),
        *((".mxf", "mpeg2video"), (".f4v", "libx264"), (".nut", "mpeg4"), (".m2ts", "libx264")),
    ],
)
def test_recordings_of_other_suffixes_are_read_in_a_directory(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec}")
    format = {".m2v": "mpeg2video", ".mjpeg": "mjpeg", ".m2ts": "mpegts"}.get(suffix)
    path = write_clip(
        tmp_path / f"a{suffix}", real_pictures()[:10], codec=codec, format=format, rate=25
    )
    (found,) = tree.Tree(tmp_path).files()
    assert found.path == path
    assert len(read(path).frames) == 10


def test_variable_rate_keeps_true_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 510, 520, 1000, 1033, 2000, 5000]
    path = write_clip(tmp_path / "a.mkv", real_pictures()[:10], pts=times)
    frames = read(path).frames
    assert [frame.pts_s for frame in frames] == pytest.approx([time / 1000 for time in times])
    paced = read(path, rate=5).frames
    assert [frame.frame_index for frame in paced] == [0, 2, 3, 5, 6, 7, 8, 9], "2, 5 and 7 stand"


@pytest.mark.parametrize("start", [1, 4, 7, 11, 12])
def test_going_on_from_any_frame_gives_the_frames_that_were_left(
    start: int, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "a.mp4", real_pictures()[:12], gop=5, options={"bf": "2"})
    whole = read(path, rate=3)
    rest = read(path, rate=3, start_frame=start)
    left = [frame for frame in whole.frames if frame.frame_index >= start]
    assert [frame.id for frame in rest.frames] == [frame.id for frame in left]
    assert [frame.captured_at_ns for frame in rest.frames] == [
        frame.captured_at_ns for frame in left
    ]
    for frame, same in zip(rest.frames, left, strict=True):
        assert far(frame, same.picture.bgr()[:, :, ::-1]) == 0
    assert rest.finished == whole.finished


def test_frames_stay_valid_while_they_are_held(tmp_path: Path) -> None:
    pictures = real_pictures()
    path = write_clip(tmp_path / "a.mp4", pictures)
    held = read(path).frames
    luma = [frame.picture.luma() for frame in held]
    for frame, grey, picture in zip(held, luma, pictures, strict=True):
        assert far(frame, picture) < 9
        assert grey.shape == (180, 320)
        assert np.corrcoef(grey.ravel(), picture.mean(axis=2).ravel())[0, 1] > 0.98
        assert frame.picture.rgb(96, 54).shape == (54, 96, 3)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_is_applied(turn: int, tmp_path: Path) -> None:
    picture = real_pictures()[0]
    path = write_clip(tmp_path / "a.mp4", [picture] * 3)
    turn_display_matrix(path, turn)
    frame = read(path).frames[0]
    upright = np.rot90(picture, turn // 90)
    assert (frame.picture.height, frame.picture.width) == upright.shape[:2]
    assert far(frame, upright) < 9
    assert frame.picture.luma().shape == upright.shape[:2]
    small = frame.picture.rgb(upright.shape[1] // 2, upright.shape[0] // 2)
    assert np.abs(small.astype(int) - upright[::2, ::2]).mean() < 15


def turn_display_matrix(path: Path, degrees: int) -> None:
    """Write a rotation into the track header of an MP4, as a phone does."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    matrices = {
        90: (0, -1, 1, 0),  # counterclockwise
        180: (-1, 0, 0, -1),
        270: (0, 1, -1, 0),
    }
    a, b, c, d = (number * 65536 for number in matrices[degrees])
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    at = header + 40
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)


def test_a_change_of_size_in_mid_file(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "1.ts", real_pictures()[:5], format="mpegts")
    large = [np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in real_pictures()[5:10]]
    second = write_clip(tmp_path / "2.ts", large, format="mpegts")
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + second.read_bytes())
    frames = read(path).frames
    widths = [frame.picture.width for frame in frames]
    assert set(widths) == {320, 640}
    assert widths == sorted(widths)
    assert far(frames[-1], large[-1]) < 9
    assert [frame.picture.rgb(96, 54).shape for frame in frames] == [(54, 96, 3)] * len(frames)


def damaged(path: Path, numbers: Iterable[int]) -> Path:
    """A clip of 30 JPEGs, some of which are none any more."""
    spoil(write_clip(path, real_pictures(), codec="mjpeg"), numbers)
    return path


def spoil(path: Path, numbers: Iterable[int]) -> None:
    """Makes some frames of a clip of JPEGs unreadable."""
    data = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(JPEG, data)]
    for number in numbers:
        data[starts[number] : starts[number] + 600] = b"\xff" * 600
    path.write_bytes(data)


def test_damage_before_the_first_frame_has_the_time_of_the_beginning(tmp_path: Path) -> None:
    result = read(damaged(tmp_path / "a.avi", (0, 1)))
    (failure,) = result.failures
    assert failure.frame_index == 0
    assert 0 <= result.frames[0].captured_at_ns - failure.at_ns <= 10**9


def test_a_damaged_stretch_is_told_once_and_the_rest_is_read(tmp_path: Path) -> None:
    pictures = real_pictures()
    path = damaged(tmp_path / "a.avi", (10, 11, 12))
    result = read(path)
    (failure,) = result.failures
    assert failure.frame_index == 10
    assert failure.origin.startswith(f"{path}|")
    assert failure.detail.startswith("damaged from frame 10: ")
    assert result.finished.frames == 27
    assert far(result.frames[-1], pictures[-1]) < 9
    ids = [frame.id for frame in result.frames]
    assert len(set(ids)) == len(ids)
    assert read(path, start_frame=15).failures == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize("after", [0, 0.5, 0.99])
def test_a_disk_that_fails_for_a_moment_costs_no_frame(
    suffix: str, after: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    monkeypatch.setattr(clip, "_AGAIN_S", 0.2)
    made = write_clip(tmp_path / f"a{suffix}", real_pictures())
    whole = list(ClipReader(made, "gate").items())
    with closing(FaultyDisk(tmp_path / "disk")) as disk:
        path = Path(shutil.copy2(made, disk.path / made.name))
        # The first time it is read for its hash, the second for its headers.
        disk.fail("EIO", "read", made.name, after=round(after * made.stat().st_size), time=3)
        items: list[Item] = []
        hits = 0
        for item in ClipReader(path, "gate").items():
            items.append(item)
            if isinstance(item, Idle):
                hits += disk.mend()
    assert hits > 0
    assert not [item for item in items if isinstance(item, Failed)]
    indexes = [
        [one.frame_index for one in each if isinstance(one, Frame)] for each in (whole, items)
    ]
    assert indexes[0] == indexes[1] == list(range(30))
    assert isinstance(items[-1], Finished)
    assert items[-1].frames == 30


def test_a_clip_that_the_disk_does_not_give_for_long_is_an_error_after_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (why := why_not()) is not None:
        pytest.skip(why)
    monkeypatch.setattr(clip, "_AGAIN_S", 0.0)
    with closing(FaultyDisk(tmp_path / "disk")) as disk:
        path = write_clip(disk.path / "a.mkv", real_pictures())
        disk.fail("EIO", "read", "a.mkv", after=path.stat().st_size // 2, time=3)
        items: list[Item] = []
        with pytest.raises(OSError, match="Input/output error"):
            items.extend(ClipReader(path, "gate").items())
    assert not any(isinstance(item, Failed | Finished) for item in items), "it is read on later"


def test_a_clip_cut_short_gives_what_it_holds(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", real_pictures(), format="mpegts")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = read(path)
    assert 8 < result.finished.frames < 25
    assert far(result.frames[3], real_pictures()[3]) < 9


def whole_mp4(folder: Path, **options: str) -> bytes:
    with av.open(str(folder / "whole.mp4"), "w", options=options) as container:
        stream = container.add_stream("h264", rate=25)
        stream.width, stream.height = 160, 96
        for number in range(12):
            pixels = np.full((96, 160, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return (folder / "whole.mp4").read_bytes()


NOTHING = "FFmpeg can make nothing of its data"
OPENED = "cannot be opened as a video: "


def test_each_way_to_be_broken_is_told_with_the_way_out(tmp_path: Path) -> None:
    whole, ready = whole_mp4(tmp_path), whole_mp4(tmp_path, movflags="faststart")
    data, matroska = ready.index(b"mdat") + 4, tmp_path / "whole.mkv"
    write_clip(matroska, real_pictures()[:3], format="matroska")
    broken = {
        "empty.mp4": (b"", f"{OPENED}it is empty; get it again"),
        "zeros.mp4": (bytes(5000), f"{OPENED}it begins with zeros, as what a power cut kept from"),
        "page.mp4": (b"<html>404", f"{OPENED}it holds an HTML page; get the video itself"),
        "text.avi": (b"not found\n" * 9, f"{OPENED}it holds text; get the video itself"),
        "zip.mkv": (b"PK\3\4" + bytes(99), f"{OPENED}it holds an archive; get the video itself"),
        "noise.mkv": (random.Random(7).randbytes(9999), f"{OPENED}{NOTHING}; get it again"),
        "recording.mp4": (
            whole[: whole.index(b"moov") - 4],
            f"{OPENED}its index (moov) is missing, since the recording was cut off; a tool such",
        ),
        "header.mkv": (matroska.read_bytes()[:200], f"{OPENED}it ends within its header; get it"),
        "secret.mp4": (
            ready.replace(b"avc1", b"encv"),
            "holds video in a format that FFmpeg has no decoder for, or that is encrypted; convert",
        ),
        "no data.mp4": (ready[:data], "opened, but gave no frame; get it again"),
        "unwritten.mp4": (
            ready[:data] + bytes(len(ready) - data),
            f"damaged from frame 0: {NOTHING}",
        ),
    }
    for name, (content, told) in broken.items():
        path = tmp_path / name
        path.write_bytes(content)
        failures = read(path).failures
        assert failures, name
        assert failures[0].detail.startswith(told), (name, failures[0].detail)
        assert failures[0].file == path


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("a.mp4", b"", "cannot be opened as a video: "),
        ("a.mp4", b"<html></html>", "cannot be opened as a video: "),
        ("a.mkv", random.Random(7).randbytes(20_000), "cannot be opened as a video: "),
        ("a.ts", b"\x47" + b"\0" * 187, "cannot be opened as a video: "),
    ],
)
def test_what_is_no_video_fails_once(
    name: str, content: bytes, detail: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = read(path)
    assert [type(item) for item in result.items] == [Opened, Failed, Finished]
    assert result.failures[0].detail.startswith(detail)
    assert result.failures[0].file == path
    assert result.finished.frames == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_a_playlist_does_not_open_other_files(name: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "other.mp4", real_pictures()[:3])
    path = tmp_path / name
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    assert read(path).finished.frames == 0


def test_opened_without_a_frame_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    result = read(path)
    (failure,) = result.failures
    assert failure.detail == "holds no video, as a recording of sound alone; take it away"
    assert result.finished.frames == 0


@pytest.mark.parametrize(
    ("name", "codec", "format"),
    [
        *(("a.mp4", "libx264", None), ("a.mkv", "libx264", None), ("a.ts", "libx264", None)),
        *(("a.flv", "libx264", None), ("a.mpg", "mpeg2video", None), ("a.avi", "mjpeg", None)),
        *(("a.hevc", "libx265", "hevc"), ("a.webm", "libvpx-vp9", None)),
    ],
)
def test_frames_larger_than_allowed_are_refused(
    name: str, codec: str, format: str | None, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / name, real_pictures()[:3], codec=codec, format=format, rate=25)
    assert len(read(path, max_pixels=320 * 180).frames) == 3
    result = read(path, max_pixels=320 * 180 - 1)
    assert result.finished.frames == 0
    (failure,) = result.failures
    assert failure.detail == "320x180 is more than 57,599 pixels (max_clip_pixels)"


def test_pixels_count_by_the_memory_that_a_decoder_may_take_for_them(tmp_path: Path) -> None:
    for codec, layout, weight in (
        *(("libx264", "yuv420p10le", 2), ("libx264", "yuv444p", 2), ("libx265", "yuv420p10le", 2)),
        *(("mjpeg", "yuvj444p", 1), ("prores_ks", "yuv422p10le", 1), ("ffv1", "gray16le", 1)),
    ):
        path = write_clip(tmp_path / "a.mkv", real_pictures()[:3], codec=codec, layout=layout)
        assert len(read(path, max_pixels=320 * 180 * weight).frames) == 3
        if weight > 1:
            (failure,) = read(path, max_pixels=320 * 180 * weight - 1).failures
            assert "may take the memory of 115,200 pixels" in failure.detail
            assert f"in {layout}" in failure.detail


PEAK = """
import resource, sys
from pathlib import Path
from stillsift.sources import Failed
from stillsift.sources.files import ClipReader
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
items = list(ClipReader(Path(sys.argv[1]), "clips", max_pixels=320 * 180).items())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
print(items[-1].frames)
print(*(item.detail for item in items if isinstance(item, Failed)), sep="\\n")
"""


def hollow(path: Path, head: bytes, size: int = 600_000_000) -> None:
    """Makes a file of zeros that takes no room, and does not end with them."""
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.seek(size)
        file.write(b"x")


def picture_without_end(path: Path) -> None:
    write_clip(path, real_pictures()[:5], codec="gif", layout="rgb8")
    hollow(path, path.read_bytes()[:-1])


def chunk_of_all_that_follows(path: Path) -> None:
    write_clip(path, real_pictures()[:5], codec="mjpeg")
    data = bytearray(path.read_bytes()[: path.read_bytes().index(b"idx1")])
    last = data.rindex(b"00dc")
    data[last + 4 : last + 8] = (600_000_000).to_bytes(4, "little")
    hollow(path, bytes(data))


def nothing_for_long(path: Path) -> None:
    write_clip(path, real_pictures()[:5])
    hollow(path, path.read_bytes())


def unit_without_end(path: Path) -> None:
    write_clip(path, real_pictures()[:5], format="h264")
    path.write_bytes(path.read_bytes() + b"U" * 300_000_000)


def index_that_unpacks_to_gigabytes(path: Path) -> None:
    unpacked = 1 << 30
    packer = zlib.compressobj(9)
    packed = packer.compress(unpacked.to_bytes(4) + b"moov" + (unpacked - 8).to_bytes(4) + b"free")
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(1023)) + packer.flush()
    cmvd = (12 + len(packed)).to_bytes(4) + b"cmvd" + unpacked.to_bytes(4) + packed
    cmov = b"cmov" + (12).to_bytes(4) + b"dcomzlib" + cmvd
    moov = b"moov" + (4 + len(cmov)).to_bytes(4) + cmov
    path.write_bytes(
        (20).to_bytes(4) + b"ftypqt  \0\0\0\0qt  " + (4 + len(moov)).to_bytes(4) + moov
    )


TOO_LARGE = "no packet ends within 67,454,464 bytes (max_clip_pixels)"


@pytest.mark.parametrize(
    ("name", "make", "frames", "told"),
    [
        ("a.gif", picture_without_end, 4, f"damaged from frame 4: {TOO_LARGE}"),
        ("a.avi", chunk_of_all_that_follows, 4, f"damaged from frame 4: {TOO_LARGE}"),
        ("a.mkv", nothing_for_long, 5, TOO_LARGE),
        ("a.h264", unit_without_end, 4, TOO_LARGE),
        (
            *("a.mov", index_that_unpacks_to_gigabytes, 0),
            "cannot be opened as a video: takes more memory at once than one frame may "
            "(max_clip_pixels)",
        ),
    ],
)
def test_a_clip_made_to_cost_memory_takes_little(
    name: str, make: Callable[[Path], None], frames: int, told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True
    )
    peak, read_frames, *details = done.stdout.splitlines()
    assert int(peak) < 200, "MB"
    assert int(read_frames) == frames
    assert details[-1].endswith(told)


@pytest.mark.parametrize(("name", "codec"), [("a.flv", "flv"), ("a.mkv", "libx264")])
def test_what_a_recorder_had_reserved_is_not_searched(
    name: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / name, real_pictures()[:5], codec=codec)
    size = path.stat().st_size
    os.truncate(path, 200_000_000)
    given = 0
    pread = os.pread

    def counted(*asked: int) -> bytes:
        nonlocal given
        data = pread(*asked)
        given += len(data)
        return data

    monkeypatch.setattr(os, "pread", counted)
    result = read(path)
    assert result.finished.frames == 5
    assert not result.failures
    assert given < 20 * (size + (1 << 20))


def test_a_stream_that_becomes_too_large_ends_there(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.h264", real_pictures()[:5], format="h264")
    large = [np.asarray(cv2.resize(each, (640, 360)), np.uint8) for each in real_pictures()[:5]]
    more = write_clip(tmp_path / "b.h264", large, format="h264")
    small.write_bytes(small.read_bytes() + more.read_bytes())
    result = read(small, max_pixels=320 * 180)
    assert 0 < len(result.frames) <= 5
    assert len(result.failures) == 1


def seconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("name", "created", "start_ns", "known_by"),
    [
        ("a.mp4", None, MTIME_NS - 12 * 10**8, TimeOrigin.PTS),
        (
            "a.mp4",
            "2024-01-02T03:04:05Z",
            seconds(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
            TimeOrigin.PTS,
        ),
        ("a.mp4", "1904-01-01T00:00:00Z", MTIME_NS - 12 * 10**8, TimeOrigin.PTS),
        ("a.mp4", "1970-01-01T00:00:00Z", MTIME_NS - 12 * 10**8, TimeOrigin.PTS),
        ("a.mp4", "2000-01-01T00:03:00Z", MTIME_NS - 12 * 10**8, TimeOrigin.PTS),
        (
            "cam_20230405-060708.mp4",
            "2024-01-02T03:04:05Z",
            seconds(datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)),
            TimeOrigin.FILENAME,
        ),
    ],
)
def test_captured_time_is_the_files_start_and_the_presentation_time(
    name: str, created: str | None, start_ns: int, known_by: TimeOrigin, tmp_path: Path
) -> None:
    metadata = {"creation_time": created} if created else None
    path = write_clip(tmp_path / name, real_pictures()[:12], metadata=metadata)
    os.utime(path, ns=(0, MTIME_NS))
    frames = read(path, times=Times(NamePattern("%Y%m%d-%H%M%S"))).frames
    for number, frame in enumerate(frames):
        assert frame.captured_at_ns == start_ns + number * 10**8
        assert frame.captured_at_origin is known_by


def recording(path: Path, start_s: int, frames: int = 20) -> bytes:
    """Frames at 25 a second, whose presentation time begins at `start_s`, as MPEG-TS or MPEG-PS."""
    with av.open(str(path), "w", format="mpeg" if path.suffix == ".mpg" else "mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        pictures: list[Any] = [*real_pictures()[:frames], None]
        for picture in pictures:
            frame = None if picture is None else av.VideoFrame.from_ndarray(picture, "rgb24")
            for packet in stream.encode(frame):
                assert packet.pts is not None
                assert packet.dts is not None
                assert packet.time_base is not None
                packet.pts += round(start_s / packet.time_base)
                packet.dts += round(start_s / packet.time_base)
                container.mux(packet)
    return path.read_bytes()


WRAP_S = 2**33 // 90000
"""Seconds after which the clock of an MPEG-TS begins again at 0."""


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize(
    "starts_s", [(1, 1, 1), (1000, 10), (10, 1000), (95000, 10, 95000), (WRAP_S,), (WRAP_S, 500)]
)
@pytest.mark.parametrize("named", [False, True])
def test_time_goes_on_where_recordings_were_joined(
    starts_s: tuple[int, ...], named: bool, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"cam_20231114-221300{suffix}"
    parts = [recording(tmp_path / f"part{suffix}", start_s) for start_s in starts_s]
    path.write_bytes(b"".join(parts))
    os.utime(path, ns=(0, MTIME_NS))
    frames = read(path, times=Times(NamePattern("%Y%m%d-%H%M%S") if named else None)).frames
    assert len(frames) >= 20 * len(parts) - 1  # an MPEG-PS gives up a picture at a seam
    taken_s = np.array([(frame.captured_at_ns - MTIME_NS) / 1e9 for frame in frames])
    assert np.diff(taken_s) == pytest.approx(1 / 25, abs=0.05)
    pts_s = np.array([frame.pts_s for frame in frames], np.float64)
    assert np.diff(pts_s) == pytest.approx(np.diff(taken_s)), "so that no alarm tells of it"
    if named:
        assert taken_s[0] == -20
    else:  # a recorder's last write is at the end
        assert taken_s[-1] == pytest.approx(-1 / 25, abs=0.05)


def test_the_last_write_to_a_joined_matroska_is_at_its_end(tmp_path: Path) -> None:
    part = write_clip(tmp_path / "part.mkv", real_pictures()).read_bytes()
    path = tmp_path / "a.mkv"
    path.write_bytes(part + part)
    os.utime(path, ns=(0, MTIME_NS))
    taken = [frame.captured_at_ns - MTIME_NS for frame in read(path).frames]
    assert taken == pytest.approx([n * 10**8 for n in range(-60, 0)], abs=4 * 10**8)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        *((".mp4", "libx264", {}), (".mov", "mpeg4", {}), (".flv", "flv", {})),
        *((".wmv", "wmv2", {}), (".mkv", "libx264", {}), (".webm", "libvpx-vp9", {})),
        (".mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        (".mkv", "libx264", {"live": "1"}),  # of unknown length
    ],
)
@pytest.mark.parametrize("rate", [None, 5])
def test_every_recording_that_was_joined_is_read(
    suffix: str, codec: str, options: dict[str, str], rate: float | None, tmp_path: Path
) -> None:
    pictures = real_pictures()
    parts = [
        write_clip(
            tmp_path / f"{begin}{suffix}",
            pictures[begin : begin + 10],
            codec=codec,
            container_options=options,
        )
        for begin in (0, 10, 20)
    ]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    os.utime(path, ns=(0, MTIME_NS))
    result = read(path, rate=rate)
    assert not result.failures
    assert result.finished.frames == 30
    shown = range(0, 30, 1 if rate is None else 2)
    assert [frame.frame_index for frame in result.frames] == list(shown)
    for frame in result.frames:
        assert far(frame, pictures[frame.frame_index]) < 12
    taken = [frame.captured_at_ns - MTIME_NS for frame in result.frames]
    assert taken == pytest.approx([(n - 30) * 10**8 for n in shown], abs=4 * 10**8)
    left = read(path, rate=rate, start_frame=17)
    assert [frame.frame_index for frame in left.frames] == [n for n in shown if n >= 17]


def test_a_joined_recording_that_cannot_be_read_is_told_and_the_next_is_read(
    tmp_path: Path,
) -> None:
    part = write_clip(tmp_path / "part.mp4", real_pictures()[:10]).read_bytes()
    damaged = part.replace(b"moov", b"moow")
    path = tmp_path / "a.mp4"
    path.write_bytes(part + damaged + part)
    result = read(path)
    assert result.finished.frames == 20
    (failure,) = result.failures
    assert failure.detail.startswith("damaged from frame 10: recording 2 of 3: cannot be opened")


def without_pixels(part: bytes) -> bytes:
    """An MP4 whose frames are zeros."""
    start, end = part.index(b"mdat") + 4, part.index(b"moov") - 4
    return part[:start] + bytes(end - start) + part[end:]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda part: part.replace(b"moov", b"moow"),
        without_pixels,
        lambda _: b"\0\0\0\x08ftyp",
    ],
)
def test_recordings_in_a_row_that_give_nothing_are_one_failure(
    spoilt: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    part = write_clip(tmp_path / "part.mp4", real_pictures()[:10]).read_bytes()
    bad = spoilt(part)
    path = tmp_path / "a.mp4"
    path.write_bytes(part + bad * 3 + part + bad)
    result = read(path)
    assert result.finished.frames == 20
    told = [failure.detail.split(": ")[1] for failure in result.failures]
    assert told == ["recordings 2 to 4 of 6", "recording 6 of 6"]
    assert [failure.frame_index for failure in result.failures] == [10, 20]
    assert read(path, start_frame=11).failures == result.failures[1:]


def test_recordings_that_give_no_frame_cost_no_more_the_more_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    part = write_clip(path, real_pictures()[:10]).read_bytes()
    path.write_bytes(without_pixels(part) * 20)
    calls, open_it = itertools.count(), av.open

    def counted(*args: Any, **options: Any) -> Any:
        next(calls)
        return open_it(*args, **options)

    monkeypatch.setattr(av, "open", counted)
    assert read(path).finished.frames == 0
    assert next(calls) <= 3 * 20


def test_joined_recordings_give_signs_of_life_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    part = write_clip(path, real_pictures()[:10]).read_bytes()
    path.write_bytes(part.replace(b"avc1", b"none") * 200)
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    items: list[Item] = []
    for item in ClipReader(path, "clips", stopped=lambda: len(items) > 300).items():
        items.append(item)
    assert {type(item) for item in items} == {Opened, Idle}
    assert len(items) < 310


def test_more_recordings_than_anybody_joins_are_not_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "MOST_PARTS", 3)
    monkeypatch.setattr(joined, "MOST_PARTS", 3)
    path = tmp_path / "a.mp4"
    part = write_clip(path, real_pictures()[:10]).read_bytes()
    path.write_bytes(part * 3)
    assert not read(path).failures
    path.write_bytes(part * 5)
    result = read(path)
    assert result.finished.frames == 30
    (failure,) = result.failures
    assert failure.detail.endswith("more than 3 recordings were joined: no more are read")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".wmv", ".flv"])
@pytest.mark.parametrize("cut", [0.5, 0.8])
def test_a_recording_behind_one_that_was_cut_off_is_read(
    suffix: str, cut: float, tmp_path: Path
) -> None:
    codecs = {".wmv": "wmv2", ".flv": "flv"}
    front = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else {}
    part = write_clip(
        tmp_path / f"part{suffix}",
        real_pictures(),
        codec=codecs.get(suffix, "libx264"),
        container_options=front,
    ).read_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(part[: round(cut * len(part))])
    alone = read(path).finished.frames
    for whole in (part, part * 2):  # what was cut off reaches beyond it, or to its middle
        path.write_bytes(part[: round(cut * len(part))] + whole)
        result = read(path)
        assert result.finished.frames == alone + 30 * (len(whole) // len(part))
        assert far(result.frames[-1], real_pictures()[-1]) < 12


def test_frames_of_68_years_have_times_that_can_be_recorded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", real_pictures()[:6], codec="mjpeg")
    data = bytearray(path.read_bytes())
    rate = data.index(b"strh") + 28
    data[rate : rate + 8] = (2**31 - 1).to_bytes(4, "little") + (1).to_bytes(4, "little")
    path.write_bytes(data)
    os.utime(path, ns=(0, MTIME_NS))
    frames = read(path).frames
    assert len(frames) == 6
    assert [frame.captured_at_ns for frame in frames] == [MTIME_NS + n * 10**9 for n in range(6)]


def test_times_beyond_what_can_be_recorded_end_there(tmp_path: Path) -> None:
    times = [n * 250_000_000_000 for n in range(30)]  # eight years apart, in milliseconds
    path = write_clip(tmp_path / "a.mkv", real_pictures(), codec="mjpeg", pts=times, rate=1000)
    os.utime(path, ns=(0, LATEST_NS - 10**18))
    taken = [frame.captured_at_ns for frame in read(path).frames]
    assert len(taken) == 30
    assert taken == sorted(taken)
    assert taken[0] < taken[1] < taken[-1] == LATEST_NS


def test_stop_ends_it_between_frames_without_a_finish(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", real_pictures())
    items: list[Item] = []
    reader = ClipReader(path, "clips", stopped=lambda: len(items) == 5)
    for item in reader.items():
        items.append(item)
    assert [type(item) for item in items] == [Opened, Frame, Frame, Frame, Frame]


def picked(rate: float | None, times: Iterable[float]) -> list[int]:
    pace = Pace(rate)
    return [number for number, time in enumerate(times) if pace.takes(time)]


def test_a_pace_picks_by_time() -> None:
    assert picked(None, [0, 0, 0]) == [0, 1, 2]
    assert picked(100, [number / 100 for number in range(1000)]) == list(range(1000))
    assert picked(0.2, range(20)) == [0, 5, 10, 15]
    assert picked(1, [0, 0.5, 1, 3600.2, 3600.4, 3601, 2, 2.5, 3]) == [0, 2, 3, 5, 6, 8]
    with pytest.raises(ValueError, match="more than 0"):
        Pace(0)


SHOWN_MS = [0, 12_000, 12_120, 12_150, 19_620, 19_630, 39_620]
"""When seven pictures begin, as a screen recorder writes them. The fourth stands for 7.5 s and the
sixth for 20 s, but neither begins its slot of a fifth of a second."""


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "0"}),
        ("b.mp4", "libx264", {"bf": "3", "b_strategy": "0"}),
        ("a.mkv", "libx264", {"bf": "3", "b_strategy": "0"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.mov", "mjpeg", {}),
    ],
)
def test_a_picture_that_stands_is_looked_at_wherever_it_begins(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    pictures = real_pictures()[::4][:7]
    path = write_clip(
        tmp_path / name, pictures, codec=codec, pts=SHOWN_MS, rate=1000, options=options
    )
    result = read(path, rate=5)
    assert [frame.frame_index for frame in result.frames] == [0, 1, 3, 4, 5, 6]
    assert [frame.pts_s for frame in result.frames] == [
        pytest.approx(SHOWN_MS[each.frame_index] / 1000, abs=0.002) for each in result.frames
    ]
    for frame in result.frames:
        assert far(frame, pictures[frame.frame_index]) < 12
    for start in range(7):
        later = [frame.frame_index for frame in read(path, rate=5, start_frame=start).frames]
        assert later == [number for number in (0, 1, 3, 4, 5, 6) if number >= start]


def test_a_failure_is_told_behind_the_picture_that_stood_before_it(tmp_path: Path) -> None:
    """Else whoever is ended in between would read on behind the picture, which nobody looked at."""
    path = tmp_path / "a.mkv"
    write_clip(path, real_pictures()[::4][:7], codec="mjpeg", pts=SHOWN_MS, rate=1000)
    spoil(path, [4])
    result = read(path, rate=5)
    assert [type(item) for item in result.items[1:-1]] == [
        *(Frame, Frame, Frame, Failed, Frame, Frame)
    ]
    assert [frame.frame_index for frame in result.frames] == [0, 1, 3, 4, 5]
    (failure,) = result.failures
    assert failure.frame_index == 4
    later = read(path, rate=5, start_frame=failure.frame_index)
    assert later.failures == [failure]
    assert [frame.frame_index for frame in later.frames] == [4, 5]


@pytest.mark.parametrize("while_read", [False, True])
def test_a_clip_that_grew_is_read_on_from_the_picture_that_stands(
    while_read: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, real_pictures()[::4][:7], codec="mjpeg", pts=SHOWN_MS, rate=1000)
    spoil(path, [4])
    whole = path.read_bytes()
    path.write_bytes(whole[: [found.start() for found in re.finditer(JPEG, whole)][-2]])
    size, content_hash = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    items: list[Item] = []
    for item in ClipReader(path, "clips", rate=5).items():
        items.append(item)
        if while_read and isinstance(item, Frame):
            path.write_bytes(whole)
    assert [item.frame_index for item in items if isinstance(item, Frame)] == [0, 1]
    if while_read:
        assert isinstance(items[-1], Frame), "where it ended by then is no damage"
        left = 2
    else:
        assert len(Read(items).failures) == 1
        undecided = Read(items).finished.undecided
        assert undecided == 3
        left = undecided
        path.write_bytes(whole)
    then = read(path, rate=5, shorter=Shorter(size, content_hash, left))
    assert [frame.frame_index for frame in then.frames] == [3, 4, 5]
    assert [failure.frame_index for failure in then.failures] == [4]


def test_the_last_picture_is_looked_at_if_its_container_lets_it_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    pictures = [Image.fromarray(np.full((90, 160, 3), 80 * n, np.uint8)) for n in range(3)]
    lasts_ms = {"short": [5000, 40, 40], "long": [5000, 40, 5000]}
    seen = {}
    for word, durations in lasts_ms.items():
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations)
        seen[word] = [frame.frame_index for frame in read(path, rate=5).frames]
    assert seen == {"short": [0, 1], "long": [0, 1, 2]}


def test_of_several_video_tracks_the_largest_is_read_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tracks(tmp_path / "two.mkv")
    found = read(path)
    assert [(frame.picture.width, frame.picture.height) for frame in found.frames] == [
        *((640, 360),) * 10
    ]
    (line,) = [line for line in caplog.messages if "two.mkv" in line]
    assert "track 1 (640x360) is read" in line
    assert "not track 0 (160x90), track 2 (320x180)" in line


def test_the_other_video_tracks_of_joined_recordings_are_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_tracks(tmp_path / "part.mp4").read_bytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(whole * 3)
    assert read(path).finished.frames == 30
    (line,) = [line for line in caplog.messages if "a.mp4" in line]
    assert "track 1 (640x360) is read" in line


def write_tracks(path: Path) -> Path:
    """Writes ten frames of three video tracks, of which the second is the largest."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in ((160, 90), (640, 360), (320, 180)):
            stream = container.add_stream("libx264", rate=10)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for number in range(10):
            for stream in streams:
                pixels = np.full((stream.height, stream.width, 3), 20 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def test_the_picture_of_a_cover_is_no_track_to_read(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", real_pictures()[:5])
    cover = tmp_path / "cover.jpg"
    cover.write_bytes(cv2.imencode(".jpg", np.full((3000, 3000, 3), 90, np.uint8))[1].tobytes())
    path = tmp_path / "both.mp4"
    command = f"ffmpeg -nostdin -v error -i {film} -i {cover} -map 1 -map 0 -c copy".split()
    subprocess.run([*command, "-disposition:v:0", "attached_pic", path], check=True)
    frames = read(path).frames
    assert len(frames) == 5
    assert frames[0].picture.width < 3000


# --- the odd clips beside a checkout: (frames decoded, stretches and failures told)

ODD = {
    "audio_only.mp4": (0, 1),
    "bitflips.ts": (25, 6),
    "html_named.mp4": (0, 1),
    "lost_packets.ts": (24, 1),
    "midstream_join.ts": (0, 1),
    "pil_no_palette.gif": (0, 1),
    "pil_zero_width.gif": (0, 1),
    "trunc_faststart.mp4": (10, 1),
    "trunc_no_moov.mp4": (0, 1),
    "zero_byte.mp4": (0, 1),
    "zeros_in_mdat.mp4": (24, 1),
}
ANIMATED = {"anim.gif": 4}
"""The manifest counts these as one picture, since it looked at them as photos."""
MEDIA = sorted(path for path in (SHARED_MEDIA / "g").glob("*") if path.suffix in CLIP_SUFFIXES)


@pytest.mark.skipif(not MEDIA, reason="needs the labelled footage beside the checkout")
def test_every_odd_clip_gives_the_frames_that_ffmpeg_finds() -> None:
    manifest = json.loads((SHARED_MEDIA / "MANIFEST.json").read_text())
    counted = {entry["file"].removeprefix("g/"): entry["frames"] for entry in manifest["entries"]}
    for path in MEDIA:
        result = read(path)
        frames, failures = ODD.get(path.name, (counted[path.name], 0))
        frames = ANIMATED.get(path.name, frames)
        told = (path.name, result.finished.frames, len(result.failures))
        assert told == (path.name, frames, failures)
        for frame in result.frames[:1]:
            assert frame.picture.bgr().shape == (frame.picture.height, frame.picture.width, 3)
            assert frame.picture.luma().shape == (frame.picture.height, frame.picture.width)


@pytest.mark.skipif(not MEDIA, reason="needs the labelled footage beside the checkout")
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="compares with ffmpeg's own pictures")
@pytest.mark.parametrize(
    "name",
    ["h264_main.mp4", "tc_bt709_full_range.mp4", "rotated90_matrix.mp4", "gray.mkv", "av1.mkv"],
)
def test_colours_are_those_of_ffmpeg(name: str, tmp_path: Path) -> None:
    path, shown = SHARED_MEDIA / "g" / name, tmp_path / "shown.png"
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", shown], check=True)
    wanted = cv2.imread(str(shown))
    assert wanted is not None
    assert far(read(path).frames[0], wanted[:, :, ::-1]) < 1


def test_a_clip_that_was_cut_off_is_told_though_ffmpeg_ends_it_without_a_word(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.gop_size = 5
        for picture in real_pictures(count=30) * 2:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = read(path)
    assert 0 < result.finished.frames < 40
    assert any("damaged" in failed.detail for failed in result.failures)


def cut_between_frames(path: Path) -> bytes:
    """Writes a MOV of 30 JPEGs with its index in front; returns the first 15 of them."""
    write_clip(path, real_pictures(), codec="mjpeg", container_options={"movflags": "faststart"})
    whole = path.read_bytes()
    return whole[: [found.start() for found in re.finditer(JPEG, whole)][15]]


def test_a_clip_that_was_cut_off_behind_damage_is_told_of_both(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(cut_between_frames(path))
    assert [failure.frame_index for failure in read(path).failures] == [15]
    spoil(path, [4])
    result = read(path)
    assert [failure.frame_index for failure in result.failures] == [4, 14]
    assert result.failures[1].detail == (
        "damaged from frame 14: cut off: its index promises 30 frames, and 15 are there"
    )


def test_each_recording_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    part = cut_between_frames(path)
    path.write_bytes(part + part)
    result = read(path)
    assert result.finished.frames == 30
    assert [failure.frame_index for failure in result.failures] == [15, 30]


def test_what_an_edit_list_leaves_out_is_not_cut_off(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", real_pictures())
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") // 3).to_bytes(4, "big")
    path.write_bytes(data)
    result = read(path)
    assert result.finished.frames < 15
    assert not result.failures


# -- one frame again -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone_pristine"])
def test_a_frame_that_is_decoded_again_is_the_same(name: str) -> None:
    path = real_clip(name)
    frames = [item for item in ClipReader(path, "gate", rate=2).items() if isinstance(item, Frame)]
    assert len(frames) > 3
    for one in frames[:: max(1, len(frames) // 5)]:
        assert one.pts_s is not None
        again = clip.frame_again(path, one.frame_index, one.pts_s, 10**8, 60)
        assert np.array_equal(again, one.picture.bgr()), one.frame_index


def test_it_is_sought_and_not_read_from_the_start(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", real_pictures(count=30) * 20)
    frames = [item for item in ClipReader(path, "gate").items() if isinstance(item, Frame)]
    last = frames[-3]
    assert last.pts_s is not None
    with path.open("rb") as data:
        found = ClipReader(path, "").sought(data, last.pts_s)
    assert found is not None
    assert upright(found, Converter()).bgr().tobytes() == last.picture.bgr().tobytes()


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".avi"])
def test_it_is_found_in_every_container(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", real_pictures(count=30))
    frames = [item for item in ClipReader(path, "gate").items() if isinstance(item, Frame)]
    for one in (frames[0], frames[17], frames[-1]):
        again = clip.frame_again(path, one.frame_index, one.pts_s or 0.0, 10**8, 60)
        assert np.array_equal(again, one.picture.bgr())


def test_a_frame_that_is_not_there_or_too_far_is_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", real_pictures(count=10))
    with pytest.raises(LookupError, match="no frame 99"):
        clip.frame_again(path, 99, 3.3, 10**8, 60)
    with pytest.raises(TimeoutError, match="not reached in 0 s"):
        clip.frame_again(path, 9, 0.3, 10**8, 0)
    with pytest.raises(FileNotFoundError):
        clip.frame_again(tmp_path / "gone.mp4", 0, 0, 10**8, 60)
