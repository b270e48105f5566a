"""Imports point one way, and everything a person can type is documented.

`./test tests/test_structure.py -s` prints the folders with what each uses.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

from stillsift.cli import COMMANDS, parser

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "daemon" / "stillsift"

ORDER = (
    *("escapes", "problems", "units", "system_libraries", "arrays", "frames", "decisions"),
    "frame_numbers",
    *("embedding", "detection", "health", "selection", "config", "sources", "labels", "ledger"),
    *("store", "dataset", "export", "review"),
    *("service", "pipeline", "commands", "cli", "__main__"),
)
"""The folders and modules at the top, from the ground up. Each may use what stands before it."""

MODULES = {
    "embedding": "manifest onnx_file contract onnx_model embedding tagger text_pair",
    "detection": "manifest letterbox outputs detector crops",
    "health": "alarms known_views camera_health",
    "selection": """
        sensitivity numbers regions sharpness thumbnail small_picture gates cells moved_view
        shown_objects gallery noise background tracking scene
        comparison novelty sequence budgets keep_ratio targets best_view examples limits documents
        overview
        alignment light
        pixel_difference likeness copy_order pages album measured evidence rule learning photographs
        replacement verdict target_check context moments changes bursts sifter audit_sample
        farthest_first cell_limits""",
    "selection.replay": "measures what_if proposal",
    "config": """
        secrets marked_yaml field_types settings errors yaml_file edited web_config password lint
        json_schema reload""",
    "sources": "items pace sequences times picture skipping allocation decoding",
    "sources.files": """
        opening contents tree events arrivals gif extent motion_pictures raw header strips
        transparency tones pixels still pages read_ahead numbered clip_clock reading joined clip
        directory""",
    "sources.camera": "address stream_clock inbox enquiry connection rtsp",
    "labels": "class_names findings voc yolo coco turning checks",
    "ledger": """
        records schema lifetime rows filters totals covered search connection measures corrections
        browsing reader writer""",
    "store": """
        errors durable_files names lock rights repair store metadata_jsonl original quarantine
        correction recovery sidecars in_place in_place_repair thumbnails""",
    "dataset": """
        pictures reading words neighbours alike groups cover time_cover outliers copies balance
        annotations contact_sheet""",
    "export": """
        kept_frames folder splits imagefolder coco yolo cvat label_studio webdataset camtrap_dp
        parquet exporting""",
    "review": """
        reasons filters what_if sliders timeline heat pictures reverse_proxy throttle access
        pages rendering pair_canvas report application server""",
    "service": "notify signals deadline watchdog logs metrics access http",
    "pipeline": """
        troubles recorded_album kept_pictures groups example_folders tuning reading_mark recorder
        losses move_rights persistence sifting choosing line model_choice object_finder anonymizing
        sequence_check reembedding engine fleet""",
    "commands": """
        arguments tables dropped pasted tally watch progress picture_sets process_list sift_sources
        pairs hand_kept window viewed viewer
        in_place_originals labels_along
        service_user alarms audit balance examples check_config coverage decisions doctor export
        find gaps groups leaks models outliers repair report labels restore review run sift stats
        tune view""",
}
"""The modules of each folder in the same order. A folder within one comes after its modules."""

MOST_AT_THE_TOP = 25


def _name(path: Path) -> str:
    """`sources.files.clip`; a folder's `__init__` has the folder's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _paths() -> dict[str, Path]:
    """Every module and folder by its name."""
    return {_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if _name(path)}


def _imports(name: str) -> set[str]:
    """Modules and folders of the package that one uses, wherever in its file."""
    paths = _paths()
    package = name.split(".") if paths[name].stem == "__init__" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(paths[name].read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = package[: len(package) - node.level + 1]
        elif (node.module or "").split(".")[0] == "stillsift":
            base = []
        else:
            continue
        module = (node.module or "").removeprefix("stillsift").strip(".")
        target = ".".join([*base, *module.split(".")] if module else base)
        for alias in node.names:
            inner = f"{target}.{alias.name}".strip(".")
            found.add(inner if inner in paths else target)
    return found - {"", name}


def _order(name: str) -> list[int]:
    """Sorts modules from the ground up, folder by folder."""
    place: list[int] = []
    parts = name.split(".")
    for depth, part in enumerate(parts):
        folder = ".".join(parts[:depth])
        inside = ORDER if not folder else (*MODULES[folder].split(), *_folders_in(folder))
        assert part in inside, (
            f"{name}: new; give it its place in {'MODULES' if folder else 'ORDER'}"
        )
        place.append(inside.index(part))
    return place


def _folders_in(folder: str) -> list[str]:
    prefix = f"{folder}."
    return [each.removeprefix(prefix) for each in MODULES if each.startswith(prefix)]


@pytest.mark.parametrize("name", _paths())
def test_imports_point_one_way(name: str) -> None:
    is_folder = _paths()[name].stem == "__init__"
    for other in _imports(name):
        if is_folder and other.startswith(f"{name}."):
            continue  # it hands on what its modules hold
        assert not name.startswith(f"{other}."), f"{name}: import the module, not {other}"
        assert _order(other) < _order(name), f"{name} may not import {other}"


def test_folders_use_each_other_one_way() -> None:
    uses: dict[str, set[str]] = defaultdict(set)
    for name in _paths():
        top = name.split(".")[0]
        uses[top] |= {other.split(".")[0] for other in _imports(name)} - {top}
    assert set(uses) == set(ORDER)
    assert len(ORDER) <= MOST_AT_THE_TOP
    for top in reversed(ORDER):
        below = sorted(uses[top], key=ORDER.index, reverse=True)
        print(f"{top + ('/' if top in MODULES else ''):17} -> {' '.join(below) or '-'}")
    for top, used in uses.items():
        assert all(ORDER.index(other) < ORDER.index(top) for other in used), f"{top} uses {used}"


def test_every_module_has_its_place() -> None:
    listed = {f"{folder}.{name}" for folder, names in MODULES.items() for name in names.split()}
    assert listed == {name for name in _paths() if "." in name} - set(MODULES)


@pytest.mark.parametrize("name", _paths())
def test_what_a_folder_hands_on_is_taken_from_the_folder(name: str) -> None:
    for node in ast.walk(ast.parse(_paths()[name].read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level or not node.module:
            continue
        package = name.split(".") if _paths()[name].stem == "__init__" else name.split(".")[:-1]
        target = [*package[: len(package) - node.level + 1], *node.module.split(".")]
        folder = ".".join(target[:-1])
        if not folder or name == folder or name.startswith(f"{folder}."):
            continue
        handed_on = set(getattr(import_module(f"stillsift.{folder}"), "__all__", ()))
        taken = handed_on & {alias.name for alias in node.names}
        assert not taken, f"{name}: from {folder} import {', '.join(sorted(taken))}"


@pytest.mark.parametrize("folder", MODULES)
def test_a_folder_tells_what_it_holds(folder: str) -> None:
    told = ast.get_docstring(ast.parse((_paths()[folder]).read_text("utf-8")))
    assert told is not None, f"{folder}/__init__.py has no docstring"
    assert "Knows" in told, f"{folder}/__init__.py does not say what it knows nothing of"
    assert re.search(r"Read `\w", told), f"{folder}/__init__.py does not say what to read first"


def test_decisions_touch_no_disk_no_clock_and_no_thread() -> None:
    forbidden = {"os", "pathlib", "time", "threading", "sqlite3", "socket", "random", "datetime"}
    for name, path in _paths().items():
        if name.split(".")[0] not in ("selection", "health"):
            continue
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
        assert not taken & forbidden, f"{name} imports {taken & forbidden}"


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    tests = ROOT / "tests"
    for path in tests.rglob("test_*.py"):
        folder = ".".join(path.relative_to(tests).parts[:-1])
        assert folder in ("", *MODULES), f"{path}: the package has no folder {folder}"


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


@pytest.mark.parametrize("name", [each for each in _paths() if each != "__main__"])
def test_every_module_is_on_the_map(name: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    *folder, module = name.split(".")
    if name in MODULES:
        assert f"\n### {name.replace('.', '/')}/" in text, f"docs/architecture.md: no {name}/"
        return
    section = text
    if folder:
        heading = re.escape("/".join(folder))
        found = re.search(rf"^### {heading}/(.*?)(?=^##|\Z)", text, re.M | re.S)
        assert found is not None, f"docs/architecture.md: no {heading}/"
        section = found[1]
    assert f"`{module}`" in section, f"docs/architecture.md: no {name}"


def test_whoever_imports_onnxruntime_switches_its_telemetry_off_before() -> None:
    """In the package `stillsift/__init__.py` does, which is imported before any of its modules."""
    for path in [*ROOT.glob("bench/**/*.py"), *ROOT.glob("models/*.py"), PACKAGE / "__init__.py"]:
        text = path.read_text("utf-8")
        off = text.find('os.environ["ORT_DISABLE_TELEMETRY"] = "1"')
        found = re.search(r"^(?:import|from) onnxruntime", text, re.M)
        if found is not None or path.name == "__init__.py":
            assert 0 <= off < (found.start() if found else len(text)), path
