"""Steps through what is decided as the keys say, and has it drawn in a window."""

from __future__ import annotations

import logging
import time

from ..config import SourceConfig
from ..decisions import Decision
from ..embedding import Embedder, EmbedError
from ..frames import shrink
from ..ledger import LedgerReader
from ..pipeline import Engine
from ..review.heat import Differences
from ..review.pair_canvas import Foot, ShownPair, Side, pair_canvas
from ..review.pictures import NoPicture, Pictures
from ..service.signals import Signals
from .hand_kept import HandKept, NotKept
from .pairs import Pair, Pairs, is_kept, pixels_of
from .viewed import Reading
from .window import Window

log = logging.getLogger(__name__)

_PER_S, _PHOTOGRAPHS_PER_S = 4.0, 1.0
"""Pairs a second: of a clip, where most is as it was, and of photographs."""
_SLOWEST, _FASTEST = -3, 4
"""How often these are halved and doubled."""
_COMPARED_PACE = 1
"""Fastest pace at which the cells of each pair are compared, which takes two runs of the model."""
_BEHIND = 30
"""Pairs by which the window may be behind a camera; then it leaves some out."""
_LONGEST_SIDE = 1600
_TURN_MS = 15
_SAID_S = 4.0
_KEYS = "space pause   n next   b back   k keep   d only kept   h help   q quit"
_HELP = (
    ("space", "pause, go on"),
    ("n, right", "next one"),
    ("b, left", "one back"),
    ("home, end", "the oldest at hand, the newest"),
    ("+, -", "faster, slower"),
    ("k", "keep: put this frame into {}"),
    ("d", "only kept frames, or all"),
    ("o", "outline the cells that differ: red by more than noise, yellow by half of that"),
    ("h, ?", "this help"),
    ("q, escape", "quit"),
)


class Cells:
    """Compares the cells of two pictures as they count for a source."""

    def __init__(self, engine: Engine, source: SourceConfig) -> None:
        self._differences = Differences(lambda: Embedder(engine.model))
        self._paint = source.limits(engine.model.spec.cell_limit).regions.paint

    def between(self, pair: ShownPair) -> ShownPair:
        """Returns the pair with the cells that differ, where it has two pictures."""
        other = pair.other
        if pair.one.picture is None or other is None or other.picture is None:
            return pair
        try:
            heat = self._differences.between(
                self._paint(pair.one.picture), self._paint(other.picture)
            )
        except EmbedError as error:
            log.debug("cells not compared: %s", error)
            return pair
        return pair if heat is None else ShownPair(pair.one, other, heat.share)


class Viewer:
    """Steps through the pairs as the keys say, and draws them."""

    def __init__(
        self,
        window: Window,
        pairs: Pairs,
        reading: Reading,
        hand: HandKept,
        cells: Cells,
        pictures: Pictures,
        ledger: LedgerReader,
    ) -> None:
        self._window, self._pairs, self._reading = window, pairs, reading
        self._hand, self._cells = hand, cells
        self._pictures, self._ledger = pictures, ledger
        self._pair: Pair | None = None
        self._shown: ShownPair | None = None
        self._compared = False
        """Whether the cells of what is shown were compared."""
        self._playing, self._stepping = True, False
        self._only_kept, self._outlined, self._helping = False, True, False
        self._pace = 0
        self._next_at = 0.0
        self._said, self._said_until = "", 0.0
        self._quit = False
        self._drawn: object = None

    def run(self, signals: Signals) -> None:
        """Shows pairs until the window is closed, or nothing at all has come."""
        while not (self._quit or signals.stop.is_set()):
            if self._reading.ended and not self._pairs.count:
                return
            key = self._window.key(_TURN_MS)
            if self._window.closed:  # to show something would open it again
                return
            if key is not None:
                self._press(key)
            self._go_on(time.monotonic())
            self._draw(time.monotonic())

    # -- keys --------------------------------------------------------------------------------------

    def _press(self, key: str) -> None:
        match key:
            case "q" | "escape":
                self._quit = True
            case "space":
                self._playing, self._stepping = not self._playing, False
            case "n" | "right":
                self._playing, self._stepping = False, True
            case "b" | "left":
                self._playing, self._stepping = False, False
                self._take(self._pairs.before(self._number, self._wanted))
            case "home":
                self._playing, self._stepping = False, False
                self._take(self._pairs.after(-1, self._wanted))
            case "end":
                self._take(self._pairs.before(self._pairs.count, self._wanted))
            case "+" | "=" | "-":
                faster = -1 if key == "-" else 1
                self._pace = min(max(self._pace + faster, _SLOWEST), _FASTEST)
                self._next_at = 0.0
            case "k":
                self._keep()
            case "d":
                self._only_kept = not self._only_kept
            case "o":
                self._outlined = not self._outlined
            case "h" | "?":
                self._helping = not self._helping

    def _keep(self) -> None:
        if self._pair is None:
            return
        try:
            self._say(self._hand.keep(self._pair))
        except NotKept as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        self._said, self._said_until = text, time.monotonic() + _SAID_S

    # -- which pair --------------------------------------------------------------------------------

    @property
    def _number(self) -> int:
        return -1 if self._pair is None else self._pair.number

    def _wanted(self, decision: Decision) -> bool:
        return is_kept(decision) or not self._only_kept

    def _go_on(self, now: float) -> None:
        """Takes the next pair when it is due."""
        if not self._stepping and not (self._playing and now >= self._next_at):
            return
        number = self._number
        behind = self._pairs.count - 1 - number
        if self._reading.live and self._playing and behind > _BEHIND:
            number = self._pairs.count - 2
        pair = self._pairs.after(number, self._wanted)
        if pair is None:
            if self._stepping and self._reading.ended:
                self._stepping = False
                self._say("that was the last one")
            return
        self._stepping = False
        self._take(pair)
        timed = pair.decision.content_hash is None or pair.decision.pts_s is not None
        wait_s = 1 / ((_PER_S if timed else _PHOTOGRAPHS_PER_S) * 2**self._pace)
        if self._reading.live:  # what comes at once is shown within the second until the next comes
            wait_s = min(wait_s, 1 / max(behind, 1))
        self._next_at = now + wait_s

    def _take(self, pair: Pair | None) -> None:
        if pair is None:
            self._say("there is none before it at hand")
            return
        self._pair, self._compared = pair, False
        one = Side(pair.decision, None if pair.picture is None else pixels_of(pair.picture))
        self._shown = ShownPair(one, self._other(pair))

    def _other(self, pair: Pair) -> Side | None:
        if pair.other is not None and pair.other_picture is not None:
            return Side(pair.other, pixels_of(pair.other_picture))
        named = pair.decision.nearest_kept
        record = None if named is None else self._ledger.decision(named)
        if record is None:
            return None
        picture = self._pairs.picture_of(record.decision.id)
        if picture is not None:
            return Side(record.decision, pixels_of(picture))
        if record.decision.pts_s is not None:  # to decode a clip again takes too long
            return Side(record.decision, None)
        try:
            pixels, _ = self._pictures.pixels(record.decision)
        except NoPicture:
            return Side(record.decision, None)
        share = min(1.0, _LONGEST_SIDE / max(pixels.shape[:2]))
        size = [max(1, round(side * share)) for side in pixels.shape[1::-1]]
        return Side(record.decision, shrink(pixels, *size))

    # -- drawing -----------------------------------------------------------------------------------

    def _draw(self, now: float) -> None:
        """Draws what has changed; the cells come a moment after their pair."""
        foot = Foot(self._state(), _KEYS, self._said if now < self._said_until else "")
        size = self._window.size
        looks = (self._pair, size, foot, self._helping, self._outlined)
        slow = not self._playing or self._pace <= _COMPARED_PACE
        if looks == self._drawn:
            due = self._outlined and slow and not self._compared and self._shown is not None
            if not due or self._shown is None:
                return
            self._shown, self._compared = self._cells.between(self._shown), True
        self._drawn = looks
        shown = self._shown
        if shown is not None and not self._outlined:
            shown = ShownPair(shown.one, shown.other)
        folder = self._hand.folder
        help = [(keys, does.format(folder)) for keys, does in _HELP] if self._helping else []
        self._window.show(pair_canvas(shown, size, foot, help), self._title())

    def _title(self) -> str:
        """Returns what a list of windows tells of it."""
        told = f"stillsift view: {self._reading.tally.source}"
        if self._pair is None:
            return told
        return f"{told} - {self._pair.number + 1} {self._pair.decision.reason}"

    def _state(self) -> str:
        reading, pair = self._reading, self._pair
        if pair is None:
            return f"waiting for the first frame of {reading.tally.source}"
        last = reading.ended and pair.number == self._pairs.count - 1
        if last:
            state = "the end" if reading.tally.error is None else f"ended: {reading.tally.error}"
        elif not self._playing:
            state = "paused"
        elif reading.live:
            state = "live" if reading.line.source.up else "the camera is away"
        else:
            state = "playing" if self._pace == 0 else f"playing x {2.0**self._pace:g}"
        only = "   only kept" if self._only_kept else ""
        return f"{state}   {pair.number + 1} decided, {pair.kept} kept{only}"
