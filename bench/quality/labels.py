"""What is known of a clip: where something new is, where nothing is, where it is blurred."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """Frames `first` to `last`, both included, 0-based, counting every decoded frame."""

    first: int
    last: int
    what: str

    def holds(self, frame: int) -> bool:
        return self.first <= frame <= self.last


@dataclass(frozen=True, slots=True)
class Labelled:
    """A clip with its labels."""

    name: str
    path: Path
    kind: str
    """static, moving, edited, blur, nuisance or day."""
    events: tuple[Span, ...] = ()
    """Each should have at least one kept frame."""
    nothing: tuple[Span, ...] = ()
    """Nothing new happens: a kept frame is a false one, but for the very first of the clip."""
    blurred: tuple[Span, ...] = ()


def labelled(media: Path) -> list[Labelled]:
    """Every clip of the media folder that can be judged, labels from its gt folder."""
    clips = [
        _events(media, "a/intel_car-detection.mp4", "static"),
        _events(media, "a/bgs_overhead_road.avi", "static"),
        _events(media, "d/opencv_tree.avi", "nuisance"),
        _events(media, "d/dvrscan_brightness_change.avi", "nuisance"),
        _segments(media),
        _bunny(media),
        _nasa(media),
        _fades(media),
        _blurs(media),
        # Without labels: how many frames are kept is told, not judged.
        Labelled("pets09s2l1", media / "a/opencv_vtest_pets09s2l1.avi", "static"),
        Labelled("solidWhiteRight", media / "b/udacity_solidWhiteRight.mp4", "moving"),
        Labelled("bigbuckbunny", media / "e/bigbuckbunny_132f.mp4", "edited"),
        Labelled("asl_walk", media / "c/intel_asl_walk.mkv", "static"),
        Labelled("asl_book", media / "c/intel_asl_book.mkv", "static"),
    ]
    return [clip for clip in clips if clip.path.is_file()]


def _truth(media: Path, name: str) -> Any:
    return json.loads((media / "gt" / name).read_text("utf-8"))


def _events(media: Path, file: str, kind: str) -> Labelled:
    path = media / file
    events: list[Span] = []
    nothing: list[Span] = []
    for event in _truth(media, f"{path.stem}.events.json")["events"]:
        span = Span(event["start_frame"], event["end_frame"], event["what"])
        empty = "empty" in span.what or "nuisance" in span.what
        (nothing if empty else events).append(span)
    return Labelled(path.stem, path, kind, tuple(events), tuple(nothing))


def _segments(media: Path) -> Labelled:
    truth = _truth(media, "synth_nuisance_road.json")
    spans: dict[bool, list[Span]] = {True: [], False: []}
    for part in truth["segments"]:
        span = Span(part["start_frame"], part["end_frame"], part["what"])
        spans[part["new_content"]].append(span)
    path = media / "d/synth_nuisance_road.mp4"
    return Labelled(path.stem, path, "nuisance", tuple(spans[True]), tuple(spans[False]))


def _bunny(media: Path) -> Labelled:
    truth = _truth(media, "bbb_trailer.cuts.json")
    starts = truth["first_frame_of_new_shot"]
    ends = [*(start - 1 for start in starts[1:]), truth["frames"] - 1]
    shots = tuple(Span(a, b, f"shot {a}") for a, b in zip(starts, ends, strict=True))
    return Labelled("bbb_trailer", media / "e/bbb_trailer_fragmented.mp4", "edited", shots)


def _nasa(media: Path) -> Labelled:
    truth = _truth(media, "nasa_13013.cuts.json")
    (dissolve,), (cut,) = truth["gradual"], truth["first_frame_of_new_shot"]
    shots = (
        Span(0, dissolve[0] - 1, "wide"),
        Span(dissolve[1], cut - 1, "close"),
        Span(cut, truth["frames"] - 1, "wide again"),
    )
    return Labelled("nasa_13013", media / "e/nasa_13013.mp4", "edited", shots)


def _fades(media: Path) -> Labelled:
    path = media / "e/psd_fades.mp4"
    return Labelled(path.stem, path, "nuisance", nothing=(Span(0, 249, "one colour, fading"),))


def _blurs(media: Path) -> Labelled:
    path = media / "c/synth_blur_bursts_dash.mp4"
    truth = _truth(media, f"{path.stem}.json")
    blurred = tuple(
        Span(b["start_frame"], b["end_frame"], f"{b['blur']} {b['size_px']} px")
        for b in truth["blurred_intervals"]
    )
    return Labelled(path.stem, path, "blur", blurred=blurred)
