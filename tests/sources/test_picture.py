"""Colours of decoded frames, as the selection looks at them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from clips import real_pictures
from stillsift.frames import Frame, chroma_of
from stillsift.sources.files import ClipReader


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
