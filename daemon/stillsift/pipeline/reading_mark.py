"""Remembers which file a source is reading, so that one bad file cannot stop its source for ever.

A file may end the line that reads it, or the whole process: by an error that nobody foresaw, a
crash inside a decoder, memory, or a decoder that never comes back. The next start would meet it
again. So the file, and the frame that was reached, are written down before they matter. The mark is
not synced: it has to outlive the process and not the machine, since a power cut is not the file's
doing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..sources import FileIdentity, origin_of

MOST_ENDS = 2
"""Ends at one and the same frame after which a file is left alone. One may be an accident."""
_MOST_ENDS_OFTEN_AN_ACCIDENT = 4
"""The same where the file is less likely at fault: while a frame of it is kept and recorded, and
while frames that are decided already are decoded once more, which may take minutes and got through
before."""
_MOST_FILES = 8
"""Files whose ends are remembered; the oldest is forgotten."""

_Place = tuple[int, bool]
"""A frame, and whether it is being decoded; else the one before is being kept or recorded."""


class ReadingMark:
    """Marks the file that one source is reading, in a small file of its own."""

    def __init__(self, path: Path | None) -> None:
        """Takes the `path` of the mark; None: a dry run, which marks nothing. Raises OSError.

        A file that is still marked ended the process or line that read it.
        """
        self._descriptor: int | None = None
        self._length = 0
        self._rest = ""
        """JSON of all but the place, which alone changes with each frame."""
        self._file: str | None = None
        self._place: _Place = (-1, True)
        self._ends: dict[str, tuple[_Place, int]] = {}
        """Place that was reached and number of ends there, by file."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(path, flags, 0o644)
            self._take_up()

    def begin(self, file: Path, identity: FileIdentity, next_frame: int = 0) -> str | None:
        """Marks a file that is about to be decoded; the frames before `next_frame` are decided.

        Returns why it is to be left alone; None: it may be read.
        """
        self._file, self._place = origin_of(file, identity), (-1, True)
        (frame, decoding), ends = self._ends.get(self._file, ((-1, True), 0))
        self._write_all()
        suspect = decoding and not frame < 0 < next_frame
        if ends < (MOST_ENDS if suspect else _MOST_ENDS_OFTEN_AN_ACCIDENT):
            return None
        where = f"before frame {next_frame + 1}" if frame < 0 else f"at frame {frame}"
        return (
            f"reading it has ended stillsift {ends} times {where}; it is left alone until it "
            "changes (touch it to have it read again)"
        )

    def reach(self, frame: int) -> None:
        """Marks that the frame before this one is decoded, and is now kept or dropped."""
        self._move((frame, False))

    def go_on(self) -> None:
        """Marks that the frame that was reached is decoded now."""
        self._move((self._place[0], True))

    def _move(self, place: _Place) -> None:
        if self._file is not None and place != self._place:
            self._place = place
            self._write()

    def passed(self) -> None:
        """Takes the mark away: the file is through."""
        if self._file is not None:
            self._ends.pop(self._file, None)
        self.leave()

    def leave(self) -> None:
        """Takes the mark away: the file is left for an expected reason, and may be read again."""
        if self._file is not None:
            self._file = None
            self._write_all()

    def close(self) -> None:
        """Closes the file of the mark; what it says stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take_up(self) -> None:
        assert self._descriptor is not None
        try:
            self._length = os.fstat(self._descriptor).st_size
            found = json.loads(os.pread(self._descriptor, self._length, 0).decode() or "{}")
            ends = {str(name): (_place(at), int(n)) for name, (at, n) in found["ends"].items()}
            ended, place = found["file"], _place(found["place"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # it is new, or was cut off while it was written
        if isinstance(ended, str):
            at, number = ends.pop(ended, (place, 0))
            ends[ended] = (place, number + 1 if at == place else 1)
        self._ends = dict(list(ends.items())[-_MOST_FILES:])
        self._write_all()

    def _write_all(self) -> None:
        self._rest = json.dumps({"file": self._file, "ends": self._ends})[1:]
        self._write()

    def _write(self) -> None:
        if self._descriptor is None:
            return
        frame, decoding = self._place
        text = f'{{"place": [{frame}, {str(decoding).lower()}], {self._rest}'.encode()
        with suppress(OSError):  # the mark is a help, and no file waits for it
            os.pwrite(self._descriptor, text.ljust(self._length), 0)
            self._length = max(self._length, len(text))


def _place(found: Sequence[object]) -> _Place:
    """Reads a place. Raises TypeError and ValueError."""
    frame, decoding = found
    return int(str(frame)), bool(decoding)
