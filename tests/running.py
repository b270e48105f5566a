"""The command as a process of its own: waited for, asked, stopped and killed."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from stillsift.decisions import Outcome
from stillsift.ledger import LedgerError, LedgerReader
from stillsift.ledger.records import DecisionRecord, FileState

PATIENCE_S = 60.0
STILLSIFT = (sys.executable, "-W", "error", "-m", "stillsift")


def until(true: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for something to be true; it is looked at many times a second."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started(
    *arguments: object,
    log: Path,
    cwd: Path | None = None,
    environ: dict[str, str] | None = None,
    command: Sequence[str] = STILLSIFT,
) -> subprocess.Popen[bytes]:
    """`stillsift ARGUMENTS`, its output added to `log`; `environ` is added to the environment."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            env=os.environ | (environ or {}),
        )


class Daemon:
    """`stillsift run` with its configuration, metrics and log."""

    def __init__(self, folder: Path, sources: list[dict[str, Any]], **sections: Any) -> None:
        """`sections` are more keys of the configuration, which is written into `folder`."""
        self.store = folder / "store"
        self.log_file = folder / "log"
        self.config_file = folder / "config.yaml"
        self.port = free_port()
        self.config: dict[str, Any] = {
            "store": {"path": str(self.store), "min_free": 0},
            "metrics": {"listen": f"127.0.0.1:{self.port}"},
            "defaults": {"settle": "200ms", "max_silence": "1s", "rate": "all"},
            "sources": sources,
            **sections,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.environ: dict[str, str] = {}
        self.command: Sequence[str] = STILLSIFT
        self.write_config()

    def write_config(self) -> None:
        self.config_file.write_text(yaml.safe_dump(self.config))

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        self.process = started(
            *("run", "-c", self.config_file),
            log=self.log_file,
            environ=self.environ,
            command=self.command,
        )
        if wait:
            until(lambda: self.get("/readyz")[0] == 200, f"ready: {self.log[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        return self.ended(10)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; 0 while nobody listens."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.log}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def decided(self, source: str | None = None) -> list[DecisionRecord]:
        return decided(self.store, source)

    def until_done(self, files: int, source: str | None = None) -> None:
        """Wait until so many files are read to their end, well or badly."""
        until(lambda: files_done(self.store, source) >= files, f"{files} files: {self.log[-3000:]}")


@contextmanager
def daemon(folder: Path, sources: list[dict[str, Any]], **sections: Any) -> Iterator[Daemon]:
    """A daemon that does not outlive its test."""
    made = Daemon(folder, sources, **sections)
    try:
        yield made
    finally:
        made.kill()


# -- what it left behind ---------------------------------------------------------------------------


def decided(store: Path, source: str | None = None) -> list[DecisionRecord]:
    """All decisions in their order; none where there is no ledger yet."""
    try:
        with LedgerReader(store / "ledger.sqlite") as ledger:
            return list(ledger.decisions(source=source))
    except LedgerError:
        return []


def files_done(store: Path, source: str | None = None) -> int:
    try:
        with LedgerReader(store / "ledger.sqlite") as ledger:
            sources = ledger.sources() if source is None else [source]
            files = [file for name in sources for file in ledger.files(name)]
            return sum(file.state is not FileState.READING for file in files)
    except LedgerError:
        return 0


@dataclass(frozen=True, slots=True)
class Story:
    """What can be compared between two runs over the same files."""

    id: str
    source: str
    file: str
    frame_index: int
    reason: str
    nearest_kept: str | None
    sharpness: float | None
    novelty: float | None
    kept_path: str | None


def story(store: Path, source: str | None = None) -> list[Story]:
    """Every decision in order, with its measures."""
    return [
        Story(
            record.decision.id,
            record.decision.source,
            os.fspath(record.decision.file or ""),
            record.decision.frame_index,
            record.decision.reason.value,
            record.decision.nearest_kept,
            record.decision.sharpness,
            record.decision.novelty,
            None if record.kept_path is None else str(record.kept_path),
        )
        for record in decided(store, source)
    ]


def kept_on_disk(store: Path) -> dict[str, str]:
    """Path in the store to SHA-256 of every kept file, and of every sample of the audit."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for area in ("kept", "audit")
        for path in (store / area).rglob("*")
        if path.is_file() and path.name != "metadata.jsonl" and ".placing" not in path.parts
    }


def kept_in_ledger(store: Path) -> dict[str, str]:
    """The same, as the ledger tells it."""
    with LedgerReader(store / "ledger.sqlite") as ledger:
        kept = {}
        for record in ledger.decisions(outcome=Outcome.KEPT):
            file = ledger.kept_file(record.decision.id)
            assert file is not None, f"{record.decision.id} is kept, but not as a file"
            assert file.path == record.kept_path
            kept[str(file.path)] = file.sha256
        return kept


def listed(store: Path) -> list[str]:
    """Path in the store of every line of every metadata.jsonl."""
    return sorted(
        str((listing.parent / json.loads(line)["file_name"]).relative_to(store))
        for area in ("kept", "audit")
        for listing in (store / area).rglob("metadata.jsonl")
        for line in listing.read_text().splitlines()
    )


def assert_agree(store: Path) -> None:
    """Disk, ledger and listing tell of the same kept frames, none twice."""
    ledger, disk = kept_in_ledger(store), kept_on_disk(store)
    assert ledger == disk
    assert listed(store) == sorted(disk)
    ids = [record.decision.id for record in decided(store)]
    assert len(ids) == len(set(ids))


def on_terminal(
    *arguments: object, stream: Literal["stdout", "stderr"], columns: int = 100
) -> tuple[int, bytes, bytes]:
    """Exit status, what a terminal saw on one stream, and what came out of the other."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"there are no terminals here (/dev/pts is not mounted): {error}")
    environ = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    # Into a file, since nobody reads the other stream while the terminal is read.
    with tempfile.TemporaryFile() as other:
        with subprocess.Popen(
            [*STILLSIFT, *map(str, arguments)],
            stdout=theirs if stream == "stdout" else other,
            stderr=theirs if stream == "stderr" else other,
            env=environ,
        ) as ran:
            os.close(theirs)
            seen = b"".join(_read(ours))
        other.seek(0)
        return ran.returncode, seen, other.read()


def _read(descriptor: int) -> Iterator[bytes]:
    try:
        while data := os.read(descriptor, 65536):
            yield data
    except OSError:  # Linux's way of saying that the other end of a terminal is closed
        pass
    finally:
        os.close(descriptor)
