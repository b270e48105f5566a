"""Checks an open ONNX session against the description of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types

from .manifest import Dtype, InputSpec, ModelError, ModelSpec, OutputSpec

_CLIP: Final = "image_embeds"
"""What the exports of CLIP call their embedding; some give the same before its projection, too."""
_TYPES: Final[Mapping[str, Dtype]] = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


def agreed(spec: ModelSpec, session: ort.InferenceSession) -> ModelSpec:
    """Returns `spec` completed from the file. Raises ModelError where the two differ."""
    outputs = {output.name: output for output in session.get_outputs()}
    embedding = _embedding(spec, outputs)
    if spec.grid is not None:
        _check_output(spec, outputs, spec.grid, "grid", ranks=(4,))
    if spec.length is not None:
        _check_output(spec, outputs, spec.length, "length", ranks=(2,))
    return replace(
        spec, input=_input(spec, session), embedding=replace(spec.embedding, name=embedding)
    )


def _input(spec: ModelSpec, session: ort.InferenceSession) -> InputSpec:
    wanted, found = spec.input, session.get_inputs()
    names = ", ".join(tensor.name for tensor in found)
    if len(found) != 1:
        raise ModelError(f"{spec.path}: it has {len(found)} inputs ({names}), and must have one")
    (tensor,) = found
    if wanted.name not in (None, tensor.name):
        raise ModelError(f"{spec.path}: its input is {tensor.name}, not {wanted.name}")
    dtype = _TYPES.get(tensor.type)
    if dtype is None or wanted.dtype not in (None, dtype):
        raise ModelError(
            f"{spec.path}: its input {tensor.name} is {tensor.type}, "
            f"where {wanted.dtype or 'uint8 or float32'} is wanted"
        )
    batch, height, width = _input_shape(spec, tensor)
    if batch not in (None, 1):
        raise ModelError(f"{spec.path}: it takes {batch} pictures at once, and must take one")
    for side, fixed, index in (("wide", width, 0), ("high", height, 1)):
        if fixed is not None and (wanted.size is None or wanted.size[index] != fixed):
            described = "no size" if wanted.size is None else "{}x{}".format(*wanted.size)
            raise ModelError(
                f"{spec.path}: it takes only pictures {fixed} pixels {side}, and is described with "
                f"{described}; correct {spec.described_by}.size"
            )
    return replace(wanted, name=tensor.name, dtype=dtype)


def _input_shape(spec: ModelSpec, tensor: ort.NodeArg) -> tuple[int | None, int | None, int | None]:
    """Returns (batch, height, width), whatever the layout; None: the model takes any size."""
    sizes = [size if isinstance(size, int) else None for size in tensor.shape]
    if len(sizes) != 4:
        raise ModelError(
            f"{spec.path}: its input {tensor.name} has shape {_shape(tensor.shape)}, "
            "where a batch of pictures has 4 dimensions"
        )
    colours, others = (1, (0, 2, 3)) if spec.input.layout == "nchw" else (3, (0, 1, 2))
    if sizes[colours] not in (None, 3) or (sizes[colours] is None and sizes[4 - colours] == 3):
        raise ModelError(
            f"{spec.path}: its input {tensor.name} has shape {_shape(tensor.shape)}, which is not "
            f"{spec.input.layout.upper()} with 3 colours; correct {spec.described_by}.layout"
        )
    batch, height, width = (sizes[index] for index in others)
    return batch, height, width


def _embedding(spec: ModelSpec, outputs: Mapping[str, ort.NodeArg]) -> str:
    """Returns the name of the pooled output."""
    if spec.embedding.name is not None:
        _check_output(spec, outputs, spec.embedding, "embedding", ranks=(2, 4))
        return spec.embedding.name
    pooled = [name for name, output in outputs.items() if len(output.shape) == 2]
    if _CLIP in pooled:
        return _CLIP
    if len(pooled) != 1:
        raise ModelError(
            f"{spec.path}: {len(pooled)} of its outputs ({', '.join(outputs)}) have one vector for "
            f"each picture; name the right one as {spec.described_by}.embedding"
        )
    return pooled[0]


def _check_output(
    spec: ModelSpec,
    outputs: Mapping[str, ort.NodeArg],
    wanted: OutputSpec,
    role: str,
    ranks: tuple[int, ...],
) -> None:
    output = outputs.get(wanted.name or "")
    if output is None:
        raise ModelError(
            f"{spec.path}: it has no output {wanted.name} for the {role}; "
            f"there is {', '.join(outputs)}"
        )
    if output.type != "tensor(float)":
        raise ModelError(f"{spec.path}: its output {output.name} is {output.type}, not float32")
    if len(output.shape) not in ranks or not _fits(output.shape, wanted.shape):
        expected = "a shape for the " + role if wanted.shape is None else _shape(wanted.shape)
        raise ModelError(
            f"{spec.path}: its output {output.name} has shape {_shape(output.shape)}, "
            f"not {expected}"
        )


def _fits(found: list[int | str], wanted: tuple[int | None, ...] | None) -> bool:
    """Tells whether every wanted size is there; a size that the file leaves open fits only None."""
    if wanted is None:
        return True
    return len(found) == len(wanted) and all(
        want is None or want == size for size, want in zip(found, wanted, strict=True)
    )


def _shape(sizes: list[int | str] | tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
