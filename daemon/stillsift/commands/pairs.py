"""Collects what a line decides, with its pictures, for somebody who looks at one after the other.

The line adds in its thread, the window takes in another one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..arrays import Image
from ..decisions import Decision, Outcome, Reason
from ..frames import Frame, shrink
from ..ledger.records import KeptFile
from ..sources.picture import ConversionError

AHEAD = 32
"""Most decisions by which a line that can wait is ahead of who looks at them."""
MOST_PAIRS = 300
_MOST_BYTES, _MOST_KEPT_BYTES = 256_000_000, 128_000_000
"""Encoded pictures that are remembered: of the pairs, and of kept frames that may be named."""
_LONGEST_SIDE, _QUALITY = 1600, 92
"""Pixels, and JPEG quality, of a frame that can be read again from its file."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Holds a decision with its pictures, as JPEG."""

    number: int
    """0-based, in the order in which they were decided."""
    decision: Decision
    picture: bytes | None
    """None: it never was a frame. That of a camera is whole, any other may be smaller."""
    other: Decision | None
    """The kept frame that the decision names; None: it names none, one of long ago, or one that
    was decided after it, as the best frame of a moment can be."""
    other_picture: bytes | None
    kept: int = 0
    """Number of frames that were kept up to this one."""


class Pairs:
    """Holds the last decisions of one line."""

    def __init__(self, quality: int, *, waits: bool) -> None:
        """`quality`: of the JPEG of a camera's frames. `waits`: the line may be held up until its
        decisions are looked at; a camera may not, and its oldest decisions are forgotten."""
        self._quality = quality
        self._waits = waits
        self._changed = threading.Condition()
        self._pairs: deque[Pair] = deque()
        self._bytes = 0
        self._offered: dict[str, bytes] = {}
        """Pictures of frames that are not decided yet."""
        self._kept: OrderedDict[str, tuple[Decision, bytes]] = OrderedDict()
        self._kept_bytes = 0
        self._count = self._kept_count = 0
        self._looked = -1
        self._closed = False

    # -- the line's side ---------------------------------------------------------------------------

    def offer(self, frame: Frame) -> None:
        """Takes the picture of a frame that is about to be decided."""
        try:
            pixels = frame.picture.bgr()
        except ConversionError:
            return  # its decision will say so
        data = _jpeg(pixels, self._quality) if frame.file is None else _jpeg(_smaller(pixels))
        with self._changed:
            self._offered[frame.id] = data

    def add(self, decision: Decision, _kept: KeptFile | None = None) -> None:
        """Takes a decision; waits while nobody has looked at those before it, if it may."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            picture = self._offered.pop(decision.id, None)
            other, other_picture = self._named(decision)
            self._kept_count += is_kept(decision)
            pair = Pair(self._count, decision, picture, other, other_picture, self._kept_count)
            self._count += 1
            self._pairs.append(pair)
            self._bytes += _size(pair)
            while len(self._pairs) > MOST_PAIRS or (self._bytes > _MOST_BYTES and self._pairs):
                self._bytes -= _size(self._pairs.popleft())
            if is_kept(decision) and picture is not None:
                self._remember(decision, picture)

    def change(self, decision: Decision) -> None:
        """Takes what became of a decision given before, as another frame has taken its place."""
        with self._changed:
            for place, pair in enumerate(self._pairs):
                if pair.decision.id == decision.id:
                    other, picture = self._named(decision)
                    self._pairs[place] = replace(
                        pair, decision=decision, other=other, other_picture=picture
                    )

    def _has_room(self) -> bool:
        return not self._waits or self._closed or self._count - self._looked <= AHEAD

    def _named(self, decision: Decision) -> tuple[Decision | None, bytes | None]:
        known = self._kept.get(decision.nearest_kept or "")
        if known is None:
            return None, None
        self._kept.move_to_end(known[0].id)
        return known

    def _remember(self, decision: Decision, picture: bytes) -> None:
        self._kept[decision.id] = decision, picture
        self._kept_bytes += len(picture)
        while self._kept_bytes > _MOST_KEPT_BYTES and len(self._kept) > 1:
            _, (_, old) = self._kept.popitem(last=False)
            self._kept_bytes -= len(old)

    # -- the window's side -------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Gives the number of decisions so far."""
        with self._changed:
            return self._count

    def after(self, number: int, wanted: Callable[[Decision], bool]) -> Pair | None:
        """Returns the first pair after `number` that is wanted; None: there is none yet.

        What is passed over counts as looked at, so that the line goes on.
        """
        with self._changed:
            found = next((p for p in self._pairs if p.number > number and wanted(p.decision)), None)
            self._looked = max(self._looked, self._count - 1 if found is None else found.number)
            self._changed.notify_all()
            return found

    def before(self, number: int, wanted: Callable[[Decision], bool]) -> Pair | None:
        """Returns the last pair before `number` that is wanted; None: it is not remembered."""
        with self._changed:
            pairs = reversed(self._pairs)
            return next((p for p in pairs if p.number < number and wanted(p.decision)), None)

    def picture_of(self, id: str) -> bytes | None:
        """Returns the picture of a kept or waiting frame; None: it is not at hand."""
        with self._changed:
            known = self._kept.get(id)
            return self._offered.get(id) if known is None else known[1]

    def close(self) -> None:
        """Lets the line go on without anybody who looks, so that it can end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def is_kept(decision: Decision) -> bool:
    """Tells whether a frame was kept for use; the audit sample only lies aside."""
    return decision.outcome is Outcome.KEPT and decision.reason is not Reason.AUDIT


def pixels_of(picture: bytes) -> Image:
    """Returns (height, width, 3) BGR of a picture of a pair."""
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _smaller(pixels: Image) -> Image:
    height, width = pixels.shape[:2]
    share = min(1.0, _LONGEST_SIDE / max(height, width))
    return shrink(pixels, max(1, round(width * share)), max(1, round(height * share)))


def _jpeg(pixels: Image, quality: int = _QUALITY) -> bytes:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _size(pair: Pair) -> int:
    return len(pair.picture or b"")
