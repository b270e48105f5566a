"""No password is to be seen, wherever one stands in a URL."""

from __future__ import annotations

import logging
import time

import pytest

from stillsift.config import ConfigError
from stillsift.config.password import password_of
from stillsift.config.secrets import redacted, with_urls_redacted
from stillsift.config.yaml_file import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://h/1", "rtsp://h/1"),
        ("rtsp://h:554/a@b", "rtsp://h:554/a@b"),
        ("rtsp://u@h/1", "rtsp://u@h/1"),
        ("rtsp://u:geheim@h:554/1", "rtsp://u@h:554/1"),
        ("rtsp://u:ge/he@im@h/1", "rtsp://u@h/1"),
        ("rtsp://u:123/geheim@h/1", "rtsp://u@h/1"),
        ("rtsp://geheim@h/1", "rtsp://***@h/1"),
        ("rtsp://u:geheim@[::1]:554/1", "rtsp://u@[::1]:554/1"),
        ("rtsp://h/u=a&password=geheim&x=1", "rtsp://h/u=a&password=***&x=1"),
        ("rtsp://h/?PWD=geheim", "rtsp://h/?PWD=***"),
        ("rtsp://h/?password=b", "rtsp://h/?password=***"),
        ("rtsp://h/h264?usr=geheim&psw=geheim", "rtsp://h/h264?usr=***&psw=***"),
        ("rtsp://h/user=geheim_password=my_geheim_channel=1.sdp", "rtsp://h/user=***"),
        ("rtsp://h/live?auth=YWRtaW46Z2VoZWlt", "rtsp://h/live?auth=***"),
        ("rtsp://h/cam?user=cam&passwort=geheim", "rtsp://h/cam?user=cam&passwort=***"),
        ("rtsp://h/cam?geheimnis=geheim&channel=1", "rtsp://h/cam?***=***&channel=1"),
        ("rtsp://h:554/admin:geheim/ch1", "rtsp://h:554/***/ch1"),
        (
            "rtsp://h/user=a&password=ge/heim&channel=1",
            "rtsp://h/user=a&password=***/***&channel=1",
        ),
        ("rtsp://h/user=a&password=ge/1&channel=1", "rtsp://h/user=a&password=***/***&channel=1"),
        ("rtsps://h:7441/aGeheimesZ3ichen?enableSrtp", "rtsps://h:7441/***?***"),
        ("rtsp://h/live/geheim", "rtsp://h/live/***"),
        ("rtsp://h/live/4711471", "rtsp://h/live/***"),
        ("rtsp://h/live/%67%65%68", "rtsp://h/live/***"),
        ("rtsp://h/g.e.h.e.i.m", "rtsp://h/***"),
        ("rtsp://h/live#geheim", "rtsp://h/live#***"),
        ("rtsp://h/live;jsessionid=geheim?x=1", "rtsp://h/live;***=***?x=1"),
        ("rtsp://h/live?channel=geheim", "rtsp://h/live?channel=***"),
        ("rtsp://h:geheim", "rtsp://***"),
        ("rtsp://h:geheim/1", "rtsp://***/1"),
        ("rtsp://h:x/", "rtsp://h:x/"),
        ("rtsp://[h/", "rtsp://[h/"),
        ("http://127.0.0.1:9478/metrics", "http://127.0.0.1:9478/metrics"),
        ("http://127.0.0.1:9479/review/", "http://127.0.0.1:9479/review/"),
        ("/a/plain/path", "/a/plain/path"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert redacted(shown) == shown
    assert with_urls_redacted(url) == shown
    assert with_urls_redacted(f"'{url}': away, {url}; again") == f"'{shown}': away, {shown}; again"


def test_a_url_is_found_behind_anything_and_at_no_cost() -> None:
    assert with_urls_redacted("1.2+rtsp://u:geheim@h/1") == "1.2+rtsp://u@h/1"
    assert with_urls_redacted("ä_rtsp://u:geheim@h/1") == "ä_rtsp://u@h/1"
    text = 1_000_000 * "a" + " ://"
    begun = time.process_time()
    assert with_urls_redacted(text) == text
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.7:554/Streaming/Channels/101",
        "rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif",
        "rtsp://10.0.0.7/axis-media/media.amp?resolution=640x480&fps=25",
        "rtsp://10.0.0.7/h264Preview_01_main",
        "rtsp://10.0.0.7/live/ch00_0",
        "rtsp://10.0.0.7/videoMain",
        "rtsp://10.0.0.7/onvif1",
        "rtsp://camera.local/stream1",
        "rtsp://10.0.0.7/11",
        "rtsp://10.0.0.7/ch01.264?ch=1",
        "rtsp://10.0.0.7/MediaInput/h264/stream_1",
        "rtsp://10.0.0.7/rtsp_tunnel?mode=4",
    ],
)
def test_usual_paths_of_cameras_stay_readable(url: str) -> None:
    assert redacted(url) == url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("admin:geheim@10.0.0.7/cam", "***@10.0.0.7/cam"),
        ("rtsp:/admin:geheim@10.0.0.7/cam", "rtsp@10.0.0.7/cam"),
        ("rtsp:admin:ge/heim@10.0.0.7/cam", "rtsp@10.0.0.7/cam"),
        ("/srv/a@b", "/srv/a@b"),
        ("12:30", "12:30"),
    ],
)
def test_a_url_without_its_scheme_is_one_too(text: str, shown: str) -> None:
    assert redacted(text) == shown
    with pytest.raises(ConfigError) as raised:
        parse(f"sources: [{{name: a, rtsp: '{text}'}}]")
    assert "geheim" not in str(raised.value)


def test_a_login_in_the_url_is_taken_out_of_it() -> None:
    parsed = parse(
        "sources: [{name: a, rtsp: 'rtsp://bob:${PW}@h:554/1'}]", environ={"PW": "p@ss/w%rd"}
    )
    source = parsed.sources[0]
    assert (source.rtsp, source.user) == ("rtsp://h:554/1", "bob")
    assert password_of(source) == "p@ss/w%rd"


def test_a_password_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "sources:\n- {name: a, rtsp: 'rtsp://bob:geheim@h/1'}\n"
        "- {name: b, rtsp: 'rtsp://h/?password=geheim'}\n"
        "- {name: c, rtsp: 'rtsp://h/', user: u, password: geheim}\n"
        "- {name: d, rtsp: 'rtsp://h/', user: u, password: '${PW}'}"
    )
    with caplog.at_level(logging.WARNING):
        parsed = parse(text, "c", environ={"PW": "geheim"})
    assert password_of(parsed.sources[0]) == "geheim"
    for seen in (repr(parsed), str(parsed), parsed.to_yaml(), caplog.text):
        assert "geheim" not in seen
    assert [message.split(": holds")[0] for message in caplog.messages] == [
        "c:2: sources.a.rtsp",
        "c:4: sources.c.password",
    ]
