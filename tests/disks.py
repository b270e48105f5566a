"""Disks that fail: small ones of tmpfs, which fill up, and one of FUSE that fails as it is told."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = Path(__file__).with_name("fuse_server.py")
ON_LOCAL_FUSE = (
    *(sys.executable, "-W", "error", "-c"),
    "import sys; from stillsift.cli import main; from stillsift.sources.files import opening;"
    " opening._LOCAL |= {0x65735546}; sys.exit(main())",
)
"""stillsift to which a disk of FUSE is what it stands for here: a disk of this machine."""


def why_not() -> str | None:
    """Why no disk can be made to fail here; None: it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            SmallDisk(Path(folder), "size=64k").close()
            FaultyDisk(Path(folder) / "faulty").close()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"mounting is not allowed here: {error}"
    return None


class SmallDisk:
    """A tmpfs at a path. Unmount it with `close`."""

    def __init__(self, path: Path, options: str) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path)

    def fill(self) -> None:
        """Leaves no room on it; `free` takes that back."""
        descriptor = os.open(self.path / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(descriptor, bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(descriptor)

    def fill_with_names(self) -> None:
        """Leaves no inode on it."""
        (self.path / "ballast").mkdir()
        try:
            for number in range(1_000_000):
                (self.path / "ballast" / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def free(self) -> None:
        _run("rm", "-rf", self.path / "ballast")

    def remount(self, how: str) -> None:
        """`ro` or `rw`. Refused while somebody has a file open for writing."""
        _run("mount", "-o", f"remount,{how}", self.path)

    def close(self) -> None:
        _run("umount", "-l", self.path)


class FaultyDisk:
    """A folder of FUSE at `path`; what is in it lies in `path.behind`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.behind = path.with_name(f"{path.name}.behind")
        path.mkdir(parents=True, exist_ok=True)
        self.behind.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, SERVER, self.behind, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C must not end it before those who use it
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise OSError(self._process.communicate()[1].strip().splitlines()[-1])

    def fail(
        self, code: str, calls: str, names: str = "*", *, after: int = 0, time: int = 0
    ) -> None:
        """Lets calls fail with an error such as EIO, as `fuse_server` says."""
        self._tell(f"fail {code} {calls} {names} {after} {time}")

    def hang(self, calls: str, names: str = "*") -> None:
        self._tell(f"hang {calls} {names}")

    def mend(self) -> int:
        """Ends all faults; returns how many calls were hit."""
        return int(self._tell("mend").split()[1])

    def close(self) -> None:
        self._process.communicate()

    def _tell(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer.startswith("ok"), answer
        return answer


def bind(source: Path, target: Path) -> None:
    """Mounts a folder once more at `target`."""
    _run("mount", "--bind", source, target)


def unmount(path: Path) -> None:
    """Takes a mount away, also while it is in use."""
    _run("umount", "-l", path)


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
