"""What many tests need: the command, run in this process; cameras, and the end of them."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import onnxruntime before stillsift

import pytest

from disks import SmallDisk
from managers import Manager


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]
Disks = Callable[[str], SmallDisk]


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    """Makes small disks with the mount options given; skipped where mounting is not possible."""
    made: list[SmallDisk] = []

    def make(options: str) -> SmallDisk:
        if os.geteuid() != 0:
            pytest.skip("mounting a small file system needs root")
        try:
            made.append(SmallDisk(tmp_path / f"disk{len(made)}", options))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"mounting a file system is not allowed here: {error}")
        return made[-1]

    yield make
    for disk in made:
        disk.close()


@pytest.fixture
def stillsift(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """`stillsift ARGUMENTS` in this process. A traceback on standard error fails the test.

    On a capture box, too: the configuration in /etc is not looked for.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: object) -> Done:
        # Not with the tests' own imports: the command line needs cv2, and not every test does.
        from stillsift.cli import main
        from stillsift.commands import arguments

        monkeypatch.setattr(arguments, "USUAL_CONFIG", (Path("config.yaml"),))
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # argparse's way
            status = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Done(status, captured.out, captured.err)

    yield run
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def make_deep(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Makes a folder in a folder in a folder: 1000 of them."""

    def made(folder: Path) -> None:
        folder.mkdir()
        descriptor = os.open(folder, os.O_PATH)
        for _ in range(1000):  # the system takes no path that is so long at once
            os.mkdir("a", dir_fd=descriptor)
            inner = os.open("a", os.O_PATH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.close(descriptor)

    yield made
    # What pytest removes old folders with walks by recursion.
    subprocess.run(["rm", "-rf", "--", *tmp_path.iterdir()], check=True)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"\0stillsift-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


@pytest.fixture(scope="session")
def streams(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `cameras.Camera` plays."""
    from cameras import write_stream

    folder = tmp_path_factory.mktemp("streams")
    return [
        write_stream(folder / "small.h264", 320, 240),
        write_stream(folder / "large.h264", 640, 360),
        write_stream(folder / "other.hevc", 640, 480),
        write_stream(folder / "other.mjpeg", 480, 272),
    ]


@pytest.fixture
def started() -> Iterator[Callable[..., Any]]:
    """Makes cameras and watched sources, and ends them."""
    from cameras import Watching

    ends: list[Callable[[], Any]] = []

    def start(what: Any, *arguments: Any, **options: Any) -> Any:
        made = what(*arguments, **options)
        ends.append(made.source.stop if isinstance(made, Watching) else made.kill)
        return made

    yield start
    for end in reversed(ends):
        end()
