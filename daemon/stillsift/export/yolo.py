"""Exports as YOLO: pictures, a text with the boxes of each, and data.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from .folder import ExportFolder
from .kept_frames import KeptFrame
from .splits import TRAIN, VAL


class Yolo:
    """Writes images/train/PICTURE, labels/train/PICTURE.txt, the same of val, and data.yaml.

    A picture in which no detector has looked for objects has no text; one in which none was found
    has an empty one. The classes keep their numbers from one export to the next.
    """

    part_name = None

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], split: str, _path: Path
    ) -> list[tuple[KeptFrame, object]]:
        classes = self._folder.classes()
        placed = self._folder.placed(frames, lambda frame: f"images/{split}/{frame.name}")
        texts = {
            f"labels/{split}/{Path(frame.name).stem}.txt": "".join(_lines(frame, classes))
            for frame in placed
            if frame.objects is not None
        }
        self._folder.write_once(texts)
        return [(frame, None) for frame in placed]

    def finish(self) -> None:
        splits = self._folder.splits()
        places = {each: f"images/{each if each in splits else TRAIN}" for each in (TRAIN, VAL)}
        names = {number: label for label, number in self._folder.classes().items()}
        texts = [yaml.safe_dump({**places, "names": names}, sort_keys=False, allow_unicode=True)]
        if VAL not in splits:
            texts.insert(0, "# trainers ask for val; nothing was set apart for it (--val)\n")
        self._folder.rewrite("data.yaml", texts)


def _lines(frame: KeptFrame, classes: dict[str, int]) -> Iterator[str]:
    """Yields a line for each box: class, then middle and size as shares of the picture's size."""
    for each in frame.objects or ():
        left, top, right, bottom = each.box
        middle = ((left + right) / 2 / frame.width, (top + bottom) / 2 / frame.height)
        size = ((right - left) / frame.width, (bottom - top) / frame.height)
        numbers = " ".join(f"{number:.6f}" for number in (*middle, *size))
        yield f"{classes[each.label]} {numbers}\n"
