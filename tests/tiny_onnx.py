"""Small ONNX models, made when a test needs one.

The embedding of an embedder is the mean colour; a detector gives what it was made with, or finds
what is bright.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

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


# ---------------------------------------------------------------------------- pictures and texts

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
"""Words that the text half of a pair knows."""


def image_half(path: Path, names: Sequence[str] = ("image_embeds",)) -> Path:
    """float32 NCHW of any size to the mean colour, once for each name."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], [name], axes=[2, 3], keepdims=0)
        for name in names
    ]
    outputs = [(name, FLOAT, ("batch", 3)) for name in names]
    return write(path, nodes, shape=("batch", 3, "height", "width"), outputs=outputs)


def text_half(
    path: Path, tokens: int | str = "tokens", size: int = 3, more_inputs: Sequence[str] = ()
) -> Path:
    """Ids of words to the mean of their colours, as far as the mask says that they are words."""
    table = np.zeros((2 + len(COLOURS), size), np.float32)
    table[2:, :3] = list(COLOURS.values())
    table[:, -1] += 1e-3
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["colours"]),
        helper.make_node("Cast", ["attention_mask"], ["counts"], to=FLOAT),
        helper.make_node("Unsqueeze", ["counts", "last"], ["wide"]),
        helper.make_node("Mul", ["colours", "wide"], ["masked"]),
        helper.make_node("ReduceMean", ["masked"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    names = ("input_ids", "attention_mask", *more_inputs)
    given = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ("batch", tokens)) for name in names
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        given,
        [helper.make_tensor_value_info("text_embeds", FLOAT, ("batch", size))],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2], np.int64), "last"),
        ],
    )
    return saved(path, graph)


def tokenizer(path: Path) -> Path:
    """A tokenizer.json that knows COLOURS; every other word is one and the same."""
    words = {"[PAD]": 0, "[UNK]": 1, **{word: 2 + at for at, word in enumerate(COLOURS)}}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    described: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    path.write_text(json.dumps(described), "utf-8")
    return path


# ------------------------------------------------------------------------------------- detectors


def detector(
    path: Path,
    outputs: Mapping[str, NDArray[np.generic]],
    *,
    shape: tuple[int | str, ...] = (1, 3, 64, 96),
    dtype: int = FLOAT,
    names: str | None = None,
) -> Path:
    """A detector that gives `outputs` whatever it sees. It is 96 wide and 64 high.

    `names`: what Ultralytics writes into a file.
    """
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))
        for name, values in outputs.items()
    ]
    given = [helper.make_tensor_value_info("images", dtype, shape)]
    kinds = {name: helper.np_dtype_to_tensor_dtype(v.dtype) for name, v in outputs.items()}
    graph = helper.make_graph(
        nodes,
        "tiny",
        given,
        [helper.make_tensor_value_info(n, kinds[n], v.shape) for n, v in outputs.items()],
    )
    return saved(path, graph, names)


def bright_box(path: Path) -> Path:
    """A detector for pictures of any size, `boxes` and `scores`: the one box around what is bright.

    It sees the input as it is, so that a box tells where the picture was put in it.
    """

    def node(op: str, given: Sequence[str], output: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(op, given, [output], **attributes))

    def constant(name: str, values: NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(values, name))
        return name

    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    node("Cast", ["images"], "float", to=FLOAT)
    node("ReduceMean", ["float"], "grey", axes=[3], keepdims=0)
    node("Greater", ["grey", constant("limit", np.array(200, np.float32))], "above")
    node("Cast", ["above"], "bright", to=FLOAT)
    for axis, name in ((1, "x"), (2, "y")):
        node("ReduceMax", ["bright"], f"{name}.line", axes=[axis], keepdims=0)
        node("ArgMax", [f"{name}.line"], f"{name}.first", axis=1)
        node("ArgMax", [f"{name}.line"], f"{name}.last", axis=1, select_last_index=1)
        node("Add", [f"{name}.last", constant(f"{name}.one", np.array(1, np.int64))], f"{name}.end")
    node("Concat", ["x.first", "y.first", "x.end", "y.end"], "corners", axis=1)
    node("Cast", ["corners"], "float_corners", to=FLOAT)
    node("Reshape", ["float_corners", constant("form", np.array([1, 1, 4], np.int64))], "boxes")
    node("ReduceMax", ["bright"], "any", axes=[1, 2], keepdims=0)
    node("Reshape", ["any", constant("one", np.array([1, 1, 1], np.int64))], "scores")
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("images", UINT8, (1, "height", "width", 3))],
        [
            helper.make_tensor_value_info("boxes", FLOAT, (1, 1, 4)),
            helper.make_tensor_value_info("scores", FLOAT, (1, 1, 1)),
        ],
        constants,
    )
    return saved(path, graph)


def saved(path: Path, graph: onnx.GraphProto, names: str | None = None) -> Path:
    """A file with this graph, checked by onnx."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
