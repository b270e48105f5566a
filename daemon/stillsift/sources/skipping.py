"""Skips decoding frames of a clip that are not looked at and that no other frame refers to.

Frames of a clip are numbered, so a frame that was not decoded still counts: its presentation time
is stored until a later frame comes out. This is certain in few formats only. `UncertainCount` is
raised as soon as the decoder does anything but give out what it got, in order. The clip is then
read again in full, and so is a damaged one: frames and failures are then numbered as if nothing had
been skipped. Damage inside a skipped frame cannot be known and is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .pace import Pace

_CONTAINERS = frozenset({"mov", "mp4", "matroska"})
"""Containers that give every frame its own packet and presentation time."""
_H264_SLICE, _H264_HARMLESS = 1, frozenset({6, 9, 12})
"""Kinds of H.264 units: a slice, and what may come beside it (SEI, delimiter, filler)."""
_HEVC_SLICES, _HEVC_HARMLESS = frozenset({0, 2, 4, 6}), frozenset({35, 38, 39, 40})
"""The same for HEVC: TRAIL_N, TSA_N, STSA_N and RADL_N as slices. RASL_N is left out because
decoders drop it themselves where the stream was cut."""


class UncertainCount(Exception):
    """Says that skipped frames cannot be counted for certain."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Stands for a frame that was not decoded, in its place in presentation order."""

    pts_s: float


@dataclass(frozen=True, slots=True)
class _Sent:
    """Describes a packet whose frame was not yielded yet."""

    skipped: bool
    depth: int
    """Number of earlier packets in the file whose frames are presented later."""


class Skipping:
    """Decides which packets of a clip the decoder does not get, and yields `Skipped` for them.

    A packet is skipped if an earlier frame of its slot of `pace` was decoded, it does not last for
    a slot, no other frame refers to it, and it is reordered no deeper than a frame that came out
    before. The last condition is there because a decoder that does not know how far frames are
    reordered learns it from them, and drops the first of each depth.
    """

    def __init__(self, pace: Pace, units: _Units) -> None:
        self._pace = pace
        self._units = units
        self._on = True
        self._any = False
        self._sent: dict[int, _Sent] = {}
        self._slots: dict[int | None, int] = {}
        """Earliest presentation time decoded in each slot, from the current slot on."""
        self._depth = -1
        """Deepest reordering of which a frame came out."""
        self._start: float | None = None
        self._last: int | None = None
        self._time_base = Fraction(1)

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, pace: Pace) -> Skipping | None:
        """Returns the skipping for a clip; None: every packet of it has to be decoded."""
        units = _Units.of(stream)
        if pace.all or units is None or not _CONTAINERS & set(container.format.name.split(",")):
            return None
        return cls(pace, units)

    def skips(self, packet: Packet[Any]) -> bool:
        """Tells whether the decoder may skip a packet. Call for each, in the order of the file.

        Raises UncertainCount.
        """
        if not self._on or packet.size == 0:
            return False
        if packet.pts is None or packet.time_base is None or packet.pts in self._sent:
            self.give_up()
            return False
        self._time_base = packet.time_base
        depth = sum(pts > packet.pts for pts in self._sent)
        skipped = self._unwanted(packet.pts) and self._spared(packet, depth)
        # What stands for a slot is looked at. Some files tell nothing or the wrong time of a
        # packet; what was skipped and then stands that long is an UncertainCount.
        skipped = skipped and (packet.duration or 0) * packet.time_base < self._pace.step_s
        if not packet.is_discard:  # an edit list hides it: it never comes out
            self._sent[packet.pts] = _Sent(skipped, depth)
            if not skipped and self._start is not None:
                slot = self._slot(packet.pts)
                self._slots[slot] = min(packet.pts, self._slots.get(slot, packet.pts))
        self._any |= skipped
        return skipped

    def before(self, frame: VideoFrame) -> Iterator[Skipped]:
        """Yields the frames skipped before one that came out. Raises UncertainCount."""
        if not self._on:
            return
        pts = frame.pts
        if pts is None or frame.is_corrupt or frame.interlaced_frame:
            # In some files each field of an interlaced frame has its own packet.
            self.give_up()
            return
        if self._start is None:
            # Frames before the first that came out lack what they refer to, and never come out.
            self._sent = {at: sent for at, sent in self._sent.items() if at >= pts}
            self._start = self._seconds(pts)
            for at in sorted(self._sent):
                self._slots.setdefault(self._slot(at), at)
        if pts not in self._sent or (self._last is not None and pts <= self._last):
            self.give_up()
            return
        self._depth = max(self._depth, self._sent[pts].depth)
        if self._sent.pop(pts).skipped:
            self.give_up()
        yield from self._told(at for at in self._sent if at < pts)
        self._last = pts
        here = self._slots.get(self._slot(pts), pts)
        self._slots = {slot: at for slot, at in self._slots.items() if at >= here}

    def rest(self) -> Iterator[Skipped]:
        """Yields the frames skipped after the last that came out. Raises UncertainCount."""
        if self._on:
            yield from self._told(iter(self._sent))

    def give_up(self) -> None:
        """Stops skipping. Raises UncertainCount if something was skipped."""
        self._on = False
        if self._any:
            raise UncertainCount

    def _told(self, found: Iterator[int]) -> Iterator[Skipped]:
        for pts in sorted(found):
            if not self._on:
                return
            if not self._sent.pop(pts).skipped:
                self.give_up()  # the decoder did not give out a frame
                return
            yield Skipped(self._seconds(pts))

    def _unwanted(self, pts: int) -> bool:
        if self._start is None or (self._last is not None and pts < self._last):
            return False
        first = self._slots.get(self._slot(pts))
        return first is not None and first < pts

    def _spared(self, packet: Packet[Any], depth: int) -> bool:
        if depth > self._depth or packet.is_discard or packet.is_corrupt or packet.is_keyframe:
            return False
        return self._units.no_reference(memoryview(packet))

    def _slot(self, pts: int) -> int | None:
        assert self._start is not None
        return self._pace.slot(self._seconds(pts) - self._start)

    def _seconds(self, pts: int) -> float:
        return float(pts * self._time_base)


@dataclass(frozen=True, slots=True)
class _Units:
    """Reads the headers of the units (NAL) that make up a packet of H.264 or HEVC."""

    hevc: bool
    length_size: int
    """Bytes of the length field before each unit."""

    @classmethod
    def of(cls, stream: VideoStream) -> _Units | None:
        """Returns the reader for a stream; None: its units cannot be used.

        None for another codec, for units without lengths, and for HEVC in temporal layers, where a
        frame may be referred to from another layer though not from its own.
        """
        codec, head = stream.codec_context.name, stream.codec_context.extradata or b""
        if codec == "h264" and len(head) > 6 and head[0] == 1:
            return cls(hevc=False, length_size=(head[4] & 3) + 1)
        if codec == "hevc" and len(head) > 22 and head[0] == 1 and head[21] >> 3 & 7 == 1:
            return cls(hevc=True, length_size=(head[21] & 3) + 1)
        return None

    def no_reference(self, data: memoryview) -> bool:
        """Tells whether a packet is whole, holds a picture, and no other picture refers to it."""
        at, slices = 0, 0
        while at < len(data):
            size = int.from_bytes(data[at : at + self.length_size], "big")
            at += self.length_size
            if size < 2 or at + size > len(data):
                return False
            if self._is_spare_slice(data[at], data[at + 1]):
                slices += 1
            elif not self._is_harmless(data[at]):
                return False
            at += size
        return slices > 0

    def _is_spare_slice(self, first: int, second: int) -> bool:
        if self.hevc:
            return first >> 1 in _HEVC_SLICES and first & 1 == 0 and second == 1
        return first == _H264_SLICE  # with nal_ref_idc 0

    def _is_harmless(self, first: int) -> bool:
        return first >> 1 in _HEVC_HARMLESS if self.hevc else first & 0x9F in _H264_HARMLESS
