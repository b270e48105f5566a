"""Reads the outputs of detectors of several families: boxes, and a score for each label.

The shapes are those that the families' own exporters write; `Kind` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from .manifest import Kind

Outputs = Mapping[str, NDArray[np.generic]]
"""What a network gave for one picture, by name."""

_MOST_CANDIDATES: Final = 1000
"""Most boxes with a label that are compared with each other; the most confident ones. YOLOv5 gives
25,200 boxes, and what lies below the thousandth is no finding."""


class OutputError(ValueError):
    """Says that outputs are of no family that is known; the message says what they are."""


def recognised(outputs: Outputs, labels: int) -> Kind:
    """Returns what outputs with so many labels are, by names and shapes. Raises OutputError."""
    shapes = {name: output.shape for name, output in outputs.items()}
    if set(shapes) == {"labels", "boxes", "scores"}:
        return "rtdetr"
    if set(shapes) == {"boxes", "scores"}:
        return "boxes"
    if {"logits", "pred_boxes"} <= set(shapes):
        return "detr"
    threes = [shape for shape in shapes.values() if len(shape) == 3]
    if len(threes) == len(shapes) == 2 and 4 in (threes[0][2], threes[1][2]):
        return "detr"
    if len(threes) != 1 or len(shapes) != 1:
        raise OutputError("they are of no family that is known")
    _, rows, columns = threes[0]
    fitting: list[Kind] = []
    if rows == 4 + labels:
        fitting.append("yolov8")
    if columns == 5 + labels:
        fitting.append("yolov5")
    if columns == 6:
        fitting.append("end_to_end")
    if len(fitting) != 1:
        raise OutputError(
            f"with {labels} labels they can be {' or '.join(fitting)}"
            if fitting
            else f"with {labels} labels there would be {4 + labels} rows or {5 + labels} columns"
        )
    return fitting[0]


def candidates(
    outputs: Outputs, kind: Kind, labels: int, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Returns (N, 4) boxes and (N, labels) scores, 0 to 1, of one picture.

    Boxes are left, top, right, bottom in pixels of the input, which is `size` (width, height).
    Raises OutputError for other shapes than those of `kind`.
    """
    try:
        boxes, scores = _READERS[kind](outputs, labels, size)
    except (KeyError, IndexError, ValueError) as error:
        raise OutputError(f"they are not those of {kind}") from error
    if boxes.shape != (len(scores), 4) or scores.shape[1] != labels:
        raise OutputError(f"they are not those of {kind} with {labels} labels")
    return boxes, scores


def _boxes(outputs: Outputs, _labels: int, _size: tuple[int, int]) -> tuple[Floats, Floats]:
    return _floats(outputs["boxes"][0]), _floats(outputs["scores"][0])


def _yolov5(outputs: Outputs, _labels: int, _size: tuple[int, int]) -> tuple[Floats, Floats]:
    (rows,) = (_floats(output[0]) for output in outputs.values())
    return _corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5:]


def _yolov8(outputs: Outputs, _labels: int, _size: tuple[int, int]) -> tuple[Floats, Floats]:
    (columns,) = (_floats(output[0]) for output in outputs.values())
    return _corners(columns[:4].T), columns[4:].T


def _end_to_end(outputs: Outputs, labels: int, _size: tuple[int, int]) -> tuple[Floats, Floats]:
    (rows,) = (_floats(output[0]) for output in outputs.values())
    return rows[:, :4], _spread(rows[:, 4], rows[:, 5].astype(np.int64), labels)


def _detr(outputs: Outputs, labels: int, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """One column of logits more than there are labels stands for nothing.

    In RF-DETR it is not used. In the first DETR and in YOLOS the columns of a box share one.
    """
    boxes, logits = _boxes_and_logits(outputs)
    if logits.shape[1] not in (labels, labels + 1):
        raise ValueError
    if shares_one(outputs, labels):
        powers = np.exp(logits - logits.max(1, keepdims=True))
        scores = powers / powers.sum(1, keepdims=True)
    else:
        scores = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    return _corners(boxes) * _floats(np.array(size * 2)), scores[:, :labels]


def _boxes_and_logits(outputs: Outputs) -> tuple[Floats, Floats]:
    if {"logits", "pred_boxes"} <= set(outputs):
        return _floats(outputs["pred_boxes"][0]), _floats(outputs["logits"][0])
    first, second = (_floats(output[0]) for output in outputs.values())
    given = [name in ("dets", "boxes", "pred_boxes") for name in outputs]
    return (second, first) if given[1] or first.shape[1] != 4 else (first, second)


def shares_one(outputs: Outputs, labels: int) -> bool:
    """Tells whether outputs of `detr` are those of the first DETR or of YOLOS."""
    return "dets" not in outputs and _boxes_and_logits(outputs)[1].shape[1] == labels + 1


def _rtdetr(outputs: Outputs, labels: int, _size: tuple[int, int]) -> tuple[Floats, Floats]:
    numbers = outputs["labels"][0].astype(np.int64)
    return _floats(outputs["boxes"][0]), _spread(_floats(outputs["scores"][0]), numbers, labels)


_READERS: Final = {
    "boxes": _boxes,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "end_to_end": _end_to_end,
    "detr": _detr,
    "rtdetr": _rtdetr,
}


def _floats(values: NDArray[np.generic]) -> Floats:
    return np.asarray(values, np.float32)


def _corners(boxes: Floats) -> Floats:
    """Returns boxes given as centre and size as left, top, right, bottom."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _spread(scores: Floats, numbers: NDArray[np.int64], labels: int) -> Floats:
    """Returns (N, labels) scores from one score and the number of its label for each box."""
    spread = np.zeros((len(scores), labels), np.float32)
    known = (numbers >= 0) & (numbers < labels)
    spread[known.nonzero()[0], numbers[known]] = scores[known]
    return spread


def apart(boxes: Floats, scores: Floats, least: float, overlap: float) -> list[tuple[int, int]]:
    """Returns (box, label) of every finding, the most confident first.

    A box can be a finding of several labels. Of two boxes of one label whose intersection over
    union exceeds `overlap` the less confident one goes.
    """
    rows, columns = ((scores >= least) & (scores > 0)).nonzero()
    confidences = scores[rows, columns]
    best = np.argsort(-confidences, kind="stable")[:_MOST_CANDIDATES]
    rows, columns, confidences = rows[best], columns[best], confidences[best]
    if not len(rows):
        return []
    left_top, right_bottom = boxes[rows, :2], boxes[rows, 2:]
    left = cv2.dnn.NMSBoxesBatched(
        np.concatenate([left_top, right_bottom - left_top], axis=1).tolist(),
        confidences.tolist(),
        columns.tolist(),
        0.0,
        overlap,
    )
    return [(int(rows[each]), int(columns[each])) for each in sorted(left)]
