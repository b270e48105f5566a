"""Holds a frame with its measures while its decision is open."""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays import Image
from ..embedding import Embedding
from ..frames import Frame, TimeOrigin
from .cells import Cells
from .comparison import Comparison
from .sharpness import Sharpness, sharpness


def on_time_line(frame: Frame) -> bool:
    """Whether a frame is one of a time line; a photograph among others is not."""
    still = frame.content_hash is not None
    return not still or frame.captured_at_origin is TimeOrigin.FILENAME


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPicture:
    """A picture as the embedder saw it; shared by all that look the same."""

    thumbnail: Image
    embedding: Embedding
    cells: Cells
    at_s: float
    """When it was looked at, in the frames' own time."""


@dataclass(slots=True, eq=False)
class Measured:
    """A frame with its measures."""

    frame: Frame
    timed: bool
    """Whether the frame lies on a time line; a photograph among others does not."""
    at_s: float
    thumbnail: Image
    sharpness: Sharpness | None
    """None: it was not measured, because nobody has asked yet."""
    embedded: EmbeddedPicture
    """The picture itself, or one so near to it that it stands for both."""
    luma: Image | None = None
    """Of the frame, while it is at hand; None: its picture has to be asked."""

    @property
    def sharp(self) -> Sharpness:
        """Measured now at the latest; the frame must still hold its pixels then."""
        self.measure()
        assert self.sharpness is not None
        return self.sharpness

    def measure(self) -> None:
        if self.sharpness is None:
            self.sharpness = sharpness(
                self.frame.picture.luma() if self.luma is None else self.luma
            )

    def again(self) -> Measured:
        """The same as it was offered: what is recorded of a frame must not depend on whether it is
        looked at again or, after a restart, offered again."""
        if self.frame.content_hash is None:  # a still has let its pixels go
            self.sharpness = None
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A frame whose decision is open."""

    measured: Measured
    found: Comparison
