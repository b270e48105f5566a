"""Exports for CVAT: zip files with pictures and their boxes, in the format CVAT for images 1.1."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from ..escapes import escaped
from .folder import ExportFolder
from .kept_frames import KeptFrame


class Cvat:
    """Writes cvat-000001.zip and so on, each with images/PICTURE and annotations.xml, and
    labels.json, the labels as CVAT takes them for a project.

    A task of CVAT takes no more pictures once it was made, so each zip is a task.
    """

    part_name = "cvat-{number:06d}.zip"

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], _split: str, path: Path
    ) -> list[tuple[KeptFrame, object]]:
        written: list[KeptFrame] = []
        with path.open("xb") as out:
            with ZipFile(out, "w") as packed:
                for frame in frames:
                    with self._folder.opened(frame) as source:
                        if source is None:
                            continue
                        member = ZipInfo(f"images/{frame.name}")
                        member.compress_type = ZIP_STORED
                        member.file_size = frame.size
                        with packed.open(member, "w") as inside:
                            copyfileobj(source, inside)
                    written.append(frame)
                xml = ZipInfo("annotations.xml")
                xml.compress_type = ZIP_DEFLATED
                with packed.open(xml, "w", force_zip64=True) as inside:
                    for text in _xml(written, path.stem, list(self._folder.classes())):
                        inside.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        return [(frame, None) for frame in written]

    def finish(self) -> None:
        labels = [{"name": _shown(label), "attributes": []} for label in self._folder.classes()]
        self._folder.rewrite("labels.json", [json.dumps(labels, indent=2) + "\n"])


def _xml(frames: Sequence[KeptFrame], task: str, labels: Sequence[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    yield f"<meta><task><name>{task}</name><size>{len(frames)}</size><mode>annotation</mode>"
    yield "<labels>"
    for label in labels:
        yield f"<label><name>{escape(_shown(label))}</name><attributes></attributes></label>"
    yield "</labels></task></meta>\n"
    for number, frame in enumerate(frames):
        name, size = quoteattr(frame.name), f'width="{frame.width}" height="{frame.height}"'
        yield f'<image id="{number}" name={name} {size}>\n'
        for each in frame.objects or ():
            sides = zip(("xtl", "ytl", "xbr", "ybr"), each.box, strict=True)
            box = " ".join(f'{side}="{pixels:.2f}"' for side, pixels in sides)
            label = quoteattr(_shown(each.label))
            yield f'<box label={label} source="auto" occluded="0" {box} z_order="0"></box>\n'
        yield "</image>\n"
    yield "</annotations>\n"


def _shown(label: str) -> str:
    """Returns a label as XML can hold it: without control characters."""
    return escaped(label)
