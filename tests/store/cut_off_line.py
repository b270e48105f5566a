"""A small line of stills and one clip that is killed at a chosen step, for test_recovery.py.

Run as `cut_off_line.py ROOT RETIRE`: for every step n copies ROOT/fresh to ROOT/<n>, works its `in`
into its `store` and kills itself with SIGKILL before call number n of those that change the disk,
until a run lives to its end. Prints how many runs were killed. Everything is the real thing below
the decision.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stillsift.decisions import Reason, about
from stillsift.frames import ArrayPicture, Frame, TimeOrigin
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch, Checkpoint, FileState, Retire
from stillsift.sources import FileIdentity
from stillsift.store import Quarantine, Store
from stillsift.store.metadata_jsonl import Listing
from stillsift.store.recovery import Recovered, recover

START_NS = 1_764_000_000_000_000_000
DROPPED = {"b.jpg"}
CLIP = "clip.mp4"
CLIP_KEPT = {0, 2}
CLIP_FRAMES = 4
RECORDING = ("commit", "retired", "mark_listed", "mark_in_order", "removed", "adopt")
CHANGING = (
    *("fsync", "link", "unlink", "rename", "replace"),
    *("mkdir", "open", "write", "copy_file_range", "utime"),
)


def make_input(folder: Path) -> None:
    """Three stills and a clip (whose bytes nobody decodes here)."""
    folder.mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        done, data = cv2.imencode(".jpg", picture(number).pixels)
        assert done
        (folder / name).write_bytes(data.tobytes())
    (folder / CLIP).write_bytes(b"clip" * 1000)


def picture(number: int) -> ArrayPicture:
    pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
    return ArrayPicture(pixels)


class Killer:
    """Counts the calls that change the disk and ends the process before the chosen one."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.calls = 0

    def watch(self, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if self.calls == self.step:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls += 1
            return real(*arguments, **options)

        setattr(owner, name, counted)


def run(root: Path, retire: Retire) -> Recovered:
    """The line: recover, then every file that is not done, one commit for each frame."""
    store = Store(root / "store", min_free=0)
    with store.lock():
        store.prepare()
        with Ledger(store.ledger_path) as ledger:
            listing = Listing(store, ledger)
            quarantine = Quarantine(store, ledger)
            found = recover(store, ledger, listing)
            for batch in batches(root / "in", store, ledger, retire):
                ledger.commit(batch)
                listing.append(batch.decisions)
                quarantine.retire("in")
            listing.close()
    return found


def batches(folder: Path, store: Store, ledger: Ledger, retire: Retire) -> Iterator[Batch]:
    for path in sorted(folder.glob("[!.]*")):
        identity = FileIdentity.of(path)
        begin = ledger.next_frame("in", identity)
        if begin is None:
            continue
        content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        frames = CLIP_FRAMES if path.name == CLIP else 1
        for index in range(begin, frames):
            frame = frame_of(path, identity, index, content_hash if frames == 1 else None)
            keep = index in CLIP_KEPT if frames > 1 else path.name not in DROPPED
            decision = about(frame, Reason.NOVEL if keep else Reason.BLURRY, sharpness=1.0)
            kept = store.place(frame, decision) if keep else None
            state = FileState.DONE if index + 1 == frames else FileState.READING
            checkpoint = Checkpoint(
                "in", path, identity, content_hash, index + 1, state, retire=retire
            )
            yield Batch("config", "model", [(decision, kept)], [checkpoint])


def frame_of(path: Path, identity: FileIdentity, index: int, content_hash: str | None) -> Frame:
    return Frame(
        source="in",
        origin=f"{path}|{identity.size}|{identity.mtime_ns}",
        frame_index=index,
        captured_at_ns=START_NS + index * 1_000_000_000 + len(path.name),
        captured_at_origin=TimeOrigin.MTIME,
        picture=picture(index),
        file=path,
        content_hash=content_hash,
    )


def killed_at(step: int, root: Path, retire: Retire) -> bool:
    """Runs the line in a child process; False: it came to its end before that step."""
    pid = os.fork()
    if pid == 0:
        killer = Killer(step)
        for name in CHANGING:
            killer.watch(os, name)
        for name in RECORDING:
            killer.watch(Ledger, name)
        status = 1
        try:
            run(root, retire)
            status = 0
        finally:
            traceback.print_exc() if status else None
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in (0, -signal.SIGKILL):
        sys.exit(f"the line failed by itself when it was to be killed at step {step}")
    return status != 0


def main() -> None:
    folder, retire = Path(sys.argv[1]), Retire(sys.argv[2])
    for step in count():
        root = folder / str(step)
        shutil.copytree(folder / "fresh", root)
        if not killed_at(step, root, retire):
            print(step)
            return


if __name__ == "__main__":
    main()
