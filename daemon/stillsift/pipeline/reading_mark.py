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
from contextlib import suppress
from pathlib import Path

from ..sources import FileIdentity, origin_of

MOST_ENDS = 2
"""Ends at one and the same frame after which a file is left alone. One may be an accident."""
_MOST_ENDS_BEFORE = 4
"""The same while frames that are decided already are decoded once more. That may take minutes, and
got through before, so an accident is more likely."""
_MOST_FILES = 8
"""Files whose ends are remembered; the oldest is forgotten."""


class ReadingMark:
    """Marks the file that one source is reading, in a small file of its own."""

    def __init__(self, path: Path | None) -> None:
        """Takes the `path` of the mark; None: a dry run, which marks nothing. Raises OSError.

        A file that is still marked ended the process or line that read it.
        """
        self._descriptor: int | None = None
        self._length = 0
        self._file: str | None = None
        self._frame = -1
        self._ends: dict[str, tuple[int, int]] = {}
        """Frame that was reached and number of ends there, by file."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(path, flags, 0o644)
            self._take_up()

    def begin(self, file: Path, identity: FileIdentity, next_frame: int = 0) -> str | None:
        """Marks a file that is about to be decoded; the frames before `next_frame` are decided.

        Returns why it is to be left alone; None: it may be read.
        """
        self._file, self._frame = origin_of(file, identity), -1
        frame, ends = self._ends.get(self._file, (-1, 0))
        self._write()
        if ends < (_MOST_ENDS_BEFORE if frame < 0 < next_frame else MOST_ENDS):
            return None
        where = f"before frame {next_frame + 1}" if frame < 0 else f"at frame {frame}"
        return (
            f"reading it has ended stillsift {ends} times {where}; it is left alone until it "
            "changes (touch it to have it read again)"
        )

    def reach(self, frame: int) -> None:
        """Marks the frame that is read next."""
        if self._file is not None and frame != self._frame:
            self._frame = frame
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
            self._write()

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
            ends = {str(name): (int(at), int(n)) for name, (at, n) in found["ends"].items()}
            ended, frame = found["file"], int(found["frame"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # it is new, or was cut off while it was written
        if isinstance(ended, str):
            at, number = ends.pop(ended, (-1, 0))
            ends[ended] = (frame, number + 1 if at == frame else 1)
        self._ends = dict(list(ends.items())[-_MOST_FILES:])
        self._write()

    def _write(self) -> None:
        if self._descriptor is None:
            return
        mark = {"file": self._file, "frame": self._frame, "ends": self._ends}
        text = json.dumps(mark).encode()
        with suppress(OSError):  # the mark is a help, and no file waits for it
            os.pwrite(self._descriptor, text.ljust(self._length), 0)
            self._length = max(self._length, len(text))
