"""Puts single frames that a person picks into a folder, beside all stores."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2

from ..arrays import Image
from ..config import SourceConfig
from ..decisions import Decision
from ..problems import Problem
from ..review.pictures import NoPicture, Pictures
from ..store.durable_files import move_without_overwrite
from ..store.names import stem, still_suffix
from .pairs import Pair


class NotKept(Problem):
    """Says why a frame was not put into the folder."""


class HandKept:
    """Takes frames into one folder; nothing in it is ever overwritten."""

    def __init__(
        self, folder: Path, source: SourceConfig, pictures: Pictures, quality: int
    ) -> None:
        """`pictures`: finds frames of files again. `quality`: of the JPEG of frames of clips."""
        self.folder = folder
        self.files: list[Path] = []
        """What was put there so far."""
        self._source = source
        self._pictures = pictures
        self._quality = quality

    def keep(self, pair: Pair) -> str:
        """Puts the frame of a pair into the folder, and returns what to tell of it.

        A still goes there byte for byte, a frame of a clip or camera as JPEG of its full size.
        Raises NotKept.
        """
        if self._source.anonymize:
            raise NotKept("not kept: what this source keeps is covered (anonymize)")
        if lies_in(self.folder, self._source):
            raise NotKept(f"not kept: {self.folder} lies in what is read; name another --output")
        try:
            whole = self._whole(pair)
            path = self._written(pair.decision, whole)
        except NoPicture as error:
            raise NotKept(f"not kept: {error}") from error
        except FileExistsError as error:
            raise NotKept(f"it is there already, in {self.folder}") from error
        except OSError as error:
            raise NotKept(f"not kept: {error.filename}: {error.strerror}") from error
        self.files.append(path)
        return f"kept: {path}"

    def _whole(self, pair: Pair) -> bytes | Path | Image:
        if pair.decision.file is not None:
            return self._pictures.whole(pair.decision)
        if pair.picture is None:
            raise NoPicture("there is no picture of it")
        return pair.picture

    def _written(self, one: Decision, whole: bytes | Path | Image) -> Path:
        self.folder.mkdir(exist_ok=True)
        part, suffix = self.folder / f".keeping-{os.getpid()}", ".jpg"
        try:
            with part.open("xb") as file:
                if isinstance(whole, Path):
                    with whole.open("rb") as original:
                        suffix = still_suffix(original.read(32), whole.suffix)
                        original.seek(0)
                        shutil.copyfileobj(original, file)
                elif isinstance(whole, bytes):
                    file.write(whole)
                else:
                    quality = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
                    file.write(cv2.imencode(suffix, whole, quality)[1].data)
            path = self.folder / f"{stem(one.captured_at_ns, one.id)}{suffix}"
            move_without_overwrite(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path


def lies_in(folder: Path, source: SourceConfig) -> bool:
    """Tells whether what is put into a folder would be read as part of a source."""
    place = source.directory
    return place is not None and folder.resolve().is_relative_to(place.resolve())
