"""What a person reads when a system library or a dependency is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stillsift import system_libraries

ROOT = Path(__file__).parents[1]


def test_the_table_names_a_package_for_every_library() -> None:
    packages = system_libraries.packages()
    assert packages["libGL.so.1"] == "libgl1"
    assert packages["libxcb.so.1"] == "libxcb1"
    assert all(re.fullmatch(r"lib[\w.+-]+\.so\.\d+", library) for library in packages)
    assert all(re.fullmatch(r"lib[a-z0-9.+-]+", package) for package in packages.values())


def test_a_library_without_a_known_package_is_still_named() -> None:
    explanation = system_libraries.explain_import_error(
        ImportError("libnothing.so.7: cannot open shared object file: No such file or directory")
    )
    assert explanation is not None
    assert "libnothing.so.7" in explanation
    assert "apt-file search libnothing.so.7" in explanation


def test_the_words_are_those_of_the_loader() -> None:
    # dlopen itself, so that a changed wording of the C library is noticed here.
    done = subprocess.run(
        [sys.executable, "-c", "import ctypes; ctypes.CDLL('libnothing.so.7')"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    explanation = system_libraries.explain_import_error(ImportError(done.stderr.splitlines()[-1]))
    assert explanation is not None
    assert "the system library libnothing.so.7 is missing" in explanation


@pytest.mark.parametrize(
    ("module", "distribution"),
    [("cv2", "opencv-python"), ("yaml", "pyyaml"), ("onnxruntime.capi", "onnxruntime-gpu")],
)
def test_a_missing_dependency_is_named_as_pip_knows_it(module: str, distribution: str) -> None:
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    explanation = system_libraries.explain_import_error(error)
    assert explanation is not None
    assert f"the Python package {distribution}" in explanation
    assert "pip install stillsift" in explanation


@pytest.mark.parametrize(
    "error",
    [
        ImportError("cannot import name 'main' from 'stillsift.cli'"),
        ModuleNotFoundError("No module named 'stillsift.nosuch'", name="stillsift.nosuch"),
    ],
)
def test_our_own_mistakes_keep_their_traceback(error: ImportError) -> None:
    assert system_libraries.explain_import_error(error) is None


def test_every_dependency_has_a_name_to_be_explained_by() -> None:
    # protobuf comes with onnxruntime, so this is a subset.
    declared = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2]
    names = re.findall(r'^    "([\w-]+)', declared.partition("\n]")[0], flags=re.MULTILINE)
    assert len(names) > 8
    explained = " ".join(system_libraries._DISTRIBUTIONS.values()).split()
    assert sorted(set(names) - set(explained)) == []


# -- a system that really lacks them ---------------------------------------------------------------

_WITHOUT = """
set -e
libraries=$1 scratch=$2; shift 2
# Another view of the library folder, of links to everything in it but what is to be missing.
# It is put in place in one step, since every command needs that folder.
mkdir "$scratch/all" "$scratch/some"
mount --bind "$libraries" "$scratch/all"
cp -as "$scratch/all/." "$scratch/some/"
rm -f "$scratch"/some/libGL.so* "$scratch"/some/libxcb.so*
mount --bind "$scratch/some" "$libraries"
exec "$@"
"""


def run_without_gl_and_xcb(scratch: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command where libGL.so.1 and libxcb.so.1 do not exist: a mount namespace."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"libxcb\.so\.1 .*=> (\S+)", cache.stdout)
    if found is None:
        pytest.skip("this system has no libxcb.so.1 that could be hidden")
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no user and mount namespaces here")
    folder = Path(found[1]).parent.resolve()
    return subprocess.run(
        [*unshare, "bash", "-c", _WITHOUT, "bash", folder, scratch, *command],
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_command_names_the_library_and_every_package_at_once(tmp_path: Path) -> None:
    done = run_without_gl_and_xcb(
        tmp_path, sys.executable, "-m", "stillsift", "sift", tmp_path, "--output", tmp_path / "out"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"the system library lib(GL|xcb)\.so\.1 is missing", done.stderr)
    assert "apt-get install lib" in done.stderr
    assert "libgl1" in done.stderr
    assert "libxcb1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_doctor_s_list_has_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    listing = (
        "from stillsift.system_libraries import missing_libraries as m; print(*m(), sep='\\n')"
    )
    here = subprocess.run(
        [sys.executable, "-c", listing], stdout=subprocess.PIPE, text=True, check=True
    )
    assert here.stdout.strip() == ""
    done = run_without_gl_and_xcb(tmp_path, sys.executable, "-c", listing)
    assert done.returncode == 0, done.stderr
    # libX11 and libXext need libxcb and cannot be loaded either, but they are here.
    assert done.stdout.splitlines() == [
        "MissingLibrary(name='libGL.so.1', package='libgl1')",
        "MissingLibrary(name='libxcb.so.1', package='libxcb1')",
    ]
