"""Puts pictures into a detector and makes findings of what comes out."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray

from ..arrays import Floats, Image
from ..decisions import Box, Detection
from ..embedding import ModelError
from ..embedding.onnx_file import (
    ORT_ERRORS,
    ModelFile,
    Opened,
    Provider,
    opened,
    sentence,
)
from ..problems import Problem
from .letterbox import Letterbox, fitted, trimmed
from .manifest import DetectorSpec, Kind
from .outputs import OutputError, Outputs, apart, candidates, recognised, shares_one

_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_KNOWN: Final = (
    "known are YOLO (v5 to 12, 26), DETR, RT-DETR, D-FINE and RF-DETR as their exporters write "
    "them, and `boxes` (1, N, 4) with `scores` (1, N, labels)"
)


_TYPES: Final[dict[str, Literal["uint8", "float32"]]] = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
}


class DetectError(Problem):
    """Says that nothing could be looked for in one picture; the next one may succeed."""


@dataclass(frozen=True, slots=True)
class _Input:
    """Describes how a file takes a picture."""

    name: str
    dtype: Literal["uint8", "float32"]
    channels_first: bool
    size: tuple[int, int] | None
    """(width, height); None: any."""
    picture_size: str | None
    """Name of a second input that wants (width, height); None: there is none."""


class Detector:
    """Looks for what it knows in pictures. May be used by several threads at once."""

    def __init__(self, spec: DetectorSpec, file: Opened) -> None:
        self._session = file.session
        self.provider: Provider = file.provider
        self.why = file.why
        """Reason why it runs there, as a clause; None: the configuration says so."""
        self._input = _input(spec, file.session)
        self._names = [output.name for output in file.session.get_outputs()]
        self._classes: tuple[str, ...] = spec.labels or _labels(spec, file.session)
        """Labels in the order of the outputs."""
        self._groups = [
            [self._classes.index(label) for label in members] for members in spec.groups.values()
        ]
        self.labels: tuple[str, ...] = (*self._classes, *spec.groups)
        """Every label that it can give, groups included."""
        self.spec = spec
        self._set_scale(spec.mean, spec.std)
        self._kind = self._checked_kind()
        self.spec = replace(spec, labels=self._classes, kind=self._kind)
        """The description given to `open_detector`, completed from the file."""

    def __call__(self, picture: Image, least: float = 0.0) -> list[Detection]:
        """Returns what a picture shows with a confidence of at least `least`.

        `picture` is (height, width, 3) uint8 BGR of any size. The most confident finding comes
        first. One box can come with several labels. Raises DetectError.
        """
        box = self._letterbox((picture.shape[1], picture.shape[0]))
        try:
            outputs = self._run(box, picture)
            boxes, scores = candidates(
                outputs, self._kind, len(self._classes), (box.width, box.height)
            )
        except OutputError as error:
            raise DetectError(f"{self.spec.name}: {error}") from error
        except ORT_ERRORS as error:
            raise DetectError(f"{self.spec.name}: {sentence(error)}") from error
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise DetectError(f"{self.spec.name}: it gives values that are no numbers")
        scores = np.concatenate([scores, *(_any_of(scores[:, each]) for each in self._groups)], 1)
        found = apart(boxes, scores, least, self.spec.overlap)
        lying = box.in_picture(boxes)
        return [
            Detection(self.labels[label], min(1.0, float(scores[row, label])), _box(lying[row]))
            for row, label in found
            if (lying[row, 2:] > lying[row, :2]).all()
        ]

    def _set_scale(self, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> None:
        """Sets what is subtracted from pixels (0 to 255), and what they are divided by."""
        self._mean = np.asarray(mean or (0.0,) * 3, np.float32) * 255
        self._std = np.asarray(std or (1.0,) * 3, np.float32) * 255

    def _letterbox(self, picture: tuple[int, int]) -> Letterbox:
        if self._input.size is not None:
            return fitted(picture, self._input.size)
        return trimmed(picture, self.spec.longest, self.spec.multiple)

    def _run(self, box: Letterbox, picture: Image) -> Outputs:
        image: NDArray[np.uint8] | NDArray[np.float32] = box.filled(picture)
        if self.spec.channels == "rgb":
            image = image[..., ::-1]
        if self._input.dtype == "float32":
            image = (image - self._mean) / self._std
        if self._input.channels_first:
            image = image.transpose(2, 0, 1)
        given = {self._input.name: np.ascontiguousarray(image)[np.newaxis]}
        if self._input.picture_size is not None:
            given[self._input.picture_size] = np.array([[box.width, box.height]], np.int64)
        return dict(zip(self._names, self._session.run(self._names, given), strict=True))

    def _checked_kind(self) -> Kind:
        """Runs on a blank picture, since files leave sizes open. Raises ModelError."""
        spec, labels = self.spec, len(self._classes)
        size = self._input.size or (spec.longest, spec.longest)
        box = self._letterbox(size)
        try:
            outputs = self._run(box, np.zeros((*size[::-1], 3), np.uint8))
        except ORT_ERRORS as error:
            raise ModelError(f"{spec.path}: it cannot be run: {sentence(error)}") from error
        try:
            kind = spec.kind or recognised(outputs, labels)
            candidates(outputs, kind, labels, (box.width, box.height))
        except OutputError as error:
            found = ", ".join(f"{name} {output.shape}" for name, output in outputs.items())
            raise ModelError(
                f"{spec.path}: its outputs are {found}; {error}; {_KNOWN}; correct "
                f"{spec.key}.labels, say what they are as {spec.key}.kind, or export it again"
            ) from error
        if kind == "detr" and ("dets" in outputs or shares_one(outputs, labels)):
            self._set_scale(spec.mean or _IMAGENET[0], spec.std or _IMAGENET[1])
        return kind


def _any_of(scores: Floats) -> Floats:
    """Returns the (N, 1) scores for any of the labels of (N, labels) scores.

    It is that one of the two likeliest holds: seen from above, a car is .37 a car and .33 a bus.
    More labels would add up what is nothing. Measured: the least of nine vehicles seen from above
    .51 (the best single label .39), the most of an empty road .21; with three labels .58 and .25,
    with all four .60 and .28; ten labels of animals make .91 of a tree.
    """
    best = np.sort(scores, 1)[:, -2:]
    return np.asarray(1 - (1 - best).prod(1, keepdims=True), np.float32)


def _input(spec: DetectorSpec, session: ort.InferenceSession) -> _Input:
    """Returns how a file takes pictures. Raises ModelError where it cannot be given one."""
    images = [each for each in session.get_inputs() if len(each.shape) == 4]
    others = [each for each in session.get_inputs() if len(each.shape) != 4]
    found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in session.get_inputs())
    wrong = ModelError(
        f"{spec.path}: its inputs are {found}; a detector takes one picture, uint8 or float32, "
        "(1, 3, height, width) or (1, height, width, 3), and a size (1, 2) int64 where it wants "
        "one; export it again"
    )
    if len(images) != 1 or [each.type for each in others] not in ([], ["tensor(int64)"]):
        raise wrong
    (image,) = images
    first = image.shape[1] == 3
    sizes = image.shape[2:] if first else image.shape[1:3]
    batch, *_, last = image.shape
    if image.type not in _TYPES or not (first or last == 3):
        raise wrong
    if isinstance(batch, int) and batch != 1:
        raise wrong
    fixed = [side for side in sizes if isinstance(side, int)]
    if len(fixed) == 1:
        raise wrong
    return _Input(
        image.name,
        _TYPES[image.type],
        first,
        (fixed[1], fixed[0]) if fixed else None,
        others[0].name if others else None,
    )


def _labels(spec: DetectorSpec, session: ort.InferenceSession) -> tuple[str, ...]:
    """Returns the names that Ultralytics writes into a file. Raises ModelError without any."""
    written = session.get_modelmeta().custom_metadata_map.get("names", "")
    try:
        names = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        names = None
    if isinstance(names, dict):
        names = [names[number] for number in sorted(names)]
    if not isinstance(names, list) or not names:
        raise ModelError(
            f"{spec.path}: it does not name its labels; name them in their order as "
            f"{spec.key}.labels"
        )
    return tuple(map(str, names))


def _box(corners: NDArray[np.float32]) -> Box:
    left, top, right, bottom = corners.tolist()
    return left, top, right, bottom


def open_detector(
    spec: DetectorSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Detector:
    """Opens a detector, runs it on a blank picture and checks it against its description.

    `auto` takes the GPU where one answers, and otherwise the CPU without an error. Raises
    ModelError, which names the file, the reason and the way out.
    """
    file = ModelFile(spec.path, spec.sha256, spec.bytes, spec.key)
    return Detector(spec, opened(file, provider, threads))
