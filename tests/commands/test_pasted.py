"""The commands that a person is told to use work when they are pasted into a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Command
from footage import write_still
from stillsift.commands.pasted import pasted, quoted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "word",
    [
        *("plain", "with blank", "it's", 'a"b', "$HOME", "a\\b", "", "#*?[x]", "ümläut"),
        *("line\nbreak", "'\n\\", "\x1b[2J1", "caf\udce9", "tab\t7", "\u202e"),
    ],
)
def test_a_shell_gives_back_the_word(word: str) -> None:
    text = quoted(word)
    assert text.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {text}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)


def test_a_plain_path_is_shown_as_it_is() -> None:
    assert pasted("decisions", "--store", Path("/srv/s")) == "stillsift decisions --store /srv/s"


def script(path: Path) -> Path:
    """A console script as pip writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom stillsift.__main__ import main\nsys.exit(main())\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (["venv/bin/stillsift"], "venv/bin/stillsift"),
        (["my venv/bin/stillsift"], "'my venv/bin/stillsift'"),
        (["stillsift"], "stillsift"),
        ([sys.executable, "-m", "stillsift"], f"{sys.executable} -m stillsift"),
        ([sys.executable, str(ROOT / "daemon")], f"{sys.executable} {ROOT / 'daemon'}"),
    ],
)
def test_the_hint_calls_the_program_as_it_was_called(
    called: list[str], told: str, tmp_path: Path
) -> None:
    script(tmp_path / "venv" / "bin" / "stillsift")
    script(tmp_path / "my venv" / "bin" / "stillsift")
    script(tmp_path / "path" / "stillsift")
    write_still(tmp_path / "in" / "a.jpg", 1)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "daemon"),
    }
    store = tmp_path / "the store's"
    sifted = subprocess.run(
        [*called, "sift", "in", "-o", store.name],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    hint = sifted.stdout.splitlines()[-1].removeprefix("Why           ")
    assert hint.startswith(f"{told} decisions --store ")
    shown = subprocess.run(
        ["bash", "-c", hint], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert "novel" in shown.stdout


def test_failures_are_asked_for_in_a_store_with_blanks(stillsift: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(b"no picture")
    done = stillsift("sift", tmp_path / "in", "-o", tmp_path / "a b")
    asked = f"stillsift decisions --store '{tmp_path / 'a b'}' --outcome failed"
    assert f"and 2 more: {asked}" in done.out
