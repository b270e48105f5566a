"""A camera's URL: what is shown of it, and what is called."""

from __future__ import annotations

import pytest

from stillsift.sources.camera.address import CameraAddress


@pytest.mark.parametrize(
    ("url", "user", "password", "shown", "called"),
    [
        ("rtsp://cam/1", None, None, "rtsp://cam/1", "rtsp://cam/1"),
        ("rtsp://u:p%40@cam:554/1", None, None, "rtsp://cam:554/1", "rtsp://u:p%40@cam:554/1"),
        ("rtsp://u:old@cam/1", "u", "a/b", "rtsp://cam/1", "rtsp://u:a%2Fb@cam/1"),
        ("rtsp://cam/?user=a&password=b", None, None, "rtsp://cam/?user=a&password=***", None),
        ("rtsp://[::1]:8554/x", "u", None, "rtsp://[::1]:8554/x", "rtsp://u@[::1]:8554/x"),
    ],
)
def test_an_address_shows_no_secret(
    url: str, user: str | None, password: str | None, shown: str, called: str | None
) -> None:
    address = CameraAddress.parse(url, user, password)
    assert address.shown == shown
    assert address.with_secret() == (called or url)


@pytest.mark.parametrize("url", ["http://cam/1", "rtsp:///1", "/dev/video0", "rtsp://"])
def test_what_is_no_camera_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="rtsp://host"):
        CameraAddress.parse(url)
