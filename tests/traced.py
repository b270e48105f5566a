"""What a process does that others could see, by strace: sockets, and files that it changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PATHS = (
    *("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "mknod", "mknodat", "truncate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "execve"),
)
_CALLS = ",".join(("%network", *(f"?{call}" for call in _PATHS)))
_CHANGES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
_NO_FILES = ("/dev/null", "/dev/tty")


def why_not() -> str | None:
    """Why nothing can be traced here; None: it can."""
    if shutil.which("strace") is None:
        return "strace (Debian: strace) is missing"
    tried = subprocess.run(
        ["strace", "-f", "-qq", "-o", os.devnull, "true"], stderr=subprocess.PIPE, text=True
    )
    return None if tried.returncode == 0 else f"ptrace is not allowed here: {tried.stderr.strip()}"


def traced(log: Path, *command: str | Path) -> list[str]:
    """The words that run `command` under strace; its calls go into `log`."""
    return [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-o",
        str(log),
        "-e",
        f"trace={_CALLS}",
        *map(str, command),
    ]


def python(*words: str) -> list[str]:
    """The tests' Python; it writes no .pyc files, as an installed package has them already."""
    return [sys.executable, "-B", *words]


@dataclass(frozen=True, slots=True)
class Seen:
    """What others could see of a process."""

    sockets: list[str]
    """Calls that speak to others, or listen for them."""
    files: set[Path]
    """Files and folders that were made, changed or removed, or were to be."""
    programs: list[str]
    """Programs that it started, itself left out."""

    @classmethod
    def of(cls, log: Path, cwd: Path) -> Seen:
        sockets, files, programs = [], set(), []
        for line in log.read_text(errors="backslashreplace").splitlines():
            found = re.match(r"\d+ +(\w+)\((.*)", line)
            if found is None:
                continue  # the end of a call whose begin was seen, a signal, an exit
            call, told = found.groups()
            if call in ("connect", "bind", "sendto", "sendmsg", "sendmmsg"):
                if "sa_family=" in told or "sun_path=" in told:
                    sockets.append(f"{call} {re.sub(r'^[^,]*, ', '', told)}")
            elif call == "socket" and not told.startswith(("AF_UNIX", "AF_INET")):
                sockets.append(f"{call} {told}")
            elif call == "execve":
                programs.append(told.split(",")[0].strip('"'))
            elif call in _PATHS and (not call.startswith("open") or _CHANGES.search(told)):
                files |= {path for path in _paths(told, cwd) if str(path) not in _NO_FILES}
        return cls(sockets, files, programs[1:])

    def outside(self, *folders: Path) -> list[Path]:
        """The files that lie in none of these folders, and are none of them."""
        return sorted(path for path in self.files if not any(map(path.is_relative_to, folders)))


def _paths(told: str, cwd: Path) -> list[Path]:
    """Every path that a call names, made absolute: `AT_FDCWD</a>, "b"` is /a/b."""
    folder, paths = cwd, []
    for handle, name in re.findall(r'(?:AT_FDCWD|\d+)<([^>]*)>|"((?:[^"\\]|\\.)*)"', told):
        if handle:
            folder = Path(handle)
        else:
            paths.append(folder / name)
    return paths
