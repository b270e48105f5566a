"""Imports point one way, and everything a person can type is documented."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest

from stillsift.cli import COMMANDS, parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "daemon" / "stillsift"

LAYERS = (
    (
        "arrays",
        "problems",
        "system_libraries",
        "units",
    ),
    ("frames",),
    (
        "decisions",
        "embedding",
        "health",
    ),
    ("selection",),
    ("config",),
    ("sources",),
    ("ledger",),
    (
        "service",
        "store",
    ),
    ("pipeline",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""From the ground up. A room may use what stands in a layer below its own."""


def _rooms() -> dict[str, Path]:
    """Every module by the room that it belongs to: `sources.clip` belongs to `sources`."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    }


def _imports(path: Path) -> set[str]:
    """Rooms that a module takes from the package, wherever in the module it does."""
    depth = len(path.relative_to(PACKAGE).parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level < depth:
                continue  # within the same folder
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {name.split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stillsift."):
            found.add((node.module or "").split(".")[1])
    return found - {"__version__"}


def _layer(room: str) -> int:
    for number, rooms in enumerate(LAYERS):
        if room in rooms:
            return number
    raise AssertionError(f"{room}: a new room; give it its place in LAYERS")


@pytest.mark.parametrize("module", _rooms())
def test_imports_point_down(module: str) -> None:
    path = _rooms()[module]
    room = module.split(".")[0]
    upwards = {other for other in _imports(path) if other != room and _layer(other) >= _layer(room)}
    assert not upwards, f"{module} may not import {sorted(upwards)}"


def _modules(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def test_the_heart_touches_no_disk_no_clock_and_no_thread() -> None:
    forbidden = {"os", "pathlib", "time", "threading", "sqlite3", "socket", "random", "datetime"}
    for path in (*_modules("health"), *_modules("selection")):
        tree = ast.parse(path.read_text("utf-8"))
        taken = {
            alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and not node.level
        }
        assert not taken & forbidden, f"{path} imports {taken & forbidden}"


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")


def test_every_command_module_makes_one_command() -> None:
    assert len(_commands()) == len(COMMANDS)


@pytest.mark.parametrize("command", _commands())
def test_every_command_is_documented_with_every_option(command: str) -> None:
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    section = re.search(rf"^## stillsift {command}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section is not None, f"docs/commands.md has no section for {command}"
    for action in _commands()[command]._actions:
        for option in action.option_strings:
            if option not in ("-h", "--help"):
                assert f"`{option}" in section[1], f"{command} {option} is not in docs/commands.md"


@pytest.mark.parametrize("command", _commands())
def test_every_help_shows_examples(command: str) -> None:
    assert f"stillsift {command}" in _commands()[command].format_help().split("examples:")[1] or (
        command == "run" and "systemctl" in _commands()[command].format_help()
    )


def test_every_room_is_on_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for module in _rooms():
        room = module.split(".")[0]
        if room not in ("__main__",):
            assert re.search(rf"`{room}(/|\.py|`)", text), f"docs/architecture.md: no {room}"
