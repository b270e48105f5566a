"""No password is to be seen, wherever one stands in a URL."""

from __future__ import annotations

import logging

import pytest

from stillsift.config.password import password_of
from stillsift.config.secrets import redacted
from stillsift.config.yaml_file import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://h/1", "rtsp://h/1"),
        ("rtsp://h:554/a@b", "rtsp://h:554/a@b"),
        ("rtsp://u@h/1", "rtsp://u@h/1"),
        ("rtsp://u:geheim@h:554/1", "rtsp://u@h:554/1"),
        ("rtsp://u:ge/he@im@h/1", "rtsp://u@h/1"),
        ("rtsp://h/u=a&password=geheim&x=1", "rtsp://h/u=a&password=***&x=1"),
        ("rtsp://h/?PWD=geheim", "rtsp://h/?PWD=***"),
        ("/a/plain/path", "/a/plain/path"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


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
