"""Describes what became of a frame: one outcome, one reason, and the measures behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from .frames import Frame, TimeOrigin, frame_id


class Outcome(StrEnum):
    """Names what became of a frame. Every frame that is offered gets exactly one outcome."""

    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"
    LOST = "lost"


class Reason(StrEnum):
    """Names why a frame got its outcome. `outcome_of` gives the outcome that each belongs to."""

    NOVEL = "novel"
    SHARPEST = "sharpest"
    HEARTBEAT = "heartbeat"
    TRIGGER = "trigger"
    """A frame without news that shows an object for which frames are kept."""
    AUDIT = "audit"
    """A frame that was to be dropped, stored apart for a person to judge."""
    PICKED = "picked"
    """A frame that was dropped, until a person asked for it; `dropped_as` says why it was."""
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    """A frame that, compared directly, is within the limit of the kept frame that it names."""
    SAME_BACKGROUND = "same_background"
    """A frame that differs from each kept frame, but only by what kept frames show together: where
    an object has left, another kept frame shows what is behind it."""
    SAME_OBJECT = "same_object"
    """A frame whose changes belong to an object that a kept frame of this event shows; or, with
    `compare: object`, of which kept frames show each object."""
    FLEETING = "fleeting"
    """A frame with something that is gone at once, as noise, a flash or a shake is."""
    BLURRY = "blurry"
    DARK = "dark"
    BRIGHT = "bright"
    LOW_INFORMATION = "low_information"
    NO_TARGET = "no_target"
    """A frame with news in which none of the required objects was found."""
    INHIBITED = "inhibited"
    """A frame to be kept but for an object in it that must not be."""
    RATE_LIMITED = "rate_limited"
    BUDGET = "budget"
    UNLIKE_EXAMPLES = "unlike_examples"
    """A frame that would be kept, but does not resemble the example pictures of its source."""
    REJECTED = "rejected"
    """A frame that was kept, until a person took it out."""
    DECODE_ERROR = "decode_error"
    MODEL_ERROR = "model_error"
    WRITE_ERROR = "write_error"
    OVERLOAD = "overload"
    GAP = "gap"


_OUTCOMES = {
    Reason.NOVEL: Outcome.KEPT,
    Reason.SHARPEST: Outcome.KEPT,
    Reason.HEARTBEAT: Outcome.KEPT,
    Reason.TRIGGER: Outcome.KEPT,
    Reason.AUDIT: Outcome.KEPT,
    Reason.PICKED: Outcome.KEPT,
    Reason.EXACT_DUPLICATE: Outcome.DROPPED,
    Reason.NEAR_DUPLICATE: Outcome.DROPPED,
    Reason.SAME_BACKGROUND: Outcome.DROPPED,
    Reason.SAME_OBJECT: Outcome.DROPPED,
    Reason.FLEETING: Outcome.DROPPED,
    Reason.BLURRY: Outcome.DROPPED,
    Reason.DARK: Outcome.DROPPED,
    Reason.BRIGHT: Outcome.DROPPED,
    Reason.LOW_INFORMATION: Outcome.DROPPED,
    Reason.NO_TARGET: Outcome.DROPPED,
    Reason.INHIBITED: Outcome.DROPPED,
    Reason.RATE_LIMITED: Outcome.DROPPED,
    Reason.BUDGET: Outcome.DROPPED,
    Reason.UNLIKE_EXAMPLES: Outcome.DROPPED,
    Reason.REJECTED: Outcome.DROPPED,
    Reason.DECODE_ERROR: Outcome.FAILED,
    Reason.MODEL_ERROR: Outcome.FAILED,
    Reason.WRITE_ERROR: Outcome.FAILED,
    Reason.OVERLOAD: Outcome.LOST,
    Reason.GAP: Outcome.LOST,
}


def outcome_of(reason: Reason) -> Outcome:
    """Returns the one outcome that a reason belongs to."""
    return _OUTCOMES[reason]


Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Describes an object that a detector has found in a picture."""

    label: str
    confidence: float
    """0 to 1."""
    box: Box
    """In pixels of the picture, within it."""

    @property
    def area(self) -> float:
        """Gives how many pixels the box covers."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    def __str__(self) -> str:
        return f"{self.label} {self.confidence:.2f}"


@dataclass(frozen=True, slots=True)
class Tag:
    """Names what a picture shows as a whole."""

    label: str
    """Name of a class of ImageNet, as golden retriever."""
    confidence: float
    """0 to 1."""

    def __str__(self) -> str:
        return f"{self.label} {self.confidence:.2f}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Describes what became of one frame, or of what took its place (a gap, a bad file).

    A measure is None when it was not taken: after the first reason that holds, nothing more is
    measured.
    """

    id: str
    source: str
    reason: Reason
    captured_at_ns: int
    captured_at_origin: TimeOrigin
    frame_index: int
    file: Path | None = None
    pts_s: float | None = None
    sharpness: float | None = None
    """Sharpness, comparable within a source, 0 and up, higher is sharper."""
    sharpness_limit: float | None = None
    shadows: float | None = None
    """Luma, 0-255, that all but the darkest hundredth of the picture reaches: `max_brightness`."""
    highlights: float | None = None
    """Luma, 0-255, within which all but the brightest hundredth stays: `min_brightness`."""
    contrast: float | None = None
    """Contrast, grey levels, 0 and up: `min_contrast`."""
    similarity: float | None = None
    """Cosine of the pooled embeddings with `nearest_kept`, -1 to 1, higher is closer."""
    distance: float | None = None
    """Distance to `nearest_kept`, compared directly: 0 if no part differs by more than its noise, 1
    at the limit, more if it shows something else. None with an empty gallery."""
    novelty: float | None = None
    """What is new in it beside `nearest_kept`, 0 and up, on the scale of `novelty_limit` in every
    line. None with an empty gallery."""
    novelty_limit: float | None = None
    """What `novelty` has to exceed for the frame to be kept."""
    nearest_kept: str | None = None
    """Id of the kept frame that it was compared with or repeats; None: there was none."""
    content_hash: str | None = None
    width: int | None = None
    height: int | None = None
    detail: str | None = None
    """Sentence for people: which error, which file it repeats, which measure missed its limit."""
    detections: tuple[Detection, ...] | None = None
    """Objects found in it, of the labels that its source asks for, most confident first. None: no
    detector has looked at it."""
    objects_shown_by: tuple[str, ...] = ()
    """Of a `SAME_OBJECT`, ids of the kept frames that show its objects best, the largest first, at
    most four; `nearest_kept` is the frame that it differs from least as a whole."""
    tags: tuple[Tag, ...] | None = None
    """What a kept frame shows, most confident first; empty: the model is sure of nothing. None: it
    was not asked."""
    dropped_as: Reason | None = None
    """Reason why a frame of the audit sample was to be dropped, or why one was that a person has
    picked. None: it is neither, or recovery found only its picture."""
    frames: int = 1
    """Number of frames that it is about, from `frame_index` on: 1, but for an overload, in which
    any number is lost at once."""

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.reason)

    @property
    def shown_by(self) -> str | None:
        """Gives the id of the kept frame that shows this one: itself, or the one it repeats.

        None: there is none. A frame of the audit sample counts as dropped here.
        """
        itself = self.outcome is Outcome.KEPT and self.reason is not Reason.AUDIT
        return self.id if itself else self.nearest_kept


def without_frame(
    source: str,
    origin: str,
    reason: Reason,
    at_ns: int,
    *,
    time_origin: TimeOrigin = TimeOrigin.MTIME,
    frame_index: int = 0,
    file: Path | None = None,
    detail: str | None = None,
    content_hash: str | None = None,
) -> Decision:
    """Returns a decision about something that never became a frame: a bad file, a gap."""
    return Decision(
        id=frame_id(source, origin, frame_index),
        source=source,
        reason=reason,
        captured_at_ns=at_ns,
        captured_at_origin=time_origin,
        frame_index=frame_index,
        file=file,
        detail=detail,
        content_hash=content_hash,
    )


def about(
    frame: Frame,
    reason: Reason,
    **measures: float | str | tuple[Detection, ...] | tuple[str, ...] | None,
) -> Decision:
    """Returns a decision about `frame`; `measures` are fields of `Decision`."""
    return Decision(
        id=frame.id,
        source=frame.source,
        reason=reason,
        captured_at_ns=frame.captured_at_ns,
        captured_at_origin=frame.captured_at_origin,
        frame_index=frame.frame_index,
        file=frame.file,
        pts_s=frame.pts_s,
        content_hash=frame.content_hash,
        width=frame.picture.width,
        height=frame.picture.height,
        **measures,  # type: ignore[arg-type]  # the names are checked by the dataclass
    )


def told_measure(measure: float | None) -> float | None:
    """Returns a measure with as many digits as mean something: six, since most are of 32 bits."""
    return None if measure is None else float(f"{measure:.6g}")


def time_text(at_ns: int) -> str:
    """Returns UTC with microseconds, as ISO 8601: 2026-03-01T12:00:00.000000Z."""
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns % 1_000_000_000 // 1000:06d}Z"
