"""Embeds again what was kept with another model, so that a new model knows it.

The numbers of two models cannot be compared, but the pictures are still there. A source begins
after that, so nothing that it has kept is kept once more. What the scene of a time line has learned
(noise, background, objects that are followed) is learned anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import yaml

from ..arrays import Image
from ..decisions import Box
from ..embedding import Embedding, EmbedError
from ..embedding.manifest import manifest
from ..embedding.onnx_model import Model
from ..frames import Picture
from ..ledger import Ledger
from ..ledger.records import AlbumChanges, Batch, GalleryEntry, GalleryNow
from ..selection import GalleryFrame
from ..selection.cell_limits import CellLimits
from ..selection.regions import Regions
from ..selection.shown_objects import ShownObject, shown_objects
from ..selection.thumbnail import colours
from ..units import counted
from .kept_pictures import KeptPictures
from .recorder import album_entry, vector_bytes

log = logging.getLogger(__name__)

_AT_ONCE = 32
"""Pictures between two transactions."""
_TELL_EVERY_S = 10.0
_NEARLY = 0.1
"""Share by which two limits may differ without advice. Between our own two models, for which the
same limit decides most alike, 17 pairs of kept frames of one clip gave 5 %."""

_Seen = tuple[Embedding, Image, tuple[ShownObject, ...]]

GoOn = Callable[[int, int], bool]
"""Is told how many pictures are done, of how many; returns whether to go on. It is called after
each picture, and every second while another thread does the work: then with 0 and 0."""


class Interrupted(Exception):
    """Says that what was kept is not embedded yet to its end, as `GoOn` said so."""


class Reembedding:
    """Embeds again what one source has kept. No line of the source may run."""

    def __init__(
        self,
        source: str,
        ledger: Ledger,
        model: Model,
        embed: Callable[[Picture], Embedding],
        is_there: Callable[[str], bool],
        pictures: KeptPictures,
        regions: Regions,
        *,
        jobs: int = 1,
        go_on: GoOn = lambda _done, _all: True,
    ) -> None:
        """`is_there` tells whether the file of a kept frame is in the store, and `pictures` reads
        it. `regions`: what of it counts. `jobs`: threads that read and embed."""
        self._source = source
        self._ledger = ledger
        self._model = model
        self._embed = embed
        self._is_there = is_there
        self._pictures = pictures
        self._regions = regions
        self._jobs = jobs
        self._go_on = go_on
        self._done = self._all = self._left_out = 0
        self._told = 0.0

    def renew(self) -> None:
        """Embeds again all photographs of the album, then the gallery, with any other model.

        Photographs are recorded as they are done, and the next call goes on behind them; a gallery
        is recorded whole. What is not there any more is left out; a photograph that is there but
        cannot be read is tried again by the next call. Raises LedgerError, and Interrupted.
        """
        name = self._model.identity
        album = self._ledger.album_models(self._source)
        before = self._ledger.gallery_model(self._source) or name
        others = [model for model in album.values() if model != name]
        if not others and before == name:
            return
        last = [] if before == name else self._ledger.gallery(self._source, before)
        limits = CellLimits(self._regions)
        number = len(others) + sum(entry.id not in album for entry in last)
        former = others[-1] if others else before
        begin = self._tell_begin(number, f"what the model {former} has measured")
        self._renew_album(limits)
        if before != name:
            self._renew_gallery(last, album.keys(), limits)
        back = f"; made with {former} so far, which `model:` or -c can name"
        self._tell_end(begin, f"{back}; {self._about_limits(former, limits)}")

    def complete_vectors(self, *, of_clips: bool) -> None:
        """Embeds each kept frame without a vector of this model, as `sift --keep` needs them all.

        They are recorded as they are done. `of_clips`: whether frames of clips have pictures.
        Raises LedgerError, and Interrupted.
        """
        lacking = [
            each.id
            for each in self._ledger.kept_vectors(self._source, self._model.identity)
            if each.vector is None
            and (of_clips or each.content_hash is not None)
            and self._is_there(each.id)
        ]
        if not lacking:
            return
        begin = self._tell_begin(len(lacking), "what is to be chosen from")
        for first in range(0, len(lacking), _AT_ONCE):
            ids = lacking[first : first + _AT_ONCE]
            found = zip(ids, self._embedded(ids, [()] * len(ids)), strict=True)
            vectors = {id_: vector_bytes(each[0]) for id_, each in found if each is not None}
            self._ledger.commit(Batch("", self._model.identity, vectors=vectors))
        self._tell_end(begin)

    def _renew_album(self, limits: CellLimits) -> None:
        name, after = self._model.identity, 0
        while some := self._ledger.photographs_of_others(self._source, name, after, _AT_ONCE):
            after = some[-1].seq
            frames = [GalleryFrame.from_bytes(each.id, each.data) for each in some]
            there = self._there(frames)
            added = []
            for frame, new in zip(there, self._again(there), strict=True):
                if new is not None:
                    limits.add(frame, new)
                    added.append(album_entry(new))
            removed = {frame.id for frame in frames} - {frame.id for frame in there}
            changes = AlbumChanges(added, sorted(removed))
            self._ledger.commit(Batch("", name, albums={self._source: changes}))

    def _renew_gallery(
        self, last: Sequence[GalleryEntry], album: Collection[str], limits: CellLimits
    ) -> None:
        """`album`: all photographs, by id; those that could be had are embedded already."""
        frames = [GalleryFrame.from_bytes(entry.id, entry.data) for entry in last]
        there = self._there([frame for frame in frames if frame.id not in album])
        found = dict(zip((frame.id for frame in there), self._again(there), strict=True))
        for frame in there:
            if (new := found[frame.id]) is not None:
                limits.add(frame, new)
        name = self._model.identity
        done = {row.id for row in self._ledger.album(self._source, name)}
        entries = []
        for frame in frames:
            new = found.get(frame.id)
            data = None if new is None else new.to_bytes()
            if frame.id in done:
                data = self._ledger.photograph(self._source, frame.id)
            if data is not None:
                entries.append(GalleryEntry(self._source, frame.id, data))
        now = GalleryNow([entry.id for entry in entries], entries)
        self._ledger.commit(Batch("", name, galleries={self._source: now}))

    def _there(self, frames: Sequence[GalleryFrame]) -> list[GalleryFrame]:
        """Returns the frames whose files are in the store."""
        there = [frame for frame in frames if self._is_there(frame.id)]
        self._left_out += len(frames) - len(there)
        self._count(len(frames) - len(there))
        return there

    def _again(self, frames: Sequence[GalleryFrame]) -> Iterator[GalleryFrame | None]:
        """Yields frames as this model sees them; None: the picture cannot be had."""
        boxes = [[each.box for each in frame.objects] for frame in frames]
        seen = self._embedded([frame.id for frame in frames], boxes)
        for frame, new in zip(frames, seen, strict=True):
            if new is None:
                yield None
                continue
            embedding, tint, objects = new
            # Of a photograph no colours count; without a grid nobody has recorded them.
            timed = frame.cells.chroma is not None or frame.embedding.grid is None
            yield frame.embedded_again(embedding, tint if timed else None, objects)

    def _embedded(
        self, ids: Sequence[str], boxes: Sequence[Sequence[Box]]
    ) -> Iterator[_Seen | None]:
        """Yields what the model makes of kept frames, `thumbnail.colours` of them, and what it
        makes of the objects in these boxes of each.

        None: the picture cannot be had, or not be embedded. Raises Interrupted.
        """
        if self._jobs == 1:
            for id_, some in zip(ids, boxes, strict=True):
                yield self._counted(self._look(id_, some))
            return
        with ThreadPoolExecutor(self._jobs, "embedding") as threads:
            try:
                for seen in threads.map(self._look, ids, boxes):
                    yield self._counted(seen)
            finally:
                threads.shutdown(cancel_futures=True)

    def _look(self, id_: str, boxes: Sequence[Box]) -> _Seen | None:
        picture = self._pictures.picture(id_)
        if picture is None:
            return None
        painted = self._regions.painted(picture)
        try:
            objects = shown_objects(picture.bgr(), boxes, self._embed) if boxes else ()
            return self._embed(painted).in_half_precision(), colours(painted), objects
        except EmbedError as error:
            log.debug("%s: %s: not embedded again: %s", self._source, id_, error)
            return None

    # -- what is told ------------------------------------------------------------------------------

    def _counted(self, seen: _Seen | None) -> _Seen | None:
        self._left_out += seen is None
        self._count(1)
        return seen

    def _count(self, done: int) -> None:
        """Notes so many pictures as done. Raises Interrupted."""
        self._done += done
        if time.monotonic() - self._told >= _TELL_EVERY_S:
            self._told = time.monotonic()
            log.info("%s: %d of %d embedded again", self._source, self._done, self._all)
        if not self._go_on(self._done, self._all):
            raise Interrupted

    def _tell_begin(self, number: int, what: str) -> float:
        """Tells how many pictures are embedded; returns the time, seconds."""
        self._done, self._all, self._left_out = 0, number, 0
        self._told = time.monotonic()
        log.log(
            logging.WARNING if number > _AT_ONCE else logging.INFO,
            "%s: %s is embedded again for the model %s: %s",
            *(self._source, what, self._model.identity, counted(number, "picture")),
        )
        return self._told

    def _tell_end(self, begin: float, more: str = "") -> None:
        if not self._all:
            return
        out = f"; {self._left_out} left out, as they cannot be had" if self._left_out else ""
        done = counted(self._done - self._left_out, "kept picture")
        log.warning(
            "%s: %s embedded again for the model %s in %.1f s%s%s",
            *(self._source, done, self._model.identity, time.monotonic() - begin, out, more),
        )

    def _about_limits(self, before: str, limits: CellLimits) -> str:
        """Returns what the limit of the model before is to this one, for who sets it."""
        spec = self._model.spec
        if (old := self._limit_of(before)) is None:
            return f"cell_limit: that of {before} is not known"
        if (found := limits.matched(old)) is None:
            return f"cell_limit: too few frames to compare that of {before} with this one"
        advice = ""
        if spec.sha256 is None and abs(found.limit / spec.cell_limit - 1) > _NEARLY:
            advice = f"; model.custom.cell_limit: {found.limit:.2g} tells as much apart as before"
        return (
            f"cell_limit: {100 * found.share:.0f} % of the distances in {found.pairs} pairs of "
            f"kept frames are below {old:.3g} with {before}, its limit, and as many are below "
            f"{found.limit:.3g} with {spec.name}, whose limit is {spec.cell_limit:.3g}{advice}"
        )

    def _limit_of(self, model: str) -> float | None:
        """Returns the cell limit of a model that was in use; None: nobody knows it any more."""
        if (known := manifest().get(model)) is not None:
            return known.cell_limit
        text = self._ledger.config_with(model)
        described = {} if text is None else yaml.safe_load(text)
        limit = described.get("model", {}).get("custom", {}).get("cell_limit")
        return None if limit is None else float(limit)
