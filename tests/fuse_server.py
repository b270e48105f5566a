"""A folder shown once more as a disk that fails when it is told to: FUSE, without any library.

    python tests/fuse_server.py FOLDER MOUNTPOINT

Run it as a process of its own, as root; `disks.FaultyDisk` does. It prints `ready`, takes a command
a line on standard input, answers `ok`, and unmounts at the end of its input:

    fail ERRNO CALLS NAMES [AFTER [TIME]]
        CALLS (write,fsync) fail for paths that match NAMES, as a shell would match them; reads and
        writes from byte AFTER on; reads from the TIME-th time on that an open file is read from its
        start
    hang CALLS NAMES
        they do not return before `mend`, unless who called is killed, as with a server of NFS
    mend
        all is well again; the answer tells how many calls were hit

The protocol is that of linux/fuse.h. Nothing is cached (but of SQLite): each look and each read
comes here.
"""

# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH116, PTH208
# Names are bytes here, and go through as they are.

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOST_WRITTEN = 1 << 17
_ROOT = 1
_DETACH = 2
_HEADER = struct.Struct("<IIQQIIII")
_DIRECT_IO = 1
_ASYNC_READ, _TRUNCATES, _BIG_WRITES = 1 << 0, 1 << 3, 1 << 5
_NO_ANSWER = frozenset({2, 36, 42})  # FORGET, INTERRUPT, BATCH_FORGET

CALLS = {
    **{1: "lookup", 3: "getattr", 4: "setattr", 8: "create", 9: "mkdir", 10: "unlink"},
    **{11: "rmdir", 12: "rename", 13: "link", 14: "open", 15: "read", 16: "write"},
    **{17: "statfs", 18: "release", 20: "fsync", 25: "flush", 26: "init", 27: "opendir"},
    **{28: "readdir", 29: "releasedir", 30: "fsyncdir", 35: "create", 45: "rename"},
}


@dataclass
class Rule:
    """What is to go wrong."""

    calls: frozenset[str]
    names: str
    code: int | None
    """The error; None: the call does not return."""
    after: int = 0
    time: int = 0


class Server:
    """Answers the kernel; a call that hangs does so in a thread of its own."""

    def __init__(self, folder: Path, mountpoint: Path) -> None:
        self.folder, self.mountpoint = os.fsencode(folder), mountpoint
        self._paths = {_ROOT: b""}
        self._nodes = {b"": _ROOT}
        self._next = _ROOT + 1
        self._open: dict[int, tuple[int, int]] = {}
        """Descriptor by handle, with its node."""
        self._times: Counter[int] = Counter()
        """How often a handle was read from its start."""
        self._listed: dict[int, list[bytes]] = {}
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._mended = threading.Event()
        self._hits = 0
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,default_permissions"
        done = _LIBC.mount(b"faulty", os.fsencode(mountpoint), b"fuse.faulty", 0, options.encode())
        if done != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(mountpoint))

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _MOST_WRITTEN + 8192)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # the call was given up meanwhile
                return
            _, opcode, unique, node, _, _, caller, _ = _HEADER.unpack_from(request)
            if opcode in _NO_ANSWER:
                continue
            body = request[_HEADER.size :]
            if (rule := self._rule(opcode, node, body)) is None:
                self._answer(opcode, unique, node, body)
            elif rule.code is not None:
                self._reply(unique, rule.code)
            else:
                threading.Thread(
                    target=self._hang, args=(opcode, unique, node, body, caller), daemon=True
                ).start()

    def unmount(self) -> None:
        _LIBC.umount2(os.fsencode(self.mountpoint), _DETACH)

    # -- what goes wrong

    def command(self, words: list[str]) -> str:
        """Does what a line of the input says; returns the answer."""
        match words:
            case ["fail", name, calls, names, *after]:
                code = getattr(errno, name)
                rule = Rule(frozenset(calls.split(",")), names, code, *map(int, after))
                self._rules = [*self._rules, rule]
            case ["hang", calls, names]:
                self._rules = [*self._rules, Rule(frozenset(calls.split(",")), names, None)]
            case ["mend"]:
                self._rules = []
                self._mended.set()
                self._mended = threading.Event()
                hits, self._hits = self._hits, 0
                return f"ok {hits}"
        return "ok"

    def _rule(self, opcode: int, node: int, body: bytes) -> Rule | None:
        call = CALLS.get(opcode, "")
        if call == "read":
            handle, offset = struct.unpack_from("<QQ", body)
            self._times[handle] += offset == 0
        for rule in self._rules:
            writes = call == "open" and struct.unpack_from("<I", body)[0] & os.O_ACCMODE
            if call not in rule.calls and not (writes and "openw" in rule.calls):
                continue
            if call in ("read", "write") and not self._reaches(rule, body):
                continue
            if any(fnmatch(name, rule.names) for name in self._named(opcode, node, body)):
                self._hits += 1
                return rule
        return None

    def _reaches(self, rule: Rule, body: bytes) -> bool:
        handle, offset, size = struct.unpack_from("<QQI", body)
        return offset + size > rule.after and self._times[handle] >= rule.time

    def _named(self, opcode: int, node: int, body: bytes) -> list[str]:
        """The paths that a call is about."""
        folder = self._paths.get(node, b"?")
        skipped = {1: 0, 8: 16, 9: 8, 10: 0, 11: 0, 12: 8, 13: 8, 35: 16, 45: 16}.get(opcode)
        paths = [folder]
        if skipped is not None:
            names = body[skipped:].split(b"\0")
            paths = [_joined(folder, names[0])]
            if opcode in (12, 45):
                target = self._paths.get(struct.unpack_from("<Q", body)[0], b"?")
                paths.append(_joined(target, names[1]))
        return [os.fsdecode(path) for path in paths]

    def _hang(self, opcode: int, unique: int, node: int, body: bytes, caller: int) -> None:
        mended = self._mended
        while not mended.wait(0.1):
            if _is_killed(caller):
                self._reply(unique, errno.EINTR)
                return
        self._answer(opcode, unique, node, body)

    # -- answers

    def _answer(self, opcode: int, unique: int, node: int, body: bytes) -> None:
        call: Callable[[int, bytes], bytes] | None = getattr(self, f"_{opcode}", None)
        if call is None:
            self._reply(unique, errno.ENOSYS)
            return
        try:
            told = call(node, body)
        except OSError as error:
            self._reply(unique, error.errno or errno.EIO)
        else:
            self._reply(unique, 0, told)

    def _reply(self, unique: int, code: int, told: bytes = b"") -> None:
        with suppress(OSError):  # who asked was killed
            os.write(self._device, struct.pack("<IiQ", 16 + len(told), -code, unique) + told)

    def _path(self, node: int) -> bytes:
        return _joined(self.folder, self._paths[node])

    def _below(self, node: int, name: bytes) -> bytes:
        return _joined(self._path(node), name.split(b"\0")[0])

    def _entry(self, node: int, name: bytes) -> bytes:
        path = _joined(self._paths[node], name.split(b"\0")[0])
        facts = os.lstat(_joined(self.folder, path))
        with self._lock:
            if path not in self._nodes:
                self._nodes[path], self._paths[self._next] = self._next, path
                self._next += 1
            found = self._nodes[path]
        return struct.pack("<QQQQII", found, 0, 0, 0, 0, 0) + _attributes(facts)

    def _26(self, _node: int, body: bytes) -> bytes:  # INIT
        major, minor, ahead, _ = struct.unpack_from("<IIII", body)
        flags = _ASYNC_READ | _TRUNCATES | _BIG_WRITES
        facts = (major, min(minor, 31), ahead, flags, 64, 48, _MOST_WRITTEN, 1)
        return struct.pack("<IIIIHHIIHHI28x", *facts, 0, 0, 0)

    def _1(self, node: int, body: bytes) -> bytes:  # LOOKUP
        return self._entry(node, body)

    def _3(self, node: int, _body: bytes = b"") -> bytes:  # GETATTR
        try:
            facts = os.lstat(self._path(node))
        except FileNotFoundError:
            still = [fd for fd, whose in list(self._open.values()) if whose == node]
            if not still:
                raise
            facts = os.fstat(still[0])
        return struct.pack("<QII", 0, 0, 0) + _attributes(facts)

    def _4(self, node: int, body: bytes) -> bytes:  # SETATTR
        valid, _, handle, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = (
            struct.unpack("<IIQQQQQQIIIIIIII", body[:88])
        )
        what = self._open[handle][0] if valid & 64 else self._path(node)
        if valid & 1:
            os.chmod(what, stat.S_IMODE(mode))
        if valid & 6:
            os.chown(what, uid if valid & 2 else -1, gid if valid & 4 else -1)
        if valid & 8:
            os.truncate(what, size)
        if valid & 48:
            facts = os.stat(what)
            given = atime * 10**9 + atime_ns, mtime * 10**9 + mtime_ns
            old = facts.st_atime_ns, facts.st_mtime_ns
            new = [g if valid & bit else o for g, o, bit in zip(given, old, (16, 32), strict=True)]
            os.utime(what, ns=(new[0], new[1]))
        return self._3(node)

    def _8(self, node: int, body: bytes) -> bytes:  # MKNOD
        os.mknod(self._below(node, body[16:]), struct.unpack_from("<I", body)[0])
        return self._entry(node, body[16:])

    def _9(self, node: int, body: bytes) -> bytes:  # MKDIR
        os.mkdir(self._below(node, body[8:]), struct.unpack_from("<I", body)[0])
        return self._entry(node, body[8:])

    def _10(self, node: int, body: bytes) -> bytes:  # UNLINK
        os.unlink(self._below(node, body))
        self._forget(_joined(self._paths[node], body.split(b"\0")[0]))
        return b""

    def _11(self, node: int, body: bytes) -> bytes:  # RMDIR
        os.rmdir(self._below(node, body))
        self._forget(_joined(self._paths[node], body.split(b"\0")[0]))
        return b""

    def _12(self, node: int, body: bytes, skipped: int = 8, flags: int = 0) -> bytes:  # RENAME
        old, new = body[skipped:].split(b"\0")[:2]
        target = struct.unpack_from("<Q", body)[0]
        if _LIBC.renameat2(-100, self._below(node, old), -100, self._below(target, new), flags):
            raise OSError(ctypes.get_errno(), "")
        before, after = _joined(self._paths[node], old), _joined(self._paths[target], new)
        self._forget(after)
        with self._lock:
            for path, number in list(self._nodes.items()):
                if path == before or path.startswith(before + b"/"):
                    moved = after + path[len(before) :]
                    del self._nodes[path]
                    self._nodes[moved], self._paths[number] = number, moved
        return b""

    def _45(self, node: int, body: bytes) -> bytes:  # RENAME2
        return self._12(node, body, 16, struct.unpack_from("<QI", body)[1])

    def _13(self, node: int, body: bytes) -> bytes:  # LINK
        os.link(self._path(struct.unpack_from("<Q", body)[0]), self._below(node, body[8:]))
        return self._entry(node, body[8:])

    def _forget(self, path: bytes) -> None:
        """Another file of this name is another node; who has this one open may still use it."""
        with self._lock:
            self._nodes.pop(path, None)

    def _handle(self, node: int, descriptor: int) -> bytes:
        self._open[descriptor] = descriptor, node
        self._times[descriptor] = 0
        # Not of SQLite, which maps a file into memory.
        direct = _DIRECT_IO if b".sqlite" not in self._paths[node] else 0
        return struct.pack("<QII", descriptor, direct, 0)

    def _14(self, node: int, body: bytes) -> bytes:  # OPEN
        flags = struct.unpack_from("<I", body)[0]
        # The kernel has done what O_APPEND asks for: each write says where it goes.
        return self._handle(node, os.open(self._path(node), flags & ~(os.O_APPEND | os.O_CREAT)))

    def _35(self, node: int, body: bytes) -> bytes:  # CREATE
        flags, mode = struct.unpack_from("<II", body)
        made = os.open(self._below(node, body[16:]), (flags | os.O_CREAT) & ~os.O_APPEND, mode)
        entry = self._entry(node, body[16:])
        return entry + self._handle(struct.unpack_from("<Q", entry)[0], made)

    def _15(self, _node: int, body: bytes) -> bytes:  # READ
        handle, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(self._open[handle][0], size, offset)

    def _16(self, _node: int, body: bytes) -> bytes:  # WRITE
        handle, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(self._open[handle][0], body[40 : 40 + size], offset), 0)

    def _17(self, _node: int, _body: bytes) -> bytes:  # STATFS
        facts = os.statvfs(self.folder)
        blocks = (facts.f_blocks, facts.f_bfree, facts.f_bavail, facts.f_files, facts.f_ffree)
        return struct.pack("<QQQQQIII28x", *blocks, facts.f_bsize, 255, facts.f_frsize)

    def _18(self, _node: int, body: bytes) -> bytes:  # RELEASE
        descriptor, _ = self._open.pop(struct.unpack_from("<Q", body)[0])
        os.close(descriptor)
        return b""

    def _20(self, _node: int, body: bytes) -> bytes:  # FSYNC
        os.fsync(self._open[struct.unpack_from("<Q", body)[0]][0])
        return b""

    def _25(self, _node: int, _body: bytes) -> bytes:  # FLUSH
        return b""

    def _27(self, node: int, _body: bytes) -> bytes:  # OPENDIR
        with self._lock:
            self._next += 1
            handle = self._next
        self._listed[handle] = [b".", b"..", *os.listdir(self._path(node))]
        return struct.pack("<QII", handle, 0, 0)

    def _28(self, node: int, body: bytes) -> bytes:  # READDIR
        handle, offset, size = struct.unpack_from("<QQI", body)
        told = b""
        for number, name in enumerate(self._listed[handle][offset:], offset + 1):
            try:
                facts = os.lstat(_joined(self._path(node), name))
            except FileNotFoundError:
                continue
            one = struct.pack("<QQII", facts.st_ino, number, len(name), facts.st_mode >> 12) + name
            one += bytes(-len(one) % 8)
            if len(told) + len(one) > size:
                break
            told += one
        return told

    def _29(self, _node: int, body: bytes) -> bytes:  # RELEASEDIR
        self._listed.pop(struct.unpack_from("<Q", body)[0], None)
        return b""

    def _30(self, _node: int, _body: bytes) -> bytes:  # FSYNCDIR
        return b""


def _is_killed(thread: int) -> bool:
    """Tells whether SIGKILL waits for a thread, which the kernel keeps until we answer."""
    try:
        status = Path(f"/proc/{thread}/status").read_text()
    except OSError:
        return True
    pending = (line.split()[1] for line in status.splitlines() if line[:6] in ("SigPnd", "ShdPnd"))
    return any(int(each, 16) >> 8 & 1 for each in pending)


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder + name


def _attributes(facts: os.stat_result) -> bytes:
    whole, rest = zip(
        *(divmod(ns, 10**9) for ns in (facts.st_atime_ns, facts.st_mtime_ns, facts.st_ctime_ns)),
        strict=True,
    )
    owner = (facts.st_mode, facts.st_nlink, facts.st_uid, facts.st_gid, 0, facts.st_blksize, 0)
    numbers = (facts.st_ino, facts.st_size, facts.st_blocks)
    return struct.pack("<QQQQQQIIIIIIIIII", *numbers, *whole, *rest, *owner)


def main() -> None:
    server = Server(Path(sys.argv[1]), Path(sys.argv[2]))
    for _ in range(4):
        threading.Thread(target=server.serve, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        print(server.command(line.split()), flush=True)
    server.unmount()
    os._exit(0)  # threads may hang


if __name__ == "__main__":
    main()
