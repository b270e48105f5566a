"""Holds a frame with its measures while its decision is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..arrays import Image
from ..decisions import Detection
from ..embedding import Embedding
from ..frames import Frame
from .cells import Cells
from .comparison import Comparison
from .gates import Exposure
from .overview import Overview
from .sharpness import Sharpness, sharpness
from .shown_objects import ShownObject

_MOST_WAITING = 32
"""Most frames that one moment holds: 1 s at 30 frames/s."""
_MOST_PIXELS = 100_000_000
"""Most pixels that one moment holds, at 1.5 bytes each: 12 frames of 2160p, all 32 of 1080p."""


def on_time_line(frame: Frame) -> bool:
    """Tells whether a frame lies on a time line.

    A still does only if it says so.
    """
    return frame.timed or (frame.content_hash is None and not frame.page)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPicture:
    """Holds a picture as the embedder saw it. Frames that look the same share one."""

    thumbnail: Image
    embedding: Embedding
    cells: Cells
    at_s: float
    """Time of the frame that was embedded, seconds of the frames' own time."""
    colours: Image | None = None
    """`thumbnail.colours` of it; None: they do not count."""


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """Holds what the pixels of a still say by themselves, measured before its turn.

    What is None was not measured.
    """

    luma: Image
    thumbnail: Image
    """Of the whole picture."""
    sharpness: Sharpness
    sharpest_part: float | None
    overview: Overview | None
    embedding: Embedding | None
    """In half precision."""


@dataclass(slots=True, eq=False)
class Measured:
    """Holds a frame with its measures."""

    frame: Frame
    timed: bool
    """Whether the frame lies on a time line, as `on_time_line` says."""
    at_s: float
    thumbnail: Image
    sharpness: Sharpness | None
    """Sharpness of the frame. None: not measured yet, since no decision needed it."""
    embedded: EmbeddedPicture
    """The embedded picture of this frame, or of an earlier one that looks nearly the same."""
    overview: Overview | None = None
    """The photograph made small; None: the frame lies on a time line, where that is not needed."""
    sharpest_part: float | None = None
    """Sharpness of a photograph where it is sharpest, as `sharpness.sharpest_part` gives it. None:
    nothing in it can be sharp, or it is sharp as a whole."""
    small: Image | None = None
    """The frame as a `small_picture`. None: nothing is compared by it."""
    shown: Image | None = None
    """(height, width, 3) BGR of a still, made small, for detectors. None: the frame's picture is
    asked for it, or nobody looks."""
    detections: tuple[Detection, ...] | None = None
    """Objects found in it; None: no detector has looked at it."""
    exposure: Exposure | None = None
    """How the light of the frame is spread. None: it was not measured."""
    objects: tuple[ShownObject, ...] | None = None
    """Those of them that are compared, as they look; None: that was not asked yet."""
    luma: Image | None = None
    """Luma of the frame while it is in memory. None: the frame's picture must be asked for it."""
    unlike: str | None = None
    """Why it does not resemble the examples; empty: it does. None: that was not asked yet."""

    @property
    def sharp(self) -> Sharpness:
        """Gives the sharpness, measured at first use. The frame must still hold its pixels then."""
        self.measure()
        assert self.sharpness is not None
        return self.sharpness

    def measure(self) -> None:
        if self.sharpness is None:
            self.sharpness = sharpness(
                self.frame.picture.luma() if self.luma is None else self.luma
            )

    def again(self) -> Measured:
        """Returns the frame as it was when it was offered.

        What is recorded of a frame must be the same whether it is looked at again or, after a
        restart, offered again.
        """
        if self.frame.content_hash is None:  # a still has no pixels left to measure
            self.sharpness = None
        self.detections = self.objects = None
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Describes a frame whose decision is open."""

    measured: Measured
    found: Comparison


def full(waiting: Sequence[Candidate]) -> bool:
    """Tells whether a moment takes no more frames; each one holds its picture in memory."""
    picture = waiting[0].measured.frame.picture
    most = min(_MOST_WAITING, max(2, _MOST_PIXELS // (picture.width * picture.height)))
    return len(waiting) >= most
