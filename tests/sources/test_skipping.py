"""What is not decoded at a low rate changes nothing of what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clips import SHARED_MEDIA, real_pictures, write_clip
from stillsift.frames import Frame
from stillsift.sources import Failed, Finished
from stillsift.sources.files import ClipReader
from stillsift.sources.files.contents import CLIP_SUFFIXES
from stillsift.sources.skipping import Skipping

_X265 = "log-level=none:bframes=4:b-pyramid=1:open-gop=1:keyint=20"
_X264 = {"bf": "3", "b_strategy": "0", "x264-params": "open-gop=1:b-pyramid=normal"}
CLIPS: dict[str, tuple[str, dict[str, str], bool]] = {
    "pyramid.mp4": ("libx264", _X264, True),
    "flat.mkv": ("libx264", {"bf": "4", "x264-params": "b-pyramid=none"}, True),
    "fields.mp4": ("libx264", {**_X264, "x264-params": "tff=1"}, False),
    "hevc.mov": ("libx265", {"x265-params": _X265}, True),
    "layers.mkv": ("libx265", {"x265-params": f"{_X265}:temporal-layers=2"}, False),
    "own.ts": ("libx264", _X264, False),
    "old.mp4": ("mpeg4", {"bf": "2"}, False),
    "dvd.mkv": ("mpeg2video", {"bf": "2"}, False),
    "vp9.webm": ("libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16"}, False),
}
"""By name: codec, options, whether anything of it is skipped at 5/s."""


def told(path: Path, rate: float, *, pixels: bool = True, start: int = 0) -> list[Any]:
    """All that a reader says, without what is the file's."""
    seen: list[Any] = []
    for item in ClipReader(path, "clips", rate=rate, start_frame=start).items():
        if isinstance(item, Frame):
            luma = item.picture.luma().tobytes() if pixels else b""
            seen.append((item.frame_index, item.pts_s, item.captured_at_ns, hash(luma)))
        elif isinstance(item, Failed):
            seen.append((item.frame_index, item.origin, item.detail))
        elif isinstance(item, Finished):
            seen.append(item.frames)
    return seen


def in_full(path: Path, rate: float, **options: Any) -> list[Any]:
    """The same with every frame decoded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Skipping, "of", lambda *_: None)
        return told(path, rate, **options)


@pytest.fixture
def skipped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Presentation times of what was skipped since the test began."""
    times: list[int] = []
    ask = Skipping.skips

    def skips(self: Skipping, packet: Any) -> bool:
        if answer := ask(self, packet):
            times.append(packet.pts)
        return answer

    monkeypatch.setattr(Skipping, "skips", skips)
    return times


def clip(folder: Path, name: str) -> Path:
    codec, options, _ = CLIPS[name]
    pictures = [*real_pictures(count=60)]
    return write_clip(folder / name, pictures, codec=codec, rate=25, gop=20, options=options)


@pytest.mark.parametrize("name", CLIPS)
def test_the_same_is_told_as_of_a_clip_decoded_in_full(
    name: str, tmp_path: Path, skipped: list[int]
) -> None:
    path = clip(tmp_path, name)
    for rate in (1, 5, 12):
        assert told(path, rate) == in_full(path, rate)
    assert bool(skipped) is CLIPS[name][2]
    assert told(path, 5, start=31) == in_full(path, 5, start=31)


def test_nothing_is_skipped_where_every_frame_is_wanted(tmp_path: Path, skipped: list[int]) -> None:
    path = clip(tmp_path, "flat.mkv")
    assert len(list(ClipReader(path, "clips").items())) == 62
    assert told(path, 25)[-1] == 60
    assert not skipped


def test_a_clip_with_damage_is_counted_as_if_decoded_in_full(
    tmp_path: Path, skipped: list[int]
) -> None:
    path = clip(tmp_path, "pyramid.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + len(data) // 2
    data[at : at + 4000] = np.random.default_rng(7).bytes(4000)
    path.write_bytes(data)
    whole = in_full(path, 5, pixels=False)
    assert any(isinstance(item, tuple) and "damaged" in str(item[-1]) for item in whole)
    assert told(path, 5, pixels=False) == whole
    assert skipped


def test_what_is_skipped_behind_the_last_picture_is_counted(
    tmp_path: Path, skipped: list[int]
) -> None:
    """The end is trimmed by an edit list that hides the last reference, as telephones do it."""
    path = clip(tmp_path, "pyramid.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    trimmed_ms = int.from_bytes(data[at : at + 4], "big") - 80
    data[at : at + 4] = trimmed_ms.to_bytes(4, "big")
    path.write_bytes(data)
    whole = in_full(path, 5)
    assert whole[-1] == 58
    assert told(path, 5) == whole
    assert skipped[-1] == max(skipped), "the last of all"


FILLER = {"pyramid.mp4": b"\x0c\xff\x80", "hevc.mov": b"\x4c\x01\xff\x80"}
"""A unit of filler data, of H.264 and of HEVC."""


@pytest.mark.parametrize("name", FILLER)
def test_a_packet_without_a_picture_is_no_frame(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"padded-{name}"
    with av.open(str(clip(tmp_path, name))) as given, av.open(str(path), "w") as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.pts is None or packet.dts is None:
                continue  # the end
            padding = av.Packet(len(FILLER[name]).to_bytes(4, "big") + FILLER[name])
            later = (packet.duration or 40) // 2
            padding.pts, padding.dts = packet.pts + later, packet.dts + later
            padding.time_base, padding.stream = packet.time_base, stream
            packet.stream = stream
            written.mux(packet)
            if number % 10 == 9:
                written.mux(padding)
    whole = in_full(path, 5)
    assert whole[-1] == 60
    assert told(path, 5) == whole


MEDIA = sorted(path for path in SHARED_MEDIA.glob("[a-g]/*") if path.suffix in CLIP_SUFFIXES)
SMALL = [path for path in MEDIA if path.stat().st_size < 1_000_000]


@pytest.mark.skipif(not SMALL, reason="needs the labelled footage beside the checkout")
def test_the_same_is_told_of_every_odd_clip(skipped: list[int]) -> None:
    for path in SMALL:
        assert (path.name, told(path, 5)) == (path.name, in_full(path, 5))
    assert skipped
