"""Runs stillsift as a process of its own whose durable steps are seen, and kills it at one of them.

A durable step is a system call that changes a file or folder, or brings it to the disk. strace can
kill at the N-th call too, but counts in every thread for itself, so that it never reaches the later
steps of a thread with few. Here the steps of all threads are counted together, by ptrace(2); a
filter by seccomp(2) stops the process at no other call, so it runs at its full speed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CALLS: dict[str, tuple[int | None, int | None, str]] = {
    # name: its number on x86-64 and on aarch64 (None: not there), and which arguments tell the
    # file: f is a descriptor, p a path, d a folder's descriptor before a path, - something else
    "write": (1, 64, "f"),
    "pwrite64": (18, 68, "f"),
    "writev": (20, 66, "f"),
    "pwritev": (296, 70, "f"),
    "pwritev2": (328, 287, "f"),
    "copy_file_range": (326, 285, "--f"),
    "sendfile": (40, 71, "f"),
    "fallocate": (285, 47, "f"),
    "ftruncate": (77, 46, "f"),
    "truncate": (76, 45, "p"),
    "fsync": (74, 82, "f"),
    "fdatasync": (75, 83, "f"),
    "open": (2, None, "po"),
    "creat": (85, None, "p"),
    "openat": (257, 56, "dpo"),
    "mkdir": (83, None, "p"),
    "mkdirat": (258, 34, "dp"),
    "rmdir": (84, None, "p"),
    "unlink": (87, None, "p"),
    "unlinkat": (263, 35, "dp"),
    "rename": (82, None, "pp"),
    "renameat": (264, 38, "dpdp"),
    "renameat2": (316, 276, "dpdp"),
    "link": (86, None, "pp"),
    "linkat": (265, 37, "dpdp"),
    "symlink": (88, None, "-p"),
    "symlinkat": (266, 36, "-dp"),
    "fchmod": (91, 52, "f"),
    "utimensat": (280, 88, "dp"),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of `_CALLS` and AUDIT_ARCH_*, from linux/audit.h."""

_PASSING = r"\d{8}T\d{6}\.\d{6}Z_|[0-9a-f]{12,}"
"""The time and the hash in the name of a file."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

# linux/ptrace.h, linux/prctl.h, linux/seccomp.h, linux/wait.h
_TRACEME, _CONT, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 0x4200, 0x420E
_EVENT_SECCOMP = 7
_OPTIONS = 0x100000 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << _EVENT_SECCOMP
"""End with the tracer; follow forks and threads; stop where the filter says so."""
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_RET_TRACE, _RET_ALLOW = 0x7FF00000, 0x7FFF0000
_WALL = 0x40000000
_AT_FDCWD = -100


class _Instruction(ctypes.Structure):
    """struct sock_filter of linux/filter.h."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


class _CallInfo(ctypes.Structure):
    """struct ptrace_syscall_info of linux/ptrace.h, at a stop by seccomp."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("told_by_filter", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One call that changes what is on the disk."""

    call: str
    files: str
    """The files it changes, below the folders that are looked at. Process ids, times and hashes in
    their names are left out, so that another run does the same steps."""
    again: int
    """How many calls of the same kind with the same files came before it."""

    def __str__(self) -> str:
        return f"{self.call} {self.files}" + (f", {self.again + 1} times" if self.again else "")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of stillsift."""

    steps: list[Step]
    """In the order in which the threads came to them; the last was not done if it was killed."""
    threads: int
    """Threads that came to a step."""
    killed: bool
    status: int
    """Exit status; of no meaning if it was killed."""


def why_not() -> str | None:
    """Why nothing can be run step by step here; None: it can."""
    if platform.machine() not in _MACHINES:
        return f"the numbers of system calls on {platform.machine()} are not in tests/stepped.py"
    try:
        ran = run(_touch_nothing, [Path("/dev")], Path(os.devnull))
    except OSError as error:
        return f"ptrace or seccomp is not allowed here: {error.strerror}"
    return None if ran.steps else "seccomp stops at no call here"


def never(_number: int, _step: Step) -> bool:
    return False


def run(
    what: Callable[[], int],
    folders: Sequence[Path],
    log: Path,
    kill_at: Callable[[int, Step], bool] = never,
) -> Ran:
    """Runs `what` in a child, with its output added to `log`, and returns what it did to `folders`.

    `what` returns the exit status. `kill_at` is asked before each step, with its number from 1 on,
    whether the process is killed there (SIGKILL) before it does the step. Call it in a thread that
    is the only one of its process, and whose other children do not end meanwhile. Raises OSError
    where that is not allowed.
    """

    def traced() -> int:
        _be_traced()
        return what()

    child = forked(traced, log)
    _, status = os.waitpid(child, _WALL)
    if not os.WIFSTOPPED(status):
        raise OSError(os.WEXITSTATUS(status), os.strerror(os.WEXITSTATUS(status)))
    _ptrace(_SETOPTIONS, child, _OPTIONS)
    _ptrace(_CONT, child)
    steps: list[Step] = []
    seen: Counter[tuple[str, str]] = Counter()
    known = {child}
    busy: set[int] = set()
    killed = False
    while True:
        thread, status = os.waitpid(-1, _WALL)
        if not os.WIFSTOPPED(status):
            if thread == child:
                return Ran(steps, len(busy), killed, os.waitstatus_to_exitcode(status))
            continue
        if killed:
            continue
        try:
            if status >> 16 == _EVENT_SECCOMP and (found := _call(thread, child, folders)):
                steps.append(Step(*found, seen[found]))
                seen[found] += 1
                busy.add(thread)
                if killed := kill_at(len(steps), steps[-1]):
                    os.kill(child, signal.SIGKILL)
                    continue
            signalled = os.WSTOPSIG(status)
            if status >> 16 or (thread not in known and signalled == signal.SIGSTOP):
                signalled = 0  # an event, or the stop in which a new thread begins
            known.add(thread)
            _ptrace(_CONT, thread, signalled)
        except (ProcessLookupError, FileNotFoundError):
            continue  # another thread has ended the process meanwhile


def _touch_nothing() -> int:
    return 0 * os.open(os.devnull, os.O_WRONLY | os.O_TRUNC)


def stillsift(*words: object) -> Callable[[], int]:
    """The command of these words, for `run`."""
    from stillsift.cli import main

    return lambda: main([str(word) for word in words])


def forked(what: Callable[[], int], log: Path) -> int:
    """Does `what` in a child with its output added to `log`; returns the child's process id."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = what()
    except SystemExit as end:  # argparse's way
        status = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - nothing of the tests may go on in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(child: int) -> int:
    """Waits for a child of `forked`; returns its exit status, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_traced() -> None:
    """Lets the parent trace this process; ends it where that is not allowed."""
    if _LIBC.ptrace(_TRACEME, 0, None, None) != 0:
        os._exit(ctypes.get_errno())
    os.kill(os.getpid(), signal.SIGSTOP)
    program = _filter()
    _must(_LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _must(_LIBC.prctl(_SET_SECCOMP, _FILTER, ctypes.addressof(program), 0, 0))


def _filter() -> _Program:
    """A filter that stops at the calls of `_CALLS`, and tells which it is."""
    column, arch = _MACHINES[platform.machine()]
    load, equal, result = 0x20, 0x15, 0x06
    code = [
        (load, 0, 0, 4),  # seccomp_data.arch
        (equal, 1, 0, arch),
        (result, 0, 0, _RET_ALLOW),
        (load, 0, 0, 0),  # seccomp_data.nr
    ]
    for index, (x86_64, aarch64, _) in enumerate(_CALLS.values()):
        if (number := (x86_64, aarch64)[column]) is not None:
            code += [(equal, 0, 1, number), (result, 0, 0, _RET_TRACE | index)]
    code.append((result, 0, 0, _RET_ALLOW))
    instructions = (_Instruction * len(code))(*(_Instruction(*each) for each in code))
    return _Program(len(code), instructions)


def _call(thread: int, process: int, folders: Sequence[Path]) -> tuple[str, str] | None:
    """The call that a thread is about to make, and its files; None: it changes nothing there."""
    info = _CallInfo()
    _ptrace(_GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
    call = list(_CALLS)[info.told_by_filter]
    base: str | None = None
    paths: list[str] = []
    for kind, argument in zip(_CALLS[call][2], info.arguments, strict=False):
        if kind == "o" and not argument & (os.O_CREAT | os.O_TRUNC):
            return None
        if kind in "fd":
            base = _opened(thread, argument)
        if kind == "f" and base is not None:
            paths.append(base)
        if kind == "p":
            name = _text(thread, argument)
            # Without a path, utimensat(2) changes the file of its descriptor.
            paths.append(os.path.join(base or "", name) if name else base or "")  # noqa: PTH118
    inside = [
        os.path.relpath(path, folder)
        for path in paths
        for folder in folders
        if Path(path).is_relative_to(folder)
    ]
    if not inside:
        return None
    return call, re.sub(rf"\b{process}-|{_PASSING}", "", " -> ".join(inside))


def _opened(thread: int, descriptor: int) -> str | None:
    """The file or folder of a descriptor; None: there is none."""
    number = ctypes.c_int(descriptor & 0xFFFFFFFF).value
    link = "cwd" if number == _AT_FDCWD else f"fd/{number}"
    try:
        return os.readlink(f"/proc/{thread}/{link}")  # noqa: PTH115 - it may be no path
    except OSError:
        return None


def _text(thread: int, address: int) -> str:
    """A text in the memory of a thread; empty where there is none."""
    if not address:
        return ""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
        memory.seek(address)
        return os.fsdecode(memory.read(4096).split(b"\0", 1)[0])


def _ptrace(request: int, thread: int, address: int = 0, data: int | None = None) -> None:
    """Calls ptrace(2). For the options and for going on, the one value counts as `data`."""
    if data is None:
        address, data = 0, address
    _must(_LIBC.ptrace(request, thread, address, data))


def _must(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
