"""Runs every frame of one source along the line.

    source --> frame --> measure --> decide --> persist --> record --> retire

A kept picture is on the disk before its record is, and the record before its original goes. After a
kill at any point, the line goes on at the first frame without a record and decides as it would
have.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..decisions import Decision, Outcome, Reason, about, time_text
from ..embedding import EmbedError
from ..frames import Frame
from ..health import AlarmKind
from ..ledger import LedgerError
from ..ledger.records import GapRecord, KeptFile
from ..problems import Problem
from ..selection import Sifter, Verdict
from ..service import Metrics
from ..sources import (
    Failed,
    Finished,
    Gap,
    Idle,
    Item,
    LeftAlone,
    Opened,
    Overload,
    Repeated,
    Source,
)
from ..sources.picture import ConversionError
from ..units import counted
from .groups import Member
from .kept_pictures import KeptPictures
from .losses import loss, repetition
from .move_rights import MoveRights
from .persistence import RETRY_S, Persistence, Storage
from .recorder import MOST_UNRECORDED, Recorder
from .sifting import Sifting
from .troubles import Troubles
from .tuning import Tuning

log = logging.getLogger(__name__)

_RECORD_EVERY_S = 1.0
_MISS_EVERY_S = 1.0
_QUIET_S = 1.0
"""Seconds beyond `max_wait_s` for which a camera must be away before what waits is decided."""
_LONGEST_CLIP_S = 3600.0
"""Most seconds that the length of a clip adds. Recorders cut by the hour or sooner."""
_NOTHING_RECORDED = "nothing can be recorded"
_NOT_MEASURED = "frames cannot be measured"


class _Stopped(Exception):
    """Says that the line was asked to stop while it waited for the disk."""


class Line:
    """Runs one source to its end, or until it is stopped."""

    def __init__(
        self,
        source: Source,
        sifter: Sifter,
        recorder: Recorder,
        storage: Storage | None,
        metrics: Metrics,
        tuning: Tuning,
        pictures: KeptPictures,
        *,
        live: bool,
        patient: bool,
        directory: Path | None = None,
        sifting: Sifting | None = None,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
        on_decision: Callable[[Decision, KeptFile | None], None] | None = None,
        on_replaced: Callable[[Decision], None] = lambda _decision: None,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes the parts of the line and what it reports to.

        `storage` None: a dry run. `tuning`: what `sifter` and `recorder` were made with, and more.
        `pictures` is told what is kept, since `sifter` may ask for it.
        `live`: the source cannot be asked again. `patient`: the line waits for a disk that is full
        or failing; else the error ends it. `directory`: where originals are; None: nowhere.
        `sifting` is told every decision, since `sifter` may ask it what can be replaced; None:
        nothing can. `on_frame` gets every frame before it is decided. `on_decision` gets every
        decision once it is recorded, so that bad files need no line in the log; None: the log tells
        of them. `on_replaced` gets the record of each kept frame that another has replaced.
        `on_step` is called at every step.
        """
        self.source = source
        self.sifter = sifter
        self._recorder = recorder
        self._metrics = metrics
        self._pictures = pictures
        self._live = live
        self._patient = patient
        self._tuning = self._wanted = tuning
        self._sifting = sifting
        self._on_frame = on_frame
        self._on_decision = on_decision
        self._on_replaced = on_replaced
        self._on_step = on_step
        self._stop = threading.Event()
        self._heard = self._recorded = self._missed = time.monotonic()
        self._clip_s = 0.0
        """Length of the file that was read last, seconds."""
        self._troubles = Troubles(source.name)
        self._rights = MoveRights(
            None if storage is None else directory, self._troubles, tuning.retire
        )
        self._persistence = Persistence(
            *(source.name, storage, metrics, self._troubles, self._rights, self._wait),
            live=live,
        )
        self._warned_of: Path | str | None = None
        self._left_alone_told: set[str] | None = None
        """Kinds that were told; None: the source has yielded nothing yet."""
        self._ahead = False
        """Whether the sifter has decided more than the recorder knows of."""
        for kind in AlarmKind:
            metrics.alarm(source.name, kind, raised=False)
        for alarm in sifter.alarms:  # an alarm that an earlier run left standing goes on
            metrics.alarm(source.name, alarm.kind, raised=True)
            recorder.alarm(alarm)

    @property
    def _member(self) -> Member | None:
        return self._tuning.member

    @property
    def trouble(self) -> str | None:
        """Tells what stands in the way of keeping now; None: nothing."""
        return str(self._troubles) or None

    # -- source ------------------------------------------------------------------------------------

    def run(self) -> None:
        """Takes every item of the source from its pixels to its record."""
        try:
            for item in self.source.items():
                self._on_step()
                self._retune()
                kept = self._take(item)
                if self._due(item, kept):
                    self._record()
                self._end_turn()
                self._persistence.try_again()
                self._read_again()
                self._recorder.go_on()
            # A waiting frame of a file is read again at the next start, and decided as if nothing
            # had happened. A waiting frame of a camera would be gone.
            if self._live or not self._stop.is_set():
                self._persist(self.sifter.flush())
            self._recorder.end()
            self._record()
            self._recorder.leave()
        except _Stopped:
            self._recorder.leave()
            log.warning("%s: stopped while the store was out of order", self.source.name)
        except Exception as error:
            if isinstance(error, Problem):
                self._recorder.leave()
            # After any error, what was decided before it is recorded, and not decided again. The
            # exception: the sifter takes frames for kept that never came to the disk. A file is
            # read again then, and its frame would be a repeat of itself.
            if self._live or not self._ahead:
                with suppress(Problem, _Stopped):
                    self._record()
            raise
        finally:
            self._recorder.close()
            self._end_turn()

    def stop(self) -> None:
        """Asks the line to end soon; may be called from any thread."""
        self._stop.set()
        self.source.stop()

    def retune(self, tuning: Tuning) -> None:
        """Sets the settings to use from the next item on; may be called from any thread."""
        self._wanted = tuning

    def _retune(self) -> None:
        """Changes to other settings between two frames, as a restart would; the source goes on."""
        wanted = self._wanted
        if wanted is self._tuning:
            return
        if self.sifter.holds_stills:
            self._persist(self.sifter.flush())
        self._record()  # under the settings that it was decided with
        before, self._tuning = self._tuning, wanted
        try:
            self.sifter, verdicts = self.sifter.successor(
                wanted.limits,
                wanted.gallery,
                alarms=wanted.alarms,
                elsewhere=wanted.elsewhere,
                search_elsewhere=wanted.search_elsewhere,
            )
        except (EmbedError, ConversionError) as error:
            self._troubles.begin(_NOT_MEASURED, str(error))
            self._end_turn()
            self._tuning = before
            return  # nothing has changed; the next item tries again
        self._recorder.retune(wanted.config_hash, wanted.retire, wanted.siblings)
        self._rights.retune(wanted.retire)
        log.info("%s: goes on with its new settings", self.source.name)
        if self._persist(verdicts):
            self._record()
        self._end_turn()

    def _take(self, item: Item) -> bool:
        """Handles one item; returns whether a frame was kept by it."""
        self._miss_what_is_gone(item)
        if self._left_alone_told is None and not isinstance(item, LeftAlone):
            self._left_alone(LeftAlone({}))  # instead of what an earlier run found
        if isinstance(item, Idle):
            self._metrics.away(self.source.name, item.away_s)
            return self._nothing_follows(item) and self._persist(self.sifter.flush())
        self._heard = time.monotonic()
        match item:
            case Frame():
                return self._persist(self._decide(item))
            case Opened():
                self._recorder.open_file(item)
            case Finished():
                self._clip_s = min(item.lasted_s, _LONGEST_CLIP_S)
                self._recorder.close_file(item)
            case Repeated():
                return self._repeated(item)
            case Failed() | Overload() | Gap():
                self._unread(item)
            case LeftAlone():
                self._left_alone(item)
        return False

    def _miss_what_is_gone(self, item: Item) -> None:
        """Forgets kept frames that somebody removed from the store: they show nothing any more.

        Looks before each still, and once a second.
        """
        still = isinstance(item, Frame) and item.content_hash is not None
        if not still and time.monotonic() - self._missed < _MISS_EVERY_S:
            return
        self._missed = time.monotonic()
        gone = self._persistence.gone(self._recorder.compared_with)
        if not gone:
            return
        log.warning(
            "%s: %s gone from the store, the first is %s; what they showed can be kept again",
            *(self.source.name, counted(len(gone), "kept frame"), gone[0].path),
        )
        for kept in gone:
            self.sifter.miss(kept.id)
        try:
            self._recorder.lose(gone)
            # What a person has dropped, and kept again meanwhile, is there.
            still_gone = self._persistence.gone(gone)
            self._recorder.find([kept for kept in gone if kept not in still_gone])
        except LedgerError as error:  # the next start marks them
            log.debug("%s: not marked as missing: %s", self.source.name, error)

    def _nothing_follows(self, idle: Idle) -> bool:
        """Tells whether what waits is to be decided without the frames that may still come.

        A camera that only stalls goes on in its own time, so that its next frame may belong to the
        moment that is open; that of a camera that was away is later. When the next file comes
        nobody knows. A clip may be one of many that a recorder cuts: then the next one, which goes
        on where this one ended, comes as much later as it lasts.
        """
        wait_s = self.sifter.limits.max_wait_s
        if self._live:
            return idle.away_s > wait_s + _QUIET_S
        quiet_s = time.monotonic() - self._heard
        return not idle.busy and quiet_s > wait_s + self._tuning.max_silence_s + self._clip_s

    # -- measure, decide ---------------------------------------------------------------------------

    def _decide(self, frame: Frame) -> list[Verdict]:
        """Offers a frame to the sifter; returns the verdicts that are due now, oldest first."""
        self._metrics.offered(self.source.name)
        self._on_frame(frame)
        try:
            self._ahead = True
            with self._metrics.stage("decide"):
                verdicts = self.sifter.offer(frame)
        except (EmbedError, ConversionError) as error:
            self._troubles.begin(_NOT_MEASURED, f"{_named(frame)}: {error}")
            bad = Reason.MODEL_ERROR if isinstance(error, EmbedError) else Reason.DECODE_ERROR
            self._recorder.refuse(about(frame, bad, detail=str(error)))
            return []
        self._troubles.end(_NOT_MEASURED)
        self._recorder.expect(frame.frame_index)
        return verdicts

    # -- persist -----------------------------------------------------------------------------------

    def _persist(self, verdicts: list[Verdict]) -> bool:
        """Puts what is kept on the disk, then hands every decision to the recorder.

        Returns whether a frame was kept.
        """
        self._ahead = True
        verdicts = list(map(self._tagged, verdicts))
        ended = self._persistence.keep(verdicts, self._tuning, self.sifter.forget)
        # Only now, since the sifter's state is recorded with the first and covers all of them.
        away = self._persistence.take_away()
        by_id = {decision.id: decision for decision, _ in ended}
        for verdict, (decision, kept) in zip(verdicts, ended, strict=True):
            changes = verdict.changes
            if changes is not None:
                # What was to be replaced by a frame that could not be written stays.
                changes = changes.ended(by_id) if decision.outcome is Outcome.KEPT else None
            away_now = decision.id in away
            self._recorder.fill(decision, kept, changes, verdict.embedding, away=away_now)
            self._pictures.note(decision, kept)
            if self._sifting is not None:
                self._sifting.note(decision, changes)
        self._tell_alarms()
        self._ahead = False
        return any(decision.outcome is Outcome.KEPT for decision, _ in ended)

    def _tagged(self, verdict: Verdict) -> Verdict:
        """Returns the verdict with the tags of what is kept, where the source asks for them."""
        tagger, embedding = self._tuning.tagger, verdict.embedding
        if tagger is None or embedding is None or not verdict.is_kept:
            return verdict
        return replace(verdict, decision=replace(verdict.decision, tags=tagger(embedding)))

    def _tell_alarms(self) -> None:
        """Reports each alarm once when it begins and once when it is over."""
        for alarm in self.sifter.take_alarms():
            raised, since = alarm.to_ns is None, time_text(alarm.from_ns)
            word = "alarm" if raised else "alarm over"
            log.warning(
                "%s: %s: %s since %s: %s", self.source.name, word, alarm.kind, since, alarm.detail
            )
            self._metrics.alarm(self.source.name, alarm.kind, raised=raised)
            self._recorder.alarm(alarm)

    # -- record, retire ----------------------------------------------------------------------------

    def _due(self, item: Item, kept: bool) -> bool:
        """Tells whether to record now.

        A kept frame of a camera is recorded at once, and so is one that a group waits for. The
        rest can wait for a while, since files can be read again.
        """
        if self._recorder.unrecorded == self._recorder.open:
            return False
        waited_s = time.monotonic() - self._recorded
        return (
            (kept and (self._live or self._member is not None))
            or waited_s >= _RECORD_EVERY_S
            or self._recorder.unrecorded >= MOST_UNRECORDED
            or isinstance(item, Idle)
        )

    def _record(self) -> None:
        while True:
            try:
                begin = time.perf_counter()
                recorded = self._recorder.commit(self.sifter)
                took_s = time.perf_counter() - begin
                break
            except LedgerError as error:
                self._wait(_NOTHING_RECORDED, error)
        self._troubles.end(_NOTHING_RECORDED)
        self._recorded = time.monotonic()
        if recorded is None:
            return
        self._metrics.ledger_write(took_s)
        if self._member is not None:
            self._member.tell(self.sifter.gallery.kept)
        self._end_turn()  # the others need not wait while a large original is moved
        self._metrics.decided(self.source.name, recorded.decisions)
        if self._sifting is not None:
            self._sifting.settle()
        for decision, kept in recorded.decisions:
            if self._on_decision is not None:
                self._on_decision(decision, kept)
        for decision in recorded.replaced:
            self._on_replaced(decision)
        self._persistence.follow_up(recorded)

    def _read_again(self) -> None:
        """Has the source read what is not shown by a kept frame, though it was decided."""
        for original in self._persistence.take_unshown():
            for gone in original.missing:
                self.sifter.miss(gone)
            self.source.read_again(original.file.file, original.file.identity)
        for file, identity in self._recorder.take_away():
            self.source.read_again(file, identity)

    def _wait(self, task: str, error: Problem) -> None:
        """Reports a full or failing disk as trouble, and waits before the next try.

        Raises `error` if the line is not patient, and _Stopped if it is asked to stop.
        """
        if not self._patient:
            raise error
        self._troubles.begin(task, str(error))
        self._end_turn()
        until = time.monotonic() + RETRY_S
        while time.monotonic() < until:
            self._on_step()
            if self._stop.wait(0.5):
                raise _Stopped from error

    def _end_turn(self) -> None:
        if self._member is not None:
            self._member.end_turn()

    # -- what is no frame --------------------------------------------------------------------------

    def _unread(self, item: Failed | Overload | Gap) -> None:
        """Records an item that never became a frame."""
        gap = None
        if isinstance(item, Failed):
            # One bad file is one warning, and so is one connection, however often it fails.
            bad = item.file or item.origin.split("|damaged ")[0]
            known, self._warned_of = bad == self._warned_of or self._on_decision is not None, bad
            level = logging.DEBUG if known else logging.WARNING
            log.log(level, "%s: %s: %s", self.source.name, item.file or "camera", item.detail)
        elif isinstance(item, Gap):
            gap = GapRecord(self.source.name, item.from_ns, item.to_ns, item.cause)
            self._metrics.gap(self.source.name, item.seconds)
        if gap is not None:
            self._recorder.gap(gap)
        decision = loss(self.source.name, item, live=self._live)
        if decision is not None:
            self._metrics.offered(self.source.name, decision.frames)
            self._recorder.add(decision)

    def _left_alone(self, item: LeftAlone) -> None:
        """Records what is not read; the log tells of each kind once."""
        told = self._left_alone_told or set()
        if set(item.kinds) - told and self._on_decision is None:
            log.info("%s: left alone: %s", self.source.name, item)
        self._left_alone_told = told | set(item.kinds)
        try:
            self._recorder.left_alone(item.kinds)
        except LedgerError as error:  # a remark of `stats` is worth no waiting
            log.debug("%s: what is left alone is not recorded: %s", self.source.name, error)

    def _repeated(self, item: Repeated) -> bool:
        """Records a file that was not read, since its content was decided before.

        Returns whether its time let a frame be kept that waited.
        """
        self._metrics.offered(self.source.name)
        origin, decision = repetition(self.source.name, item)
        kept = False
        if item.timed and item.captured_at_ns is not None:
            kept = self._persist(
                self.sifter.repeated(item.captured_at_ns, origin, item.content_hash)
            )
        self._recorder.repeat(decision, item.identity)
        return kept


def _named(frame: Frame) -> str:
    """Returns the name of a frame in the log."""
    return f"{frame.file or 'frame'}#{frame.frame_index}"
