"""Runs an embedder that is open as an onnxruntime session."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray

from .contract import agreed
from .manifest import ModelError, ModelSpec
from .onnx_file import (
    ORT_ERRORS,
    InferenceError,
    ModelFile,
    Provider,
    digest_of,
    opened,
    read,
    sentence,
)


class Outputs(NamedTuple):
    """Holds what a model gives for a batch of one."""

    embedding: NDArray[np.float32]
    grid: NDArray[np.float32] | None
    """None: the model has no grid."""
    length: NDArray[np.float32] | None
    """(1, 1) length that the embedding had before it was given length 1; None: the model does not
    tell."""


class Model:
    """Runs an open model. May be used by several threads at once."""

    def __init__(
        self, spec: ModelSpec, provider: Provider, session: ort.InferenceSession, why: str | None
    ) -> None:
        self.spec = spec
        """The description given to `load`, completed from the file (names and input type)."""
        self.provider = provider
        self.why = why
        """Reason why it runs there, as a clause; None: the configuration says so."""
        self._session = session
        wanted = (spec.embedding, spec.grid, spec.length)
        self._outputs = [output.name for output in wanted if output is not None]

    @cached_property
    def identity(self) -> str:
        """Gives the text by which what this model has computed is known as its own.

        For a model of the manifest that is its name, since a file with other weights gets another
        one there. A file of the user's own can change under its name, and so can what it is fed
        with: its text ends with a hash of the file, of files beside it whose names begin with its
        own (in which large models have their weights), and of the description. Raises ModelError.
        """
        spec = self.spec
        if spec.sha256 is not None:
            return spec.name
        told = hashlib.sha256(repr((spec.input, spec.embedding, spec.grid)).encode())
        beside = (each for each in spec.path.parent.iterdir() if each.is_file())
        for path in sorted(each for each in beside if each.name.startswith(spec.path.name)):
            told.update(digest_of(path))
        return f"{spec.name}@{told.hexdigest()[:12]}"

    def run(self, image: NDArray[np.uint8] | NDArray[np.float32]) -> Outputs:
        """Returns what the model gives for a batch of one.

        `image` has the layout and type of `spec.input`. Raises InferenceError.
        """
        try:
            found = self._session.run(self._outputs, {self.spec.input.name: image})
        except ORT_ERRORS as error:
            raise InferenceError(f"{self.spec.name}: {sentence(error)}") from error
        vectors, *others = found
        grid = others.pop(0) if self.spec.grid is not None else None
        return Outputs(vectors, grid, others.pop(0) if self.spec.length is not None else None)


def load(
    spec: ModelSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Model:
    """Opens a model and checks it against its description.

    `auto` takes the GPU where one answers, and otherwise the CPU without an error. Raises
    ModelError for `cuda` without a GPU, and for everything that differs from `spec`.
    """
    file = opened(ModelFile(spec.path, spec.sha256, spec.bytes, "model"), provider, threads)
    return Model(agreed(spec, file.session), file.provider, file.session, file.why)


@dataclass(frozen=True, slots=True)
class Verified:
    """Describes a model that was opened, checked and run once on a blank picture."""

    spec: ModelSpec
    provider: Provider
    sha256: str
    embedding: tuple[int, ...]
    """Shape for one picture."""
    grid: tuple[int, ...] | None
    """Shape for one picture; None: the model has no grid."""


def verify(
    spec: ModelSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Verified:
    """Opens a model, runs it on a blank picture and describes the result. Raises ModelError."""
    model = load(spec, provider, threads)
    given = model.spec.input
    width, height = given.size or (16 * given.multiple, 9 * given.multiple)
    shape = (1, height, width, 3) if given.layout == "nhwc" else (1, 3, height, width)
    try:
        embedding, grid, _ = model.run(np.zeros(shape, given.dtype))
    except InferenceError as error:
        raise ModelError(f"{spec.path}: it cannot be run: {error}") from error
    return Verified(
        model.spec,
        model.provider,
        spec.sha256 or hashlib.sha256(read(spec.path)).hexdigest(),
        tuple(embedding.shape),
        None if grid is None else tuple(grid.shape),
    )
