"""`stillsift check-config`: what `run` would refuse, what is doubtful, and what cannot be had."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Command
from footage import write_still
from running import free_port
from stillsift.store import Store

SOURCES = "sources:\n  - {name: gate, directory: gate}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.yaml"


def told(stillsift: Command, config: Path, text: str, status: int) -> dict[str, Any]:
    """What --json says, which has to be all there is."""
    config.write_text(text)
    done = stillsift("check-config", config, "--json")
    assert (done.status, done.err) == (status, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


# -- mistakes --------------------------------------------------------------------------------------


def test_mistakes_are_json_too(stillsift: Command, config: Path) -> None:
    found = told(stillsift, config, "stor: {}\nsources:\n  - {name: gate, rate: -1}\n", 78)
    assert found["mistakes"] == [
        {
            "file": str(config),
            "line": 1,
            "key": "stor",
            "message": "unknown key; did you mean store?",
        },
        *found["mistakes"][1:],
    ]
    assert {mistake["key"] for mistake in found["mistakes"][1:]} == {
        *("sources.gate", "sources.gate.rate")
    }
    config.unlink()
    done = stillsift("check-config", config, "--json")
    (mistake,) = json.loads(done.out)["mistakes"]
    assert done.status == 78
    assert (mistake["line"], mistake["key"], mistake["message"]) == (None, None, "no such file")


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("store: {path: s}\n", None, "sources", "`stillsift run` needs one"),
        ("store: {path: s}\nsources: []\n", 2, "sources", "`stillsift run` needs one"),
        (
            f"model:\n  path: own.onnx\n  custom: {{cell_limit: 1}}\n{SOURCES}",
            *(2, "model.path", "there is no such file"),
        ),
        (f"model: {{name: resnet}}\n{SOURCES}", 1, "model.name", "there is no model resnet"),
    ],
)
def test_what_run_would_refuse_is_a_mistake(
    stillsift: Command, config: Path, text: str, line: int | None, key: str, said: str
) -> None:
    (mistake,) = told(stillsift, config, text, 78)["mistakes"]
    assert (mistake["line"], mistake["key"]) == (line, key)
    assert said in mistake["message"]
    done = stillsift("check-config", config)
    assert (done.status, done.out) == (78, "")
    assert key in done.err
    assert stillsift("run", "-c", config).status == 78


def test_all_mistakes_are_told_in_one_go(stillsift: Command, config: Path) -> None:
    text = (
        f"store: {{path: s}}\nmodel: {{name: resnet}}\ndefaults: {{require: [persn]}}\n{SOURCES}"
        "  - {name: yard, rtsp: 'rtsp://192.0.2.7/', user: u, password_file: /nowhere/it}\n"
        "review: {listen: '127.0.0.1:0', password_file: /nowhere/there}\n"
    )
    found = told(stillsift, config, text, 78)
    assert [(each["line"], each["key"]) for each in found["mistakes"]] == [
        (2, "model.name"),
        (3, "defaults.require[0].label"),
        (7, "review.password_file"),
    ]
    # A camera waits for its password.
    assert [(each["line"], each["key"], each["message"]) for each in found["warnings"]] == [
        (6, "sources.yard.password_file", "/nowhere/it cannot be read: No such file or directory")
    ]
    credential = text.replace("/nowhere/it", "yard").replace("/nowhere/there", "review")
    found = told(stillsift, config, credential, 78)
    assert (len(found["mistakes"]), found["warnings"]) == (2, [])


def test_mistakes_of_the_web_configuration_are_told_with_their_lines(
    stillsift: Command, config: Path
) -> None:
    Path("web.yml").write_text("tls: {}\nbasic_auth_users:\n  a: geheim\n")
    text = f"store: {{path: s}}\nmetrics: {{web_config_file: web.yml}}\n{SOURCES}"
    found = told(stillsift, config, text, 78)["mistakes"]
    assert [(each["line"], each["key"]) for each in found] == [(2, "metrics.web_config_file")] * 2
    assert found[0]["message"] == "web.yml:1: tls: is not known here"
    assert "basic_auth_users: of 'a' is no bcrypt hash" in found[1]["message"]
    assert "geheim" not in json.dumps(found)
    Path("gate").mkdir()
    assert stillsift("run", "-c", config).status == 78
    Path("web.yml").write_text("")
    assert told(stillsift, config, text, 0)["mistakes"] == []


# -- doubts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "defaults", "doubtful"),
    [
        ([{}, {}], {"group": "yard"}, {}),
        ([{"group": "yard"}, {}], {}, {"sources.a.group": "no other source has it"}),
        ([{}], {"group": "yard"}, {"defaults.group": "no other source has it"}),
        ([{"group": "yard"}, {"group": "Yard"}], {}, {"sources.b.group": "two groups"}),
        (
            *([{"ignore": [[[0, 0], [1, 0], [1, 0.1]]]}, {}], {"group": "yard"}),
            {"sources.b.group": "paints looks new to the other"},
        ),
        ([{}, {"directory": "a"}], {}, {"sources.b.directory": "that of sources.a too"}),
        ([{}, {"directory": "a/in"}], {}, {"sources.b.directory": "lies in that of sources.a"}),
        ([{"directory": "b/in"}, {}], {}, {"sources.b.directory": "holds that of sources.a"}),
        ([{}, {"directory": "link"}], {}, {"sources.b.directory": "that of sources.a too"}),
        ([{}, {"directory": "a/in"}], {"recursive": False}, {}),
        ([{}], {"heartbeat": "10s", "min_gap": "10s"}, {}),
        ([{}], {"heartbeat": "10s", "min_gap": "1m"}, {"defaults.heartbeat": "for 1m"}),
        ([{"heartbeat": "10s"}], {"min_gap": "1m"}, {"sources.a.heartbeat": "for 1m"}),
        ([{"min_gap": "1m"}], {"heartbeat": "10s"}, {"sources.a.min_gap": "heartbeat is 10s"}),
        (
            *([{}], {"inhibit": ["face"], "audit": 0.01}),
            {"defaults.audit": "that a detector has looked at, and these are few"},
        ),
        (
            [{"inhibit": ["face"]}],
            {"audit": 0.01},
            {"sources.a.inhibit": "a detector has looked at"},
        ),
        (
            *([{"require": ["car"]}], {"inhibit": ["car", "bus"]}),
            {"sources.a.require": "inhibit leaves out car, which require asks for"},
        ),
        ([{"require": ["car", "bus"]}], {"inhibit": ["car"]}, {}),
        ([{}], {"max_per_minute": 10, "max_per_hour": 600, "max_per_day": 600}, {}),
        (
            *([{}], {"max_per_minute": 10, "max_per_hour": 5}),
            {"defaults.max_per_minute": "max_per_hour allows only 5"},
        ),
        (
            *([{"max_per_hour": 601}], {"max_per_minute": 10}),
            {"sources.a.max_per_hour": "allows no more than 600 in one hour"},
        ),
        (
            *([{}], {"max_per_minute": 1, "max_per_day": 1441}),
            {"defaults.max_per_minute": "allows no more than 1440 in one day"},
        ),
        ([{}], {"retire": "delete", "repair": {"suffix": True}}, {}),
        ([{}], {"retire": "move", "repair": {"orientation": True}}, {}),
        (
            *([{"repair": {"longest_side": 640}}], {"retire": "delete"}),
            {"sources.a.repair": "had back from nowhere"},
        ),
    ],
)
def test_what_is_right_and_hardly_meant_is_a_warning(
    stillsift: Command,
    config: Path,
    sources: list[dict[str, Any]],
    defaults: dict[str, Any],
    doubtful: dict[str, str],
) -> None:
    Path("a").mkdir()
    Path("link").symlink_to("a")
    named = [{"name": n, "directory": n, **own} for n, own in zip("abc", sources, strict=False)]
    text = yaml.safe_dump({"defaults": defaults, "sources": named})
    found = told(stillsift, config, text, 0)
    assert found["mistakes"] == []
    assert {each["key"] for each in found["warnings"]} == set(doubtful)
    for each in found["warnings"]:
        assert doubtful[each["key"]] in each["message"]
        assert each["line"] is not None
    done = stillsift("check-config", config)
    assert (done.status, done.err.count(": warning: ")) == (0, len(doubtful))
    assert done.out.count("1 warning") == len(doubtful)


def test_a_review_that_others_can_reach_is_a_warning(stillsift: Command, config: Path) -> None:
    Path("gate").mkdir()
    password = Path("password").absolute()
    password.write_text("geheim\n")
    password.chmod(0o600)
    for listen, warnings in (("0.0.0.0:9479", 1), ("127.0.0.1:9479", 0), ("off", 0)):
        review = f"review: {{listen: '{listen}', password_file: {password}}}"
        found = told(stillsift, config, f"{review}\n{SOURCES}", 0)
        assert [each["key"] for each in found["warnings"]] == ["review.listen"] * warnings
        assert all("nothing is encrypted" in each["message"] for each in found["warnings"])


def test_a_password_in_clear_text_is_a_warning(stillsift: Command, config: Path) -> None:
    camera = "{name: a, rtsp: 'rtsp://192.0.2.1/x', user: u, password: geheim}"
    found = told(stillsift, config, f"sources:\n  - {camera}\n", 0)
    (warning,) = found["warnings"]
    assert (warning["line"], warning["key"]) == (2, "sources.a.password")
    assert "geheim" not in json.dumps(found)


# -- probes ----------------------------------------------------------------------------------------


def test_the_verdict_comes_last(stillsift: Command, config: Path) -> None:
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: off}}\n{SOURCES}")
    done = stillsift("check-config", config, "--probe")
    assert done.status == 1
    assert "source gate (gate): No such file or directory" in done.out
    assert done.out.splitlines()[-1] == f"{config}: right; 1 source; but 1 of 3 probes failed"
    Path("gate").mkdir()
    done = stillsift("check-config", config, "--probe")
    assert (done.status, done.out.splitlines()[-1]) == (0, f"{config}: right; 1 source")


def test_a_model_that_run_would_refuse_gives_its_status(stillsift: Command, config: Path) -> None:
    Path("own.onnx").write_bytes(b"no model")
    Path("gate").mkdir()
    model = "model: {path: own.onnx, custom: {cell_limit: 1}}"
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: off}}\n{model}\n{SOURCES}")
    assert stillsift("check-config", config).status == 0
    done = stillsift("check-config", config, "--probe")
    assert done.status == 78
    assert "model: own.onnx: onnxruntime cannot open it" in done.out
    assert stillsift("run", "-c", config).status == 78


def test_a_camera_without_its_password_file_is_a_probe_of_its_own(
    stillsift: Command, config: Path
) -> None:
    camera = "{name: a, rtsp: 'rtsp://127.0.0.1:1/x', user: u, password_file: /nothing}"
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: off}}\nsources:\n  - {camera}\n")
    done = stillsift("check-config", config, "--probe")
    assert done.status == 1
    assert "/nothing cannot be read" in done.out


def test_an_address_that_is_taken_is_told(stillsift: Command, config: Path) -> None:
    Path("gate").mkdir()
    port = free_port()
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: '127.0.0.1:{port}'}}\n{SOURCES}")
    what = f"metrics.listen 127.0.0.1:{port}"
    assert f"{what}: ok" in stillsift("check-config", config, "--probe").out
    with socket.create_server(("127.0.0.1", port)):
        done = stillsift("check-config", config, "--probe")
        assert done.status == 1
        assert (
            f"{what}: metrics.listen: cannot listen on 127.0.0.1:{port}: Address already"
            in done.out
        )
        with Store(Path("s")).lock():  # as a daemon of this configuration has it
            done = stillsift("check-config", config, "--probe")
        assert (done.status, f"{what} (by the stillsift that runs): ok" in done.out) == (0, True)


NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
NOBODY = 65534


@NEEDS_ROOT
@pytest.mark.parametrize("retire", ["move", "delete"])
def test_root_is_told_for_whom_it_holds_and_tries_the_move_as_that_user(
    stillsift: Command, monkeypatch: pytest.MonkeyPatch, retire: str
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)  # others cannot even enter pytest's own folders
        monkeypatch.chdir(folder)
        (folder / "gate" / "day").mkdir(parents=True)
        (folder / "store").mkdir()
        os.chown(folder / "store", NOBODY, NOBODY)
        config = folder / "config.yaml"
        source = f"{{name: gate, directory: {folder}/gate, retire: {retire}}}"
        config.write_text(
            f"store: {{path: {folder}/store, min_free: 0}}\nmetrics: {{listen: off}}\n"
            f"sources:\n  - {source}\n"
        )

        def probed() -> tuple[int, str]:
            done = stillsift("check-config", config, "--probe")
            return done.status, done.out

        status, said = probed()
        assert status == 1
        assert "probed as root; store and sources as nobody" in said
        assert f"runuser -u nobody -- stillsift check-config --probe {config}" in said
        assert f"retire: {retire}: {folder}/gate: nobody may not take files out of it" in said
        os.chown(folder / "gate", NOBODY, NOBODY)
        status, said = probed()
        assert (status, f"{folder}/gate/day: nobody may not take files" in said) == (1, True)
        (folder / "gate" / "day").chmod(0o777)
        assert probed()[0] == 0
        (folder / "gate" / "day").chmod(0o1777)  # as /tmp is
        assert probed()[0] == 0
        (folder / "gate" / "day" / "a.jpg").touch()
        status, said = probed()
        assert (status, "may not take a.jpg out of it: the folder is sticky" in said) == (1, True)
        (folder / "gate").chmod(0)
        (folder / "gate" / "day").chmod(0o777)
        status, said = probed()
        assert (status, "gate): Permission denied" in said) == (1, True)
        assert sorted(each.name for each in (folder / "gate").iterdir()) == ["day"]
        assert {each.stat().st_uid for each in (folder / "store").rglob("*")} == {NOBODY}
        assert os.geteuid() == 0


@NEEDS_ROOT
def test_root_without_a_user_of_the_service_is_told_to_name_one(
    stillsift: Command, config: Path
) -> None:
    Path("gate").mkdir()
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: off}}\n{SOURCES}")
    done = stillsift("check-config", config, "--probe")
    assert (done.status, "Run this as the user of the service" in done.out) == (0, True)


def test_deep_folders_are_probed_as_deep_as_they_are_read(
    stillsift: Command, config: Path, make_deep: Callable[[Path], None]
) -> None:
    Path("gate").mkdir()
    make_deep(Path("gate") / "deep")
    config.write_text(
        "store: {path: s}\nmetrics: {listen: off}\n"
        "sources: [{name: gate, directory: gate, retire: delete}]\n"
    )
    assert "gate): ok" in stillsift("check-config", config, "--probe").out


def test_what_run_would_leave_alone_is_told(stillsift: Command, config: Path) -> None:
    for name in ("gate/a.jpg", "gate/a.xmp", "gate/deep/b.XMP"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("gate/l.jpg").symlink_to("a.jpg")
    config.write_text(f"store: {{path: s}}\nmetrics: {{listen: 'off'}}\n{SOURCES}")
    done = stillsift("check-config", config, "--probe")
    assert (
        "gate): ok; 2 files are of no kind that stillsift reads (.xmp 2); 1 symbolic link is not"
        in done.out
    )
    done = stillsift("check-config", config, "--probe", "--json")
    assert json.loads(done.out)["probes"][-1]["left_alone"] == {".xmp": 2, "links": 1}


def test_a_file_without_sources_is_right_for_sift(stillsift: Command, config: Path) -> None:
    """It holds what `sift -c` takes, and nothing for `run`."""
    photos = config.parent / "photos"
    photos.mkdir()
    found = told(stillsift, config, "defaults: {rate: all}\n", 78)
    assert [each["key"] for each in found["mistakes"]] == ["sources"]
    assert "`stillsift sift -c` takes the file as it is" in found["mistakes"][0]["message"]
    write_still(photos / "a.jpg", 1)
    assert stillsift("sift", photos, "-c", config, "-o", config.parent / "out").status == 0
    assert stillsift("run", "-c", config).status == 78
