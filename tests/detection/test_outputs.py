"""Of boxes that overlap the best one stays; outputs are recognised by their shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stillsift.detection.outputs import OutputError, apart, candidates, recognised

OVERLAP = 0.5
corner, extent, score = st.integers(0, 60), st.integers(2, 40), st.integers(0, 100)
found = st.lists(st.tuples(corner, corner, extent, extent, score, score), max_size=25)


def union_share(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union."""
    shared = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = float(np.prod(shared.clip(0)))
    areas = float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2]))
    return inside / (areas - inside)


@given(found)
def test_findings_of_one_label_are_apart_and_what_went_had_a_better_one(
    given_boxes: list[tuple[int, ...]],
) -> None:
    rows = np.array(given_boxes, np.float32).reshape(-1, 6)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    scores = rows[:, 4:] / np.float32(100)
    left = apart(boxes, scores, 0.3, OVERLAP)
    confidences = [float(scores[row, label]) for row, label in left]
    assert confidences == sorted(confidences, reverse=True)
    for row, label in left:
        assert scores[row, label] >= np.float32(0.3)
        for other in range(len(boxes)):
            overlapping = other != row and union_share(boxes[row], boxes[other]) > OVERLAP + 1e-3
            if overlapping and (other, label) in left:
                pytest.fail(f"{boxes[row]} and {boxes[other]} are one finding")
    for row, label in zip(*(scores >= np.float32(0.3)).nonzero(), strict=True):
        if (row, label) not in left:
            assert any(
                union_share(boxes[row], boxes[better]) > OVERLAP - 1e-3
                and scores[better, other] >= scores[row, label]
                for better, other in left
                if other == label
            )


def test_nothing_is_found_where_all_scores_are_nought() -> None:
    assert apart(np.ones((3, 4), np.float32), np.zeros((3, 2), np.float32), 0.0, 0.5) == []
    assert apart(np.ones((0, 4), np.float32), np.zeros((0, 2), np.float32), 0.0, 0.5) == []


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("outputs", "labels", "kind"),
    [
        ({"output0": zeros(1, 84, 8400)}, 80, "yolov8"),
        ({"output0": zeros(1, 7, 21)}, 3, "yolov8"),
        ({"output": zeros(1, 25200, 85)}, 80, "yolov5"),
        ({"output0": zeros(1, 300, 6)}, 80, "end_to_end"),
        ({"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 91)}, 90, "detr"),
        ({"logits": zeros(1, 300, 4), "pred_boxes": zeros(1, 300, 4)}, 4, "detr"),
        ({"boxes": zeros(1, 9, 4), "scores": zeros(1, 9, 2)}, 2, "boxes"),
        (
            {"labels": zeros(1, 300), "boxes": zeros(1, 300, 4), "scores": zeros(1, 300)},
            80,
            "rtdetr",
        ),
    ],
)
def test_a_family_is_recognised_by_its_shapes(
    outputs: dict[str, NDArray[np.float32]], labels: int, kind: str
) -> None:
    assert recognised(outputs, labels) == kind
    boxes, scores = candidates(outputs, recognised(outputs, labels), labels, (64, 64))
    assert boxes.shape == (len(scores), 4)
    assert scores.shape[1] == labels


@pytest.mark.parametrize(
    ("outputs", "labels", "reason"),
    [
        ({"probabilities": zeros(1, 1000)}, 1000, "of no family"),
        ({"output0": zeros(1, 84, 8400)}, 2, "with 2 labels there would be 6 rows or 7 columns"),
        ({"output0": zeros(1, 116, 8400), "output1": zeros(1, 32, 160, 160)}, 80, "of no family"),
        ({"dets": zeros(1, 9, 5), "labels": zeros(1, 9, 91)}, 80, "of no family"),
        ({"output0": zeros(1, 300, 6)}, 1, "with 1 labels they can be yolov5 or end_to_end"),
    ],
)
def test_what_cannot_be_told_is_refused(
    outputs: dict[str, NDArray[np.float32]], labels: int, reason: str
) -> None:
    with pytest.raises(OutputError, match=reason):
        recognised(outputs, labels)


def test_more_columns_than_labels_are_not_taken_for_them() -> None:
    """RF-DETR as it comes has 91 columns for the 80 labels of COCO."""
    outputs = {"dets": zeros(1, 300, 4), "labels": zeros(1, 300, 91)}
    with pytest.raises(OutputError, match="they are not those of detr"):
        candidates(outputs, "detr", 80, (64, 64))
