"""The models: which one is asked for, and an onnxruntime session checked against its description.

onnxruntime is met in this room only; its errors become a `ModelError` (a model that cannot be used
at all, exit status 78) or an `InferenceError` (one picture that went wrong).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state  # type: ignore[import-untyped]  # ships no types

from ..problems import Problem
from .manifest import Dtype, InputSpec, ModelError, ModelSpec, OutputSpec

log = logging.getLogger(__name__)

Provider = Literal["cpu", "cuda"]


_ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        error
        for error in vars(onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
    RuntimeError,
    ValueError,
)
"""onnxruntime's errors have no common base, and its Python half raises the two built-in ones."""

_FATAL = 4
"""onnxruntime's own log, to standard error, says less than the exceptions it goes with."""
ort.set_default_logger_severity(_FATAL)


class InferenceError(Problem):
    """One picture that the model could not take."""


# -------------------------------------------------------------------------------------- providers


def cuda_problem() -> str | None:
    """Why CUDA cannot be used here, as a clause; None: it can.

    onnxruntime-gpu lists CUDA on every machine, and prints errors when it is tried without a
    device, so the driver is asked first.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return f"onnxruntime {ort.__version__} is built without CUDA; install onnxruntime-gpu"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    devices = ctypes.c_int(0)
    if (status := driver.cuInit(0)) or (status := driver.cuDeviceGetCount(ctypes.byref(devices))):
        return f"the NVIDIA driver finds no device (CUDA error {status})"
    return None if devices.value else "the NVIDIA driver finds no device"


def providers() -> tuple[Provider, ...]:
    """Where models can run here, the fastest first."""
    return ("cpu",) if cuda_problem() else ("cuda", "cpu")


# --------------------------------------------------------------------------------------- a model


class Model:
    """An open model. May be used by several threads at once."""

    def __init__(
        self, spec: ModelSpec, provider: Provider, session: ort.InferenceSession, why: str | None
    ) -> None:
        self.spec = spec
        """As `load` was given it, with every None that the file answers filled in."""
        self.provider = provider
        self.why = why
        """Why it runs there, as a clause; None: because the configuration says so."""
        self._session = session
        self._outputs = [spec.embedding.name] + ([spec.grid.name] if spec.grid else [])

    def run(
        self, image: NDArray[np.uint8] | NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """The embedding and the grid (None: the model has none) of `image`, a batch in the
        layout and type of `spec.input`. Raises InferenceError."""
        try:
            outputs = self._session.run(self._outputs, {self.spec.input.name: image})
        except _ORT_ERRORS as error:
            raise InferenceError(f"{self.spec.name}: {_sentence(error)}") from error
        return outputs[0], outputs[1] if self.spec.grid else None


def load(
    spec: ModelSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Model:
    """Open a model and hold it against its description.

    `auto` takes the GPU where one answers and the CPU otherwise, without a word; `cuda` without a
    GPU is a ModelError, as is everything that is not as `spec` says.
    """
    content = _checked(spec)
    if provider == "cpu":
        return _opened(spec, content, "cpu", threads, None)
    reason = cuda_problem()
    if reason is None:
        try:
            why = None if provider == "cuda" else "a GPU answers"
            return _opened(spec, content, "cuda", threads, why)
        except ModelError as error:
            if provider == "cuda":
                raise
            reason = f"there is a GPU, but {error}"
    elif provider == "cuda":
        raise ModelError(
            f"{spec.path}: model.provider is cuda, and {reason}; "
            "set it to auto or cpu, or mend the driver"
        )
    return _opened(spec, content, "cpu", threads, reason)


@dataclass(frozen=True, slots=True)
class Verified:
    """A model that was opened, checked and run once on a blank picture."""

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
    """Open a model, run it on a blank picture and tell what came out. Raises ModelError."""
    model = load(spec, provider, threads)
    given = model.spec.input
    width, height = given.size or (16 * given.multiple, 9 * given.multiple)
    shape = (1, height, width, 3) if given.layout == "nhwc" else (1, 3, height, width)
    try:
        embedding, grid = model.run(np.zeros(shape, given.dtype))
    except InferenceError as error:
        raise ModelError(f"{spec.path}: it cannot be run: {error}") from error
    return Verified(
        model.spec,
        model.provider,
        spec.sha256 or hashlib.sha256(_read(spec.path)).hexdigest(),
        tuple(embedding.shape),
        None if grid is None else tuple(grid.shape),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _checked(spec: ModelSpec) -> bytes | None:
    """What is in the file, if it is the file that it should be; None: any file will do."""
    if spec.sha256 is None:
        if not spec.path.is_file():
            raise ModelError(f"{spec.path}: there is no such file; correct model.path")
        return None  # onnxruntime opens it by its path: weights may lie in files beside it
    content = _read(spec.path)
    if (found := hashlib.sha256(content).hexdigest()) != spec.sha256:
        raise ModelError(
            f"{spec.path}: {len(content)} bytes with SHA-256 {found}, where manifest.yaml says "
            f"{spec.bytes} bytes with {spec.sha256}: a damaged file or another model; install "
            "stillsift again, or name a model of your own as model.path"
        )
    return content


def _opened(
    spec: ModelSpec, content: bytes | None, provider: Provider, threads: int, why: str | None
) -> Model:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory plan is kept for each input shape ever seen, and pictures come in many shapes:
    # measured over 300 shapes, resident memory grows by 0.2 MB without plans, by 2 MB with them.
    options.enable_mem_pattern = False
    # Threads that spin while they wait for work take the core from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = _session(spec, content if content is not None else str(spec.path), provider, options)
    return Model(_agreed(spec, session), provider, session, why)


def _session(
    spec: ModelSpec, model: bytes | str, provider: Provider, options: ort.SessionOptions
) -> ort.InferenceSession:
    chosen: list[Any] = ["CPUExecutionProvider"]
    if provider == "cuda":
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()  # of the nvidia packages beside onnxruntime; prints what it misses
        # An exhaustive search runs anew for each shape, and TF32 keeps 10 bits of the 23.
        cuda = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        chosen.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        session = ort.InferenceSession(model, options, providers=chosen, enable_fallback=0)
    except _ORT_ERRORS as error:
        raise ModelError(f"{spec.path}: onnxruntime cannot open it: {_sentence(error)}") from error
    if provider == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ModelError(
            f"{spec.path}: a GPU is there, but onnxruntime cannot load its CUDA libraries; "
            "pip install 'onnxruntime-gpu[cuda,cudnn]', or set model.provider to cpu"
        )
    return session


def _sentence(error: Exception) -> str:
    """onnxruntime's message on one line, without the numbers in brackets that it starts with."""
    return " ".join(str(error).split("] : ")[-1].split(" : ", 2)[-1].split()) or repr(error)


# ---------------------------------------------------------------- a session and its description

_TYPES: Final[Mapping[str, Dtype]] = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


def _agreed(spec: ModelSpec, session: ort.InferenceSession) -> ModelSpec:
    """`spec` with its open places filled in from the file. Raises ModelError where they differ."""
    outputs = {output.name: output for output in session.get_outputs()}
    embedding = _embedding(spec, outputs)
    if spec.grid is not None:
        _check_output(spec, outputs, spec.grid, "grid", ranks=(4,))
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
                f"{described}; correct model.custom.size"
            )
    return replace(wanted, name=tensor.name, dtype=dtype)


def _input_shape(spec: ModelSpec, tensor: ort.NodeArg) -> tuple[int | None, int | None, int | None]:
    """(batch, height, width), whatever the layout; None: free."""
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
            f"{spec.input.layout.upper()} with 3 colours; correct model.custom.layout"
        )
    batch, height, width = (sizes[index] for index in others)
    return batch, height, width


def _embedding(spec: ModelSpec, outputs: Mapping[str, ort.NodeArg]) -> str:
    """The name of the pooled output."""
    if spec.embedding.name is not None:
        _check_output(spec, outputs, spec.embedding, "embedding", ranks=(2, 4))
        return spec.embedding.name
    pooled = [name for name, output in outputs.items() if len(output.shape) == 2]
    if len(pooled) != 1:
        raise ModelError(
            f"{spec.path}: {len(pooled)} of its outputs ({', '.join(outputs)}) have one vector for "
            "each picture; name the right one as model.custom.embedding"
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
    """Whether every wanted size is there; a size that the file leaves open fits only None."""
    if wanted is None:
        return True
    return len(found) == len(wanted) and all(
        want is None or want == size for size, want in zip(found, wanted, strict=True)
    )


def _shape(sizes: list[int | str] | tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
