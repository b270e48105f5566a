"""Makes decisions about what never became a frame: damage, losses, gaps, files not read."""

from __future__ import annotations

from collections.abc import Iterator

from ..decisions import Decision, Reason, without_frame
from ..frames import TimeOrigin
from ..sources import Failed, Gap, Overload, Repeated, origin_of


def losses(source: str, item: Failed | Overload | Gap, *, live: bool) -> Iterator[Decision]:
    """Yields a decision for each lost frame, or one for all where their number is not known.

    None for the gap of a camera that has not answered yet. `live`: `source` is a camera.
    """
    match item:
        case Failed():
            yield _about(source, item, Reason.DECODE_ERROR, item.frame_index, item.detail, live)
        case Gap() if item.answered:
            yield _about(source, item, Reason.GAP, 0, item.cause, live)
        case Overload():
            for index in range(item.frame_index, item.frame_index + item.frames):
                yield _about(source, item, Reason.OVERLOAD, index, "too slow", live)


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
        file=item.file if isinstance(item, Failed) else None,
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
        time_origin=TimeOrigin.MTIME if at_ns is None else TimeOrigin.FILENAME,
        file=item.file,
        detail=f"same content as {item.earlier}",
        content_hash=item.content_hash,
    )
