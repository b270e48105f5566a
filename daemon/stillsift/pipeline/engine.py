"""Opens one model, one store and its ledger, and makes the lines that share them.

`run` and `sift` give the engine different sources; what it does with them is the same.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import cv2
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from ..config import Config, SourceConfig
from ..config.password import password_of
from ..config.reload import in_force
from ..config.secrets import redacted
from ..config.settings import SourceSettings, hash_of
from ..decisions import Decision
from ..embedding import Embedder, Embedding
from ..embedding.tagger import Tagger
from ..frames import Frame, Picture
from ..ledger import Ledger, LedgerError
from ..ledger.records import KeptFile, Retire
from ..selection import Gallery, GalleryFrame, Sifter
from ..service import Metrics
from ..sources import Known, Source
from ..sources.camera import RtspSource
from ..sources.files import DirectorySource
from ..sources.files.directory import is_still
from ..sources.files.read_ahead import ReadAhead
from ..store import Quarantine, Store, StoreError, StoreFull
from ..store.in_place import InPlaceStore, Mode, NoListing, Removal
from ..store.metadata_jsonl import Listing
from ..store.names import folder_name
from ..store.recovery import Recovered, recover
from ..store.repair import Repair
from ..store.store import READING
from ..store.thumbnails import Thumbnails, opened_thumbnails
from ..units import counted, shown_size
from . import model_choice
from .anonymizing import Cover, uncovered
from .choosing import Changed, Chosen, choose
from .example_folders import ExampleShelf
from .groups import Groups
from .kept_pictures import KeptPictures
from .line import Line
from .object_finder import ObjectFinder, labels_of
from .persistence import Storage
from .reading_mark import ReadingMark
from .recorded_album import RecordedAlbum
from .recorder import Recorder
from .reembedding import GoOn, Interrupted, Reembedding
from .sequence_check import SequenceCheck
from .sifting import Sifting
from .tuning import Tuning

log = logging.getLogger(__name__)


class Engine:
    """Holds everything that lines share. A context manager; `close` unlocks the store."""

    def __init__(
        self,
        config: Config,
        metrics: Metrics,
        *,
        dry_run: bool = False,
        patient: bool = False,
        in_place: Mode | None = None,
    ) -> None:
        """Locks and recovers the store, opens the ledger and warms the model up.

        `dry_run` decides without a store: nothing is written that outlives the process. `patient`
        begins even on a full disk. `in_place`: the store only takes what is dropped, or copies of
        what is kept, once all is decided; None: a store as ever. Raises a Problem that names what
        stands in the way.
        """
        self.config = config
        self.metrics = metrics
        self._patient = patient
        self._in_place = in_place
        self.removal: Removal | None = None
        """Moves or copies files at the end of a source; None: nothing is done in place."""
        self.storage: Storage | None = None
        self._renewed: set[str] = set()
        """Sources of which all that is kept was embedded by this model."""
        self._renewing: dict[str, threading.Lock] = {}
        """Locks by group, or by the source that has none."""
        self._opened = ExitStack()
        try:
            self._open(dry_run)
        except BaseException:
            self._opened.close()
            raise

    def _open(self, dry_run: bool) -> None:
        # Sources have a thread each, so pools of OpenCV and NumPy would only add threads. Those of
        # OpenBLAS spin while they wait for work: that took one in thirteen seconds of CPU.
        cv2.setNumThreads(1)
        threadpool_limits(1, user_api="blas")
        # The model first: it fails most often, and opening it changes nothing.
        self.model = model_choice.open_model(self.config.model)
        self._embedder = Embedder(self.model)
        self._embedder.warm_up()
        if self.model.spec.grid is None:
            log.warning(
                "model %s gives no grid: pictures are compared as a whole, and small objects will "
                "be missed",
                self.model.spec.name,
            )
        self._finder = ObjectFinder(self.config.detector, self.metrics)
        self._finder.open(labels_of(self.config))
        self._tagger: Tagger | None = None
        self._open_tagger(self.config)
        self._examples = ExampleShelf(self._embedder)
        self.metrics.model(self.model.spec.name, self.model.provider)
        why = "" if self.model.why is None else f" ({self.model.why})"
        log.info("model %s on %s%s", self.model.spec.name, self.model.provider, why)
        if dry_run:
            folder = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="stillsift-"))
            self.ledger = self._opened.enter_context(Ledger(Path(folder) / "ledger.sqlite"))
            self.ledger.dry = True
        else:
            self._open_storage()
        self._record_config(self.config)
        self.groups = Groups(self.ledger, self.model.identity, self._is_there)
        self.groups.define(self.config.sources)

    def _record_config(self, config: Config) -> None:
        """Records the configuration, written once: it takes as long as a hundred frames at rest."""
        text = config.to_yaml()
        self.ledger.record_config(hash_of(text), text)
        self._config_hash = hash_of(text)

    def _open_tagger(self, config: Config) -> None:
        """Opens what tags, where a source asks for tags and the model gives them.

        Raises ModelError.
        """
        asked = any(each.tags for each in (config.defaults, *config.sources))
        if not asked or self._tagger is not None:
            return
        spec = self.model.spec
        if spec.tags is None:
            log.warning("tags are asked for, and %s", model_choice.without_tags(spec))
        else:
            self._tagger = Tagger(spec.tags)

    def _open_storage(self) -> None:
        settings = self.config.store
        if self._in_place is not None:
            self._open_in_place(self._in_place)
            return
        store = Store(
            settings.path,
            min_free=settings.min_free,
            image_format=settings.format,
            jpeg_quality=settings.jpeg_quality,
        )
        self._opened.enter_context(store.lock())
        try:
            store.prepare()
        except StoreFull as error:
            if not self._patient:
                raise
            log.error("%s", error)  # lines wait for room, and the quarantine may make some
        self.ledger = self._opened.enter_context(Ledger(store.ledger_path))
        store.is_unfinished = self.ledger.is_unfinished
        listing = Listing(store, self.ledger)
        self._opened.callback(_close, listing)
        quarantine = Quarantine(store, self.ledger, patient=self._patient)
        _report(recover(store, self.ledger, listing, quarantine))
        self.storage = Storage(store, listing, quarantine, self._thumbnails(store))
        self.metrics.store(store.free_bytes)

    def _open_in_place(self, mode: Mode) -> None:
        settings = self.config.store
        store = InPlaceStore(settings.path, mode, settings.format, settings.jpeg_quality)
        self._opened.enter_context(store.lock())
        store.prepare()
        self.ledger = self._opened.enter_context(Ledger(store.ledger_path))
        self.removal = Removal(store, self.ledger)
        self.removal.take_in()
        self.storage = Storage(store, NoListing(store, self.ledger), self.removal)

    def reconfigure(self, config: Config) -> None:
        """Makes lines that begin from now on follow `config`.

        Store and model stay as they are, and so do their settings: the configuration recorded
        beside a decision is the one it was made with. Raises LedgerError, and ModelError where no
        detector finds what a source asks for; then nothing has changed.
        """
        config = in_force(self.config, config)
        self._finder.open(labels_of(config))
        self._open_tagger(config)
        self._record_config(config)
        self.config = config
        self.groups.define(config.sources)

    def read_examples(
        self, sources: Iterable[SourceConfig], on_step: Callable[[], None] = lambda: None
    ) -> None:
        """Reads the examples of these sources, so that `tuning` need not. Raises ExamplesError.

        `on_step` is called after each picture.
        """
        for source in sources:
            self._examples.examples(source, on_step)

    def _thumbnails(self, store: Store) -> Thumbnails | None:
        """Opens the thumbnails of dropped frames; None: none are asked for, or it fails."""
        settings = self.config.store.thumbnails
        if not (settings.max_size and settings.max_age):
            return None
        age_ns = round(settings.max_age * 1e9)
        made = opened_thumbnails(store.state, settings.max_size, age_ns, self.ledger.lifetime_ns)
        return None if made is None else self._opened.enter_context(made)

    def tidy(self, go_on: Callable[[], bool]) -> None:
        """Removes what exceeds the quarantine's limits, and old decisions about frames not kept.

        Once a minute is often enough. Decisions go by a few hundred, so that lines can record in
        between; before each further step, `go_on` waits for a moment and tells whether to take it.
        Raises StoreError and LedgerError.
        """
        if self.storage is None or self._in_place is not None:
            return  # in place, what was moved is the user's, and its reasons stay with it
        lifetime_ns = self.ledger.record_lifetime()
        limits = self.config.store.quarantine
        gone = self.storage.quarantine.enforce(limits.max_size, round(limits.max_age * 1e9))
        if gone:
            size = shown_size(sum(one.size for one in gone))
            files = counted(len(gone), "file")
            log.info("quarantine: %s deleted, %s: too old or too much", files, size)
        if self.storage.thumbnails is not None:
            self.storage.thumbnails.tidy()
        if keep_s := self.config.store.keep_decisions:
            before_ns = lifetime_ns - round(keep_s * 1e9)
            while self.ledger.forget(before_ns) and go_on():
                pass

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def uncovered(self, config: SourceConfig) -> str | None:
        """Returns a sentence about what a source that covers objects has kept before, uncovered.

        None: there is nothing. Raises LedgerError.
        """
        if not config.anonymize or self.storage is None or self._in_place is not None:
            return None  # what is copied is told one by one
        return uncovered(self.ledger, config.name)

    def tell_uncovered(self, config: SourceConfig) -> None:
        """Logs that sentence, if there is one. Raises LedgerError."""
        if (told := self.uncovered(config)) is not None:
            log.warning("%s: %s", config.name, told)

    def choose(self, sources: Sequence[str], most: int, on_change: Changed) -> Chosen:
        """Keeps the `most` frames of these sources that differ most, as `choosing.choose` says.

        No line of them may run. Raises LedgerError and StoreError.
        """
        return choose(
            self.ledger,
            self.storage,
            sources,
            most,
            model=self.model.identity,
            config_hash=self._config_hash,
            is_there=self._is_there,
            in_place=self._in_place,
            on_change=on_change,
        )

    def line(
        self,
        config: SourceConfig,
        *,
        watch: bool = True,
        duration_s: float | None = None,
        replacing: bool = False,
        jobs: int = 1,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
        on_decision: Callable[[Decision, KeptFile | None], None] | None = None,
        on_replaced: Callable[[Decision], None] = lambda _decision: None,
        on_step: Callable[[], None] = lambda: None,
        go_on: GoOn = lambda _done, _all: True,
    ) -> Line:
        """Makes the line of one source. `watch` False: it ends after what is there now.

        What its group has kept with another model is embedded again before, as long as `go_on` says
        so; else it raises Interrupted.
        `replacing`: better photographs may replace those that are kept, until
        `ledger.end_sifting`. `jobs`: threads that work for it; what is decided is the same.
        """
        if watch:
            self.ledger.end_choosing()
            self.tell_uncovered(config)
        for each in self.groups.all_of(config):
            self._renew(each, jobs, go_on)
        tuning = self.tuning(config)
        store = None if self.storage is None else self.storage.store.root
        mark = ReadingMark(None) if config.rtsp else self._mark(config.name)
        try:
            recorder = Recorder(
                config.name,
                self.ledger,
                config_hash=tuning.config_hash,
                model=self.model.identity,
                retire=tuning.retire,
                siblings=tuning.siblings,
                is_there=self._is_there,
                mark=mark,
            )
            ahead = None if watch or jobs < 2 else ReadAhead(jobs, config.max_pixels, is_still)
            source = open_source(
                config,
                recorder,
                watch=watch,
                duration_s=duration_s,
                leave_out=store,
                recognise=self._sequence_check(config),
                ahead=ahead,
            )
            lies_in = None if self._in_place else store  # what stays is read where it is
            pictures = KeptPictures(self.ledger, lies_in, config.max_pixels)
            sifting = self._sifting(config, tuning, replacing)
            sifter = self._sifter(config.name, tuning, pictures, sifting)
            if ahead is not None:
                ahead.measure = sifter.ahead
        except BaseException:
            mark.close()
            raise
        self.metrics.open_source(config.name, source)
        return Line(
            source,
            sifter,
            recorder,
            self.storage,
            self.metrics,
            tuning,
            pictures,
            live=config.rtsp is not None,
            patient=watch,
            directory=config.directory,
            sifting=sifting,
            on_frame=on_frame,
            on_decision=on_decision,
            on_replaced=on_replaced,
            on_step=on_step,
        )

    def _renew(self, config: SourceConfig, jobs: int, go_on: GoOn) -> None:
        """Embeds again what a source has kept with another model, in one thread of its group."""
        lock = self._renewing.setdefault(config.group or config.name, threading.Lock())
        while not lock.acquire(timeout=1.0):
            if not go_on(0, 0):
                raise Interrupted
        try:
            if config.name not in self._renewed:
                self._reembedding(config, jobs, go_on).renew()
                self._renewed.add(config.name)
        finally:
            lock.release()

    def complete_vectors(self, sources: Sequence[SourceConfig], jobs: int, go_on: GoOn) -> None:
        """Embeds what these have kept without a vector of this model, as `choose` compares them.

        Raises LedgerError, and Interrupted where `go_on` says so.
        """
        for each in sources:
            of_clips = self._in_place is not Mode.REMOVE
            self._reembedding(each, jobs, go_on).complete_vectors(of_clips=of_clips)

    def _reembedding(self, config: SourceConfig, jobs: int, go_on: GoOn) -> Reembedding:
        lies_in = None
        if self.storage is not None and self._in_place is not Mode.REMOVE:
            lies_in = self.storage.store.root  # also the copies of frames of clips
        return Reembedding(
            *(config.name, self.ledger, self.model, self._embed, self._is_there),
            KeptPictures(self.ledger, lies_in, config.max_pixels),
            config.limits(self.model.spec.cell_limit).regions,
            jobs=jobs,
            go_on=go_on,
        )

    def _sifting(self, config: SourceConfig, tuning: Tuning, replacing: bool) -> Sifting | None:
        """Begins the sifting of a source, or goes on with it; None: what is kept of it stays."""
        if not replacing:
            self.ledger.end_sifting(config.name)
            return None
        self.ledger.begin_sifting(config.name, tuning.siblings())
        return Sifting(self.ledger, config.name, self.storage, tuning.retire, config.max_pixels)

    def _sequence_check(self, config: SourceConfig) -> SequenceCheck | None:
        """Returns what recognises numbered stills as a clip; None: that is not asked for.

        Where EXIF times are a time line, nothing else is looked for.
        """
        if config.sequence != "auto" or config.exif_timeline:
            return None
        return SequenceCheck(self._embed, self.model.spec.cell_limit, config.max_pixels)

    def tuning(self, config: SourceConfig) -> Tuning:
        """Returns the settings of a source that can change while it is being read.

        Its examples are read, unless that was done and they are as they were. Raises ExamplesError.
        """
        self.metrics.looks_for(config.name, config.targets.labels)
        examples = self._examples.examples(config)
        return Tuning(
            replace(config.limits(self.model.spec.cell_limit), examples=examples),
            gallery=config.gallery,
            max_silence_s=config.max_silence,
            alarms=config.alarms,
            audit=config.audit,
            retire=Retire(config.retire),
            repair=self.repair(config),
            tagger=self._tagger if config.tags else None,
            config_hash=self._config_hash,
            member=self.groups.member(config),
        )

    def repair(self, settings: SourceSettings) -> Repair:
        """Returns what is put right, and covered, in what a source keeps."""
        labels = settings.anonymize
        cover = Cover(labels, self._finder) if labels else None
        return Repair(**settings.repair.what(settings.max_pixels), cover=cover)

    def _sifter(
        self, source: str, tuning: Tuning, pictures: KeptPictures, sifting: Sifting | None
    ) -> Sifter:
        """Makes a sifter that goes on where the last one of this source stopped."""
        model = self.model.identity
        kept = [
            GalleryFrame.from_bytes(entry.id, entry.data)
            for entry in self.ledger.gallery(source, model)
            if self._is_there(entry.id)
        ]
        sifter = Sifter(
            tuning.limits,
            self._embed,
            Gallery(tuning.gallery, kept),
            self.ledger.state(source),
            model=model,
            alarms=tuning.alarms,
            elsewhere=tuning.elsewhere,
            album=RecordedAlbum(self.ledger, source, model, self._is_there).opened(),
            search_elsewhere=tuning.search_elsewhere,
            picture=pictures.picture,
            detect=self._finder,
            earlier=sifting,
        )
        if sifter.regions_changed:
            log.warning(
                "%s: ignore or roi has changed; its gallery begins empty, so what is kept already "
                "is kept once more",
                source,
            )
        return sifter

    def _is_there(self, id: str) -> bool:
        """Tells whether the file of a kept frame is in the store. What is gone shows nothing."""
        if self.storage is None:
            return True
        kept = self.ledger.kept_file(id)
        return kept is not None and self.storage.store.holds(kept)

    def _mark(self, source: str) -> ReadingMark:
        """Opens the mark of what a source is reading; the recorder closes it."""
        if self.storage is None:
            return ReadingMark(None)
        folder = self.storage.store.state / READING
        try:
            return ReadingMark(folder / folder_name(source))
        except OSError as error:
            log.warning("%s: %s: what is read is not marked: %s", source, folder, error.strerror)
            return ReadingMark(None)

    def _embed(self, picture: Picture) -> Embedding:
        with self.metrics.stage("embed"):
            return self._embedder(picture)


def open_source(
    config: SourceConfig,
    known: Known,
    *,
    watch: bool,
    duration_s: float | None = None,
    leave_out: Path | None = None,
    recognise: SequenceCheck | None = None,
    ahead: ReadAhead | None = None,
) -> Source:
    """Opens a source; only this function knows which kinds of source there are.

    `recognise` is for `sequence: auto` in a directory that is not watched.
    """
    if config.rtsp is not None:
        return RtspSource(
            config.name,
            config.rtsp,
            transport=config.transport,
            rate=config.looks_per_s,
            timeout_s=config.timeout,
            user=config.user,
            password=password_of(config),
            queue_frames=config.queue,
            max_pixels=config.max_clip_pixels,
            duration_s=duration_s,
        )
    assert config.directory is not None
    return DirectorySource(
        config.name,
        config.directory,
        known=known,
        rate=config.looks_per_s,
        animation_rate=config.animation_looks_per_s,
        watch=watch,
        polling=config.polling,
        recursive=config.recursive,
        filename_time=config.filename_time,
        exif_timeline=config.exif_timeline,
        timezone=config.tz,
        sequence=config.sequence_rate,
        recognise=recognise,
        max_pixels=config.max_pixels,
        max_clip_pixels=config.max_clip_pixels,
        settle_s=config.settle,
        exclude=() if leave_out is None else (leave_out,),
        ahead=ahead,
    )


def _report(found: Recovered) -> None:
    """Logs the warnings of recovery."""
    for warning in found.warnings:
        log.warning("%s", warning)


def _close(listing: Listing) -> None:
    try:
        listing.close()
    except (StoreError, LedgerError) as error:
        # Nothing is lost: recovery writes again what was not synced.
        log.warning("metadata.jsonl is brought up to date at the next start: %s", error)


def place_of(config: SourceConfig) -> str:
    """Returns where a source's frames come from, fit to be shown: without a password."""
    return redacted(config.rtsp) if config.rtsp is not None else str(config.directory)
