"""Values that are written into config.yaml; all else in it stays, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillsift.config import ConfigError
from stillsift.config.edited import EditError, difference, edited

BLOCK = """\
# my cameras
store: {path: /srv/s}
defaults:
  rate: 5/s   # enough
sources:
  - name: gate  # the old one
    directory: /srv/gate
    novelty_limit: 1.4   # tried in May
  # the yard, at night
  - {name: yard, rtsp: "rtsp://viewer:s3cret@192.0.2.7/1"}
  - directory: /srv/door
    name: "door"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode())
    return path


def test_a_value_is_replaced_or_put_beside_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, BLOCK)
    before, after = edited(
        path,
        {
            "gate": {"novelty_limit": 2.0, "sensitivity": "low"},
            "yard": {"sensitivity": "high"},
            "door": {"novelty_limit": 0.7},
        },
    )
    assert before == BLOCK
    changed = BLOCK.replace("novelty_limit: 1.4 ", "novelty_limit: 2.0 ")
    changed = changed.replace("# the old one\n", "# the old one\n    sensitivity: low\n")
    changed = changed.replace("{name: yard,", "{name: yard, sensitivity: high,")
    changed = changed.replace('name: "door"\n', 'name: "door"\n    novelty_limit: 0.7\n')
    assert after == changed


def test_ends_of_lines_stay_and_a_last_line_may_lack_its_end(tmp_path: Path) -> None:
    text = "sources:\r\n  - directory: /srv/gate\r\n    name: gate"
    _, after = edited(written(tmp_path, text), {"gate": {"sensitivity": "low"}})
    assert after == f"{text}\r\n    sensitivity: low\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "sources:\n  - {name: gate, directory: /a, novelty_limit: &l 2}\n"
        "  - {name: yard, directory: /b, novelty_limit: *l}\n",
        "defaults: &d {rate: 5/s}\nsources:\n  - &a {name: yard, directory: /b}\n"
        "  - {<<: *a, name: gate, directory: /a}\n",
    ],
)
def test_aliases_are_left_to_a_person(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(EditError, match=r"alias|without a change of others"):
        edited(path, {"yard": {"novelty_limit": 3.0}})
    assert path.read_text() == text


def test_a_source_that_is_written_oddly_is_left_to_a_person(tmp_path: Path) -> None:
    path = written(tmp_path, "sources:\n  - ? name\n    : gate\n    ? directory\n    : /a\n")
    with pytest.raises(EditError, match="source 1 is written oddly"):
        edited(path, {"gate": {"sensitivity": "low", "novelty_limit": 2.0}})


def test_an_unknown_source_and_a_mistake_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EditError, match="no source 'shed'; it has gate, yard, door"):
        edited(written(tmp_path, BLOCK), {"shed": {"sensitivity": "low"}})
    with pytest.raises(ConfigError, match="sensitivity"):
        edited(written(tmp_path, BLOCK), {"gate": {"sensitivity": "loud"}})


def test_a_diff_shows_no_password(tmp_path: Path) -> None:
    path = written(tmp_path, BLOCK)
    shown = difference(path, *edited(path, {"yard": {"sensitivity": "high"}}))
    assert "s3cret" not in shown
    assert "sensitivity: high" in shown
    own = written(
        tmp_path,
        "sources: [{name: a, rtsp: 'rtsp://192.0.2.7/1', user: u, password: pa55word}]\n",
    )
    shown = difference(own, *edited(own, {"a": {"novelty_limit": 2.0}}))
    assert "pa55word" not in shown
    assert "password: ***" in shown
