"""Colours of decoded frames, as the selection looks at them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from clips import real_pictures
from stillsift.frames import Frame, chroma_of
from stillsift.sources.files import ClipReader
from stillsift.sources.picture import Converter, VideoPicture


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p10le", "gray"])
@pytest.mark.parametrize("width", [320, 319])
def test_chroma_is_that_of_the_colours(tmp_path: Path, layout: str, width: int) -> None:
    picture = np.asarray(cv2.resize(real_pictures(count=1)[0], (width, 180)), np.uint8)
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("ffv1" if "j" not in layout else "mjpeg", Fraction(5))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, 180, layout
        given = av.VideoFrame.from_ndarray(picture, format="bgr24")
        for packet in [*stream.encode(given), *stream.encode()]:
            container.mux(packet)
    (frame,) = [each for each in ClipReader(clip, "yard").items() if isinstance(each, Frame)]
    chroma = frame.picture.chroma(64, 36)
    assert chroma.shape == (36, 64, 2)
    expected = chroma_of(frame.picture.rgb(64, 36)).astype(int)
    apart = np.abs(chroma.astype(int) - expected)
    # Samples of a plane that is smaller by half lie between those of the whole.
    assert np.median(apart) <= 1
    assert np.percentile(apart, 95) <= 6
    assert chroma.std() > 1 or layout == "gray"


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv444p"])
@pytest.mark.parametrize(
    "colour", [(220, 40, 30), (30, 200, 30), (30, 30, 220), (200, 200, 40)], ids=str
)
def test_chroma_of_hd_video_is_that_of_the_colours(
    layout: str, colour: tuple[int, int, int]
) -> None:
    """HD video is made by ITU-R BT.709, whose Cr and Cb of one colour are other ones."""
    pixels = np.full((36, 64, 3), colour, np.uint8)
    whole = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    hd = whole.reformat(format=layout, dst_colorspace=Colorspace.ITU709)
    assert hd.colorspace == Colorspace.ITU709
    picture = VideoPicture(hd, Converter(), 0)
    apart = picture.chroma(64, 36).astype(int) - chroma_of(picture.rgb(64, 36))
    assert np.abs(apart).max() <= 3


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (8, 0), (16, 0), (20, 5), (240, 255), (255, 255)]
)
def test_chroma_beyond_what_video_allows_is_the_outermost(value: int, expected: int) -> None:
    frame = av.VideoFrame(64, 36, "yuv420p")
    for plane, sample in zip(frame.planes, (100, 128, value), strict=True):
        plane.update(bytes([sample]) * plane.buffer_size)
    chroma = VideoPicture(frame, Converter(), 0).chroma(64, 36)
    assert np.unique(chroma[..., 0]).tolist() == [pytest.approx(expected, abs=1)]
    assert np.unique(chroma[..., 1]).tolist() == [128]
