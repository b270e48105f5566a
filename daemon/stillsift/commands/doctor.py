"""Implements `stillsift doctor`: shows what this machine has and lacks, with the remedy."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..detection import detectors, open_detector
from ..embedding import onnx_file, onnx_model
from ..embedding.manifest import manifest
from ..embedding.tagger import Tagger
from ..escapes import escaped, json_text
from ..problems import Problem
from ..store import Store, StoreError
from ..store.durable_files import nearest_existing
from ..system_libraries import missing_libraries
from ..units import counted, shown_size
from . import arguments
from .arguments import Commands, add_command, add_config, add_json, configured, usual_config

_EXAMPLES = """\
  stillsift doctor
  stillsift doctor -c /etc/stillsift/config.yaml --json
"""

_WATCHES_WANTED = 8192


@dataclass(frozen=True, slots=True)
class _Finding:
    """Describes one thing that was looked at."""

    subject: str
    ok: bool
    found: str
    remedy: str | None = None
    """What to do; None: nothing is wrong, or no remedy is given."""
    there: bool = True
    """False: there is none, and that is no mistake."""

    @property
    def word(self) -> str:
        if not self.ok:
            return "WRONG"
        return "ok" if self.there else "none"


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "doctor", doctor, "Tell what this box has and lacks, with the remedy.", _EXAMPLES
    )
    add_config(parser)
    add_json(parser)


def doctor(given: argparse.Namespace) -> int:
    """Looks at everything; returns 1 where something is wrong."""
    findings = [finding for look in _looks(given) for finding in look()]
    if given.json:
        print(json_text([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.word:5}  {finding.subject}: {escaped(finding.found)}")
            if finding.remedy is not None:
                print(f"       {finding.remedy}")
    return 0 if all(finding.ok for finding in findings) else 1


def _looks(given: argparse.Namespace) -> tuple[Callable[[], Iterator[_Finding]], ...]:
    return (_software, _libraries, _gpu, _models, _inotify, lambda: _configuration(given))


def _software() -> Iterator[_Finding]:
    system = f"Python {platform.python_version()} on {platform.machine()}, {sys.platform}"
    yield _Finding("stillsift", True, f"{__version__}, {system}")
    installed = [name for name in ("onnxruntime-gpu", "onnxruntime") if _version(name)]
    for name in ("opencv-python", *installed, "av", "numpy"):
        yield _Finding(name, _version(name) is not None, _version(name) or "not installed")
    if len(installed) == 2:
        yield _Finding(
            "onnxruntime",
            False,
            "onnxruntime and onnxruntime-gpu are both installed; whichever came last is used",
            "pip uninstall onnxruntime onnxruntime-gpu, then pip install onnxruntime-gpu",
        )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _libraries() -> Iterator[_Finding]:
    missing = missing_libraries()
    packages = " ".join(dict.fromkeys(library.package for library in missing))
    names = ", ".join(library.name for library in missing)
    yield _Finding(
        "system libraries",
        not missing,
        f"missing: {names}" if missing else "all there",
        f"apt-get install {packages}" if missing else None,
    )


def _gpu() -> Iterator[_Finding]:
    problem = onnx_file.cuda_problem()
    yield _Finding("GPU", True, "CUDA is used" if problem is None else f"not used: {problem}")


def _models() -> Iterator[_Finding]:
    for name, spec in manifest().items():
        try:
            verified = onnx_model.verify(spec)
        except Problem as problem:
            yield _Finding(f"model {name}", False, str(problem), "install stillsift again")
        else:
            yield _Finding(f"model {name}", True, f"whole, runs on {verified.provider}")
        if spec.tags is None:
            continue
        try:
            Tagger(spec.tags)
        except Problem as problem:
            yield _Finding(f"tags {spec.tags.name}", False, str(problem), "install stillsift again")
        else:
            yield _Finding(f"tags {spec.tags.name}", True, "whole, runs on cpu")
    for name, detector in detectors().items():
        try:
            provider = open_detector(detector).provider
        except Problem as problem:
            yield _Finding(f"detector {name}", False, str(problem), "install stillsift again")
        else:
            yield _Finding(f"detector {name}", True, f"whole, runs on {provider}")


def _inotify() -> Iterator[_Finding]:
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    if not limit.is_file():
        yield _Finding("inotify", False, "not here", "set `polling: true` for directories")
        return
    watches = int(limit.read_text())
    yield _Finding(
        "inotify",
        watches >= _WATCHES_WANTED,
        f"{watches} watches (one for each directory)",
        None
        if watches >= _WATCHES_WANTED
        else f"sysctl fs.inotify.max_user_watches={_WATCHES_WANTED}, or `polling: true`",
    )


def _configuration(given: argparse.Namespace) -> Iterator[_Finding]:
    try:
        config = configured(given)
    except Problem as problem:
        yield _Finding("configuration", False, str(problem), "mend it; see config.yaml")
        return
    if (file := usual_config(given.config)) is None:
        places = " or ".join(map(str, arguments.USUAL_CONFIG))
        yield _Finding(
            "configuration",
            True,
            f"there is none ({places}); the built-in defaults hold, which have no source",
            "write one for `stillsift run`, or name it with -c; `sift` needs none",
            there=False,
        )
    else:
        sources = counted(len(config.sources), "source")
        yield _Finding("configuration", True, f"{file}, {sources}")
    store = Store(config.store.path, min_free=config.store.min_free)
    try:
        store.require_room()
    except StoreError as error:
        yield _Finding("store", False, str(error), "free some space, or lower store.min_free")
    else:
        usage = shutil.disk_usage(nearest_existing(config.store.path))
        yield _Finding("store", True, f"{config.store.path}, {shown_size(usage.free)} free")
