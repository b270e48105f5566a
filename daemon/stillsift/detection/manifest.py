"""Reads what manifest.yaml says of the detectors, before a file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..embedding.manifest import described, manifest_path

Kind = Literal["boxes", "yolov5", "yolov8", "end_to_end", "detr", "rtdetr"]
"""What the outputs of a detector are; `outputs` says how each is read.

boxes       `boxes` (1, N, 4) left, top, right, bottom in pixels of the input, and `scores`
            (1, N, labels) 0 to 1: what the detectors of stillsift give
yolov5      one output (1, N, 5 + labels): centre, size, objectness, scores
yolov8      one output (1, 4 + labels, N): centre, size, scores; YOLOv8, 9, 11, 12
end_to_end  one output (1, N, 6): corners, confidence, number of the label; YOLOv10, YOLO26
detr        two outputs, (1, N, 4) centre and size from 0 to 1 and (1, N, labels) logits, or one
            column more: RF-DETR, and DETR, YOLOS, RT-DETR or D-FINE as Hugging Face exports them
rtdetr      `labels` (1, N), `boxes` (1, N, 4) corners, `scores` (1, N), and a second input with
            the size of the picture: RT-DETR, D-FINE, DEIM
"""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """Describes everything that is known of one detector before its file is opened."""

    name: str
    path: Path
    labels: tuple[str, ...] | None = None
    """Names of the labels in the order of the outputs; None: the file's metadata names them."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels that stand for any of several others."""
    kind: Kind | None = None
    """What its outputs are; None: recognised by their shapes."""
    longest: int = 640
    """Pixels that the longer side of a picture is scaled to, where the file takes any size."""
    multiple: int = 32
    """Number that divides both sides of the input, where the file takes any size."""
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] | None = None
    """float32 only: values (0 to 1, in the order of `channels`) subtracted from pixels that were
    divided by 255. None: 0; for RF-DETR, DETR and YOLOS those of ImageNet, which they want."""
    std: tuple[float, float, float] | None = None
    """float32 only: divisors of what is left; None as in `mean`, and else 1."""
    overlap: float = 0.6
    """Intersection over union above which the less confident of two boxes of one label goes."""
    key: str = "detector"
    """Key of the configuration that describes it, as errors name it."""
    sha256: str | None = None
    """Hash (hex) of the file; None: a detector of the user's own, whose file is not checked."""
    bytes: int | None = None
    """Size of the file; None: a detector of the user's own."""
    purpose: str = ""
    licence: str = ""
    source: str = ""

    @property
    def known(self) -> tuple[str, ...]:
        """Gives every label that it is known to give, groups included."""
        return (*(self.labels or ()), *self.groups)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Input(_Strict):
    name: Literal["image"]
    dtype: Literal["uint8"]
    layout: Literal["NHWC"]
    colour: Literal["RGB", "BGR"]
    longest: int = Field(ge=64)
    multiple: int = Field(ge=1, le=64)


class _Entry(_Strict):
    purpose: str
    file: str = Field(pattern=r"^[\w.-]+\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    input: _Input
    overlap: float = Field(gt=0, lt=1)
    labels: tuple[str, ...] = Field(min_length=1)
    groups: dict[str, tuple[str, ...]] = {}
    licence: str
    source: str

    def spec(self, name: str, folder: Path) -> DetectorSpec:
        return DetectorSpec(
            name=name,
            path=folder / self.file,
            labels=self.labels,
            groups=self.groups,
            kind="boxes",
            longest=self.input.longest,
            multiple=self.input.multiple,
            channels="rgb" if self.input.colour == "RGB" else "bgr",
            overlap=self.overlap,
            sha256=self.sha256,
            bytes=self.bytes,
            purpose=self.purpose,
            licence=self.licence,
            source=self.source,
        )


class _Manifest(_Strict):
    models: dict[str, Any]
    """What `embedding` reads."""
    detectors: dict[str, _Entry] = {}


def detectors(path: Path | None = None) -> dict[str, DetectorSpec]:
    """Returns the detectors of the manifest by name. Raises ModelError with every mistake."""
    path = path or manifest_path()
    entries = described(path, _Manifest).detectors
    return {name: entry.spec(name, path.parent) for name, entry in entries.items()}
