"""Makes stores with audit samples."""

from __future__ import annotations

from dataclasses import replace

from stillsift.decisions import Decision, Reason
from stillsift.frames import TimeOrigin, frame_id


def dropped(index: int, reason: Reason = Reason.BLURRY) -> Decision:
    id = frame_id("door", "origin", index)
    return Decision(id, "door", reason, index * 10**9, TimeOrigin.PTS, index)


def aside(index: int) -> Decision:
    return replace(dropped(index), reason=Reason.AUDIT, dropped_as=Reason.BLURRY)
