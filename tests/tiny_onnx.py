"""Small ONNX embedders, made when a test needs one: their mean colour is their embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto, helper

FLOAT, UINT8, DOUBLE = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.DOUBLE
NCHW: tuple[int | str, ...] = ("batch", 3, 32, 48)
"""48 wide, 32 high."""
NHWC: tuple[int | str, ...] = ("batch", "height", "width", 3)


def write(
    path: Path,
    nodes: Sequence[NodeProto],
    *,
    shape: tuple[int | str, ...] = NCHW,
    dtype: int = FLOAT,
    outputs: Sequence[tuple[str, int, tuple[int | str, ...]]] = (("vector", FLOAT, ("batch", 3)),),
    more_inputs: Sequence[str] = (),
) -> Path:
    """A model of `nodes` from `pixels` to `outputs`, checked by onnx."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("pixels", dtype, shape),
            *(helper.make_tensor_value_info(name, FLOAT, (1,)) for name in more_inputs),
        ],
        [helper.make_tensor_value_info(name, kind, size) for name, kind, size in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def mean_colour(source: str = "pixels", axes: Sequence[int] = (2, 3)) -> NodeProto:
    return helper.make_node("ReduceMean", [source], ["vector"], axes=axes, keepdims=0)


def float_nchw(path: Path) -> Path:
    """float32 NCHW of 48x32 to the mean colour; there is no grid."""
    return write(path, [mean_colour()])


_MAP = (("vector", FLOAT, ("batch", 3)), ("map", FLOAT, ("batch", 3, 2, 3)))


def field_colours(output: str) -> NodeProto:
    return helper.make_node(
        "AveragePool", ["pixels"], [output], kernel_shape=[16, 16], strides=[16, 16]
    )


def float_nchw_with_grid(path: Path) -> Path:
    """The same, and as `map` (batch, 3, 2, 3) the mean colour of each field of 16 x 16."""
    return write(path, [mean_colour(), field_colours("map")], outputs=_MAP)


def logarithmic_grid(path: Path) -> Path:
    """The same, and as `map` the logarithm of it: minus infinity for a black field."""
    log = helper.make_node("Log", ["colours"], ["map"])
    return write(path, [mean_colour(), field_colours("colours"), log], outputs=_MAP)


def uint8_nhwc(path: Path) -> Path:
    """uint8 NHWC of any size to the mean colour."""
    cast = helper.make_node("Cast", ["pixels"], ["float"], to=FLOAT)
    return write(path, [cast, mean_colour("float", (1, 2))], shape=NHWC, dtype=UINT8)


def logarithm(path: Path) -> Path:
    """The logarithm of the mean colour: minus infinity for a black picture."""
    log = helper.make_node("Log", ["mean"], ["vector"])
    mean = helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0)
    return write(path, [mean, log])
