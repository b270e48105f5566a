"""Makes decisions about what never became a frame: damage, losses, gaps, files not read."""

from __future__ import annotations

from dataclasses import replace

from ..decisions import Decision, Reason, without_frame
from ..frames import TimeOrigin
from ..sources import Failed, Gap, Overload, Repeated, origin_of


def loss(source: str, item: Failed | Overload | Gap, *, live: bool) -> Decision | None:
    """Returns the one decision about an item, with the number of frames that it is about.

    How many a gap or a damaged stretch would have had is not known: it counts as one. None: the gap
    is that of a camera that has not answered yet. `live`: `source` is a camera.
    """
    match item:
        case Failed():
            return _about(source, item, Reason.DECODE_ERROR, item.frame_index, item.detail, live)
        case Gap():
            if not item.answered:
                return None
            return _about(source, item, Reason.GAP, 0, item.cause, live)
        case Overload():
            why = "too slow" if item.file is None else "overwritten before it was read"
            decision = _about(source, item, Reason.OVERLOAD, item.frame_index, why, live)
            return replace(decision, frames=item.frames)


def _about(
    source: str,
    item: Failed | Overload | Gap,
    reason: Reason,
    frame_index: int,
    detail: str,
    live: bool,
) -> Decision:
    return without_frame(
        source,
        f"{item.origin}|{reason}",
        reason,
        item.from_ns if isinstance(item, Gap) else item.at_ns,
        time_origin=TimeOrigin.PTS if live else TimeOrigin.MTIME,
        frame_index=frame_index,
        file=None if isinstance(item, Gap) else item.file,
        detail=detail,
    )


def repetition(source: str, item: Repeated) -> tuple[str, Decision]:
    """Returns the origin of a repeated file, as in `Frame.origin`, and the decision about it."""
    origin = origin_of(item.file, item.identity)
    at_ns = item.captured_at_ns
    return origin, without_frame(
        source,
        origin,
        Reason.EXACT_DUPLICATE,
        item.identity.mtime_ns if at_ns is None else at_ns,
        time_origin=item.captured_at_origin,
        file=item.file,
        detail=f"same content as {item.earlier}",
        content_hash=item.content_hash,
    )
